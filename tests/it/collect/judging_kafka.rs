//! What the figures mean, on a real Kafka: status, retention and transactions.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;

use crate::support::{Kafka, Lagwatch, Running, Samples, eventually, wait_for};
use crate::task::deployment::say;

const TOPIC: &str = "orders";
const GROUP: &str = "billing";
const LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Two cycles, and time for a loaded machine.
const SOON: Duration = Duration::from_secs(10);

fn serve(kafka: &Kafka, more: &str) -> Running {
    let servers = kafka.bootstrap_servers();
    let serve = Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - bootstrap-servers: [\"{servers}\"]
    poll-interval: {}ms
    stale-after: 5s
{more}",
            POLL_INTERVAL.as_millis()
        ))
        .start();
    serve.wait_until_ready();
    serve
}

fn of_partition(samples: &Samples, name: &str) -> Option<f64> {
    let labels = [("consumergroup", GROUP), ("partition", "0")];
    samples.value(&format!("kafka_consumergroup_{name}"), &labels)
}

fn status(serve: &Running) -> Option<String> {
    let scrape = serve.scrape();
    let of_group = [("consumergroup", GROUP)];
    let mut all = scrape.all("kafka_consumergroup_status", &of_group);
    let status = all.next()?.label("status").to_owned();
    assert!(all.next().is_none(), "a group has one status");
    Some(status)
}

fn group(serve: &Running) -> Value {
    let answer = serve.get(&format!("/api/v1/groups/{GROUP}"));
    serde_json::from_str(answer.text()).expect("it is JSON")
}

fn wait_for_status(serve: &Running, expected: &str) {
    eventually(&format!("status `{expected}`"), SOON, || {
        status(serve).as_deref() == Some(expected)
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn an_offset_that_goes_back_or_past_the_end_is_told_within_two_cycles() {
    let kafka = Kafka::builder().start();
    kafka.create_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, 100);
    kafka.commit_for(GROUP, TOPIC, 0, 90);
    let serve = serve(&kafka, "");
    wait_for_status(&serve, "ok");
    kafka.commit_for(GROUP, TOPIC, 0, 10);
    wait_for_status(&serve, "rewound");
    assert_eq!(
        group(&serve)["status_reason"],
        "partition 0 of orders went back from offset 90 and is at 10"
    );
    kafka.commit_for(GROUP, TOPIC, 0, 95);
    wait_for_status(&serve, "ok");
    kafka.commit_for(GROUP, TOPIC, 0, 1000);
    wait_for_status(&serve, "ahead");
    let scrape = serve.scrape();
    assert_eq!(of_partition(&scrape, "lag"), Some(0.0));
    assert_eq!(of_partition(&scrape, "lag_seconds"), Some(0.0));
    kafka.commit_for(GROUP, TOPIC, 0, 100);
    wait_for_status(&serve, "ok");
    let drain = scrape.value(
        "kafka_consumergroup_drain_seconds",
        &[("consumergroup", GROUP), ("topic", TOPIC)],
    );
    assert_eq!(drain, Some(0.0));
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_headroom_tells_the_loss_before_it_happens() {
    let retention = Duration::from_secs(20);
    let kafka = Kafka::builder()
        .property("log.retention.check.interval.ms", "500")
        .property("log.initial.task.delay.ms", "500")
        .start();
    let retention_ms = retention.as_millis().to_string();
    let configs = [
        ("retention.ms", retention_ms.as_str()),
        ("segment.ms", "1000"),
    ];
    kafka.create_topic_with(TOPIC, 1, 1, &configs);
    kafka.commit_for(GROUP, TOPIC, 0, 0);
    let serve = serve(&kafka, "");
    let produced = Instant::now();
    kafka.produce(TOPIC, 0, 10);
    kafka.commit_for(GROUP, TOPIC, 0, 4);
    let headroom = || of_partition(&serve.scrape(), "retention_headroom_seconds");
    let first = wait_for("a headroom", SOON, headroom);
    assert!(
        (0.0..=retention.as_secs_f64()).contains(&first),
        "{first} s"
    );

    // What was told last before the loss, and when.
    let mut told = (first, Instant::now());
    let (lost, lost_at) = wait_for("the loss", LIMIT, || {
        let scrape = serve.scrape();
        let now = Instant::now();
        if let Some(lost) = of_partition(&scrape, "lost_records") {
            return Some((lost, now));
        }
        if let Some(left) = of_partition(&scrape, "retention_headroom_seconds") {
            told = (left, now);
        }
        None
    });
    let (left, at) = told;
    // What is scraped was measured by a cycle that may have begun two poll intervals before.
    let earliest = at + Duration::from_secs_f64(left) - 2 * POLL_INTERVAL;
    assert!(
        earliest <= lost_at,
        "the loss came before {left} s had passed"
    );
    assert!(
        lost_at.duration_since(produced) >= retention,
        "Kafka deletes nothing that is younger"
    );
    // A headroom that is told long before anything can be lost is no help either.
    assert!(left < 5.0, "{left} s were told just before the loss");
    let start = kafka.log_start(TOPIC, 0);
    assert_eq!(
        lost,
        f64::from(i32::try_from(start - 4).expect("it is small"))
    );
    wait_for_status(&serve, "losing");
    assert_eq!(
        group(&serve)["status_reason"],
        format!(
            "partition 0 of orders has lost {} records, deleted before being read",
            start - 4
        )
    );
    say(&format!(
        "retention of {retention:?}: first told {first:.1} s, last told {left:.1} s, {:.1} s before the loss was seen; {lost} records lost",
        lost_at.duration_since(at).as_secs_f64()
    ));
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_group_behind_an_open_transaction_is_told_as_blocked() {
    let kafka = Kafka::builder().start();
    kafka.create_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, 10);
    kafka.commit_for(GROUP, TOPIC, 0, 10);
    let serve = serve(&kafka, "    read-committed-groups: [\"^billing$\"]\n");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_servers())
        .set("transactional.id", "orders-writer")
        .create()
        .expect("the properties are valid");
    producer
        .init_transactions(LIMIT)
        .expect("Kafka coordinates it");
    producer.begin_transaction().expect("none is open");
    for _ in 0..5 {
        let record = BaseRecord::<(), str>::to(TOPIC).partition(0).payload("x");
        producer.send(record).expect("the queue has room");
    }
    producer.flush(LIMIT).expect("Kafka takes the records");

    let blocked = || of_partition(&serve.scrape(), "blocked_records");
    eventually("the group to be blocked", SOON, || blocked() == Some(5.0));
    let scrape = serve.scrape();
    assert_eq!(of_partition(&scrape, "lag"), Some(0.0));
    let of_log = [("topic", TOPIC), ("partition", "0")];
    let stable = scrape.value("kafka_topic_partition_last_stable_offset", &of_log);
    let end = scrape.value("kafka_topic_partition_current_offset", &of_log);
    assert_eq!((stable, end), (Some(10.0), Some(15.0)));

    producer.abort_transaction(LIMIT).expect("it is open");
    eventually("the group to be free", SOON, || {
        let scrape = serve.scrape();
        // The five aborted records and the marker: a consumer passes them by.
        of_partition(&scrape, "blocked_records").is_none()
            && of_partition(&scrape, "lag") == Some(6.0)
    });
}
