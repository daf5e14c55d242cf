//! Whose logs are asked where they begin and end, and how far they are stable.

use std::collections::BTreeSet;

use super::fake::Call;
use super::world::Fault;
use super::*;
use crate::collect::{Filter, LogScope, PatternList, Patterns};
use crate::kafka::ErrorCode;

/// Returns the partitions whose logs were asked about since the last time; nothing where no such request was made.
fn asked(watch: &Watch) -> Option<BTreeSet<String>> {
    let calls = watch.cluster.take_calls();
    let mut asked = None;
    for call in calls {
        if let Call::Offsets(_, _, partitions) = call {
            let partitions = partitions.iter().map(ToString::to_string);
            asked.get_or_insert_with(BTreeSet::new).extend(partitions);
        }
    }
    asked
}

fn these<const N: usize>(partitions: [&str; N]) -> Option<BTreeSet<String>> {
    Some(partitions.map(str::to_owned).into())
}

/// Adds topics that are no group's: one that everybody may watch, and one of Kafka's own.
fn others(world: &mut World) {
    world.topic("unread", 2, 10);
    world.topic("__internal", 2, 10);
}

fn of_groups() -> PollConfig {
    PollConfig {
        logs: LogScope::Groups,
        ..PollConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_reads_the_logs_of_the_watched_topics_and_of_no_other() {
    let config = PollConfig {
        group_names: vec!["billing".into()],
        topics: Filter::new(&[], &["^__"]).expect("the pattern is valid"),
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        others(world);
        let internal = TopicPartition::new("__internal", 0);
        world.group_mut("billing").commits.insert(internal, 5);
    });
    let snapshot = watch.poll().await;
    let expected = ["orders-0", "orders-1", "orders-2", "unread-0", "unread-1"];
    assert_eq!(asked(&watch), these(expected));
    let has_series: Vec<&str> = snapshot
        .topics
        .iter()
        .map(|topic| topic.name.as_str())
        .collect();
    assert_eq!(has_series, ["orders", "unread"], "what is read is exported");
}

#[tokio::test(start_paused = true)]
async fn where_groups_alone_matter_only_their_logs_are_read() {
    let mut watch = Watch::new(of_groups(), |world| {
        orders(world);
        others(world);
        world.topic("payments", 3, 10);
        world.member("billing", "m", &[("payments", 1)]);
        world.group("other", 2, &[("payments", 2, 4)]);
    });
    let snapshot = watch.poll().await;
    let expected = [
        "orders-0",
        "orders-1",
        "orders-2",
        "payments-1",
        "payments-2",
    ];
    assert_eq!(asked(&watch), these(expected));
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
    assert_eq!(lag(&snapshot, "other", "payments", 2), Some(6));
    assert_eq!(
        latest(&snapshot, "billing", "payments", 1),
        Some(Lag::NoCommit { backlog: Some(10) })
    );
}

#[tokio::test(start_paused = true)]
async fn one_named_group_costs_the_logs_of_its_own_partitions() {
    let config = PollConfig {
        group_names: vec!["other".into()],
        ..of_groups()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        world.group("other", 2, &[("orders", 2, 4)]);
    });
    let snapshot = watch.poll().await;
    assert_eq!(asked(&watch), these(["orders-2"]));
    assert_eq!(lag(&snapshot, "other", "orders", 2), Some(96));
}

#[tokio::test(start_paused = true)]
async fn no_log_is_read_for_a_group_without_partitions() {
    let mut watch = Watch::new(of_groups(), |world| {
        others(world);
        world.group("idle", 1, &[("deleted", 0, 4)]);
    });
    let snapshot = watch.poll().await;
    assert_eq!(asked(&watch), None);
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(ids(&snapshot), ["idle"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_described_keeps_the_logs_that_were_its_own() {
    let mut watch = Watch::new(of_groups(), |world| {
        orders(world);
        others(world);
        world.topic("payments", 1, 10);
        world.member("billing", "m", &[("payments", 0)]);
    });
    watch.poll().await;
    asked(&watch);
    let refused = Fault::Error(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    let group = "billing".to_owned();
    watch.world().faults.describe.insert(group, refused);
    watch.world().log("payments", 0).end = 15;
    let snapshot = watch.poll().await;
    let expected = ["orders-0", "orders-1", "orders-2", "payments-0"];
    assert_eq!(asked(&watch), these(expected));
    assert_eq!(
        latest(&snapshot, "billing", "payments", 0),
        Some(Lag::NoCommit { backlog: Some(15) })
    );
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_tell_assignments_the_logs_of_the_named_topics_are_read() {
    let config = PollConfig {
        group_names: vec!["newcomer".into()],
        topic_names: vec!["orders".into()],
        ..of_groups()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        others(world);
        world.faults.describe_all = Some(Fault::Error(ErrorCode::UNSUPPORTED_FEATURE));
    });
    let snapshot = watch.poll().await;
    assert_eq!(asked(&watch), these(["orders-0", "orders-1", "orders-2"]));
    assert_eq!(
        latest(&snapshot, "newcomer", "orders", 0),
        Some(Lag::NoCommit { backlog: Some(100) })
    );
}

#[tokio::test(start_paused = true)]
async fn last_stable_offsets_are_asked_for_only_where_a_group_needs_them() {
    let config = PollConfig {
        read_committed: Patterns::new(PatternList::ReadCommittedGroups, &["^billing$"])
            .expect("the pattern is valid"),
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        world.group("plain", 1, &[("orders", 0, 90)]);
        world.log("orders", 0).stable = 95;
    });
    let snapshot = watch.poll().await;
    assert_eq!(lag(&snapshot, "billing", "orders", 0), Some(5));
    assert_eq!(lag(&snapshot, "plain", "orders", 0), Some(10));
    let isolations: BTreeSet<String> = watch
        .cluster
        .take_calls()
        .iter()
        .filter_map(|call| match call {
            Call::Offsets(spec, isolation, _) => Some(format!("{spec:?} {isolation:?}")),
            _ => None,
        })
        .collect();
    let expected = [
        "Earliest ReadUncommitted",
        "Latest ReadCommitted",
        "Latest ReadUncommitted",
        "Timestamp(0) ReadUncommitted",
    ];
    assert_eq!(isolations, expected.map(str::to_owned).into());
}
