//! What the figures mean, as far as a scripted cluster shows it; the rules have their own tests in `lag`.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::kafka::ErrorCode;
use crate::lag::{Headroom, Status};

fn status(snapshot: &ClusterSnapshot) -> Status {
    group(snapshot, "billing").expect("it is there").status()
}

#[tokio::test(start_paused = true)]
async fn what_offsets_tell_at_once_is_told_at_once() {
    let mut watch = Watch::new(PollConfig::default(), orders);
    assert_eq!(status(&*watch.poll().await), Status::Ok);
    watch.world().log("orders", 1).end = 60;
    let snapshot = watch.poll().await;
    assert_eq!(status(&snapshot), Status::Ahead);
    let row = group(&snapshot, "billing").expect("it is there");
    assert_eq!(
        row.verdict.sentence(row.judged_at).to_string(),
        "partition 1 of orders is committed 20 records past the log end: the log was truncated or the topic made anew"
    );
    watch.world().log("orders", 2).start = 75;
    assert_eq!(status(&*watch.poll().await), Status::Losing);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_which_nothing_could_ever_be_read_is_unknown() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        let refused = super::world::Fault::Error(ErrorCode::GROUP_AUTHORIZATION_FAILED);
        world.faults.commits.insert("billing".to_owned(), refused);
    });
    assert_eq!(status(&*watch.poll().await), Status::Unknown);
}

#[tokio::test(start_paused = true)]
async fn retention_outlives_an_outage_and_not_the_right_to_read_it() {
    let watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("billing", 1, &[("orders", 0, 100), ("orders", 1, 100)]);
        let configs = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "3600000"),
            ("retention.bytes", "-1"),
        ];
        let configs = configs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        world.configs = configs.into();
    });
    let (cluster, slot) = (Arc::clone(&watch.cluster), Arc::clone(&watch.slot));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(watch.poller.run(shutdown.clone()));
    let judgement = |number| {
        let snapshot = slot.load().expect("it was polled");
        let row = partition(&snapshot, "billing", "orders", number).expect("it is there");
        row.judgement()
    };
    let headroom = || judgement(0).headroom;
    sleep(Duration::from_secs(1)).await;
    cluster.world().log("orders", 0).end = 150;
    cluster.world().log("orders", 1).end = 150;
    sleep(Duration::from_secs(30)).await;
    assert!(
        matches!(headroom(), Headroom::Until { .. }),
        "{:?}",
        headroom()
    );
    assert_eq!(judgement(1), judgement(0));
    // What is gone already has no time left to tell.
    cluster.world().log("orders", 1).start = 150;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(judgement(1).finding.status(), Status::Losing);
    assert_eq!(judgement(1).headroom, Headroom::Unknown);
    cluster.world().faults.configs = Some(ErrorCode::TIMED_OUT);
    sleep(Duration::from_secs(1_000)).await;
    assert!(
        matches!(headroom(), Headroom::Until { .. }),
        "{:?}",
        headroom()
    );
    cluster.world().faults.configs = Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    sleep(Duration::from_secs(1_000)).await;
    assert_eq!(headroom(), Headroom::Unknown);
    shutdown.cancel();
    running.await.expect("the task ends");
}
