//! Two members of a group share its partitions: what the second takes over, the first has committed.

use std::collections::BTreeSet;
use std::time::Duration;

use lagwatch::task::{CommitMode, TaskConfig};

use super::world::{World, per_batch, until};

const EAGER: (&str, &str) = ("partition.assignment.strategy", "range");
const COOPERATIVE: (&str, &str) = ("partition.assignment.strategy", "cooperative-sticky");
const KIP_848: (&str, &str) = ("group.protocol", "consumer");

/// An interval that never passes: only giving partitions up, and the end, commit.
const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
#[ignore = "needs Java 17 and Maven"]
async fn on_kafka_two_members_share_the_work_and_nothing_is_done_twice() {
    // Slow enough for a KIP-848 group to hear of its new member in time: it beats every five seconds.
    for (protocol, property, delay_ms) in [
        ("eager", EAGER, 5),
        ("cooperative", COOPERATIVE, 5),
        ("KIP-848", KIP_848, 40),
    ] {
        let world = World::on_kafka(4);
        let (done, ids) = share_the_work(&world, property, delay_ms, NEVER).await;
        assert_eq!((done, ids), (400, 400), "{protocol}");
    }
}

#[tokio::test]
async fn two_members_share_the_work_and_nothing_is_done_twice() {
    // The embedded cluster lets three seconds pass between two heartbeats.
    let (done, ids) = share_the_work(&World::new(4), KIP_848, 25, NEVER).await;
    assert_eq!((done, ids), (400, 400));
}

#[tokio::test]
async fn two_members_share_the_work_in_a_classic_group_and_nothing_is_left_out() {
    // Unlike Kafka, the embedded cluster refuses every commit while a classic rebalance is under way: what was done
    // before it is done again. On Kafka nothing is.
    for property in [EAGER, COOPERATIVE] {
        let often = Duration::from_millis(50);
        let (done, ids) = share_the_work(&World::new(4), property, 5, often).await;
        assert_eq!(ids, 400, "{property:?}");
        assert!(done >= 400, "{property:?}: {done}");
    }
}

/// Lets a second member join in the middle of the first one's batch. Returns how many records were done, by both
/// together, and how many different ones.
async fn share_the_work<C>(
    world: &World<C>,
    property: (&str, &str),
    delay_ms: u64,
    commit_interval: Duration,
) -> (u64, usize) {
    let config = |name: &str| {
        let mut config = world.config("g");
        let (name_of_property, value) = property;
        if name_of_property == "group.protocol" {
            config.properties.remove("session.timeout.ms");
            config.properties.remove("heartbeat.interval.ms");
        }
        config
            .properties
            .insert(name_of_property.to_owned(), value.to_owned());
        TaskConfig {
            commit: per_batch(1_000, commit_interval, CommitMode::Async),
            processing_delay: Duration::from_millis(delay_ms),
            // A log of its own, so that a record done by both is seen.
            audit_log: world.audit_log(name),
            ..config
        }
    };
    for partition in 0..4 {
        let ids = (0..100).map(|number| format!("{partition}-{number:03}"));
        world.send_all(partition, ids).await;
    }
    let first = world.start(config("first"));
    world.wait_for_audited("first", 10).await;
    let second = world.start(config("second"));
    let done = || -> BTreeSet<String> {
        let first = world.audited("first").into_iter();
        first.chain(world.audited("second")).collect()
    };
    until("all records", async || done().len() >= 400).await;
    let first = first.stop().await;
    second.wait_for_partitions(4).await;
    let all = (0..4).map(|partition| (partition, 100)).collect();
    if commit_interval < Duration::from_secs(1) {
        until("all commits", async || world.committed("g", 4).await == all).await;
    }
    let second = second.stop().await;
    assert!(second.processed > 0);
    assert_eq!(world.committed("g", 4).await, all);
    (first.processed + second.processed, done().len())
}
