//! `describe`, `check` and `serve` on a cluster with groups of every kind at once.
//!
//! Kafka's own tools say what is right: `kafka-groups` which groups there are, `kafka-consumer-groups` and
//! `kafka-streams-groups` their offsets and lag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::describe_kafka::{describe, rows_of};
use crate::stream::world::{exact, wait_for_cycles};
use crate::support::{
    ConnectMember, End, Finished, Kafka, Lagwatch, Member, Protocol, Running, Samples, ShareMember,
    StreamsApp, StreamsOffsets, eventually, offsets_table,
};

const ORDERS: &str = "orders";
const PARTITIONS: i32 = 3;
/// Records in each partition before the groups begin, and those produced when all but the share group have stopped reading.
const READ: i32 = 6;
const UNREAD: i32 = 4;
const STREAMS: &str = "streams-app";
const SHARE: &str = "share-group";
const CONNECT: &str = "connect-cluster";
/// What `kafka-consumer-groups` describes.
const CONSUMER_GROUPS: [&str; 5] = ["classic", "left", "modern", "simple", "transactional"];
const LIMIT: Duration = Duration::from_secs(60);

type Partition = (String, i32);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn consumer_groups_are_described_as_by_kafkas_own_tool() {
    let kafka = cluster();
    let described = describe(kafka, &["--all-groups"]);
    for group in CONSUMER_GROUPS {
        // By name: asked for all groups, the tool fails at the one whose id is empty.
        let printed = kafka.consumer_groups_tool(&["--describe", "--group", group]);
        let truth = offsets_table(&printed);
        assert!(!truth.is_empty(), "Kafka's tool shows {group}: {printed}");
        let rows: Vec<_> = rows_of(&described, group).cloned().collect();
        assert_eq!(rows, truth, "group {group}");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_group_with_the_empty_id_has_offsets_and_lag() {
    let kafka = cluster();
    let described = describe(kafka, &["--all-groups"]);
    let rows: Vec<_> = rows_of(&described, "").collect();
    let [row] = rows[..] else {
        panic!("one partition: {rows:?}");
    };
    assert_eq!((row.topic.as_str(), row.partition), (ORDERS, 1));
    let figures = [&row.current_offset, &row.log_end_offset, &row.lag];
    assert_eq!(figures, ["2", "10", "8"]);
    for mode in ["poll", "stream"] {
        let serve = serve(kafka, mode);
        wait_for_cycles(&serve, 2.0);
        let scrape = serve.scrape();
        // To Prometheus an empty label is the same as none.
        let lags: Vec<f64> = scrape
            .all("kafka_consumergroup_lag", &[])
            .filter(|sample| {
                let group = sample.labels.get("consumergroup");
                group.is_none_or(String::is_empty)
            })
            .map(|sample| sample.value)
            .collect();
        assert_eq!(lags, [8.0], "in mode {mode}");
        assert_no_errors(&serve, mode);
    }
    // Brokers refuse to describe it, which is no lack of rights.
    let check = run(kafka, "check", &[]);
    assert!(check.status.success(), "{check:?}");
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_streams_group_at_rest_has_the_lag_that_kafkas_own_tool_shows() {
    let kafka = cluster();
    let truth = kafka.streams_offsets(STREAMS);
    assert_eq!(truth.len(), 3, "{truth:?}");
    for StreamsOffsets { committed, lag, .. } in truth.values() {
        assert_eq!((*committed, *lag), (READ, UNREAD));
    }
    for mode in ["poll", "stream"] {
        let serve = serve(kafka, mode);
        for _ in 0..2 {
            assert_streams_metrics_agree(&serve.scrape(), &truth, mode);
            wait_for_cycles(&serve, 2.0);
        }
        let of_group = [("consumergroup", STREAMS)];
        let members = serve
            .scrape()
            .value("kafka_consumergroup_members", &of_group);
        assert_eq!(members, Some(1.0), "members in mode {mode}");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_streams_group_is_described_with_its_offsets_and_lag() {
    let kafka = cluster();
    let expected = kafka.streams_offsets(STREAMS).into_iter();
    let expected: BTreeMap<Partition, Value> = expected
        .map(|(partition, offsets)| {
            let StreamsOffsets {
                committed,
                end,
                lag,
            } = offsets;
            (partition, json!([committed, end, lag]))
        })
        .collect();
    for selection in [&["--group", STREAMS][..], &["--all-groups"]] {
        assert_eq!(
            streams_described(kafka, selection),
            expected,
            "{selection:?}"
        );
    }
}

/// Returns the committed offset, the log end and the lag of each partition of the Streams group.
fn streams_described(kafka: &Kafka, selection: &[&str]) -> BTreeMap<Partition, Value> {
    // JSON, as the table may have the columns of the tool for Streams groups.
    let arguments = [selection, &["--output", "json"]].concat();
    let finished = run(kafka, "describe", &arguments);
    let groups: Vec<Value> = serde_json::from_str(&finished.stdout).expect("it is JSON");
    let group = groups.iter().find(|group| group["group"] == STREAMS);
    let topics = group.and_then(|group| group["topic_list"].as_array());
    topics
        .into_iter()
        .flatten()
        .flat_map(|topic| {
            let name = topic["topic"].as_str().expect("a name");
            let partitions = topic["partitions"].as_array().into_iter().flatten();
            partitions.map(move |row| {
                let number = row["partition"].as_i64().expect("a number");
                let partition = i32::try_from(number).expect("a partition");
                let figures = ["current_offset", "log_end_offset", "lag"].map(|name| &row[name]);
                ((name.to_owned(), partition), json!(figures))
            })
        })
        .collect()
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_share_group_is_listed_with_its_kind_and_state() {
    let kafka = cluster();
    let printed = [
        run(kafka, "check", &[]),
        run(kafka, "describe", &["--state", "--all-groups"]),
    ]
    .map(|Finished { stdout, stderr, .. }| stdout + &stderr);
    let says = |text: &str| {
        let has = |line: &str, wanted: &str| {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
            words.any(|word| word.eq_ignore_ascii_case(wanted))
        };
        let mut lines = text.lines();
        has(text, "share") && lines.any(|line| has(line, SHARE) && has(line, "stable"))
    };
    assert!(printed.iter().any(|text| says(text)), "{printed:#?}");
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_group_of_another_protocol_is_counted_and_is_no_error() {
    let kafka = cluster();
    for mode in ["poll", "stream"] {
        let serve = serve(kafka, mode);
        wait_for_cycles(&serve, 2.0);
        let scrape = serve.scrape();
        let connect = [("protocol_type", "connect")];
        assert_eq!(
            scrape.value("lagwatch_groups_skipped", &connect),
            Some(1.0),
            "in mode {mode}"
        );
        let of_group: Vec<_> = scrape
            .iter()
            .filter(|sample| {
                sample
                    .labels
                    .get("consumergroup")
                    .is_some_and(|id| id == CONNECT)
            })
            .collect();
        assert!(of_group.is_empty(), "in mode {mode}: {of_group:?}");
        assert_no_errors(&serve, mode);
    }
    let check = run(kafka, "check", &[]);
    assert!(
        check.stdout.lines().any(|line| line.contains("connect")),
        "{check:?}"
    );
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn every_group_that_kafka_lists_is_shown_or_counted() {
    let kafka = cluster();
    let listed = kafka.listed_groups();
    let ids = CONSUMER_GROUPS.iter().copied();
    let ids: BTreeSet<&str> = ids.chain(["", CONNECT, SHARE, STREAMS]).collect();
    let keys: BTreeSet<&str> = listed.keys().map(String::as_str).collect();
    assert_eq!(keys, ids, "what Kafka's tool lists");
    for mode in ["poll", "stream"] {
        let serve = serve(kafka, mode);
        wait_for_cycles(&serve, 2.0);
        let shown = shown_groups(&serve);
        let skipped = serve.scrape().sum("lagwatch_groups_skipped", &[]);
        let mut missing = 0;
        for (id, kind) in &listed {
            if shown.contains(id) {
                continue;
            }
            let is_of_another_kind = kind == "Share" || id == CONNECT;
            assert!(
                is_of_another_kind,
                "`{id}` ({kind}) is missing in mode {mode}"
            );
            missing += 1;
        }
        // A share group may be counted, too, or shown by a view of its own.
        let connect = i32::from(!shown.contains(CONNECT));
        assert!(
            (exact(connect)..=exact(missing)).contains(&skipped),
            "{skipped} groups are skipped in mode {mode}, and {missing} are missing"
        );
        let unknown: Vec<_> = shown
            .iter()
            .filter(|id| !listed.contains_key(*id))
            .collect();
        assert!(unknown.is_empty(), "in mode {mode}: {unknown:?}");
    }
}

/// Returns the cluster that these tests share, as they only look at it.
fn cluster() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    static GROUPS: OnceLock<Groups<'static>> = OnceLock::new();
    let kafka = KAFKA.get_or_init(|| Kafka::builder().for_share_groups().start());
    GROUPS.get_or_init(|| Groups::build(kafka));
    kafka
}

/// One group of each kind; their offsets stand still, and their members stay.
#[derive(Debug)]
struct Groups<'k> {
    _members: Vec<Member<'k>>,
    _streams: StreamsApp<'k>,
    _share: ShareMember<'k>,
    _connect: ConnectMember,
}

impl<'k> Groups<'k> {
    fn build(kafka: &'k Kafka) -> Self {
        kafka.create_topic(ORDERS, PARTITIONS);
        let produce = |count: i32| {
            for partition in 0..PARTITIONS {
                let count = usize::try_from(count).expect("a count");
                kafka.produce(ORDERS, partition, count);
            }
        };
        produce(READ);
        let records = usize::try_from(READ * PARTITIONS).expect("a count");
        let streams = kafka.streams_app(STREAMS, ORDERS, records);
        let share = kafka.share_member(SHARE, ORDERS, records);
        let classic = kafka.member("classic").subscribe(&[ORDERS]).open();
        let modern = kafka.member("modern").subscribe(&[ORDERS]);
        let modern = modern.protocol(Protocol::Consumer).open();
        for member in [&classic, &modern] {
            member.wait_for_partitions(3);
            member.consume(ORDERS, 0, 2);
            member.consume(ORDERS, 1, 6);
        }
        let simple = kafka.member("simple").assign(&[(ORDERS, 2)]).open();
        simple.consume(ORDERS, 2, 5);
        let left = kafka.member("left").subscribe(&[ORDERS]).open();
        left.wait_for_partitions(3);
        left.consume(ORDERS, 1, 1);
        left.close();
        kafka.commit_in_transaction("transactional", ORDERS, 0, 3, End::Commit);
        kafka.commit_for_empty_group_id(ORDERS, 1, 2);
        let connect = kafka.connect_member(CONNECT);
        produce(UNREAD);
        Self {
            _members: vec![classic, modern, simple],
            _streams: streams,
            _share: share,
            _connect: connect,
        }
    }
}

/// Starts `serve`, once the groups are at rest, and waits until it has read the cluster.
fn serve(kafka: &Kafka, mode: &str) -> Running {
    let servers = kafka.bootstrap_servers();
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{servers}\"]
    mode: {mode}
    poll-interval: 500ms
    reconcile-interval: 1s
"
    );
    let serve = Lagwatch::new("serve").config(&config).start();
    serve.wait_until_ready();
    let in_mode = [("mode", mode)];
    eventually("the mode", LIMIT, || {
        serve.scrape().value("lagwatch_collect_mode", &in_mode) == Some(1.0)
    });
    serve
}

fn run(kafka: &Kafka, command: &str, arguments: &[&str]) -> Finished {
    Lagwatch::new(command)
        .args(["--bootstrap-server", &kafka.bootstrap_servers()])
        .args(arguments)
        .run()
}

fn assert_no_errors(serve: &Running, mode: &str) {
    let scrape = serve.scrape();
    let errors = [
        "lagwatch_errors_total",
        "lagwatch_group_collection_errors_total",
    ];
    for name in errors {
        let counted: Vec<_> = scrape
            .all(name, &[])
            .filter(|sample| sample.value > 0.0)
            .collect();
        assert!(
            counted.is_empty(),
            "in mode {mode}: {counted:?}\n{}",
            serve.log()
        );
    }
    assert_eq!(
        scrape.value("lagwatch_up", &[]),
        Some(1.0),
        "in mode {mode}"
    );
    let partial = scrape.sum("lagwatch_polls_total", &[("result", "partial")]);
    assert_eq!(partial, 0.0, "partial polls in mode {mode}");
}

fn assert_streams_metrics_agree(
    samples: &Samples,
    truth: &BTreeMap<Partition, StreamsOffsets>,
    mode: &str,
) {
    let of_group = [("consumergroup", STREAMS)];
    let shown = |name: &str| -> BTreeMap<Partition, f64> {
        samples
            .all(name, &of_group)
            .map(|sample| {
                let partition = sample.label("partition").parse().expect("a number");
                ((sample.label("topic").to_owned(), partition), sample.value)
            })
            .collect()
    };
    let expected = |column: fn(&StreamsOffsets) -> i32| -> BTreeMap<Partition, f64> {
        let rows = truth.iter();
        rows.map(|(partition, offsets)| (partition.clone(), exact(column(offsets))))
            .collect()
    };
    assert_eq!(
        shown("kafka_consumergroup_lag"),
        expected(|offsets| offsets.lag),
        "lag in mode {mode}"
    );
    assert_eq!(
        shown("kafka_consumergroup_current_offset"),
        expected(|offsets| offsets.committed),
        "committed offsets in mode {mode}"
    );
    for ((topic, partition), offsets) in truth {
        let labels = [
            ("topic", topic.as_str()),
            ("partition", &partition.to_string()),
        ];
        assert_eq!(
            samples.value("kafka_topic_partition_current_offset", &labels),
            Some(exact(offsets.end)),
            "log end of {labels:?} in mode {mode}"
        );
    }
}

fn shown_groups(serve: &Running) -> BTreeSet<String> {
    let answer = serve.get("/api/v1/groups");
    let page: Value = serde_json::from_str(answer.text()).expect("it is JSON");
    assert!(page["next_offset"].is_null(), "all groups are on one page");
    let groups = page["groups"].as_array().expect("a list");
    groups
        .iter()
        .map(|group| group["group"].as_str().expect("an id").to_owned())
        .collect()
}
