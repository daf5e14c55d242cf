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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offset(raw: i64) -> Offset {
        Offset::new(raw).expect("tests use offsets from 0")
    }

    fn at(raw: i64) -> Result<Committed, Unavailable> {
        Ok(Committed::At(offset(raw)))
    }

    fn marks(log_start: Option<i64>, log_end: i64) -> Result<Watermarks, Unavailable> {
        Ok(Watermarks {
            log_start: log_start.map(offset),
            log_end: offset(log_end),
            last_stable: None,
        })
    }

    fn known(lag: u64, ahead: u64, lost: Option<u64>) -> Lag {
        Lag::Known(Distance { lag, ahead, lost })
    }

    #[test]
    fn every_row_of_the_truth_table_holds() {
        let never = Ok(Committed::Never);
        let table = [
            ("behind", at(7), marks(Some(2), 10), known(3, 0, Some(0))),
            (
                "caught up",
                at(10),
                marks(Some(2), 10),
                known(0, 0, Some(0)),
            ),
            (
                "at the start",
                at(2),
                marks(Some(2), 10),
                known(8, 0, Some(0)),
            ),
            ("empty log", at(0), marks(Some(0), 0), known(0, 0, Some(0))),
            (
                "past the end",
                at(15),
                marks(Some(2), 10),
                known(0, 5, Some(0)),
            ),
            (
                "before the start",
                at(1),
                marks(Some(4), 10),
                known(9, 0, Some(3)),
            ),
            (
                "all deleted unread",
                at(1),
                marks(Some(10), 10),
                known(9, 0, Some(9)),
            ),
            ("start unknown", at(7), marks(None, 10), known(3, 0, None)),
            (
                "no commit",
                never,
                marks(Some(4), 10),
                Lag::NoCommit { backlog: Some(6) },
            ),
            (
                "no commit, empty",
                never,
                marks(Some(4), 4),
                Lag::NoCommit { backlog: Some(0) },
            ),
            (
                "no commit, start unknown",
                never,
                marks(None, 10),
                Lag::NoCommit { backlog: None },
            ),
            (
                "commit unknown",
                Err(Unavailable::Committed),
                marks(Some(0), 10),
                Lag::Unavailable(Unavailable::Committed),
            ),
            (
                "end unknown",
                at(7),
                Err(Unavailable::EndOffset),
                Lag::Unavailable(Unavailable::EndOffset),
            ),
            (
                "end unknown, no commit",
                never,
                Err(Unavailable::EndOffset),
                Lag::Unavailable(Unavailable::EndOffset),
            ),
            (
                "no leader",
                at(7),
                Err(Unavailable::NoLeader),
                Lag::Unavailable(Unavailable::NoLeader),
            ),
            (
                "both unknown",
                Err(Unavailable::Committed),
                Err(Unavailable::EndOffset),
                Lag::Unavailable(Unavailable::Committed),
            ),
        ];
        for (case, committed, marks, expected) in table {
            let lag = partition_lag(committed, marks, Isolation::ReadUncommitted);
            assert_eq!(lag, expected, "{case}");
        }
    }

    #[test]
    fn read_committed_groups_are_measured_to_the_last_stable_offset() {
        let stable = Watermarks {
            log_start: Some(offset(0)),
            log_end: offset(10),
            last_stable: Some(offset(6)),
        };
        let unasked = Watermarks {
            last_stable: None,
            ..stable
        };
        let table = [
            ("behind", at(4), stable, known(2, 0, Some(0))),
            (
                "at the last stable offset",
                at(6),
                stable,
                known(0, 0, Some(0)),
            ),
            (
                "inside an open transaction",
                at(8),
                stable,
                known(0, 0, Some(0)),
            ),
            ("past the end", at(12), stable, known(0, 2, Some(0))),
            (
                "no commit",
                Ok(Committed::Never),
                stable,
                Lag::NoCommit { backlog: Some(6) },
            ),
            (
                "last stable offset unknown",
                at(4),
                unasked,
                Lag::Unavailable(Unavailable::EndOffset),
            ),
        ];
        for (case, committed, marks, expected) in table {
            let lag = partition_lag(committed, Ok(marks), Isolation::ReadCommitted);
            assert_eq!(lag, expected, "{case}");
        }
    }

    #[test]
    fn absence_is_told_from_zero() {
        use UncommittedPolicy::{Absent, LogEnd, LogStart};
        let no_commit = |backlog| Lag::NoCommit { backlog };
        let table = [
            ("caught up", known(0, 0, None), Absent, Some(0)),
            ("behind", known(3, 0, None), LogStart, Some(3)),
            ("ahead", known(0, 9, None), Absent, Some(0)),
            ("no commit", no_commit(Some(6)), Absent, None),
            (
                "no commit, from start",
                no_commit(Some(6)),
                LogStart,
                Some(6),
            ),
            (
                "no commit, from unknown start",
                no_commit(None),
                LogStart,
                None,
            ),
            ("no commit, from end", no_commit(Some(6)), LogEnd, Some(0)),
            (
                "failed",
                Lag::Unavailable(Unavailable::EndOffset),
                Absent,
                None,
            ),
            (
                "failed, from start",
                Lag::Unavailable(Unavailable::EndOffset),
                LogStart,
                None,
            ),
            (
                "failed, from end",
                Lag::Unavailable(Unavailable::Committed),
                LogEnd,
                None,
            ),
            (
                "no leader, from end",
                Lag::Unavailable(Unavailable::NoLeader),
                LogEnd,
                None,
            ),
        ];
        for (case, lag, policy, expected) in table {
            assert_eq!(lag.records(policy), expected, "{case}");
        }
    }

    proptest! {
        #[test]
        fn a_known_lag_is_the_true_distance_and_never_negative(
            committed in 0..=i64::MAX,
            start in proptest::option::of(0..=i64::MAX),
            end in 0..=i64::MAX,
        ) {
            let lag = partition_lag(at(committed), marks(start, end), Isolation::ReadUncommitted);
            let truth = i128::from(end) - i128::from(committed);
            let Lag::Known(distance) = lag else {
                return Err(TestCaseError::fail("both offsets are known"));
            };
            prop_assert_eq!(i128::from(distance.lag) - i128::from(distance.ahead), truth);
            prop_assert!(distance.lag == 0 || distance.ahead == 0);
            let lost = start.map(|start| (i128::from(start) - i128::from(committed)).max(0));
            prop_assert_eq!(distance.lost.map(i128::from), lost);
        }

        #[test]
        fn a_failed_fetch_never_yields_a_figure(
            committed in proptest::option::of(0..=i64::MAX),
            end in proptest::option::of(0..=i64::MAX),
        ) {
            let commit = committed.map_or(Err(Unavailable::Committed), at);
            let ends = end.map_or(Err(Unavailable::EndOffset), |end| marks(Some(0), end));
            let lag = partition_lag(commit, ends, Isolation::ReadUncommitted);
            for policy in [UncommittedPolicy::Absent, UncommittedPolicy::LogStart, UncommittedPolicy::LogEnd] {
                prop_assert_eq!(lag.records(policy).is_some(), committed.is_some() && end.is_some());
            }
        }
    }
}
