//! Drain: how long until a group is caught up, if both sides go on as they do today.

use std::cmp::Ordering;
use std::time::Duration;

use super::outlook::Outlook;
use super::window::Window;

/// How long until a group is caught up at today's rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drain {
    /// Nothing waits.
    CaughtUp,
    /// In this time. More than a hundred years are told as a hundred.
    In(Duration),
    /// It has not been watched for long enough, or its lag is unknown.
    Unknown,
    /// Not at today's rates: more waits than the work in hand, and the lag does not shrink.
    Never,
}

/// The longest drain that is told; a `Duration` cannot hold every quotient of two figures.
const MAX_DRAIN: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Drain {
    /// Returns the drain of one partition.
    ///
    /// A group that keeps up has its work in hand and needs the time to do it. One that catches up needs its lag over
    /// what it gains a second. Both follow [`Outlook`], which is slow to change its word, so a drain does not flap between
    /// finite and never; a status is `lagging` exactly where the drain is never, unless a graver rule holds.
    pub fn of_partition(window: &Window) -> Self {
        let lag = window.newest().lag();
        if lag == 0 {
            return Self::CaughtUp;
        }
        match window.outlook() {
            Outlook::KeepingUp => Self::after(lag, window.tempo()),
            Outlook::CatchingUp { records_per_second } => {
                Self::after(lag, Some(records_per_second.into()))
            }
            Outlook::FallingBehind => Self::Never,
            Outlook::Unknown => Self::Unknown,
        }
    }

    /// Returns the drain of a topic: that of its slowest partition. Nothing where there are no partitions.
    ///
    /// One that never drains decides, whatever is unknown of the others; else one unknown partition leaves the topic's
    /// drain unknown. Partitions without a commit, and abandoned ones, do not belong here.
    pub fn of_topic(partitions: impl IntoIterator<Item = Self>) -> Option<Self> {
        partitions.into_iter().max()
    }

    /// Returns the seconds to show: 0 caught up, infinite for never; nothing where it is unknown.
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::CaughtUp => Some(0.0),
            Self::In(time) => Some(time.as_secs_f64()),
            Self::Unknown => None,
            Self::Never => Some(f64::INFINITY),
        }
    }

    fn after(lag: u64, records_per_second: Option<f64>) -> Self {
        let Some(rate) = records_per_second.filter(|rate| *rate > 0.0) else {
            return Self::Unknown;
        };
        let time = Duration::try_from_secs_f64(lag as f64 / rate).unwrap_or(MAX_DRAIN);
        Self::In(time.min(MAX_DRAIN))
    }

    fn rank(self) -> (u8, Duration) {
        match self {
            Self::CaughtUp => (0, Duration::ZERO),
            Self::In(time) => (1, time),
            Self::Unknown => (2, Duration::ZERO),
            Self::Never => (3, Duration::ZERO),
        }
    }
}

impl PartialOrd for Drain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Drain {
    /// The slower is the greater; an unknown one lies between any time and never.
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::observation::Observation;
    use super::super::offset::Offset;
    use super::super::timestamp::Timestamp;
    use super::*;

    const SECOND: Drain = Drain::In(Duration::from_secs(1));
    const HOUR: Drain = Drain::In(Duration::from_secs(3600));

    fn seen(second: u64, committed: u64, end: u64) -> Observation {
        let offset = |value| Offset::new(i64::try_from(value).expect("small")).expect("from 0");
        Observation {
            at: Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second)),
            committed: offset(committed),
            end: offset(end),
        }
    }

    #[test]
    fn a_topic_drains_with_its_slowest_partition() {
        for (partitions, expected) in [
            (&[] as &[Drain], None),
            (&[Drain::CaughtUp, SECOND, HOUR], Some(HOUR)),
            (&[SECOND, Drain::Unknown, HOUR], Some(Drain::Unknown)),
            (&[Drain::Never, Drain::Unknown], Some(Drain::Never)),
        ] {
            assert_eq!(Drain::of_topic(partitions.iter().copied()), expected);
        }
    }

    #[test]
    fn only_never_is_infinite_and_only_unknown_is_absent() {
        let all = [Drain::CaughtUp, HOUR, Drain::Unknown, Drain::Never];
        let seconds = [Some(0.0), Some(3600.0), None, Some(f64::INFINITY)];
        assert_eq!(all.map(Drain::seconds), seconds);
    }

    #[test]
    fn a_shrinking_backlog_drains_when_it_truly_will() {
        // 360,000 records behind, 100 a second gained: gone after an hour.
        let mut window = Window::new(seen(0, 0, 360_000));
        for second in (10..3400).step_by(10) {
            window.observe(seen(
                second,
                1100 * (second - second % 15),
                360_000 + 1000 * second,
            ));
            let Drain::In(time) = Drain::of_partition(&window) else {
                assert!(second < 400, "no time after {second} s");
                continue;
            };
            let truth = (3600 - second) as f64;
            let error = (time.as_secs_f64() - truth).abs();
            // Less than a minute's work is told by the consumer's own tempo.
            let is_in_hand = window.outlook() == Outlook::KeepingUp;
            assert!(
                is_in_hand || error < 0.3 * truth + 60.0,
                "{time:?}, not {truth} s"
            );
        }
    }

    /// A consumer that commits in batches, and producers that write in bursts; the truth is `consumed` against `produced`.
    #[derive(Clone, Copy, Debug)]
    struct Traffic {
        consumed: u64,
        produced: u64,
        backlog: u64,
        batch: u64,
        burst: u64,
        poll: u64,
    }

    impl Traffic {
        /// Plays so many seconds, and returns what is said in the second half of them.
        fn play(self, until: u64) -> Vec<(u64, Drain)> {
            let seen_at = |second: u64| {
                let end = self.backlog + self.produced * (second - second % self.burst);
                let committed = self.consumed * (second - second % self.batch);
                seen(second, committed.min(end), end)
            };
            let mut window = Window::new(seen_at(0));
            let mut said = Vec::new();
            for second in (self.poll..until).step_by(usize::try_from(self.poll).expect("small")) {
                window.observe(seen_at(second));
                said.push((second, Drain::of_partition(&window)));
            }
            said.retain(|&(second, _)| second >= until / 2);
            said
        }
    }

    fn any_traffic(consumed: std::ops::Range<u64>, backlog: u64) -> impl Strategy<Value = Traffic> {
        let poll = prop_oneof![Just(1_u64), Just(5), Just(10), Just(30), Just(60)];
        (consumed, 1..40_u64, 1..40_u64, poll).prop_map(move |(consumed, batch, burst, poll)| {
            Traffic {
                consumed,
                produced: 1000,
                backlog,
                batch,
                burst,
                poll,
            }
        })
    }

    proptest! {
        #[test]
        fn a_group_that_gains_is_never_told_that_it_never_drains(traffic in any_traffic(1150..2500, 5_000_000)) {
            for (second, drain) in traffic.play(5400) {
                prop_assert!(matches!(drain, Drain::In(_) | Drain::CaughtUp), "{:?} after {} s", drain, second);
            }
        }

        #[test]
        fn a_group_that_loses_ground_is_always_told_so(traffic in any_traffic(0..850, 5_000_000)) {
            for (second, drain) in traffic.play(5400) {
                prop_assert_eq!(drain, Drain::Never, "after {} s", second);
            }
        }

        #[test]
        fn a_group_that_keeps_up_is_never_told_that_it_never_drains(traffic in any_traffic(1000..1001, 5000)) {
            for (second, drain) in traffic.play(5400) {
                let is_short = drain.seconds().is_some_and(|seconds| seconds < 120.0);
                prop_assert!(is_short, "{:?} after {} s", drain, second);
            }
        }

        #[test]
        fn a_group_that_stays_far_behind_does_not_flap(traffic in any_traffic(1000..1001, 5_000_000)) {
            let said = traffic.play(5400);
            let is_never = |index: usize| said[index].1 == Drain::Never;
            let changes = (1..said.len()).filter(|&index| is_never(index) != is_never(index - 1));
            prop_assert!(changes.count() <= 1, "{:?}", said);
        }

        #[test]
        fn a_slow_committer_that_stays_far_behind_does_not_flap(
            traffic in any_traffic(1000..1001, 5_000_000),
            batch in 300..700_u64,
        ) {
            let said = Traffic { batch, ..traffic }.play(40_000);
            let is_never = |index: usize| said[index].1 == Drain::Never;
            let changes = (1..said.len()).filter(|&index| is_never(index) != is_never(index - 1));
            prop_assert!(changes.count() <= 1);
        }

        #[test]
        fn a_drain_is_never_negative_or_nan(
            steps in proptest::collection::vec((0..70_u64, 0..u64::MAX / 400, 0..u64::MAX / 400), 1..100),
        ) {
            let (mut second, mut committed, mut end) = (0, 0, 0);
            let mut window = Window::new(seen(0, 0, 0));
            for (wait, consumed, produced) in steps {
                second += wait;
                (committed, end) = (committed + consumed, end + produced);
                window.observe(seen(second, committed, end));
                let drain = Drain::of_partition(&window);
                prop_assert!(drain.seconds().is_none_or(|seconds| seconds >= 0.0));
                prop_assert_eq!(drain == Drain::CaughtUp, committed >= end);
            }
        }

        #[test]
        fn the_order_of_partitions_does_not_matter(
            (all, shuffled) in proptest::collection::vec(
                prop_oneof![Just(Drain::CaughtUp), Just(SECOND), Just(HOUR), Just(Drain::Unknown), Just(Drain::Never)],
                0..8,
            ).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        ) {
            prop_assert_eq!(Drain::of_topic(all), Drain::of_topic(shuffled));
        }
    }
}
