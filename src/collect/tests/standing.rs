//! Groups of which nothing changes from cycle to cycle.

use std::time::Duration;

use super::super::shard::ShareChange;
use super::*;
use crate::kafka::ErrorCode;
use crate::lag::{PartitionId, Share, Status};
use crate::snapshot::{GroupState, Moment};

/// Returns two groups that have read everything, and one that lags.
fn groups(world: &mut World) {
    world.topic("orders", 2, 100);
    world.group("idle", 1, &[("orders", 0, 100), ("orders", 1, 100)]);
    world.group("late", 2, &[("orders", 0, 100), ("orders", 1, 90)]);
    world.member("idle", "a", &[("orders", 0), ("orders", 1)]);
}

/// Returns the groups whose partitions both snapshots share.
fn shared<'a>(before: &ClusterSnapshot, after: &'a ClusterSnapshot) -> Vec<&'a str> {
    let rows = after.groups.iter();
    let is_shared = |row: &&Arc<GroupRow>| {
        let known = before.group(&row.id);
        known.is_some_and(|known| known.partitions.is_shared_with(&row.partitions))
    };
    rows.filter(is_shared).map(|row| row.id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_caught_up_and_does_not_move_is_shared_and_measured_anew() {
    let mut watch = Watch::new(PollConfig::default(), groups);
    let first = watch.poll().await;
    wait().await;
    let second = watch.poll().await;
    assert!(shared(&first, &second).contains(&"idle"));
    let row = group(&second, "idle").expect("it is there");
    assert_eq!(row.measured.instant, second.taken);
    let membership = row.membership.as_ref().expect("it was described");
    assert_eq!(membership.measured, second.taken);
    assert_eq!(lag(&second, "idle", "orders", 1), Some(0));
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_does_not_move_is_shared_and_measured_anew() {
    let mut watch = Watch::new(PollConfig::default(), groups);
    watch.poll().await;
    watch.world().log("orders", 1).end = 150;
    let first = watch.poll().await;
    wait().await;
    let second = watch.poll().await;
    assert_eq!(shared(&first, &second), ["idle", "late"]);
    let row = group(&second, "idle").expect("it is there");
    assert_eq!(row.measured.instant, second.taken);
    let reading = reading(&second, "idle", "orders", 1).expect("it was read");
    let age = |time| {
        reading.age(Moment {
            time,
            ..row.measured
        })
    };
    let (now, later) = (row.measured.time, Duration::from_secs(10));
    let (age, older) = (age(now).expect("records wait"), age(now.after(later)));
    let older = older.expect("records wait");
    assert_eq!(older.estimate, age.estimate + later);
    assert_eq!(older.at_most, age.at_most.map(|age| age + later));
}

#[tokio::test(start_paused = true)]
async fn whatever_changes_is_shown() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 9] = [
        ("a record", |world| world.log("orders", 1).end = 101),
        ("a log start", |world| world.log("orders", 1).start = 3),
        ("a commit", |world| {
            world
                .group_mut("idle")
                .commits
                .insert(TopicPartition::new("orders", 0), 99);
        }),
        ("a commit that is gone", |world| {
            world
                .group_mut("idle")
                .commits
                .remove(&TopicPartition::new("orders", 0));
        }),
        ("a commit elsewhere", |world| {
            world.topic("more", 1, 7);
            world
                .group_mut("idle")
                .commits
                .insert(TopicPartition::new("more", 0), 7);
        }),
        ("a member", |world| world.member("idle", "b", &[])),
        ("a state", |world| {
            world.group_mut("idle").state = GroupState::CompletingRebalance;
        }),
        ("a commit that cannot be read", |world| {
            let id = TopicPartition::new("orders", 0);
            world
                .faults
                .commit_of
                .insert(id, ErrorCode::UNKNOWN_TOPIC_OR_PART);
        }),
        ("an end that cannot be read", |world| {
            let id = TopicPartition::new("orders", 0);
            world
                .faults
                .end_of
                .insert(id, ErrorCode::NOT_LEADER_FOR_PARTITION);
        }),
    ];
    for (change, apply) in changes {
        let mut watch = Watch::new(PollConfig::default(), groups);
        let first = watch.poll().await;
        let before = watch.poll().await;
        assert!(shared(&first, &before).contains(&"idle"));
        apply(&mut watch.world());
        let after = watch.poll().await;
        assert!(!shared(&before, &after).contains(&"idle"), "{change}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_stood_still_for_long_is_judged_from_when_records_wait() {
    let mut watch = Watch::new(PollConfig::default(), groups);
    for _ in 0..200 {
        watch.poll().await;
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    watch.world().log("orders", 1).end = 150;
    let snapshot = watch.poll().await;
    let row = partition(&snapshot, "idle", "orders", 1).expect("it is there");
    assert_eq!(row.judgement().finding.status(), Status::Ok);
    let reading = row.reading.as_ref().expect("it was read");
    let measured = group(&snapshot, "idle").expect("it is there").measured;
    let age = reading.age(measured).expect("records wait");
    // They came in since the last look.
    assert!(age.at_most <= Some(Duration::from_secs(11)), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_tell_assignments_a_new_partition_of_a_named_topic_is_seen_waiting() {
    let config = PollConfig {
        topic_names: vec!["orders".into()],
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        groups(world);
        let unsupported = super::world::Fault::Error(ErrorCode::UNSUPPORTED_FEATURE);
        world.faults.describe_all = Some(unsupported);
    });
    let first = watch.poll().await;
    let second = watch.poll().await;
    assert!(shared(&first, &second).contains(&"idle"));
    watch.world().topic("orders", 3, 100);
    let snapshot = watch.poll().await;
    assert_eq!(
        latest(&snapshot, "idle", "orders", 2),
        Some(Lag::NoCommit { backlog: Some(100) })
    );
}

#[tokio::test(start_paused = true)]
async fn every_row_is_rebuilt_after_a_dropped_cycle() {
    let place = |world: &mut World, late, old| {
        world.group("late", 2, &[("orders", 0, 100), ("orders", 1, late)]);
        world.group("old", 2, &[("orders", 0, old)]);
    };
    // A whole cluster, and a replica's share, whose change publishes another snapshot.
    for share in [
        None,
        Some(Share::Part {
            owned: (0..50).map(PartitionId).collect(),
            count: 50,
        }),
    ] {
        let is_shared = share.is_some();
        let config = PollConfig {
            share: share.unwrap_or(Share::Whole),
            ..PollConfig::default()
        };
        let mut watch = Watch::new(config, groups);
        place(&mut watch.world(), 90, 10);
        watch.poll().await;
        watch.world().log("orders", 1).end = 200;
        let before = watch.poll().await;
        // The groups move on while a cycle runs that is then dropped, and go back.
        place(&mut watch.world(), 150, 20);
        watch.world().faults.silent_index = true;
        let cycle = tokio::time::timeout(Duration::from_millis(1), watch.poller.poll_once());
        assert!(
            cycle.await.is_err(),
            "it waits for an answer about the age of the records"
        );
        if is_shared {
            watch
                .poller
                .collector
                .change_share(ShareChange::Given([PartitionId(0)].into()));
        }
        place(&mut watch.world(), 90, 10);
        watch.world().faults.silent_index = false;
        let after = watch.poll().await;
        let wait = |snapshot: &ClusterSnapshot| {
            let reading = reading(snapshot, "late", "orders", 1);
            reading.expect("it was read").wait()
        };
        assert_eq!(wait(&after), wait(&before));
        assert_eq!(shared(&before, &after), [""; 0], "every row is rebuilt");
        let later = watch.poll().await;
        assert_eq!(shared(&after, &later), ["idle", "late", "old"]);
    }
}
