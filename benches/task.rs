//! Throughput of the task consumer for each commit strategy, beside bare rdkafka loops in the same run.
//!
//! ```text
//! cargo bench --bench task                                       # on an embedded cluster
//! LAGWATCH_BOOTSTRAP=localhost:9092 cargo bench --bench task     # on a real one; topic and groups are deleted after
//! LAGWATCH_RECORDS=20000 cargo bench --bench task                # another number of records than 200,000
//! ```
//!
//! Every row reads the same records with a new group, from the first record's arrival to the last one's end. "bare" polls,
//! parses and commits by the same strategy; "with audit" also writes the same rows on the polling thread, in one
//! transaction per commit (500 records where librdkafka commits by itself): the work that the task consumer has to do,
//! without its guarantees. The ratios are the task consumer's records a second by theirs.
//!
//! A commit for each record costs a round trip to the broker, so what the task consumer adds to each record is told in
//! round trips: the time that the bare loop's commits take.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::{Duration, Instant};

use lagwatch::kafka::{Connection, EmbeddedCluster};
use lagwatch::lag::TopicName;
use lagwatch::metrics::OwnMetrics;
use lagwatch::task::{
    self, CommitMode, CommitStrategy, Pace, ProduceConfig, RecordSource, TaskConfig, TaskCreated,
};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode as RdCommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const PARTITIONS: i32 = 4;

const RECORDS: u64 = 200_000;

const BATCH: usize = 500;

/// A commit for each record takes a round trip, so fewer records say enough.
const PER_MESSAGE_SHARE: u64 = 20;

/// Where the records are.
struct Place {
    connection: Connection,
    topic: TopicName,
    /// Where each run has its audit log.
    folder: tempfile::TempDir,
}

/// One row.
struct Case {
    name: &'static str,
    commit: CommitStrategy,
    records: u64,
}

/// What a bare loop does with an event besides parsing it.
#[derive(Clone, Copy)]
enum Work {
    Nothing,
    Audit,
}

fn main() {
    // `cargo test --all-targets` starts it too, where nobody waits for it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let records: u64 = std::env::var("LAGWATCH_RECORDS")
        .map_or(RECORDS, |count| count.parse().expect("a number of records"));
    let runtime = Runtime::new().expect("a runtime");
    let topic = format!("lagwatch-bench-{}", std::process::id());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let topic_name = TopicName::from(topic.as_str());
    match std::env::var("LAGWATCH_BOOTSTRAP") {
        Ok(servers) => {
            let admin = runtime.block_on(create_topic(&servers, &topic));
            let place = Place {
                connection: Connection::plain(servers.split(',')),
                topic: topic_name,
                folder,
            };
            let groups = compare(&runtime, &place, records);
            runtime.block_on(clean_up(&admin, &topic, &groups));
        }
        Err(_) => {
            let cluster = EmbeddedCluster::start(1).expect("an embedded cluster");
            let created = cluster.create_topic(&topic, PARTITIONS, 1);
            created.expect("the topic is new");
            let place = Place {
                connection: cluster.connection(),
                topic: topic_name,
                folder,
            };
            compare(&runtime, &place, records);
        }
    }
}

fn cases(records: u64) -> [Case; 5] {
    let interval = Duration::from_secs(1);
    let batch = |mode| CommitStrategy::PerBatch {
        records: NonZeroUsize::new(BATCH).expect("not zero"),
        interval,
        mode,
    };
    let case = |name, commit| Case {
        name,
        commit,
        records,
    };
    [
        case("auto", CommitStrategy::Auto { interval }),
        case("auto-store", CommitStrategy::AutoStore { interval }),
        case("per-batch-async", batch(CommitMode::Async)),
        case("per-batch-sync", batch(CommitMode::Sync)),
        Case {
            records: (records / PER_MESSAGE_SHARE).max(1),
            ..case("per-message", CommitStrategy::PerMessage)
        },
    ]
}

/// Prints a row for each strategy; returns the groups that were used.
fn compare(runtime: &Runtime, place: &Place, records: u64) -> Vec<String> {
    runtime.block_on(fill(place, records));
    print(&format!(
        "{:<16} {:>8} {:>10} {:>10} {:>6} {:>10} {:>6}",
        "strategy", "records", "task/s", "bare/s", "ratio", "with audit", "ratio"
    ));
    let mut groups = Vec::new();
    for case in cases(records) {
        let mut group = |kind: &str| {
            let group = format!("{}-{}-{kind}", place.topic, case.name);
            groups.push(group.clone());
            group
        };
        let (bare_rate, round_trip) = bare(place, &case, &group("bare"), Work::Nothing);
        let (audited_rate, _) = bare(place, &case, &group("audited"), Work::Audit);
        let rate = runtime.block_on(consume(place, &case, &group("task")));
        print(&format!(
            "{:<16} {:>8} {rate:>10.0} {bare_rate:>10.0} {:>6.2} {audited_rate:>10.0} {:>6.2}",
            case.name,
            case.records,
            rate / bare_rate,
            rate / audited_rate
        ));
        if case.commit == CommitStrategy::PerMessage {
            let added = (1.0 / rate - 1.0 / audited_rate) / round_trip.as_secs_f64();
            print(&format!(
                "{:<16} a commit's round trip takes {round_trip:.0?}; the task consumer adds {added:.2} of one to each record",
                case.name
            ));
        }
    }
    groups
}

async fn fill(place: &Place, records: u64) {
    let config = ProduceConfig {
        topic: place.topic.clone(),
        max_in_flight: NonZeroU32::new(10_000).expect("not zero"),
        ..ProduceConfig::default()
    };
    let pace = Pace {
        count: Some(records),
        ..Pace::default()
    };
    let summary = task::produce(
        config,
        place.connection.clone(),
        RecordSource::Generated(pace),
        CancellationToken::new(),
    )
    .await
    .expect("a producer");
    assert_eq!(summary.delivered, records);
}

/// Returns the records a second of the task consumer.
async fn consume(place: &Place, case: &Case, group: &str) -> f64 {
    let own = OwnMetrics::new("bench");
    let shutdown = CancellationToken::new();
    let done = own
        .task()
        .messages
        .with_label_values(&[place.topic.as_str(), "processed"]);
    let config = TaskConfig {
        topics: vec![place.topic.clone()],
        group: group.into(),
        commit: case.commit,
        audit_log: place.folder.path().join(format!("{group}.sqlite")),
        ..TaskConfig::default()
    };
    let run = task::run(
        config,
        place.connection.clone(),
        own.task().clone(),
        shutdown.clone(),
    );
    let run = tokio::spawn(run);
    let mut begun: Option<(Instant, u64)> = None;
    let (started, before) = loop {
        match begun {
            None if done.get() > 0 => begun = Some((Instant::now(), done.get())),
            Some(begin) if done.get() >= case.records => break begin,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let rate = (done.get() - before) as f64 / started.elapsed().as_secs_f64();
    shutdown.cancel();
    run.await
        .expect("the task does not panic")
        .expect("a clean end");
    rate
}

/// Returns the records a second of a bare loop, and how long one of its commits takes.
fn bare(place: &Place, case: &Case, group: &str, work: Work) -> (f64, Duration) {
    let consumer = bare_consumer(place, case.commit, group);
    let mut database = match work {
        Work::Nothing => None,
        Work::Audit => Some(open(&place.folder.path().join(format!("{group}.sqlite")))),
    };
    let size = match case.commit {
        CommitStrategy::PerMessage => 1,
        _ => BATCH,
    };
    let mut batch: Vec<TaskCreated> = Vec::with_capacity(size);
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    let (mut done, mut begun) = (0, None);
    let (mut commits, mut committing) = (0, Duration::ZERO);
    while done < case.records {
        let Some(message) = consumer.poll(Duration::from_secs(1)) else {
            continue;
        };
        let message = message.expect("a record");
        begun.get_or_insert_with(Instant::now);
        batch.push(TaskCreated::decode(message.payload()).expect("an event"));
        ends.insert(message.partition(), message.offset() + 1);
        done += 1;
        if batch.len() == size || done == case.records {
            if let Some(database) = &mut database {
                insert(database, &batch);
            }
            batch.clear();
            let sent = Instant::now();
            commit(&consumer, case.commit, place.topic.as_str(), &ends);
            committing += sent.elapsed();
            commits += 1;
            ends.clear();
        }
    }
    let begun = begun.expect("at least one record");
    let rate = case.records as f64 / begun.elapsed().as_secs_f64();
    (rate, committing / commits)
}

fn bare_consumer(place: &Place, commit: CommitStrategy, group: &str) -> BaseConsumer {
    let (commits, stores) = match commit {
        CommitStrategy::Auto { .. } => ("true", "true"),
        CommitStrategy::AutoStore { .. } => ("true", "false"),
        CommitStrategy::PerMessage | CommitStrategy::PerBatch { .. } => ("false", "false"),
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set(
            "bootstrap.servers",
            place.connection.bootstrap_servers.join(","),
        )
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.commit", commits)
        .set("enable.auto.offset.store", stores)
        .create()
        .expect("a consumer");
    let subscribed = consumer.subscribe(&[place.topic.as_str()]);
    subscribed.expect("a subscription");
    consumer
}

fn commit(
    consumer: &BaseConsumer,
    strategy: CommitStrategy,
    topic: &str,
    ends: &BTreeMap<i32, i64>,
) {
    let mut offsets = TopicPartitionList::new();
    for (&partition, &end) in ends {
        let added = offsets.add_partition_offset(topic, partition, Offset::Offset(end));
        added.expect("an offset");
    }
    let committed = match strategy {
        CommitStrategy::Auto { .. } => return,
        CommitStrategy::AutoStore { .. } => consumer.store_offsets(&offsets),
        CommitStrategy::PerBatch {
            mode: CommitMode::Async,
            ..
        } => consumer.commit(&offsets, RdCommitMode::Async),
        CommitStrategy::PerMessage | CommitStrategy::PerBatch { .. } => {
            consumer.commit(&offsets, RdCommitMode::Sync)
        }
    };
    committed.expect("a commit");
}

fn open(path: &Path) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(path).expect("a database");
    let made = database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
         CREATE TABLE audit_log (id TEXT PRIMARY KEY NOT NULL, title TEXT NOT NULL) STRICT, WITHOUT ROWID",
    );
    made.expect("a table");
    database
}

fn insert(database: &mut rusqlite::Connection, events: &[TaskCreated]) {
    let transaction = database.transaction().expect("a transaction");
    {
        let mut statement = transaction
            .prepare_cached("INSERT OR IGNORE INTO audit_log VALUES (?1, ?2)")
            .expect("a statement");
        for event in events {
            let inserted = statement.execute((event.id.as_str(), &event.title));
            inserted.expect("a row");
        }
    }
    transaction.commit().expect("a commit");
}

type Admin = AdminClient<DefaultClientContext>;

async fn create_topic(servers: &str, topic: &str) -> Admin {
    let admin: Admin = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()
        .expect("a client");
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let created = admin.create_topics([&new], &AdminOptions::new()).await;
    let created = created.expect("Kafka answers").remove(0);
    created.expect("the topic can be created");
    admin
}

async fn clean_up(admin: &Admin, topic: &str, groups: &[String]) {
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let options = AdminOptions::new();
    let deleted = admin.delete_groups(&groups, &options).await;
    deleted.expect("Kafka answers");
    let deleted = admin.delete_topics(&[topic], &options).await;
    deleted.expect("Kafka answers");
}

fn print(line: &str) {
    // A bench has no other output than this.
    let _ = writeln!(std::io::stdout(), "{line}");
}
