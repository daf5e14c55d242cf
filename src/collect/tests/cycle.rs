//! What a healthy cycle asks, in which order, and what it shows.

use super::fake::Call;
use super::world::{Fault, Pace};
use super::*;
use crate::collect::Filter;
use crate::kafka::{ErrorCode, OffsetSpec};
use crate::lag::{Distance, GroupId, Isolation, UncommittedPolicy};
use crate::snapshot::GroupState;

fn filter(include: &[&str], exclude: &[&str]) -> Filter {
    Filter::new(include, exclude).expect("the patterns are valid")
}

fn described(calls: &[Call]) -> Vec<&str> {
    let described = calls.iter().filter_map(|call| match call {
        Call::Describe(group) => Some(group.as_str()),
        _ => None,
    });
    described.collect()
}

#[tokio::test(start_paused = true)]
async fn a_cycle_shows_the_lag_of_every_partition() {
    let mut watch = Watch::new(PollConfig::default(), orders);
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
    assert_eq!(snapshot.brokers.len(), 3);
    assert_eq!(snapshot.last_complete, Some(snapshot.taken_at));
    assert_eq!(snapshot.last_up, Some(snapshot.taken));
    assert_eq!(watch.polls(CycleOutcome::Complete), 1);
    let ends: Vec<u64> = snapshot.topics[0]
        .partitions
        .iter()
        .filter_map(|row| row.marks.map(|(_, marks)| marks.log_end.value()))
        .collect();
    assert_eq!(ends, [100, 100, 100]);
}

#[tokio::test(start_paused = true)]
async fn commits_are_read_before_log_ends() {
    let mut watch = Watch::new(PollConfig::default(), orders);
    watch.poll().await;
    let calls = watch.cluster.take_calls();
    let all: Vec<TopicPartition> = (0..3).map(|n| TopicPartition::new("orders", n)).collect();
    let offsets = |spec| Call::Offsets(spec, Isolation::ReadUncommitted, all.clone());
    assert_eq!(
        calls,
        [
            Call::Metadata,
            Call::ListGroups(vec![1, 2, 3]),
            Call::Describe("billing".to_owned()),
            Call::Commits("billing".to_owned(), None),
            offsets(OffsetSpec::Earliest),
            offsets(OffsetSpec::Latest),
            // The records that wait are older than what was seen.
            offsets(OffsetSpec::Timestamp(0)),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_busy_group_that_keeps_up_is_never_ahead() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("idle", 2, &[("orders", 0, 100)]);
        world.pace = Pace::Busy;
    });
    for _ in 0..5 {
        let snapshot = watch.poll().await;
        let row = latest(&snapshot, "idle", "orders", 0);
        let Some(Lag::Known(Distance { lag, ahead, .. })) = row else {
            panic!("the lag is known: {row:?}");
        };
        assert_eq!(ahead, 0);
        assert!(lag > 0, "the log moved on after the commit was read");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_filtered_out_is_never_asked_about() {
    let config = PollConfig {
        groups: filter(&["^b"], &["test$"]),
        topics: filter(&[], &["^__"]),
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        world.topic("__internal", 1, 50);
        world.group("audit", 1, &[("orders", 0, 5)]);
        world.group("b-test", 2, &[("orders", 0, 5)]);
        let internal = TopicPartition::new("__internal", 0);
        world.group_mut("billing").commits.insert(internal, 1);
        world.member("billing", "m", &[("__internal", 0)]);
    });
    let snapshot = watch.poll().await;
    let calls = watch.cluster.take_calls();
    assert_eq!(described(&calls), ["billing"]);
    let asks_about_others = calls.iter().any(|call| match call {
        Call::Commits(group, _) => group != "billing",
        Call::Offsets(_, _, asked) => asked.iter().any(|id| id.topic.as_str() != "orders"),
        _ => false,
    });
    assert!(!asks_about_others, "{calls:?}");
    assert_eq!(ids(&snapshot), ["billing"]);
    assert_eq!(snapshot.topics.len(), 1);
    assert_eq!(commits(&snapshot, "billing").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn at_most_so_many_requests_for_groups_are_sent_at_once() {
    let config = PollConfig {
        max_in_flight: 4,
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        world.topic("orders", 1, 100);
        for number in 0..1_000 {
            world.group(&format!("g{number}"), 1, &[("orders", 0, 1)]);
        }
        world.group_latency = Duration::from_millis(10);
    });
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.groups.len(), 1_000);
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    // Four of each kind: members and commits are read side by side.
    assert_eq!(watch.cluster.most_groups_in_flight(), 8);
}

#[tokio::test(start_paused = true)]
async fn groups_without_members_are_not_described() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("left", 3, &[("orders", 1, 40)]);
        world.group_mut("left").state = GroupState::Empty;
    });
    let snapshot = watch.poll().await;
    assert_eq!(described(&watch.cluster.take_calls()), ["billing"]);
    assert_eq!(lag(&snapshot, "left", "orders", 1), Some(60));
    let membership = group(&snapshot, "left").and_then(|row| row.membership.clone());
    let membership = membership.expect("the listing tells the state");
    assert_eq!(membership.state, GroupState::Empty);
    assert_eq!(membership.coordinator, Some(crate::lag::BrokerId(3)));
    assert!(membership.members.is_empty());
}

#[tokio::test(start_paused = true)]
async fn assigned_partitions_without_a_commit_are_the_groups_too() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        world.topic("orders", 3, 100);
        world.group("billing", 1, &[("orders", 0, 90)]);
        world.member("billing", "b", &[("orders", 0)]);
        world.member("billing", "a", &[("orders", 2)]);
    });
    let snapshot = watch.poll().await;
    assert_eq!(
        commits(&snapshot, "billing"),
        [
            ("orders-0".to_owned(), Some(true)),
            ("orders-2".to_owned(), Some(false)),
        ]
    );
    assert_eq!(lag(&snapshot, "billing", "orders", 2), None);
    assert_eq!(
        latest(&snapshot, "billing", "orders", 2),
        Some(Lag::NoCommit { backlog: Some(100) })
    );
    let row = group(&snapshot, "billing").expect("the group is there");
    let members = &row.membership.as_ref().expect("it was described").members;
    let owners: Vec<&str> = row
        .partitions
        .iter()
        .filter_map(|row| members.get(row.owner?.index()))
        .map(|member| member.id.as_ref())
        .collect();
    assert_eq!(owners, ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn members_keep_the_order_of_the_coordinator() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        world.topic("orders", 2, 100);
        world.group("billing", 1, &[]);
        world.member("billing", "b", &[("orders", 1)]);
        world.member("billing", "a", &[("orders", 0)]);
    });
    let snapshot = watch.poll().await;
    let row = group(&snapshot, "billing").expect("the group is there");
    let members = &row.membership.as_ref().expect("it was described").members;
    let ids: Vec<&str> = members.iter().map(|member| member.id.as_ref()).collect();
    assert_eq!(ids, ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn an_uncommitted_backlog_counts_where_the_policy_says_so() {
    let config = PollConfig {
        uncommitted: UncommittedPolicy::LogStart,
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        world.topic("orders", 1, 100);
        world.log("orders", 0).start = 40;
        world.group("new", 1, &[]);
        world.member("new", "m", &[("orders", 0)]);
    });
    let snapshot = watch.poll().await;
    assert_eq!(lag(&snapshot, "new", "orders", 0), Some(60));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_describe_groups_is_read_in_full_all_the_same() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        let unsupported = Fault::Error(ErrorCode::UNSUPPORTED_FEATURE);
        world.faults.describe_all = Some(unsupported);
    });
    let snapshot = watch.poll().await;
    assert_eq!(described(&watch.cluster.take_calls()), ["billing"]);
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
    assert!(group(&snapshot, "billing").is_some_and(|row| row.membership.is_none()));
    // The client knows by itself what a broker cannot do, and sends no request; a broker may be replaced by a newer one.
    watch.poll().await;
    assert_eq!(described(&watch.cluster.take_calls()), ["billing"]);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_described_does_not_stop_describing_others() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("a-strange-one", 1, &[("orders", 0, 60)]);
        let unsupported = Fault::Error(ErrorCode::UNSUPPORTED_VERSION);
        let describe = &mut world.faults.describe;
        describe.insert("a-strange-one".to_owned(), unsupported);
    });
    for _ in 0..2 {
        watch.poll().await;
    }
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(lag(&snapshot, "a-strange-one", "orders", 0), Some(40));
    let is_described = |id| group(&snapshot, id).map(|row| row.membership.is_some());
    assert_eq!(is_described("a-strange-one"), Some(false));
    assert_eq!(is_described("billing"), Some(true));
}

#[tokio::test(start_paused = true)]
async fn named_groups_are_watched_without_listing() {
    let config = PollConfig {
        group_names: vec!["billing".into(), "nobody".into()],
        groups: filter(&["^nothing$"], &[]),
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        world.group("other", 1, &[("orders", 0, 1)]);
    });
    let snapshot = watch.poll().await;
    assert_eq!(ids(&snapshot), ["billing"]);
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    let lists = |call: &Call| matches!(call, Call::ListGroups(_));
    assert!(!watch.cluster.take_calls().iter().any(lists));
}

fn named_topics() -> PollConfig {
    PollConfig {
        group_names: vec!["billing".into()],
        topic_names: vec!["orders".into(), "payments".into(), "missing".into()],
        ..PollConfig::default()
    }
}

#[tokio::test(start_paused = true)]
async fn named_topics_are_named_in_the_commit_request() {
    let mut watch = Watch::new(named_topics(), |world| {
        orders(world);
        world.topic("payments", 1, 10);
        world.topic("unwatched", 1, 10);
    });
    let snapshot = watch.poll().await;
    let asked = watch
        .cluster
        .take_calls()
        .into_iter()
        .find_map(|call| match call {
            Call::Commits(_, asked) => asked,
            _ => None,
        });
    let asked: Vec<String> = asked
        .expect("the partitions are named")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(asked, ["orders-0", "orders-1", "orders-2", "payments-0"]);
    assert_eq!(
        snapshot.outcome,
        CycleOutcome::Complete,
        "a topic need not exist yet"
    );
    // `payments-0` was only named by the request: it is nobody's.
    assert_eq!(commits(&snapshot, "billing").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_tell_assignments_named_partitions_wait_for_their_first_commit() {
    let mut watch = Watch::new(named_topics(), |world| {
        world.topic("orders", 2, 100);
        world.topic("payments", 1, 10);
        world.group("billing", 1, &[]);
        world.faults.describe_all = Some(Fault::Error(ErrorCode::UNSUPPORTED_FEATURE));
    });
    let waiting = |id: &str| (id.to_owned(), Some(false));
    let snapshot = watch.poll().await;
    assert_eq!(
        commits(&snapshot, "billing"),
        [
            waiting("orders-0"),
            waiting("orders-1"),
            waiting("payments-0")
        ]
    );
    let committed = TopicPartition::new("orders", 1);
    watch
        .world()
        .group_mut("billing")
        .commits
        .insert(committed, 7);
    let snapshot = watch.poll().await;
    assert_eq!(
        commits(&snapshot, "billing"),
        [waiting("orders-0"), ("orders-1".to_owned(), Some(true))],
        "its commit shows which of the topics it reads"
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_listed_by_two_brokers_is_one_group_in_its_livelier_state() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        let remnant = (3, GroupState::Empty);
        world.faults.remnants.insert("billing".to_owned(), remnant);
    });
    let snapshot = watch.poll().await;
    assert_eq!(ids(&snapshot), ["billing"]);
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(described(&watch.cluster.take_calls()), ["billing"]);
    assert_eq!(billing(&snapshot), [Some(10), Some(20), Some(30)]);
}

#[tokio::test(start_paused = true)]
async fn group_ids_may_hold_any_text() {
    let ids: [&str; 6] = [
        "",
        "a b",
        "a\"b\\c",
        "a:b/c",
        "gr\u{fc}\u{df}e-\u{1f4e6}",
        "task-service",
    ];
    let mut watch = Watch::new(PollConfig::default(), |world| {
        world.topic("orders", 1, 100);
        for id in ids {
            world.group(id, 1, &[("orders", 0, 60)]);
        }
    });
    let snapshot = watch.poll().await;
    for id in ids {
        assert_eq!(lag(&snapshot, id, "orders", 0), Some(40), "{id:?}");
    }
    assert!(snapshot.groups.is_sorted_by_key(|row| row.id.clone()));
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_topic_or_group_share_its_name() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("other", 2, &[("orders", 0, 1)]);
    });
    let first = watch.poll().await;
    let second = watch.poll().await;
    let topic = |snapshot: &ClusterSnapshot, id| {
        let row = partition(snapshot, id, "orders", 0).expect("the row is there");
        row.id.topic.as_str().as_ptr()
    };
    let id = |snapshot: &ClusterSnapshot| -> GroupId {
        group(snapshot, "other")
            .expect("the group is there")
            .id
            .clone()
    };
    assert_eq!(topic(&first, "billing"), topic(&first, "other"));
    assert_eq!(topic(&first, "billing"), topic(&second, "billing"));
    assert_eq!(id(&first).as_str().as_ptr(), id(&second).as_str().as_ptr());
}
