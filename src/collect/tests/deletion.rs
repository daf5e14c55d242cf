//! When a group, a topic or a partition goes: by evidence alone.

use super::world::Fault;
use super::*;
use crate::kafka::ErrorCode;
use crate::snapshot::GroupState;

fn two_groups() -> Watch {
    Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.topic("payments", 1, 10);
        world.group("other", 2, &[("orders", 0, 50), ("payments", 0, 5)]);
    })
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_is_gone_after_one_whole_cycle() {
    let mut watch = two_groups();
    watch.poll().await;
    watch.world().groups.remove("other");
    let snapshot = watch.poll().await;
    assert_eq!(ids(&snapshot), ["billing"]);
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_listing_deletes_nothing() {
    for fault in [
        Fault::Silence,
        Fault::Error(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
    ] {
        let mut watch = two_groups();
        watch.poll().await;
        {
            let mut world = watch.world();
            world.faults.listing.insert(3, fault);
            world.groups.remove("other");
        }
        let snapshot = watch.poll().await;
        assert_eq!(ids(&snapshot), ["billing", "other"], "{fault:?}");
        assert_eq!(snapshot.outcome, CycleOutcome::Degraded, "{fault:?}");
        watch.world().faults.listing.clear();
        assert_eq!(ids(&*watch.poll().await), ["billing"], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_listing_deletes_no_group_that_its_coordinator_knows() {
    let mut watch = two_groups();
    watch.poll().await;
    for id in ["billing", "other"] {
        watch.world().faults.unlisted.insert(id.to_owned());
    }
    let snapshot = watch.poll().await;
    assert_eq!(ids(&snapshot), ["billing", "other"]);
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_coordinator_moves_stays_although_nobody_lists_it() {
    let moving = Fault::Error(ErrorCode::NOT_COORDINATOR);
    let mut watch = two_groups();
    watch.poll().await;
    {
        let mut world = watch.world();
        world.faults.unlisted.insert("other".to_owned());
        world.faults.describe.insert("other".to_owned(), moving);
        world.faults.commits.insert("other".to_owned(), moving);
    }
    let snapshot = watch.poll().await;
    assert_eq!(ids(&snapshot), ["billing", "other"]);
    assert_eq!(
        lag(&snapshot, "other", "orders", 0),
        Some(50),
        "its last good pair"
    );
    tokio::time::advance(PollConfig::default().stale_after).await;
    wait().await;
    let snapshot = watch.poll().await;
    assert_eq!(
        ids(&snapshot),
        ["billing"],
        "doubt ends when nothing is left to show"
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_may_no_longer_be_seen_goes_at_once() {
    let refused = Fault::Error(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let mut watch = two_groups();
    watch.poll().await;
    {
        let mut world = watch.world();
        world.faults.unlisted.insert("other".to_owned());
        world.faults.describe.insert("other".to_owned(), refused);
        world.faults.commits.insert("other".to_owned(), refused);
    }
    assert_eq!(ids(&*watch.poll().await), ["billing"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_members_stays_while_it_has_commits() {
    let mut watch = two_groups();
    watch.poll().await;
    watch.world().group_mut("other").state = GroupState::Dead;
    let snapshot = watch.poll().await;
    assert_eq!(lag(&snapshot, "other", "orders", 0), Some(50));
}

#[tokio::test(start_paused = true)]
async fn a_named_group_goes_when_it_is_dead_and_has_no_commits() {
    let config = PollConfig {
        group_names: vec!["billing".into()],
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, orders);
    watch.poll().await;
    watch
        .world()
        .faults
        .commits
        .insert("billing".to_owned(), Fault::Silence);
    assert_eq!(
        ids(&*watch.poll().await),
        ["billing"],
        "a timeout says nothing"
    );
    watch.world().faults.commits.clear();
    watch.world().group_mut("billing").state = GroupState::Dead;
    assert_eq!(
        ids(&*watch.poll().await),
        ["billing"],
        "it still has commits"
    );
    watch.world().group_mut("billing").commits.clear();
    assert!(ids(&*watch.poll().await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_gone_after_one_whole_cycle() {
    let mut watch = two_groups();
    watch.poll().await;
    watch.world().topics.remove("payments");
    watch.world().faults.metadata = Some(Fault::Error(ErrorCode::TRANSPORT));
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.topics.len(), 2, "failed metadata delete nothing");
    assert_eq!(lag(&snapshot, "other", "payments", 0), Some(5));
    watch.world().faults.metadata = None;
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.topics.len(), 1);
    assert!(
        partition(&snapshot, "other", "payments", 0).is_none(),
        "although it has a commit"
    );
    assert_eq!(lag(&snapshot, "other", "orders", 0), Some(50));
}

#[tokio::test(start_paused = true)]
async fn metadata_without_any_topic_are_doubted_until_what_was_known_is_stale() {
    let mut watch = two_groups();
    watch.poll().await;
    watch.world().topics.clear();
    wait().await;
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.topics.len(), 2);
    assert_eq!(snapshot.outcome, CycleOutcome::Degraded);
    tokio::time::advance(PollConfig::default().stale_after).await;
    let snapshot = watch.poll().await;
    assert!(snapshot.topics.is_empty());
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_expired_takes_its_partition_along() {
    let mut watch = two_groups();
    watch.poll().await;
    let expired = TopicPartition::new("orders", 0);
    watch.world().group_mut("other").commits.remove(&expired);
    let snapshot = watch.poll().await;
    assert_eq!(
        commits(&snapshot, "other"),
        [("payments-0".to_owned(), Some(true))]
    );
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_is_ahead_until_the_group_commits_again() {
    let mut watch = two_groups();
    watch.poll().await;
    watch.world().log("orders", 0).end = 40;
    let snapshot = watch.poll().await;
    assert_eq!(lag(&snapshot, "other", "orders", 0), Some(0));
    let Some(Lag::Known(distance)) = latest(&snapshot, "other", "orders", 0) else {
        panic!("both offsets are known");
    };
    assert_eq!(distance.ahead, 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_group_did_on_a_topic_is_forgotten_after_the_topic_and_not_before() {
    let mut watch = two_groups();
    watch.poll().await;
    watch
        .world()
        .group("other", 2, &[("orders", 0, 60), ("payments", 0, 6)]);
    let topics = |snapshot: &ClusterSnapshot| -> Vec<String> {
        let other = group(snapshot, "other").expect("it is there");
        let commits = other.activity.commits.keys();
        commits.map(ToString::to_string).collect()
    };
    for _ in 0..20 {
        assert_eq!(topics(&*watch.poll().await), ["orders", "payments"]);
    }
    watch.world().topics.remove("payments");
    watch.world().group("other", 2, &[("orders", 0, 60)]);
    let mut cycles = 0;
    while topics(&*watch.poll().await) != ["orders"] {
        cycles += 1;
        assert!(cycles < 10, "it is not forgotten");
    }
}
