//! The lag of one group on one partition: the truth table.
//!
//! Fetching, keeping a last good value and exposing it belong elsewhere.

use std::fmt;

use super::offset::{Committed, Offset, Watermarks};

/// How far a group is behind on one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lag {
    /// Both offsets of one cycle are known.
    Known(Distance),
    /// The group never committed here. `backlog` is log end - log start, nothing where the start is unknown.
    NoCommit {
        /// Records a consumer that starts at the log start would read.
        backlog: Option<u64>,
    },
    /// A fetch failed; there is no figure, not even 0.
    Unavailable(Unavailable),
}

/// The figures of a partition with a commit; all in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Distance {
    /// Log end - committed; 0 where the commit is past the end.
    pub lag: u64,
    /// Committed - log end where the commit is past the end (truncated log, recreated topic), else 0.
    pub ahead: u64,
    /// Log start - committed where records were deleted before the group read them, else 0; nothing where the log start is unknown.
    pub lost: Option<u64>,
}

/// Why there is no lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unavailable {
    /// The group's committed offsets could not be read.
    Committed,
    /// The partition's log end could not be read.
    EndOffset,
    /// The partition has no leader, or the topic no longer exists.
    NoLeader,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Committed => "committed offset unknown",
            Self::EndOffset => "log end offset unknown",
            Self::NoLeader => "partition has no leader",
        })
    }
}

/// Which end of the log a group reads up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Every record up to the high watermark. Kafka's default, and what its own tool measures.
    #[default]
    ReadUncommitted,
    /// Records up to the last stable offset; without one there is no lag.
    ReadCommitted,
}

/// What counts as the lag of a partition that the group never committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UncommittedPolicy {
    /// No sample, as Kafka's own tool prints `-`.
    #[default]
    Absent,
    /// The whole backlog: the group will start at the log start (`auto.offset.reset=earliest`).
    LogStart,
    /// Nothing: the group will start at the log end (`auto.offset.reset=latest`).
    LogEnd,
}

/// Returns the lag of one partition from a commit and watermarks of the same cycle.
///
/// Commits are read before log ends, so a commit past the end is never a race: it is [`Distance::ahead`].
///
/// Source: KIP-396; `ConsumerGroupCommand` prints log end - committed and `-` where there is no commit.
pub fn partition_lag(
    committed: Result<Committed, Unavailable>,
    marks: Result<Watermarks, Unavailable>,
    isolation: Isolation,
) -> Lag {
    let (committed, marks) = match (committed, marks) {
        (Ok(committed), Ok(marks)) => (committed, marks),
        (Err(reason), _) | (_, Err(reason)) => return Lag::Unavailable(reason),
    };
    let Some(end) = readable_end(marks, isolation) else {
        return Lag::Unavailable(Unavailable::EndOffset);
    };
    match committed {
        Committed::Never => Lag::NoCommit {
            backlog: marks.log_start.map(|start| end.records_since(start)),
        },
        Committed::At(position) => Lag::Known(Distance {
            lag: end.records_since(position),
            ahead: position.records_since(marks.log_end),
            lost: marks.log_start.map(|start| start.records_since(position)),
        }),
    }
}

/// Returns the exclusive end of what a consumer of this isolation level may read, where it was asked for.
pub fn readable_end(marks: Watermarks, isolation: Isolation) -> Option<Offset> {
    match isolation {
        Isolation::ReadUncommitted => Some(marks.log_end),
        Isolation::ReadCommitted => marks.last_stable,
    }
}

impl Lag {
    /// Returns the records behind that count under `policy`; nothing where no figure may be shown.
    pub fn records(self, policy: UncommittedPolicy) -> Option<u64> {
        match (self, policy) {
            (Self::Known(distance), _) => Some(distance.lag),
            (Self::NoCommit { backlog }, UncommittedPolicy::LogStart) => backlog,
            (Self::NoCommit { .. }, UncommittedPolicy::LogEnd) => Some(0),
            (Self::NoCommit { .. }, UncommittedPolicy::Absent) | (Self::Unavailable(_), _) => None,
        }
    }
}
