//! What a scrape of a large cluster costs to make: time, processor time and bytes.
//!
//! ```text
//! cargo bench --bench exposition
//! LAGWATCH_GROUPS=100 LAGWATCH_PARTITIONS=1000 cargo bench --bench exposition   # instead of 1,000 groups of 100
//! ```
//!
//! Every tenth partition lags. A row is the best time of several, and the mean processor time, both cores counted.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lagwatch::exposition::{Encoding, Format, Part, Rendering, body, render, render_own};
use lagwatch::lag::{
    Age, Committed, Distance, Drain, Finding, Headroom, Isolation, Lag, Limit, Method, Offset,
    Ownership, TopicPartition, UncommittedPolicy, Verdict, Watermarks,
};
use lagwatch::snapshot::{
    Activity, ClusterSnapshot, CollectMode, CycleOutcome, Exposure, GroupRow, GroupState,
    GroupType, Judgement, Membership, PartitionRow, Reading, World,
};
use prometheus::Registry;

/// How often each row is measured.
const ROUNDS: u32 = 15;

fn main() {
    let groups = size("LAGWATCH_GROUPS", 1_000);
    let partitions = size("LAGWATCH_PARTITIONS", 100);
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").expect("standard output is open");
    line(format!("{groups} groups of {partitions} partitions"));
    let now = Instant::now();
    let first = world(groups, partitions, now, |_| 0);
    let later = now + Duration::from_secs(10);
    let same = world(groups, partitions, later, |_| 0);
    let some = world(groups, partitions, later, |group| {
        i64::from(group % 100 == 0)
    });
    let all = world(groups, partitions, later, |_| 1);
    for encoding in [Encoding::Identity, Encoding::Gzip] {
        let full = || render(&first, now, Format::OpenMetrics, encoding);
        line(row("from nothing", encoding, full));
        let known = full();
        for (name, next) in [
            ("all groups changed", &all),
            ("1 % changed", &some),
            ("nothing changed", &same),
        ] {
            line(row(name, encoding, || known.renew(next, later)));
        }
    }
}

fn size<T: std::str::FromStr>(name: &str, default: T) -> T {
    let set = std::env::var(name).ok().and_then(|size| size.parse().ok());
    set.unwrap_or(default)
}

/// Measures one row.
fn row(name: &str, encoding: Encoding, make: impl Fn() -> Rendering) -> String {
    let mut best = Duration::MAX;
    let spent = processor_time();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        std::hint::black_box(make());
        best = best.min(begun.elapsed());
    }
    let spent = (processor_time() - spent) / ROUNDS;
    format!(
        "{name:<20} {:<8} {:>7.1} ms {:>7.1} ms of processor {:>9} bytes",
        format!("{encoding:?}").to_lowercase(),
        best.as_secs_f64() * 1_000.0,
        spent.as_secs_f64() * 1_000.0,
        length(&make().part, encoding),
    )
}

fn length(part: &Part, encoding: Encoding) -> usize {
    let own = render_own(&Registry::new(), Format::OpenMetrics, encoding);
    body(part, &own).iter().map(bytes::Bytes::len).sum()
}

/// Returns what this process has spent, in steps of 10 ms.
///
/// Source: proc(5): the 14th and the 15th field, in ticks of 1/100 s.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// Returns one cluster; `version` tells how often the offsets of a group have moved.
fn world(groups: usize, partitions: i32, now: Instant, version: impl Fn(usize) -> i64) -> World {
    let snapshot = ClusterSnapshot {
        cluster: None,
        outcome: CycleOutcome::Complete,
        mode: CollectMode::Poll,
        shard_partitions: None,
        taken_at: SystemTime::UNIX_EPOCH,
        taken: now,
        last_complete: Some(SystemTime::UNIX_EPOCH),
        last_up: Some(now),
        stale_after: Duration::from_secs(3_600),
        uncommitted: UncommittedPolicy::Absent,
        exposure: Exposure::default(),
        brokers_measured: Some(now),
        brokers: Arc::default(),
        topics: Vec::new(),
        groups: (0..groups)
            .map(|index| Arc::new(group(index, partitions, now, version(index))))
            .collect(),
    };
    World {
        generation: 1,
        clusters: vec![(None, Some(Arc::new(snapshot)))],
    }
}

fn group(index: usize, partitions: i32, now: Instant, version: i64) -> GroupRow {
    let rows = (0..partitions).map(|number| {
        let place = i64::try_from(index).expect("few groups") * i64::from(partitions);
        partition(number, place + i64::from(number), version)
    });
    GroupRow {
        id: format!("payments-service-{index:05}").into(),
        membership: Some(Arc::new(Membership {
            measured: now,
            state: GroupState::Stable,
            group_type: GroupType::Classic,
            assignor: "range".to_owned(),
            coordinator: None,
            members: Arc::default(),
        })),
        measured: now,
        is_quiet: false,
        partitions: rows.collect(),
        isolation: Isolation::ReadUncommitted,
        verdict: Verdict::Ok,
        failures: Vec::new(),
        activity: Arc::new(Activity::default()),
    }
}

fn partition(number: i32, place: i64, version: i64) -> PartitionRow {
    let offset = |raw| Offset::new(raw).expect("it is positive");
    let log_end = 1_000_000 + place * 7_919 % 9_000_000 + version * 37;
    let behind = if place % 10 == 0 { 1 + place % 997 } else { 0 };
    let marks = Watermarks {
        log_start: Some(Offset::ZERO),
        log_end: offset(log_end),
        last_stable: None,
    };
    let estimate = Duration::from_millis(behind.unsigned_abs() * 103);
    let age = Age {
        estimate,
        at_least: estimate,
        at_most: Some(estimate),
        method: Method::History,
    };
    let committed = Committed::At(offset(log_end - behind));
    let reading = Reading::new(committed, marks, Isolation::ReadUncommitted, Some(age));
    let lag = match reading.lag() {
        Lag::Known(Distance { lag, .. }) => lag,
        Lag::NoCommit { .. } | Lag::Unavailable(_) => 0,
    };
    let row = PartitionRow::new(TopicPartition::new("orders", number), Ok(reading), None);
    if lag == 0 {
        return row.judged(Judgement::caught_up(Ownership::Owned));
    }
    row.judged(Judgement {
        finding: Finding::Lagging {
            lag,
            lasting: Duration::from_secs(60),
        },
        drain: Drain::In(Duration::from_millis(lag * 211)),
        headroom: Headroom::Left {
            time: Duration::from_secs(600),
            limit: Limit::Time,
        },
        ownership: Ownership::Owned,
    })
}
