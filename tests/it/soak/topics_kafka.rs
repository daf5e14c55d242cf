//! What ever new topics and groups cost: `serve` on a real Kafka where they are made, shown, and deleted.
//!
//! librdkafka keeps the metadata of a topic for fifteen minutes, whether or not it is still there; here for two seconds, so
//! that the test sees them go. What would be kept longer shows as memory that grows with topics ever seen.
//!
//! ```text
//! LAGWATCH_SOAK_TOPICS=4000 cargo test --test it -- --ignored --nocapture soak::topics_kafka
//! ```

use std::env;
use std::thread;

use super::course::Quarters;
use super::world::LIMIT;
use crate::support::{Kafka, Lagwatch, Running, eventually};

/// How many topics there are at once.
const WAVE: usize = 50;
const PARTITIONS: i32 = 4;
/// By how much memory may grow from quarter to quarter, in KiB: the allocator settles by some hundreds. With 4,000 topics
/// that is half a kilobyte for each; one that is there takes some.
const MOST_KIB: f64 = 1_024.0;

#[test]
#[ignore = "needs Java 17 and Maven"]
fn memory_does_not_grow_with_topics_ever_seen() {
    let waves = topics() / WAVE;
    let kafka = Kafka::builder().start();
    // Following would fill the log of events, which is bounded, but not by a test as short as this.
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: poll
    poll-interval: 200ms
    kafka-properties: {{ metadata.max.age.ms: 2000 }}
",
        kafka.bootstrap_servers()
    );
    let serve = Lagwatch::new("serve").config(&config).start();
    serve.wait_until_ready();
    let mut course = Vec::new();
    for wave in 0..waves {
        let names: Vec<_> = (0..WAVE)
            .map(|number| format!("wave-{wave}-{number}"))
            .collect();
        at_once(&names, |name| {
            kafka.create_topic(name, PARTITIONS);
            kafka.commit_for(&format!("of-{name}"), name, 0, 0);
        });
        wait_for_rows(&serve, WAVE);
        at_once(&names, |name| {
            kafka.delete_group(&format!("of-{name}"));
            kafka.delete_topic(name);
        });
        wait_for_rows(&serve, 0);
        course.push(serve.vitals());
    }
    let quarters = Quarters::of(&course);
    quarters.report();
    quarters.assert_memory_is_flat(MOST_KIB);
    serve.stop().expect_success();
}

fn topics() -> usize {
    let Ok(text) = env::var("LAGWATCH_SOAK_TOPICS") else {
        return 200;
    };
    text.parse().expect("LAGWATCH_SOAK_TOPICS is a number")
}

/// Does something for each name, on a few threads: most of it is waiting.
fn at_once(names: &[String], act: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for names in names.chunks(names.len().div_ceil(8)) {
            let act = &act;
            scope.spawn(move || names.iter().for_each(|name| act(name)));
        }
    });
}

/// Waits until so many topics and groups are shown.
fn wait_for_rows(serve: &Running, count: usize) {
    eventually(&format!("{count} topics and groups"), LIMIT, || {
        let samples = serve.scrape();
        [
            "kafka_topic_partitions",
            "kafka_consumergroup_current_offset_sum",
        ]
        .iter()
        .all(|name| samples.all(name, &[]).count() == count)
    });
}
