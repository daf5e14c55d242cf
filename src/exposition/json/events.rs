//! Events: commits and rebalances, one object each.

use std::sync::Arc;

use serde::Serialize;

use super::time::timestamp_of;
use crate::lag::{ClusterName, GroupId, Offset, PartitionId, TopicName};
use crate::snapshot::{Event, EventKind, EventPosition, Gap, MemberShare, Rebalance};

/// The answer of `/api/v1/events`.
#[derive(Debug, Serialize)]
pub struct Events<'a> {
    gap: Option<GapBody>,
    events: Vec<EventBody<'a>>,
    last_id: EventPosition,
    more: bool,
}

/// Whether events follow the last one of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It was the newest.
    None,
    /// Ask again, after `last_id`.
    More,
}

/// One event.
#[derive(Debug, Serialize)]
pub struct EventBody<'a> {
    id: EventPosition,
    kind: &'static str,
    cluster: Option<&'a ClusterName>,
    group: &'a GroupId,
    at: Option<String>,
    #[serde(flatten)]
    detail: Detail<'a>,
}

/// What was missed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GapBody {
    missed: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Commit {
        topic: &'a TopicName,
        partition: PartitionId,
        current_offset: Option<Offset>,
        previous_offset: Option<Offset>,
    },
    Rebalance {
        #[serde(rename = "type")]
        group_type: &'static str,
        protocol: &'a str,
        generation: i32,
        joined: &'a [Arc<str>],
        left: &'a [Arc<str>],
        members: Vec<ShareBody<'a>>,
    },
}

#[derive(Debug, Serialize)]
struct ShareBody<'a> {
    member_id: &'a str,
    partitions_before: Option<u32>,
    partitions_after: Option<u32>,
}

/// Returns some events, and where to go on after them.
pub fn events(
    gap: Option<Gap>,
    events: &[Arc<Event>],
    last: EventPosition,
    rest: Rest,
) -> Events<'_> {
    Events {
        gap: gap.map(self::gap),
        events: events.iter().map(|one| event(one)).collect(),
        last_id: last,
        more: rest == Rest::More,
    }
}

/// Returns one event.
pub fn event(event: &Event) -> EventBody<'_> {
    let Event {
        id,
        cluster,
        group,
        at_ms,
        kind,
    } = event;
    EventBody {
        id: *id,
        kind: kind.as_str(),
        cluster: cluster.as_ref(),
        group,
        at: at_ms.and_then(timestamp_of),
        detail: detail(kind),
    }
}

/// Returns how much was missed; `null` where nobody knows.
pub fn gap(gap: Gap) -> GapBody {
    let missed = match gap {
        Gap::Events(missed) => Some(missed),
        Gap::Unknown => None,
    };
    GapBody { missed }
}

fn detail(kind: &EventKind) -> Detail<'_> {
    match kind {
        EventKind::Commit {
            partition,
            offset,
            previous,
        } => Detail::Commit {
            topic: &partition.topic,
            partition: partition.partition,
            current_offset: *offset,
            previous_offset: *previous,
        },
        EventKind::Rebalance(Rebalance {
            group_type,
            generation,
            assignor,
            joined,
            left,
            members,
        }) => Detail::Rebalance {
            group_type: group_type.as_str(),
            protocol: assignor,
            generation: *generation,
            joined,
            left,
            members: members.iter().map(share).collect(),
        },
    }
}

fn share(share: &MemberShare) -> ShareBody<'_> {
    let MemberShare { id, before, after } = share;
    ShareBody {
        member_id: id,
        partitions_before: *before,
        partitions_after: *after,
    }
}
