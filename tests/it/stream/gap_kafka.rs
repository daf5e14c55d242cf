//! `serve` that misses records of `__consumer_offsets`: it was frozen, and they were deleted meanwhile.

use std::time::Duration;

use super::world::{current_offset, exact, follow, wait_for_cycles};
use crate::support::{Kafka, Running, Samples, Signal, eventually};

const OFFSETS: &str = "__consumer_offsets";
const TOPIC: &str = "orders";
const GROUP: &str = "billing";
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn records_that_are_gone_before_they_were_read_are_told_and_made_good() {
    let kafka = Kafka::builder()
        .property("log.retention.check.interval.ms", "500")
        .property("log.initial.task.delay.ms", "500")
        .start();
    kafka.create_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, 1_000);
    let serve = follow(&kafka, POLL_INTERVAL);
    commit(&kafka, 1..=10);
    wait_for_offset(&serve, 10);
    // A new group may be shown by its coordinator's answer before its records are read.
    wait_for_commits(&serve, 10.0);

    serve.signal(Signal::Stop);
    commit(&kafka, 11..=60);
    // Of Kafka's own topics only retention may delete records.
    let partition = kafka.offsets_partition(GROUP);
    kafka.set_topic_config(OFFSETS, "retention.ms", "100");
    kafka.set_topic_config(OFFSETS, "cleanup.policy", "delete");
    eventually("the records to go", LIMIT, || {
        kafka.log_start(OFFSETS, partition) >= 60
    });
    kafka.set_topic_config(OFFSETS, "cleanup.policy", "compact");
    serve.signal(Signal::Continue);

    eventually("the gap to be told", LIMIT, || {
        serve.scrape().value("lagwatch_stream_gaps_total", &[]) == Some(1.0)
    });
    // The coordinator is asked again, whatever was missed.
    wait_for_offset(&serve, 60);
    eventually("no partition behind", LIMIT, || {
        let behind = [("state", "behind")];
        serve.scrape().value("lagwatch_stream_partitions", &behind) == Some(0.0)
    });
    let counted = commits(&serve.scrape());
    assert!((10.0..60.0).contains(&counted), "{counted} commits");
    commit(&kafka, 61..=80);
    wait_for_offset(&serve, 80);
    wait_for_commits(&serve, counted + 20.0);
    wait_for_cycles(&serve, 2.0);
    let scrape = serve.scrape();
    assert_eq!(commits(&scrape), counted + 20.0, "nothing twice");
    assert_eq!(scrape.sum("lagwatch_stream_drift_total", &[]), 0.0);
    assert_eq!(scrape.value("lagwatch_stream_gaps_total", &[]), Some(1.0));
}

fn commit(kafka: &Kafka, offsets: impl Iterator<Item = i64>) {
    for offset in offsets {
        kafka.commit_for(GROUP, TOPIC, 0, offset);
    }
}

fn commits(scrape: &Samples) -> f64 {
    scrape.sum(
        "kafka_consumergroup_commits_total",
        &[("consumergroup", GROUP)],
    )
}

fn wait_for_commits(serve: &Running, count: f64) {
    eventually(&format!("{count} commits"), LIMIT, || {
        commits(&serve.scrape()) == count
    });
}

fn wait_for_offset(serve: &Running, offset: i32) {
    eventually(&format!("offset {offset}"), LIMIT, || {
        current_offset(&serve.scrape(), GROUP, TOPIC, 0) == Some(exact(offset))
    });
}
