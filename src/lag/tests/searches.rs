//! The search in the time index of a day of backlog.

use std::time::Duration;

use proptest::prelude::*;

use super::super::history::Mark;
use super::super::index_search::{Asker, IndexAnswer, IndexSearch, tolerance};
use super::super::timestamp::Timestamp;
use super::world::{Log, Producer, at, offset};

const DAY_MS: u64 = 86_400_000;
const NOW_MS: u64 = DAY_MS + 500;

fn begin(log: &Log, record: usize) -> IndexSearch {
    let by = Mark {
        end: offset(log.len()),
        at: at(NOW_MS),
    };
    IndexSearch::new(offset(record), None, by)
}

/// Answers until nothing more is asked, and returns how often that was.
fn finish(search: &mut IndexSearch, log: &Log) -> usize {
    let rounds = (0..100).find(|_| match search.question(at(NOW_MS)) {
        Some(asked) => {
            search.answer(asked, log.first_from(asked), Asker::Itself);
            false
        }
        None => true,
    });
    rounds.expect("every search ends")
}

/// Lets searches on one partition ask by turns, the first of them first, with each answer told to all. Returns how often
/// they asked together.
fn finish_together(searches: &mut [IndexSearch], log: &Log) -> usize {
    let rounds = (0..1_000).find(|_| {
        let mut questions = searches
            .iter()
            .filter_map(|search| search.question(at(NOW_MS)));
        let Some(asked) = questions.next() else {
            return true;
        };
        for search in &mut *searches {
            let asker = if search.question(at(NOW_MS)) == Some(asked) {
                Asker::Itself
            } else {
                Asker::Another
            };
            search.answer(asked, log.first_from(asked), asker);
        }
        false
    });
    rounds.expect("every search ends")
}

fn age(search: &IndexSearch) -> Duration {
    at(NOW_MS).since(search.found().expect("a find").likely)
}

/// Returns the found age of the record, the true one and the rounds it took.
fn search(log: &Log, record: usize) -> (Duration, Duration, usize) {
    let mut search = begin(log, record);
    let rounds = finish(&mut search, log);
    (
        age(&search),
        log.true_age(offset(record), at(NOW_MS)),
        rounds,
    )
}

fn any_producer() -> impl Strategy<Value = Producer> {
    prop_oneof![
        Just(Producer::Steady { every_ms: 1_000 }),
        Just(Producer::ONE_A_MINUTE),
        Just(Producer::Bursts {
            period_ms: 20_000,
            records: 20,
            lasting_ms: 1_000
        }),
        Just(Producer::Bursts {
            period_ms: 3_600_000,
            records: 5_000,
            lasting_ms: 60_000
        }),
        Just(Producer::Bursts {
            period_ms: 36_000_000,
            records: 50_000,
            lasting_ms: 600_000
        }),
    ]
}

/// A day whose pace changes by the hour, 100-fold at most.
fn any_uneven_day() -> impl Strategy<Value = Vec<Timestamp>> {
    let hour = prop_oneof![Just(200u64), Just(2_000), Just(20_000)];
    (proptest::collection::vec(hour, 24), 1..1_000u64).prop_map(|(gaps_ms, phase_ms)| {
        gaps_ms
            .into_iter()
            .zip(0u64..)
            .flat_map(|(gap_ms, hour)| {
                let records = (DAY_MS / 24 - phase_ms) / gap_ms;
                (0..records).map(move |record| at(hour * DAY_MS / 24 + phase_ms + record * gap_ms))
            })
            .collect()
    })
}

/// Moves every timestamp back by up to `disorder_ms`, each by another amount.
fn disordered(written: &[Timestamp], disorder_ms: u64) -> Vec<Timestamp> {
    let scattered = |record: u64| record.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    written
        .iter()
        .zip(0u64..)
        .map(|(written, record)| {
            written.before(Duration::from_millis(scattered(record) % (disorder_ms + 1)))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_day_of_backlog_takes_few_rounds(producer in any_producer(), picked in any::<prop::sample::Index>()) {
        let log = Log::new(producer, DAY_MS, 7);
        let (found, truth, rounds) = search(&log, picked.index(log.len()));
        prop_assert!(found.abs_diff(truth) <= tolerance(truth.max(found)), "{found:?} {truth:?}");
        let most = match producer {
            Producer::Steady { .. } | Producer::Idle => 4,
            Producer::Bursts { .. } => 16,
        };
        prop_assert!(rounds <= most, "{rounds} rounds");
    }

    #[test]
    fn an_uneven_pace_takes_few_rounds(day in any_uneven_day(), picked in any::<prop::sample::Index>()) {
        let log = Log::dated(day);
        let (found, truth, rounds) = search(&log, picked.index(log.len()));
        prop_assert!(found.abs_diff(truth) <= tolerance(truth.max(found)), "{found:?} {truth:?}");
        prop_assert!(rounds <= 16, "{rounds} rounds");
    }

    #[test]
    fn disorder_costs_no_more_than_itself(
        day in any_uneven_day(),
        disorder_ms in 0..10_000u64,
        picked in any::<prop::sample::Index>(),
    ) {
        let log = Log::dated(disordered(&day, disorder_ms));
        let (found, truth, rounds) = search(&log, picked.index(log.len()));
        let allowed = tolerance(truth.max(found)) + Duration::from_millis(disorder_ms);
        prop_assert!(found.abs_diff(truth) <= allowed, "{found:?} {truth:?}");
        prop_assert!(rounds <= 16, "{rounds} rounds");
    }

    #[test]
    fn a_group_that_moves_on_a_little_takes_fewer_rounds(
        day in any_uneven_day(),
        picked in any::<prop::sample::Index>(),
        step in 1..50usize,
    ) {
        let log = Log::dated(day);
        let first = picked.index(log.len() - step);
        let mut search = begin(&log, first);
        finish(&mut search, &log);
        let by = Mark { end: offset(log.len()), at: at(NOW_MS) };
        let mut search = search.continued(offset(first + step), None, by);
        let rounds = finish(&mut search, &log);
        let found = age(&search);
        let truth = log.true_age(offset(first + step), at(NOW_MS));
        prop_assert!(found.abs_diff(truth) <= tolerance(truth.max(found)), "{found:?} {truth:?}");
        prop_assert!(rounds <= 13, "{rounds} rounds");
    }

    #[test]
    fn a_group_that_goes_back_is_searched_for_as_if_anew(
        day in any_uneven_day(),
        picked in any::<prop::sample::Index>(),
        again in any::<prop::sample::Index>(),
    ) {
        let log = Log::dated(day);
        let first = picked.index(log.len() - 1) + 1;
        let second = again.index(first);
        let mut search = begin(&log, first);
        finish(&mut search, &log);
        let by = Mark { end: offset(log.len()), at: at(NOW_MS) };
        let mut search = search.continued(offset(second), None, by);
        let rounds = finish(&mut search, &log);
        let found = age(&search);
        let truth = log.true_age(offset(second), at(NOW_MS));
        prop_assert!(found.abs_diff(truth) <= tolerance(truth.max(found)), "{found:?} {truth:?}");
        prop_assert!(rounds <= 16, "{rounds} rounds");
    }

    #[test]
    fn whatever_is_answered_the_interval_stays_in_order(
        answers in proptest::collection::vec((any::<prop::sample::Index>(), 0..100_000_000u32, 0..4u8), 0..60),
        after in proptest::option::of(0..DAY_MS),
    ) {
        let by = Mark { end: offset(1_000), at: at(DAY_MS) };
        let mut search = IndexSearch::new(offset(500), after.map(at), by);
        for (record, timestamp, kind) in answers {
            let asked = match (kind, search.question(at(NOW_MS)), search.found()) {
                (3, _, Some(found)) => found.earliest,
                (_, Some(asked), _) => asked,
                (_, None, _) => at(u64::from(timestamp)),
            };
            let answer = match kind {
                0 => IndexAnswer::NoRecord,
                1 => IndexAnswer::Record { offset: offset(record.index(1_100)), timestamp: at(u64::from(timestamp)) },
                _ => IndexAnswer::Record { offset: offset(record.index(1_100)), timestamp: asked },
            };
            search.answer(asked, answer, Asker::Itself);
            if let Some(found) = search.found() {
                prop_assert!(found.earliest <= found.likely && found.likely <= found.latest, "{search:?}");
                prop_assert!(found.latest <= at(DAY_MS), "{search:?}");
            }
        }
    }
}

#[test]
fn searches_on_one_partition_do_not_hold_each_other_up() {
    let bursts = Producer::Bursts {
        period_ms: 2_160_000,
        records: 100,
        lasting_ms: 1_000,
    };
    for producer in [Producer::Steady { every_ms: 20_000 }, bursts] {
        let log = Log::new(producer, DAY_MS, 0);
        let last = log.len() - 1;
        let mut records = [0, 1, last / 4, last / 2, last * 3 / 4, last];
        for _ in 0..records.len() {
            records.rotate_left(1);
            let alone: usize = records.map(|record| search(&log, record).2).iter().sum();
            let mut searches = records.map(|record| begin(&log, record));
            let together = finish_together(&mut searches, &log);
            assert!(
                together <= alone,
                "{producer:?} {records:?}: {together} rounds together, {alone} alone"
            );
        }
    }
}

#[test]
fn timestamps_that_say_nothing_end_the_search_without_a_find() {
    let steady = |record: u64| at(record * 1_000);
    let day = || (0..DAY_MS / 1_000).map(steady).collect::<Vec<_>>();
    let mut future = day();
    future[40_000] = at(DAY_MS * 900);
    let table = [
        (
            "a record before it from the future",
            Log::dated(future.clone()),
            50_000,
            None,
        ),
        ("itself from the future", Log::dated(future), 40_000, None),
        ("no timestamps", Log::dated(Vec::new()), 0, None),
        (
            "earlier than seen",
            Log::dated(day()),
            50_000,
            Some(at(60_000_000)),
        ),
    ];
    for (case, log, record, after) in table {
        let by = Mark {
            end: offset(86_400),
            at: at(NOW_MS),
        };
        let mut search = IndexSearch::new(offset(record), after, by);
        finish(&mut search, &log);
        assert_eq!(search.found(), None, "{case}");
    }
}

#[test]
fn timestamps_that_mislead_are_made_the_best_of() {
    let steady = |record: u64| at(record * 1_000);
    let day = || (0..DAY_MS / 1_000).map(steady).collect::<Vec<_>>();
    let mut future = day();
    future[60_000] = at(DAY_MS * 900);
    let batches = (0..DAY_MS / 1_000)
        .map(|record| steady(record - record % 300))
        .collect();
    let table = [
        (
            "a record behind it from the future",
            Log::dated(future),
            50_000,
            36_400,
        ),
        (
            "one LogAppendTime for a whole batch",
            Log::dated(batches),
            50_000,
            36_600,
        ),
        (
            "one record after a long idle time",
            Log::dated(vec![at(0), at(1), at(DAY_MS - 9_000)]),
            2,
            9,
        ),
        ("the start of the log", Log::dated(day()), 0, 86_400),
    ];
    for (case, log, record, age_s) in table {
        let mut search = begin(&log, record);
        finish(&mut search, &log);
        let truth = Duration::from_secs(age_s);
        assert!(
            age(&search).abs_diff(truth) <= tolerance(truth),
            "{case}: {:?}",
            age(&search)
        );
    }
}

#[test]
fn the_first_record_that_is_left_stands_in_for_those_deleted() {
    let by = Mark {
        end: offset(100),
        at: at(NOW_MS),
    };
    let mut search = IndexSearch::new(offset(3), None, by);
    search.answer(
        Timestamp::EPOCH,
        IndexAnswer::Record {
            offset: offset(40),
            timestamp: at(NOW_MS - 7_000),
        },
        Asker::Itself,
    );
    assert_eq!(search.question(at(NOW_MS)), None);
    assert_eq!(age(&search), Duration::from_secs(7));
}
