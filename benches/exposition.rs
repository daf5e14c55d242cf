//! What a scrape of a large cluster costs to make: time, processor time and bytes.
//!
//! ```text
//! cargo bench --bench exposition
//! LAGWATCH_GROUPS=100 LAGWATCH_PARTITIONS=1000 cargo bench --bench exposition   # instead of 1,000 groups of 100
//! ```
//!
//! Every tenth partition lags. A row is the best time of several, and the mean processor time, both cores counted. Above
//! them is what scrapers see that ask for gzip as Prometheus does, at once after a cycle in which so many groups changed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use lagwatch::exposition::{Encoding, Format, Part, Rendering, body, render, render_own};
use lagwatch::http::{self, HttpConfig, Sources};
use lagwatch::lag::{
    Committed, Distance, Drain, Finding, Headroom, Isolation, Lag, Limit, Method, Offset,
    Ownership, Timestamp, TopicName, TopicPartition, Verdict, Wait, Watermarks,
};
use lagwatch::metrics::OwnMetrics;
use lagwatch::snapshot::{
    Activity, ClusterSnapshot, CycleOutcome, EventBounds, EventLog, GroupRow, GroupState,
    GroupType, Judgement, Membership, Moment, PartitionRow, Reading, Revision, SnapshotStore,
    World,
};
use nix::time::{ClockId, clock_gettime};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
    // Before anything else has left its traces in the memory.
    line(serve(&first).trim_end().to_owned());
    let later = now + Duration::from_secs(10);
    let same = later_world(&first, later, |_| false);
    let some = later_world(&first, later, |group| group % 100 == 0);
    let all = later_world(&first, later, |_| true);
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
        let full = || render(&first, now, Format::OpenMetrics, encoding);
        line(row("from nothing", encoding, full));
        let known = Arc::new(full());
        for (name, next) in [
            ("all groups changed", &all),
            ("1 % changed", &some),
            ("nothing changed", &same),
        ] {
            line(row(name, encoding, || {
                Arc::clone(&known).renew(next, later)
            }));
        }
    }
}

fn size<T: std::str::FromStr>(name: &str, default: T) -> T {
    let set = std::env::var(name).ok().and_then(|size| size.parse().ok());
    set.unwrap_or(default)
}

/// Scrapes a server over loopback after each of some publications, alone and with others at once.
fn serve(first: &World) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let store = Arc::new(SnapshotStore::new([None]));
    let publish = |world: &World| {
        let snapshot = world.clusters[0].1.clone();
        store.slots()[0].publish(Arc::unwrap_or_clone(snapshot.expect("there is one")));
    };
    publish(first);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let sources = Sources {
        store: Arc::clone(&store),
        events: EventLog::new(SystemTime::now(), EventBounds::default()),
        own: OwnMetrics::new("none"),
    };
    let shutdown = CancellationToken::new();
    let serving = http::run(listener, HttpConfig::default(), sources, shutdown.clone());
    let serving = runtime.spawn(serving);
    let before = memory_kib();
    let (cold, bytes) = scrape(address);
    let mut world = first.clone();
    let mut round = |scrapers: usize, changed: usize| {
        world = later_world(&world, Instant::now(), |group| group % 100 < changed);
        publish(&world);
        let spent = processor_time();
        let mut took: Vec<_> = thread::scope(|scope| {
            let scrapers: Vec<_> = (0..scrapers)
                .map(|_| scope.spawn(|| scrape(address).0))
                .collect();
            let took = scrapers.into_iter();
            took.map(|one| one.join().expect("it is answered"))
                .collect()
        });
        took.sort();
        (took[took.len() / 2], processor_time() - spent)
    };
    let mut lines = format!(
        "first scrape         gzip {:>7.1} ms {bytes} bytes; {before} KiB before it, {} KiB after it\n",
        cold.as_secs_f64() * 1_000.0,
        memory_kib(),
    );
    for (scrapers, changed) in [(1, 1), (10, 1), (1, 100), (10, 100)] {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(scrapers, changed)).collect();
        let spent: Duration = rounds.iter().map(|(_, spent)| *spent).sum();
        rounds.sort();
        lines += &format!(
            "{scrapers:>2} scraping, {changed:>3} % new gzip {:>7.1} ms {:>7.1} ms of processor, with those who scrape; \
             {} KiB\n",
            rounds[rounds.len() / 2].0.as_secs_f64() * 1_000.0,
            (spent / ROUNDS).as_secs_f64() * 1_000.0,
            memory_kib(),
        );
    }
    shutdown.cancel();
    let ended = runtime.block_on(serving).expect("serving does not panic");
    ended.expect("the configuration can be served");
    lines
}

/// Returns how long a scrape took until all of it was read, and its size.
fn scrape(address: SocketAddr) -> (Duration, usize) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: application/openmetrics-text;version=1.0.0\r\n\
         accept-encoding: gzip\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut buffer = [0; 16 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).expect("it is answered") {
            0 => return (begun.elapsed(), total),
            read => total += read,
        }
    }
}

/// Returns the resident memory of this process. Source: proc(5), `VmRSS`.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse().ok())
        .expect("it is a number")
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

/// Returns how long the threads of this process have been running, together.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    now.expect("Linux has this clock").into()
}

/// Returns one cluster; `version` tells how often the offsets of a group have moved.
fn world(groups: usize, partitions: i32, now: Instant, version: impl Fn(usize) -> i64) -> World {
    let topic = TopicName::from("orders");
    let snapshot = ClusterSnapshot {
        outcome: CycleOutcome::Complete,
        last_complete: Some(SystemTime::UNIX_EPOCH),
        last_up: Some(now),
        brokers_measured: Some(now),
        groups: (0..groups)
            .map(|index| Arc::new(group(index, (&topic, partitions), now, version(index))))
            .collect(),
        ..ClusterSnapshot::empty(now, SystemTime::UNIX_EPOCH, Duration::from_secs(3_600))
    };
    World {
        generation: 1,
        clusters: vec![(None, Some(Arc::new(snapshot)))],
    }
}

/// Returns the world after another cycle: groups that did not change share their partitions, and were read anew.
fn later_world(world: &World, now: Instant, is_changed: impl Fn(usize) -> bool) -> World {
    let mut world = world.clone();
    world.generation += 1;
    let version = i64::try_from(world.generation).expect("few cycles");
    let snapshot = world.clusters[0].1.as_mut().expect("there is one");
    let snapshot = Arc::make_mut(snapshot);
    (snapshot.taken, snapshot.brokers_measured) = (now, Some(now));
    for (index, row) in snapshot.groups.iter_mut().enumerate() {
        let row = Arc::make_mut(row);
        if is_changed(index) {
            let count = i32::try_from(row.partitions.len()).expect("few partitions");
            let topic = row.partitions[0].id.topic.clone();
            *row = group(index, (&topic, count), now, version);
        }
        row.measured = moment(now);
        let membership = row.membership.as_mut().expect("it was described");
        Arc::make_mut(membership).measured = now;
    }
    world
}

fn noon() -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000))
}

/// The wall clock stands still: only groups that change are to differ, and not the ages in all of them.
fn moment(instant: Instant) -> Moment {
    Moment {
        instant,
        time: noon(),
    }
}

fn group(
    index: usize,
    (topic, partitions): (&TopicName, i32),
    now: Instant,
    version: i64,
) -> GroupRow {
    let rows = (0..partitions).map(|number| {
        let place = i64::try_from(index).expect("few groups") * i64::from(partitions);
        partition(topic, number, place + i64::from(number), version)
    });
    GroupRow {
        revision: Revision::next(),
        id: format!("payments-service-{index:05}").into(),
        membership: Some(Arc::new(Membership {
            measured: now,
            state: GroupState::Stable,
            group_type: GroupType::Classic,
            assignor: "range".to_owned(),
            coordinator: None,
            members: Arc::default(),
        })),
        measured: moment(now),
        to_judge: None,
        partitions: rows.collect(),
        isolation: Isolation::ReadUncommitted,
        verdict: Verdict::Ok,
        judged_at: moment(now).time,
        failures: Vec::new(),
        activity: Arc::new(Activity::default()),
    }
}

fn partition(topic: &TopicName, number: i32, place: i64, version: i64) -> PartitionRow {
    let offset = |raw| Offset::new(raw).expect("it is positive");
    let log_end = 1_000_000 + place * 7_919 % 9_000_000 + version * 37;
    let behind = if place % 10 == 0 { 1 + place % 997 } else { 0 };
    let marks = Watermarks {
        log_start: Some(Offset::ZERO),
        log_end: offset(log_end),
        last_stable: None,
    };
    let likely = noon().before(Duration::from_millis(behind.unsigned_abs() * 103));
    let wait = Wait::Since {
        earliest: Some(likely),
        likely,
        latest: likely,
        method: Method::History,
    };
    let committed = Committed::At(offset(log_end - behind));
    let reading = Reading::new(committed, marks, Isolation::ReadUncommitted, Some(wait));
    let lag = match reading.lag() {
        Lag::Known(Distance { lag, .. }) => lag,
        Lag::NoCommit { .. } | Lag::Unavailable(_) => 0,
    };
    let row = PartitionRow::new(
        TopicPartition::new(topic.clone(), number),
        Ok(reading),
        None,
    );
    if lag == 0 {
        return row.judged(Judgement::caught_up(Ownership::Owned));
    }
    row.judged(Judgement {
        finding: Finding::Lagging {
            lag,
            since: noon().before(Duration::from_secs(60)),
        },
        drain: Drain::In(Duration::from_millis(lag * 211)),
        headroom: Headroom::Until {
            at: noon().after(Duration::from_secs(600)),
            limit: Limit::Time,
        },
        ownership: Ownership::Owned,
    })
}
