//! Events: commits and rebalances, one object each.

use std::sync::Arc;

use serde::Serialize;

use super::time::timestamp_of;
use crate::lag::{ClusterName, GroupId};
use crate::snapshot::{Event, EventKind, EventPosition, Gap};

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
    detail: &'a EventKind,
}

/// What was missed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GapBody {
    missed: Option<u64>,
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
        detail: kind,
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
