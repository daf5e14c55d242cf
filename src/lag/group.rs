//! What the partitions of one group on one topic add up to.
//!
//! A sum is shown only where every part of it is known: a partial sum looks healthier than the group is.

use super::offset::Committed;
use super::partition::{Lag, UncommittedPolicy};

/// The sums of one group over its partitions of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicTotals {
    /// Sum of the committed offsets; nothing while any partition is unknown, or where nothing is committed.
    pub committed: Option<u64>,
    /// Sum of the records behind; nothing while any partition's lag is unknown, or where no partition has a figure.
    ///
    /// Partitions without a commit count as the policy says. Under [`UncommittedPolicy::Absent`] they add nothing and
    /// are told by `uncommitted_partitions`.
    pub lag: Option<u64>,
    /// Partitions without a commit; nothing while any partition is unknown.
    pub uncommitted_partitions: Option<u64>,
}

impl TopicTotals {
    /// Adds up the partitions of one topic: each its commit and lag of one cycle, or nothing where they are unknown.
    ///
    /// The order of the partitions does not matter, and a sum past `u64::MAX` stays there.
    pub fn of(
        partitions: impl IntoIterator<Item = Option<(Committed, Lag)>>,
        policy: UncommittedPolicy,
    ) -> Self {
        let mut committed = Sum::default();
        let mut lag = Sum::default();
        let mut uncommitted = Sum {
            total: Some(0),
            ..Sum::default()
        };
        for partition in partitions {
            let Some((commit, distance)) = partition else {
                committed.lose();
                lag.lose();
                uncommitted.lose();
                continue;
            };
            match commit {
                Committed::At(position) => committed.add(position.value()),
                Committed::Never => uncommitted.add(1),
            }
            match (distance.records(policy), distance, policy) {
                (Some(records), _, _) => lag.add(records),
                (None, Lag::NoCommit { .. }, UncommittedPolicy::Absent) => {}
                (None, _, _) => lag.lose(),
            }
        }
        Self {
            committed: committed.known(),
            lag: lag.known(),
            uncommitted_partitions: uncommitted.known(),
        }
    }
}

/// A sum that is unknown as soon as one of its parts is.
#[derive(Default)]
struct Sum {
    total: Option<u64>,
    is_partial: bool,
}

impl Sum {
    fn add(&mut self, part: u64) {
        self.total = Some(self.total.unwrap_or(0).saturating_add(part));
    }

    fn lose(&mut self) {
        self.is_partial = true;
    }

    fn known(self) -> Option<u64> {
        self.total.filter(|_| !self.is_partial)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::offset::{Offset, Watermarks};
    use super::super::partition::{Isolation, Unavailable, partition_lag};
    use super::*;

    fn offset(raw: i64) -> Offset {
        Offset::new(raw).expect("tests use offsets from 0")
    }

    fn behind(committed: i64, log_end: i64) -> Option<(Committed, Lag)> {
        known(Committed::At(offset(committed)), Some(0), log_end)
    }

    fn known(
        committed: Committed,
        log_start: Option<i64>,
        log_end: i64,
    ) -> Option<(Committed, Lag)> {
        let marks = Watermarks {
            log_start: log_start.map(offset),
            log_end: offset(log_end),
            last_stable: None,
        };
        let lag = partition_lag(Ok(committed), Ok(marks), Isolation::ReadUncommitted);
        Some((committed, lag))
    }

    #[test]
    fn totals_follow_their_table() {
        let never = known(Committed::Never, Some(10), 50);
        let never_without_start = known(Committed::Never, None, 50);
        let unreadable = Some((
            Committed::At(offset(1)),
            Lag::Unavailable(Unavailable::EndOffset),
        ));
        use UncommittedPolicy::{Absent, LogEnd, LogStart};
        let table = [
            (
                "known",
                vec![behind(5, 8), behind(1, 1)],
                Absent,
                (Some(6), Some(3), Some(0)),
            ),
            ("none at all", vec![], Absent, (None, None, Some(0))),
            (
                "one unknown",
                vec![behind(5, 8), None],
                Absent,
                (None, None, None),
            ),
            (
                "lag unavailable",
                vec![behind(5, 8), unreadable],
                Absent,
                (Some(6), None, Some(0)),
            ),
            (
                "uncommitted, absent",
                vec![behind(5, 8), never],
                Absent,
                (Some(5), Some(3), Some(1)),
            ),
            (
                "uncommitted, from log start",
                vec![behind(5, 8), never],
                LogStart,
                (Some(5), Some(43), Some(1)),
            ),
            (
                "uncommitted, from log end",
                vec![behind(5, 8), never],
                LogEnd,
                (Some(5), Some(3), Some(1)),
            ),
            (
                "all uncommitted are not healthy",
                vec![never, never],
                Absent,
                (None, None, Some(2)),
            ),
            (
                "backlog unknown",
                vec![behind(5, 8), never_without_start],
                LogStart,
                (Some(5), None, Some(1)),
            ),
            (
                "backlog not needed",
                vec![behind(5, 8), never_without_start],
                Absent,
                (Some(5), Some(3), Some(1)),
            ),
        ];
        for (case, partitions, policy, (committed, lag, uncommitted_partitions)) in table {
            let expected = TopicTotals {
                committed,
                lag,
                uncommitted_partitions,
            };
            assert_eq!(TopicTotals::of(partitions, policy), expected, "{case}");
        }
    }

    fn any_partition() -> impl Strategy<Value = Option<(Committed, Lag)>> {
        let commit = prop_oneof![
            1 => Just(Committed::Never),
            4 => (0..=i64::MAX).prop_map(|raw| Committed::At(offset(raw))),
        ];
        let start = proptest::option::weighted(0.8, 0..=i64::MAX);
        proptest::option::weighted(
            0.9,
            (commit, start, 0..=i64::MAX).prop_map(|(commit, start, end)| {
                known(commit, start, end).expect("both are known")
            }),
        )
    }

    fn any_policy() -> impl Strategy<Value = UncommittedPolicy> {
        prop_oneof![
            Just(UncommittedPolicy::Absent),
            Just(UncommittedPolicy::LogStart),
            Just(UncommittedPolicy::LogEnd),
        ]
    }

    proptest! {
        #[test]
        fn totals_do_not_depend_on_the_order(
            (partitions, shuffled) in proptest::collection::vec(any_partition(), 0..12)
                .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
            policy in any_policy(),
        ) {
            prop_assert_eq!(TopicTotals::of(partitions, policy), TopicTotals::of(shuffled, policy));
        }

        #[test]
        fn one_unknown_partition_hides_every_sum(
            mut partitions in proptest::collection::vec(any_partition(), 0..8),
            policy in any_policy(),
        ) {
            partitions.push(None);
            let hidden = TopicTotals { committed: None, lag: None, uncommitted_partitions: None };
            prop_assert_eq!(TopicTotals::of(partitions, policy), hidden);
        }

        #[test]
        fn a_shown_lag_is_never_less_than_any_part_of_it(
            partitions in proptest::collection::vec(any_partition(), 1..8),
            policy in any_policy(),
        ) {
            if let Some(total) = TopicTotals::of(partitions.clone(), policy).lag {
                for (_, lag) in partitions.into_iter().flatten() {
                    prop_assert!(lag.records(policy).unwrap_or(0) <= total);
                }
            }
        }
    }
}
