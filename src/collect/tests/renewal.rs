//! A topic that is deleted and made anew between two cycles.

use std::time::Duration;

use super::*;
use crate::lag::Status;

/// Long enough for a record that was there before to have an age that a new one cannot have.
const LONG: Duration = Duration::from_secs(3_600);

/// Lets the topic be made anew, and grow past its old end; the group commits on it, before where it was.
fn renew(world: &mut World) {
    *world.renewals.entry("orders").or_default() += 1;
    world.log("orders", 0).end = 150;
    world.group("billing", 1, &[("orders", 0, 60)]);
}

async fn renewed(watch: &mut Watch) -> Arc<ClusterSnapshot> {
    watch.poll().await;
    tokio::time::advance(LONG).await;
    renew(&mut watch.world());
    watch.poll().await
}

#[tokio::test(start_paused = true)]
async fn nothing_of_the_old_log_is_said_of_the_new_one() {
    let mut watch = Watch::new(PollConfig::default(), orders);
    let snapshot = renewed(&mut watch).await;
    let reading = reading(&snapshot, "billing", "orders", 0).expect("it is read");
    let measured = group(&snapshot, "billing").expect("it is there").measured;
    let age = reading.age(measured).expect("records wait");
    assert_eq!(age.at_least, Duration::ZERO, "{age:?}");
    let row = partition(&snapshot, "billing", "orders", 0).expect("it is there");
    assert_eq!(row.judgement().finding.status(), Status::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_topic_ids_is_read_as_one_log() {
    let mut watch = Watch::new(PollConfig::default(), orders);
    watch.world().faults.no_topic_ids = true;
    let snapshot = renewed(&mut watch).await;
    let row = partition(&snapshot, "billing", "orders", 0).expect("it is there");
    assert_eq!(row.judgement().finding.status(), Status::Rewound);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_was_assigned_before_its_topic_was_known_is_shown_with_the_topic() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.member("billing", "m", &[("orders", 0), ("late", 0)]);
    });
    for _ in 0..2 {
        let snapshot = watch.poll().await;
        assert!(partition(&snapshot, "billing", "late", 0).is_none());
    }
    watch.world().topic("late", 1, 5);
    for _ in 0..2 {
        let snapshot = watch.poll().await;
        assert!(partition(&snapshot, "billing", "late", 0).is_some());
        assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
    }
}
