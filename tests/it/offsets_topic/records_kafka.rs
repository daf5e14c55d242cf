//! The decoder on a real Kafka: every record that its groups leave in `__consumer_offsets`, and what it can write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use lagwatch::lag::Committed;
use lagwatch::offsets_topic::{Record, decode};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use super::captured::assert_same;
use super::samples::samples;
use crate::support::{End, Kafka, Member, PrintedRecord, Protocol};

const OFFSETS: &str = "__consumer_offsets";
const ORDERS: &str = "orders";
const PARTITIONS: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);
const COOPERATIVE: &str = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";

#[test]
#[ignore = "needs Java 17 and Maven"]
fn whatever_kafka_can_write_is_decoded_as_kafka_decodes_it() {
    for record in written_samples(Kafka::shared()) {
        assert_same(&record);
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn every_record_of_a_real_offsets_topic_is_decoded_as_kafka_decodes_it() {
    let kafka = Kafka::builder().for_share_groups().start();
    kafka.create_topic(ORDERS, 4);
    for partition in 0..4 {
        kafka.produce(ORDERS, partition, 5);
    }
    live_through_rebalances(&kafka, "range", &[("client.rack", "rack-1")]);
    live_through_rebalances(
        &kafka,
        "cooperative",
        &[("partition.assignment.strategy", COOPERATIVE)],
    );
    live_through_rebalances(&kafka, "static", &[("group.instance.id", "first")]);
    live_through_rebalances(&kafka, "modern", &[("group.protocol", "consumer")]);
    move_between_protocols(&kafka);
    subscribe_by_pattern(&kafka);
    kafka.share("share", ORDERS, 3);
    commit_without_members(&kafka);

    let ours = read_with_rdkafka(&kafka);
    let theirs = kafka.read_offsets_topic();
    let theirs: BTreeMap<_, _> = theirs
        .into_iter()
        .map(|record| ((record.partition, record.offset), record))
        .collect();
    for (at, (key, value)) in &ours {
        let record = theirs
            .get(at)
            .unwrap_or_else(|| panic!("Kafka's own consumer has not read {at:?}"));
        assert_eq!((key, value), (&record.key, &record.value), "{at:?}");
        assert_same(record);
    }
    assert_types(&ours);
    assert_commits(&ours);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let records = one_of_each(theirs.into_values());
        write_golden(records.chain(written_samples(&kafka)));
    }
}

/// A member joins, commits, sees another one come and go, and leaves. Then the group is deleted.
fn live_through_rebalances(kafka: &Kafka, group: &str, properties: &[(&str, &str)]) {
    let open = |instance: Option<&str>| {
        let member = kafka.member(group).subscribe(&[ORDERS]);
        let member = properties
            .iter()
            .fold(member, |member, (name, value)| member.property(name, value));
        match instance {
            Some(name) => member.property("group.instance.id", name).open(),
            None => member.open(),
        }
    };
    let is_static = properties
        .iter()
        .any(|(name, _)| *name == "group.instance.id");
    let first = open(None);
    first.wait_for_partitions(PARTITIONS);
    first.commit(ORDERS, 0, 3);
    let members = [first, open(is_static.then_some("second"))];
    Member::wait_for_shares(&members, PARTITIONS);
    let [first, second] = members;
    second.close();
    if !is_static {
        first.wait_for_partitions(PARTITIONS);
    }
    first.close();
    if !is_static {
        kafka.delete_group(group);
    }
}

/// A member that speaks the classic protocol joins a group of the new one, which then becomes a classic group.
fn move_between_protocols(kafka: &Kafka) {
    let modern = kafka
        .member("moving")
        .subscribe(&[ORDERS])
        .protocol(Protocol::Consumer)
        .open();
    modern.wait_for_partitions(PARTITIONS);
    let members = [modern, kafka.member("moving").subscribe(&[ORDERS]).open()];
    Member::wait_for_shares(&members, PARTITIONS);
    let [modern, classic] = members;
    modern.close();
    classic.wait_for_partitions(PARTITIONS);
    classic.close();
}

/// The coordinator resolves the expression; nobody uses it any more once the member has left.
fn subscribe_by_pattern(kafka: &Kafka) {
    let member = kafka
        .member("pattern")
        .subscribe_pattern("ord.*")
        .protocol(Protocol::Consumer)
        .open();
    member.wait_for_partitions(PARTITIONS);
    member.close();
}

fn commit_without_members(kafka: &Kafka) {
    let simple = kafka.member("simple").assign(&[(ORDERS, 1)]).open();
    simple.consume(ORDERS, 1, 2);
    simple.close();
    kafka.commit_for("simple", ORDERS, 2, 4);
    kafka.delete_offsets("simple", ORDERS, 2);
    kafka.commit_in_transaction("transactional", ORDERS, 0, 2, End::Commit);
    kafka.commit_in_transaction("transactional", ORDERS, 0, 4, End::Abort);
    kafka.commit_in_transaction("transactional", ORDERS, 1, 5, End::Commit);
}

/// Keys and values by partition and offset.
type Stored = BTreeMap<(i32, i64), (Vec<u8>, Option<Vec<u8>>)>;

fn read_with_rdkafka(kafka: &Kafka) -> Stored {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_servers())
        // Named as librdkafka wants it; it never joins and never commits.
        .set("group.id", "reader-of-offsets")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()
        .expect("the properties are valid");
    let metadata = consumer
        .fetch_metadata(Some(OFFSETS), LIMIT)
        .expect("the broker is up");
    let mut unfinished: BTreeSet<i32> = metadata.topics()[0]
        .partitions()
        .iter()
        .map(|partition| partition.id())
        .collect();
    let mut partitions = TopicPartitionList::new();
    for partition in &unfinished {
        let added = partitions.add_partition_offset(OFFSETS, *partition, Offset::Beginning);
        added.expect("the beginning is an offset");
    }
    consumer.assign(&partitions).expect("the topic exists");
    let mut stored = Stored::new();
    while !unfinished.is_empty() {
        match consumer.poll(LIMIT).expect("there is more to read") {
            Ok(message) => {
                let key = message.key().expect("every record has a key").to_vec();
                let value = message.payload().map(<[u8]>::to_vec);
                stored.insert((message.partition(), message.offset()), (key, value));
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                unfinished.remove(&partition);
            }
            Err(error) => panic!("{error}"),
        }
    }
    stored
}

/// Asserts that the groups have left the records that they should have, so that the comparison was one.
fn assert_types(stored: &Stored) {
    let (mut written, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for (key, value) in stored.values() {
        let types = if value.is_some() {
            &mut written
        } else {
            &mut deleted
        };
        types.insert(i16::from_be_bytes([key[0], key[1]]));
    }
    let expected = [1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16];
    assert!(written.iter().eq(&expected), "{written:?}");
    // Kafka deletes what an older release may have written (4). The share group itself stays (11, 12, 15).
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 16];
    assert!(deleted.iter().eq(&expected), "{deleted:?}");
}

/// Asserts that what was committed is there, and that what was aborted is not.
fn assert_commits(stored: &Stored) {
    let mut commits = BTreeMap::<_, Vec<_>>::new();
    for (key, value) in stored.values() {
        let record = decode(key, value.as_deref()).expect("it was decoded before");
        if let Record::OffsetCommit {
            group,
            topic,
            partition,
            commit,
        } = record
        {
            assert_eq!(topic, ORDERS);
            let offset = commit.map(|commit| match commit.committed {
                Committed::At(offset) => offset.value(),
                Committed::Never => panic!("nobody commits -1"),
            });
            commits
                .entry((group.to_owned(), partition.0))
                .or_default()
                .push(offset);
        }
    }
    for (group, partition, expected) in [
        ("range", 0, vec![Some(3), None]),
        ("modern", 0, vec![Some(3), None]),
        ("static", 0, vec![Some(3)]),
        ("simple", 1, vec![Some(2)]),
        ("simple", 2, vec![Some(4), None]),
        ("transactional", 0, vec![Some(2)]),
        ("transactional", 1, vec![Some(5)]),
    ] {
        assert_eq!(
            commits[&(group.to_owned(), partition)],
            expected,
            "{group} {partition}"
        );
    }
}

fn written_samples(kafka: &Kafka) -> impl Iterator<Item = PrintedRecord> {
    samples().into_iter().map(|sample| {
        kafka.encode_offsets_record(
            sample.record_type,
            sample.version,
            &sample.key,
            &sample.value,
        )
    })
}

/// Keeps the first record of each type and shape.
fn one_of_each(
    records: impl Iterator<Item = PrintedRecord>,
) -> impl Iterator<Item = PrintedRecord> {
    let mut seen = BTreeSet::new();
    let shape = |record: &PrintedRecord| {
        let value = &record.printed["value"]["data"];
        let count = |field: &str| value[field].as_array().map(Vec::len);
        let size = count("members")
            .or(count("topicPartitions"))
            .or(count("assignedPartitions"));
        let owned = value["members"][0]["subscription"]["ownedPartitions"]
            .as_array()
            .map(Vec::len);
        let is_classic = value["classicMemberMetadata"].is_object();
        (
            record.printed["key"]["type"].as_i64(),
            record.value.is_some(),
            size,
            owned,
            is_classic,
        )
    };
    records.filter(move |record| seen.insert(shape(record)))
}

fn write_golden(records: impl Iterator<Item = PrintedRecord>) {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes everything");
            text
        })
    };
    let lines = records.map(|record| {
        let line = json!({
            "partition": record.partition, "offset": record.offset, "key": hex(&record.key),
            "value": record.value.as_deref().map(hex), "printed": record.printed,
        });
        format!("{line}\n")
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/offsets_topic.jsonl");
    std::fs::write(path, lines.collect::<String>()).expect("the folder is part of the repository");
}
