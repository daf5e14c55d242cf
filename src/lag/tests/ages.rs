//! The told age against the true one, cycle by cycle.

use std::time::Duration;

use proptest::prelude::*;

use super::super::age::{Age, Method, Standing};
use super::super::history::History;
use super::super::index_search::{Asker, tolerance};
use super::super::timestamp::Timestamp;
use super::world::{Consumer, Log, Producer, at};

const ROUNDS_PER_CYCLE: usize = 4;

/// The longest that one request takes.
const REQUEST_MS: u64 = 60;

/// The delays of one cycle, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Jitter {
    /// How much later than planned the commit is read, in thousandths of the poll interval: up to 100.
    late_permille: u64,
    /// From the commit to the request for the log end.
    between_ms: u64,
    until_ms: u64,
    back_ms: u64,
}

fn any_jitter() -> impl Strategy<Value = Vec<Jitter>> {
    let one = (
        0..=100u64,
        1..=20u64,
        0..=REQUEST_MS / 2,
        0..=REQUEST_MS / 2,
    )
        .prop_map(|(late_permille, between_ms, until_ms, back_ms)| Jitter {
            late_permille,
            between_ms,
            until_ms,
            back_ms,
        });
    proptest::collection::vec(one, 17)
}

/// Whether a broker answers timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    Answers,
    Silent,
}

/// One cycle's figures.
#[derive(Clone, Copy, Debug)]
struct Told {
    now: Timestamp,
    age: Age,
    truth: Duration,
    size_bytes: usize,
}

/// Plays the poller for `length_ms` and returns what it tells in each cycle.
fn play(
    log: &Log,
    consumer: Consumer,
    interval_ms: u64,
    jitter: &[Jitter],
    index: Index,
) -> Vec<Told> {
    let interval = Duration::from_millis(interval_ms);
    let mut history: Option<History> = None;
    let mut standing = None;
    let mut told = Vec::new();
    for cycle in 1..LENGTH_MS / interval_ms {
        let delays = jitter[usize::try_from(cycle).expect("small") % jitter.len()];
        let read_ms = cycle * interval_ms + interval_ms * delays.late_permille / 1_000;
        let now = at(read_ms);
        let committed = log.committed_at(consumer, read_ms);
        let sighting = log.sighting(read_ms + delays.between_ms, delays.until_ms, delays.back_ms);
        let history = match &mut history {
            Some(history) => {
                history.observe(sighting);
                history
            }
            none => none.insert(History::new(sighting)),
        };
        let mut stands = Standing::of(committed, sighting.end, history, standing);
        if index == Index::Answers {
            for _ in 0..ROUNDS_PER_CYCLE {
                let Some(asked) = stands.question(now, interval) else {
                    break;
                };
                stands.answer(asked, log.first_from(asked), Asker::Itself);
            }
        }
        history.forget_below(committed);
        told.push(Told {
            now,
            age: stands.wait().age(now),
            truth: log.true_age(committed, now),
            size_bytes: history.size_bytes(),
        });
        standing = Some(stands);
    }
    told
}

const LENGTH_MS: u64 = 1_800_000;

fn any_producer() -> impl Strategy<Value = Producer> {
    prop_oneof![
        Just(Producer::Steady { every_ms: 100 }),
        Just(Producer::Steady { every_ms: 700 }),
        Just(Producer::Bursts {
            period_ms: 20_000,
            records: 300,
            lasting_ms: 0
        }),
        Just(Producer::ONE_A_MINUTE),
        Just(Producer::Idle),
    ]
}

fn any_rough_producer() -> impl Strategy<Value = Producer> {
    prop_oneof![
        4 => any_producer(),
        1 => Just(Producer::Bursts { period_ms: 20_000, records: 300, lasting_ms: 1_000 }),
    ]
}

fn any_slow_consumer() -> impl Strategy<Value = Consumer> {
    prop_oneof![
        Just(Consumer::Behind { by_ms: 10_000 }),
        (0..LENGTH_MS).prop_map(|at_ms| Consumer::Stops { at_ms }),
        Just(Consumer::Batches { every_ms: 15_000 }),
        Just(Consumer::FallsBehind),
    ]
}

fn any_interval_ms() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1_000), Just(10_000)]
}

fn any_index() -> impl Strategy<Value = Index> {
    prop_oneof![Just(Index::Answers), Just(Index::Silent)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_truth_lies_within_the_told_interval(
        producer in any_rough_producer(),
        phase_ms in 0..60_000u64,
        consumer in prop_oneof![any_slow_consumer(), Just(Consumer::KeepsUp)],
        interval_ms in any_interval_ms(),
        jitter in any_jitter(),
        index in any_index(),
    ) {
        let log = Log::new(producer, LENGTH_MS, phase_ms);
        for told in play(&log, consumer, interval_ms, &jitter, index) {
            let Age { estimate, at_least, at_most, method } = told.age;
            prop_assert!(at_least <= told.truth, "{told:?}");
            prop_assert!(at_most.is_none_or(|at_most| told.truth <= at_most), "{told:?}");
            prop_assert!(at_least <= estimate, "{told:?}");
            prop_assert!(at_most.is_none_or(|at_most| estimate <= at_most), "{told:?}");
            prop_assert_eq!(at_most.is_none(), method == Method::Bound);
        }
    }

    #[test]
    fn an_error_is_within_one_poll_interval(
        producer in any_rough_producer(),
        phase_ms in 0..60_000u64,
        consumer in prop_oneof![4 => any_slow_consumer(), 1 => Just(Consumer::KeepsUp)],
        interval_ms in any_interval_ms(),
        jitter in any_jitter(),
    ) {
        let log = Log::new(producer, LENGTH_MS, phase_ms);
        let width = Duration::from_millis(interval_ms * 11 / 10 + REQUEST_MS + 20);
        for told in play(&log, consumer, interval_ms, &jitter, Index::Answers) {
            let error = told.age.estimate.abs_diff(told.truth);
            prop_assert!(error <= width.max(tolerance(told.truth)), "{told:?}");
        }
    }

    #[test]
    fn a_group_that_keeps_up_has_no_age(
        producer in any_producer(),
        phase_ms in 0..60_000u64,
        interval_ms in any_interval_ms(),
        jitter in any_jitter(),
    ) {
        let log = Log::new(producer, LENGTH_MS, phase_ms);
        // Nobody knows how the group stood before the first cycle.
        for told in play(&log, Consumer::KeepsUp, interval_ms, &jitter, Index::Answers).into_iter().skip(1) {
            prop_assert_eq!(told.truth, Duration::ZERO);
            prop_assert!(told.age.estimate <= Duration::from_millis(20), "{told:?}");
        }
    }

    #[test]
    fn a_history_stays_small(
        producer in any_producer(),
        consumer in any_slow_consumer(),
        interval_ms in any_interval_ms(),
        jitter in any_jitter(),
    ) {
        let log = Log::new(producer, LENGTH_MS, 0);
        for told in play(&log, consumer, interval_ms, &jitter, Index::Silent) {
            prop_assert!(told.size_bytes < 1_024, "{told:?}");
        }
    }

    #[test]
    fn a_group_that_stands_still_ages_as_the_clock_does(
        every_ms in 50..5_000u64,
        at_ms in 20_000..LENGTH_MS / 2,
        interval_ms in any_interval_ms(),
        jitter in any_jitter(),
    ) {
        let log = Log::new(Producer::Steady { every_ms }, LENGTH_MS, 0);
        let told = play(&log, Consumer::Stops { at_ms }, interval_ms, &jitter, Index::Answers);
        let late: Vec<_> = told.into_iter().filter(|told| told.now > at(at_ms + 30_000)).collect();
        for pair in late.windows(2) {
            prop_assert_eq!(pair[1].age.estimate - pair[0].age.estimate, pair[1].now.since(pair[0].now));
        }
    }

    #[test]
    fn an_age_is_monotone_in_now(
        producer in any_producer(),
        read_ms in 60_000..LENGTH_MS,
        behind_ms in 0..60_000u64,
        (earlier_ms, later_ms) in (0..LENGTH_MS * 2, 0..LENGTH_MS * 2),
        answers in 0..6usize,
    ) {
        let log = Log::new(producer, LENGTH_MS, 0);
        let mut history = History::new(log.sighting(30_000, 5, 5));
        history.observe(log.sighting(read_ms, 5, 5));
        let committed = log.committed_at(Consumer::Behind { by_ms: behind_ms }, read_ms);
        let mut standing = Standing::of(committed, history.end(), &history, None);
        for _ in 0..answers {
            if let Some(asked) = standing.question(at(read_ms), Duration::ZERO) {
                standing.answer(asked, log.first_from(asked), Asker::Itself);
            }
        }
        let first = standing.wait().age(at(earlier_ms.min(later_ms)));
        let second = standing.wait().age(at(earlier_ms.max(later_ms)));
        prop_assert!(first.estimate <= second.estimate);
        prop_assert!(first.at_least <= second.at_least);
        prop_assert!(first.at_most <= second.at_most);
    }
}
