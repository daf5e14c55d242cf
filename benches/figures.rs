//! What the figures themselves cost, without Kafka: lag, age, status and the records of `__consumer_offsets`.
//!
//! ```text
//! cargo bench --bench figures
//! ```
//!
//! What a scrape costs to make is in `exposition`, and what all of it costs on a real Kafka in `scale`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lagwatch::lag::{
    Committed, History, Isolation, Members, Observation, Offset, Ownership, RuleInput, Sighting,
    Standing, Timestamp, Watermarks, Window, judge, partition_lag,
};
use lagwatch::offsets_topic::decode;

/// As many as a large cluster has.
const PARTITIONS: i64 = 100_000;

fn offset(raw: i64) -> Offset {
    Offset::new(raw).expect("offsets from 0")
}

fn second(second: i64) -> Timestamp {
    Timestamp::new(1_700_000_000_000 + second * 1_000).expect("after the epoch")
}

/// Lag of commits on logs that end a little later.
fn lag(criterion: &mut Criterion) {
    let pairs: Vec<(Committed, Watermarks)> = (0..PARTITIONS)
        .map(|number| {
            let marks = Watermarks {
                log_start: Offset::new(number / 2),
                log_end: offset(number + number % 10),
                last_stable: None,
            };
            (Committed::At(offset(number)), marks)
        })
        .collect();
    let mut group = criterion.benchmark_group("lag");
    group.throughput(Throughput::Elements(pairs.len() as u64));
    group.bench_function("partition_lag", |bencher| {
        bencher.iter(|| {
            for (committed, marks) in &pairs {
                let lag = partition_lag(Ok(*committed), Ok(*marks), Isolation::ReadUncommitted);
                black_box(lag);
            }
        });
    });
    group.finish();
}

/// A cycle of a group that is a minute behind a log of ten records a second: its log's end, its place and its age; then
/// what the rules say.
fn age_and_status(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cycle of a partition");
    group.bench_function("history and age", |bencher| {
        let sighting = |at: i64| Sighting {
            end: offset(at * 10),
            asked_at: second(at),
            answered_at: second(at),
        };
        let mut history = History::new(sighting(0));
        let mut standing = Standing::of(Offset::ZERO, Offset::ZERO, &history, None);
        let mut at = 0;
        bencher.iter(|| {
            at += 10;
            history.observe(sighting(at));
            let place = offset((at - 60).max(0) * 10);
            let before = std::mem::replace(&mut standing, Standing::CaughtUp { at: place });
            standing = Standing::of(place, history.end(), &history, Some(before));
            black_box(standing.wait().age(second(at)))
        });
    });
    group.bench_function("window and rules", |bencher| {
        let seen = |at: i64| Observation {
            at: second(at),
            committed: offset((at - 60).max(0) * 10),
            end: offset(at * 10),
        };
        let mut window = Window::new(seen(0));
        let mut at = 0;
        bencher.iter(|| {
            at += 10;
            let seen = seen(at);
            window.observe(seen);
            let marks = Watermarks {
                log_start: Some(Offset::ZERO),
                log_end: seen.end,
                last_stable: None,
            };
            let committed = Ok(Committed::At(seen.committed));
            let input = RuleInput {
                now: seen.at,
                lag: partition_lag(committed, Ok(marks), Isolation::ReadUncommitted),
                window: Some(&window),
                members: Members::Settled,
                ownership: Ownership::Owned,
            };
            black_box(judge(&input, || None))
        });
    });
    group.finish();
}

/// The commit that Kafka writes most, version 3 of the value.
fn decoding(criterion: &mut Criterion) {
    let text = |bytes: &mut Vec<u8>, text: &str| {
        let length = i16::try_from(text.len()).expect("it is short");
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
    };
    let mut key = 1_i16.to_be_bytes().to_vec();
    text(&mut key, "payments-service");
    text(&mut key, "payments-created");
    key.extend(17_i32.to_be_bytes());
    let mut value = 3_i16.to_be_bytes().to_vec();
    value.extend(123_456_789_i64.to_be_bytes());
    value.extend(5_i32.to_be_bytes());
    text(&mut value, "");
    value.extend(1_700_000_000_000_i64.to_be_bytes());
    decode(&key, Some(&value)).expect("it is whole");
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes((key.len() + value.len()) as u64));
    group.bench_function("a commit", |bencher| {
        bencher.iter(|| black_box(decode(black_box(&key), Some(black_box(&value)))));
    });
    group.finish();
}

criterion_group!(benches, lag, age_and_status, decoding);
criterion_main!(benches);
