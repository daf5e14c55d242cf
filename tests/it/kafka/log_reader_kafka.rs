//! Reading a log outside any group, on a real Kafka: transactions, outages, offsets that are gone.

use std::time::Duration;

use lagwatch::kafka::log_reader::is_lost;
use lagwatch::kafka::{Connection, Log, LogEvent, LogReader};
use lagwatch::lag::{Offset, PartitionId};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::time::timeout;

use crate::support::{Kafka, unique};

/// The longest that anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

const FIRST: PartitionId = PartitionId(0);

fn offset(offset: i64) -> Offset {
    Offset::new(offset).expect("not negative")
}

fn reader(kafka: &Kafka, topic: &str) -> LogReader {
    let connection = Connection::plain([kafka.bootstrap_servers()]);
    LogReader::start(&connection, topic, ()).expect("valid properties")
}

/// Reads until `is_last`, and returns everything up to it.
async fn read_until(reader: &mut LogReader, is_last: impl Fn(&LogEvent) -> bool) -> Vec<LogEvent> {
    let mut all = Vec::new();
    let reading = async {
        while !all.last().is_some_and(&is_last) {
            let batch = reader.next().await.expect("the reader runs");
            for found in batch {
                if !all.last().is_some_and(&is_last) {
                    all.push(found);
                }
            }
        }
    };
    let outcome = timeout(LIMIT, reading).await;
    assert!(outcome.is_ok(), "only {all:?} within {LIMIT:?}");
    all
}

fn offsets(found: &[LogEvent]) -> Vec<u64> {
    found
        .iter()
        .filter_map(|found| match found {
            LogEvent::Record(_, record) => Some(record.offset.value()),
            _ => None,
        })
        .collect()
}

#[tokio::test]
#[ignore = "needs Java 17 and Maven"]
async fn what_transactions_leave_behind_is_passed_and_the_end_is_told() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic(&unique("transactions"), 1);
    kafka.produce(&topic, 0, 3);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_servers())
        .set("transactional.id", unique("writer"))
        .create()
        .expect("valid properties");
    producer
        .init_transactions(LIMIT)
        .expect("a transaction coordinator");
    let send = |value: &str| {
        producer
            .send(BaseRecord::<(), _>::to(&topic).partition(0).payload(value))
            .expect("there is room");
        producer.flush(LIMIT).expect("delivered");
    };
    producer.begin_transaction().expect("initialised");
    send("aborted");
    producer.abort_transaction(LIMIT).expect("aborted");
    producer.begin_transaction().expect("initialised");
    send("committed");
    producer.commit_transaction(LIMIT).expect("committed");
    producer.begin_transaction().expect("initialised");
    send("open");

    let mut reader = reader(kafka, &topic);
    reader.read(FIRST, offset(1));
    // Records 0 to 2, the aborted 3 and its marker 4, the committed 5 and its marker 6, the open 7.
    let found = read_until(&mut reader, |found| {
        *found == LogEvent::End(FIRST, offset(7))
    })
    .await;
    assert_eq!(offsets(&found), [1, 2, 5], "{found:?}");

    producer.commit_transaction(LIMIT).expect("committed");
    let found = read_until(&mut reader, |found| {
        *found == LogEvent::End(FIRST, offset(9))
    })
    .await;
    assert_eq!(offsets(&found), [7], "{found:?}");
}

#[tokio::test]
#[ignore = "needs Java 17 and Maven"]
async fn an_offset_that_is_gone_is_told_and_the_partition_can_be_read_from_another() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic(&unique("deleted"), 1);
    kafka.produce(&topic, 0, 5);
    kafka.delete_records(&topic, 0, 4);
    let mut reader = reader(kafka, &topic);
    reader.read(FIRST, offset(1));
    let lost =
        |found: &LogEvent| matches!(found, LogEvent::Error(Some(FIRST), error) if is_lost(error));
    let found = read_until(&mut reader, lost).await;
    assert_eq!(offsets(&found), [] as [u64; 0], "{found:?}");

    reader.read(FIRST, offset(4));
    let found = read_until(&mut reader, |found| {
        *found == LogEvent::End(FIRST, offset(5))
    })
    .await;
    assert_eq!(offsets(&found), [4], "{found:?}");
}

#[tokio::test]
#[ignore = "needs Java 17 and Maven"]
async fn after_an_outage_it_goes_on_where_it_was() {
    let kafka = Kafka::builder().start();
    let topic = kafka.create_topic("outage", 1);
    kafka.produce(&topic, 0, 2);
    let mut reader = reader(&kafka, &topic);
    reader.read(FIRST, offset(0));
    read_until(&mut reader, |found| {
        *found == LogEvent::End(FIRST, offset(2))
    })
    .await;
    kafka.kill(1);
    kafka.restart(1);
    kafka.produce(&topic, 0, 3);
    let is_last = |found: &LogEvent| matches!(found, LogEvent::Record(_, record) if record.offset == offset(4));
    let found = read_until(&mut reader, is_last).await;
    assert_eq!(offsets(&found), [2, 3, 4], "{found:?}");
}
