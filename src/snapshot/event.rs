//! What groups were seen to do: each commit and each rebalance, as a value with an id.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::GroupType;
use crate::lag::{ClusterName, GroupId, Offset, TopicPartition};

/// One thing that a group was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place among the events of all clusters.
    pub id: EventPosition,
    /// The cluster; nothing while there is only one, unnamed cluster.
    pub cluster: Option<ClusterName>,
    /// The group.
    pub group: GroupId,
    /// When it happened, in milliseconds since 1970; nothing where nobody tells.
    pub at_ms: Option<i64>,
    /// What happened.
    pub kind: EventKind,
}

/// Something that a group was seen to do, and that has no id yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The group.
    pub group: GroupId,
    /// When it happened, in milliseconds since 1970; nothing where nobody tells.
    pub at_ms: Option<i64>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened, with the names of `/api/v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum EventKind {
    /// The group's committed offset for a partition was written or taken away.
    Commit {
        /// The partition.
        #[serde(flatten)]
        partition: TopicPartition,
        /// The next record the group will read; nothing: the commit was deleted or has expired.
        #[serde(rename = "current_offset")]
        offset: Option<Offset>,
        /// What was committed before; nothing: there was no commit, or none that is known.
        #[serde(rename = "previous_offset")]
        previous: Option<Offset>,
    },
    /// The group's partitions were dealt out anew.
    Rebalance(Rebalance),
}

/// A new generation of a classic group, or a new epoch of a KIP-848 group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rebalance {
    /// Classic or KIP-848.
    #[serde(rename = "type")]
    pub group_type: GroupType,
    /// The assignor: the one that the leader of a classic group used; empty where it has none or nobody tells.
    #[serde(rename = "protocol")]
    pub assignor: Arc<str>,
    /// The generation of a classic group, the epoch of a KIP-848 group.
    pub generation: i32,
    /// The ids of the members that are new.
    pub joined: Vec<Arc<str>>,
    /// The ids of the members that are gone.
    pub left: Vec<Arc<str>>,
    /// How many partitions each member had and has, those that joined and left included.
    pub members: Vec<MemberShare>,
}

/// How many partitions a member of a group had before a rebalance, and has after it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MemberShare {
    /// The member's id.
    #[serde(rename = "member_id")]
    pub id: Arc<str>,
    /// Nothing: it was no member, or what it had is not known.
    #[serde(rename = "partitions_before")]
    pub before: Option<u32>,
    /// Nothing: it is no member, or what it has is not known.
    #[serde(rename = "partitions_after")]
    pub after: Option<u32>,
}

/// The id of an event: its place among all events of one process.
///
/// Printed as `RUN-SEQUENCE`: the run tells one start of the process from another, so that a place in a list that is
/// gone is not mistaken for one in today's. The first event of a run has the sequence 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventPosition {
    /// When the process started, in nanoseconds since 1970; 0 is the run of no process.
    pub(super) run: u64,
    pub(super) sequence: u64,
}

/// A text is not the id of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an event's id looks like `{}`", EventPosition { run: 0x18c1_d7f3_9a2b_4c5d, sequence: 42 })]
pub struct NotAnEventPosition;

impl Event {
    /// Returns roughly how much memory the event takes, in bytes; names are counted although others may share them.
    pub(super) fn size_bytes(&self) -> usize {
        let names = |ids: &[Arc<str>]| -> usize {
            let size = |id: &Arc<str>| size_of::<Arc<str>>() + id.len();
            ids.iter().map(size).sum()
        };
        let kind = match &self.kind {
            EventKind::Commit { partition, .. } => partition.topic.as_str().len(),
            EventKind::Rebalance(Rebalance {
                assignor,
                joined,
                left,
                members,
                group_type: _,
                generation: _,
            }) => {
                let shares = members.iter();
                let shares: usize = shares
                    .map(|member| size_of::<MemberShare>() + member.id.len())
                    .sum();
                assignor.len() + names(joined) + names(left) + shares
            }
        };
        size_of::<Self>() + self.group.as_str().len() + kind
    }
}

impl EventKind {
    /// Every kind's word, in order.
    pub const WORDS: [&str; 2] = ["commit", "rebalance"];

    /// Returns the kind's word in queries and JSON.
    pub fn as_str(&self) -> &'static str {
        let [commit, rebalance] = Self::WORDS;
        match self {
            Self::Commit { .. } => commit,
            Self::Rebalance(_) => rebalance,
        }
    }
}

impl EventPosition {
    /// Returns the place right before the event, where it is the first to follow.
    pub fn before(self) -> Self {
        Self {
            sequence: self.sequence.saturating_sub(1),
            ..self
        }
    }
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, sequence } = self;
        write!(f, "{run:x}-{sequence}")
    }
}

impl FromStr for EventPosition {
    type Err = NotAnEventPosition;

    fn from_str(text: &str) -> Result<Self, NotAnEventPosition> {
        let (run, sequence) = text.split_once('-').ok_or(NotAnEventPosition)?;
        let id = Self {
            run: u64::from_str_radix(run, 16).map_err(|_| NotAnEventPosition)?,
            sequence: sequence.parse().map_err(|_| NotAnEventPosition)?,
        };
        // Numbers can be written in many ways, and each id in one.
        (id.to_string() == text)
            .then_some(id)
            .ok_or(NotAnEventPosition)
    }
}

impl Serialize for EventPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_is_read_as_it_was_printed(run: u64, sequence: u64) {
            let id = EventPosition { run, sequence };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_was_never_printed_is_no_id() {
        for text in [
            "", "42", "-", "a-", "-1", "A-1", "+a-1", "a-+1", "a-01", "0a-1", "a-1-1", "a--1",
        ] {
            assert_eq!(
                text.parse::<EventPosition>(),
                Err(NotAnEventPosition),
                "{text}"
            );
        }
        assert_eq!(
            NotAnEventPosition.to_string(),
            "an event's id looks like `18c1d7f39a2b4c5d-42`"
        );
    }
}
