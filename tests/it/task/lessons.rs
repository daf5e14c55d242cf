//! The lessons the task consumer was built on, a test for each; where a real Kafka could differ, on that too.

use std::time::Duration;

use lagwatch::kafka::{Api, ErrorCode, OffsetReset};
use lagwatch::lag::BrokerId;
use lagwatch::task::{CommitMode, CommitStrategy, HandlerError, Preset, TaskConfig};

use super::world::{Recorder, RunningTask, TOPIC, World, metric, per_batch, until};

const COMMITS: &str = "lagwatch_task_commits_total";
const MESSAGES: &str = "lagwatch_task_messages_total";
const ERRORS: &str = "lagwatch_task_errors_total";

#[tokio::test]
async fn poll_process_commit_for_ever_and_a_poll_that_finds_nothing_is_normal() {
    let world = World::new(1);
    let task = world.start(world.config("g"));
    task.wait_for_line("reached end of partition").await;
    for id in 0..3 {
        world.send(0, id).await;
        world.wait_for_audited("g", id + 1).await;
        world.wait_for_commit("g", 0, id as u64 + 1).await;
    }
    let summary = task.stop().await;
    assert_eq!((summary.processed, summary.duplicates), (3, 0));
    assert_eq!(world.audited("g"), ["0", "1", "2"]);
}

#[tokio::test]
async fn offset_reset_decides_only_where_there_is_no_commit() {
    reset_offsets(&World::new(1)).await;
}

#[tokio::test]
#[ignore = "needs Java 17 and Maven"]
async fn on_kafka_offset_reset_decides_only_where_there_is_no_commit() {
    reset_offsets(&World::on_kafka(1)).await;
}

async fn reset_offsets<C>(world: &World<C>) {
    world.send_all(0, ["old-0", "old-1"]).await;
    let with = |group: &str, reset| TaskConfig {
        auto_offset_reset: reset,
        ..world.config(group)
    };

    let earliest = world.start(with("earliest", OffsetReset::Earliest));
    let latest = world.start(with("latest", OffsetReset::Latest));
    world.wait_for_audited("earliest", 2).await;
    latest.wait_for_line("reached end of partition").await;
    world.send(0, "new").await;
    world.wait_for_audited("earliest", 3).await;
    world.wait_for_audited("latest", 1).await;
    earliest.stop().await;
    latest.stop().await;
    assert_eq!(world.audited("earliest"), ["old-0", "old-1", "new"]);
    assert_eq!(world.audited("latest"), ["new"]);

    // Now both groups have a commit, and the other policy changes nothing.
    world.send(0, "missed").await;
    let earliest = world.start(with("latest", OffsetReset::Earliest));
    let latest = world.start(with("earliest", OffsetReset::Latest));
    world.wait_for_audited("earliest", 4).await;
    world.wait_for_audited("latest", 2).await;
    assert_eq!(earliest.stop().await.processed, 1);
    assert_eq!(latest.stop().await.processed, 1);
}

#[tokio::test]
async fn auto_commits_what_is_still_in_hand_and_auto_store_does_not() {
    let world = World::new(1);
    world.send_all(0, ["a", "b"]).await;
    let interval = Duration::from_millis(20);
    let slow = |group: &str, commit| TaskConfig {
        commit,
        processing_delay: Duration::from_secs(60),
        ..world.config(group)
    };
    let auto = world.start(slow("auto", CommitStrategy::Auto { interval }));
    let stored = world.start(slow("stored", CommitStrategy::AutoStore { interval }));
    // The record is in hand and will be for a minute, yet it counts as consumed.
    world.wait_for_commit("auto", 0, 1).await;
    stored.wait_for_partitions(1).await;
    assert_eq!(world.audited("auto"), Vec::<String>::new());
    auto.abort().await;
    stored.abort().await;

    let fast = |group: &str, commit| TaskConfig {
        commit,
        ..world.config(group)
    };
    let auto = world.start(fast("auto", CommitStrategy::Auto { interval }));
    let stored = world.start(fast("stored", CommitStrategy::AutoStore { interval }));
    world.wait_for_audited("auto", 1).await;
    world.wait_for_audited("stored", 2).await;
    auto.wait_for_line("reached end of partition").await;
    auto.stop().await;
    stored.stop().await;
    assert_eq!(world.audited("auto"), ["b"], "`a` is lost");
    assert_eq!(world.audited("stored"), ["a", "b"], "nothing is lost");
}

#[tokio::test]
async fn commits_are_per_message_or_per_batch() {
    let world = World::new(1);
    world.send_all(0, 0..10).await;
    let long = Duration::from_secs(3_600);
    let cases = [
        ("each", CommitStrategy::PerMessage, 10, "sync"),
        ("sync", per_batch(5, long, CommitMode::Sync), 2, "sync"),
        ("whole", per_batch(10, long, CommitMode::Async), 1, "async"),
    ];
    for (group, commit, commits, mode) in cases {
        let task = world.start(TaskConfig {
            commit,
            ..world.config(group)
        });
        world.wait_for_commit(group, 0, 10).await;
        task.wait_for_metric(COMMITS, &[("mode", mode), ("result", "ok")], 1)
            .await;
        let expected = [("mode", mode), ("result", "ok"), ("topic", TOPIC)];
        until("the last commit's answer", async || {
            task.metric(COMMITS, &expected) >= commits
        })
        .await;
        let log = task.log();
        assert!(
            log.contains(&format!("committed `task-created-0` at 10 ({mode})")),
            "{log}"
        );
        let own = task.own();
        task.stop().await;
        let committed = metric(&own, COMMITS, &[("result", "ok")]);
        assert_eq!(committed, commits, "{group}");
    }
}

#[tokio::test]
async fn a_batch_that_never_fills_is_committed_after_its_interval() {
    let world = World::new(1);
    world.send(0, "a").await;
    let task = world.start(TaskConfig {
        commit: per_batch(1_000, Duration::from_millis(50), CommitMode::Async),
        ..world.config("g")
    });
    world.wait_for_commit("g", 0, 1).await;
    task.stop().await;
}

#[tokio::test]
async fn an_asynchronous_commit_that_fails_is_counted_and_made_good_by_a_later_one() {
    let world = World::new(1);
    world.send_all(0, 0..3).await;
    // An error that librdkafka does not retry by itself.
    let refused = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    world
        .cluster
        .push_request_errors(Api::OFFSET_COMMIT, &[refused]);
    let task = world.start(TaskConfig {
        commit: per_batch(1, Duration::from_secs(1), CommitMode::Async),
        ..world.config("g")
    });
    let failed = [("mode", "async"), ("result", "error")];
    task.wait_for_metric(COMMITS, &failed, 1).await;
    world.wait_for_commit("g", 0, 3).await;
    let line = "a later commit makes it good";
    assert!(task.log().contains(line), "{}", task.log());
    assert_eq!(task.metric(ERRORS, &[("code", refused.name())]), 1);
    let own = task.own();
    task.stop().await;
    assert_eq!(metric(&own, COMMITS, &[("result", "error")]), 1);
}

#[tokio::test]
async fn what_failed_is_not_committed_and_never_committed_past() {
    let world = World::new(2);
    world.send_all(0, ["a", "bad", "c", "d"]).await;
    world.send_all(1, ["e", "f", "g"]).await;
    let (handler, calls) = Recorder::new(|id, _| match id {
        "bad" => Err(HandlerError::Transient("not today".into())),
        _ => Ok(()),
    });
    let task = world.start(TaskConfig {
        handler: Some(handler),
        max_attempts: 1_000_000.try_into().expect("not zero"),
        ..world.config("g")
    });
    // The other partition goes on while the record is tried again and again.
    world.wait_for_commit("g", 1, 3).await;
    task.wait_for_metric("lagwatch_task_retries_total", &[("topic", TOPIC)], 5)
        .await;
    assert_eq!(world.committed("g", 2).await, [(0, 1), (1, 3)].into());
    task.stop().await;
    assert_eq!(world.committed("g", 2).await, [(0, 1), (1, 3)].into());
    let calls = calls.lock().expect("no writer panics");
    assert!(
        calls.iter().all(|(id, _)| id != "c" && id != "d"),
        "overtaken: {calls:?}"
    );
    let attempts: Vec<u32> = calls
        .iter()
        .filter(|(id, _)| id == "bad")
        .map(|(_, attempt)| *attempt)
        .collect();
    let expected: Vec<u32> = (1..).take(attempts.len()).collect();
    assert_eq!(attempts, expected, "one after the other");
}

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing() {
    let world = World::new(2);
    world.send_all(0, ["a", "b", "a"]).await;
    world.send(1, "b").await;
    let (handler, calls) = Recorder::new(|_, _| Ok(()));
    let task = world.start(TaskConfig {
        handler: Some(handler),
        ..world.config("g")
    });
    world.wait_for_commit("g", 0, 3).await;
    world.wait_for_commit("g", 1, 1).await;
    let duplicates = "lagwatch_task_duplicates_total";
    assert_eq!(task.metric(duplicates, &[("topic", TOPIC)]), 2);
    assert_eq!(task.metric(MESSAGES, &[("outcome", "duplicate")]), 2);
    assert_eq!(task.metric(MESSAGES, &[("outcome", "processed")]), 2);
    task.stop().await;
    assert_eq!(calls.lock().expect("no writer panics").len(), 2);
    let mut ids = world.audited("g");
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn partition_eof_is_information_told_once_for_each_catch_up() {
    let world = World::new(1);
    world.send_all(0, 0..50).await;
    let task = world.start(world.config("g"));
    let line = "reached end of partition `task-created-0` at offset 50";
    task.wait_for_line(line).await;
    world.send(0, 50).await;
    task.wait_for_line("at offset 51").await;
    assert_eq!(task.log().matches("reached end of partition").count(), 2);
    assert_eq!(task.metric(ERRORS, &[]), 0);
    task.stop().await;
}

#[tokio::test]
async fn an_unknown_topic_is_waited_for_and_told_once() {
    let world = World::new(1);
    let task = world.start(TaskConfig {
        topics: vec!["later".into()],
        ..world.config("g")
    });
    let unknown = [("code", "UNKNOWN_TOPIC_OR_PART")];
    task.wait_for_metric(ERRORS, &unknown, 1).await;
    task.wait_for_line("waiting for the topic to be created")
        .await;
    world
        .cluster
        .create_topic("later", 2, 1)
        .expect("it is new");
    task.wait_for_partitions(2).await;
    let log = task.log();
    assert_eq!(log.matches("waiting for the topic").count(), 1, "{log}");
    assert!(log.contains("Kafka answers again"), "{log}");
    task.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_waited_for_and_told_once() {
    let world = World::new(1);
    world
        .cluster
        .set_broker_down(BrokerId(1))
        .expect("it is there");
    let task = world.start(world.config("g"));
    let down = [("code", "_ALL_BROKERS_DOWN")];
    task.wait_for_metric(ERRORS, &down, 1).await;
    task.wait_for_line("waiting for a broker to come back")
        .await;
    // Longer than it takes to call a member without partitions idle: this one is in no group.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!task.log().contains("idle:"), "{}", task.log());
    assert!(task.is_running());
    world
        .cluster
        .set_broker_up(BrokerId(1))
        .expect("it is there");
    world.send(0, "a").await;
    world.wait_for_commit("g", 0, 1).await;
    let log = task.log();
    assert_eq!(log.matches("waiting for a broker").count(), 1, "{log}");
    task.stop().await;
}

#[tokio::test]
async fn close_leaves_the_group_at_once() {
    let world = World::new(2);
    world.cluster.start_tracking();
    let leaver = world.start(world.config("g"));
    leaver.wait_for_partitions(2).await;
    let stayer = world.start(world.config("g"));
    stayer.wait_for_partitions(1).await;
    let stopping = std::time::Instant::now();
    leaver.stop().await;
    stayer.wait_for_partitions(2).await;
    // Without the close it would be the session timeout, six seconds here.
    assert!(stopping.elapsed() < Duration::from_secs(5));
    let left = world.cluster.requests().into_iter();
    assert!(
        left.into_iter()
            .any(|request| request.api == Api::LEAVE_GROUP)
    );
    stayer.stop().await;
}

#[tokio::test]
async fn a_member_beyond_the_partition_count_is_idle_and_told_so() {
    let world = World::new(3);
    let mut members: Vec<RunningTask> = Vec::new();
    for _ in 0..4 {
        members.push(world.start(world.config("g")));
    }
    until("three members at work and one idle", async || {
        let owned: Vec<u64> = members
            .iter()
            .map(|member| member.metric("lagwatch_task_assigned_partitions", &[]))
            .collect();
        owned.iter().filter(|count| **count == 1).count() == 3 && owned.contains(&0)
    })
    .await;
    let idle = members
        .iter()
        .find(|member| member.metric("lagwatch_task_assigned_partitions", &[]) == 0)
        .expect("one of them");
    idle.wait_for_line("idle: group `g` has no partition for this member")
        .await;
    for member in members {
        member.stop().await;
    }
}

#[tokio::test]
async fn three_presets_consume_one_topic_with_three_policies() {
    start_presets(&World::new(1)).await;
}

#[tokio::test]
#[ignore = "needs Java 17 and Maven"]
async fn on_kafka_three_presets_consume_one_topic_with_three_policies() {
    start_presets(&World::on_kafka(1)).await;
}

async fn start_presets<C>(world: &World<C>) {
    world.send_all(0, ["old-0", "old-1"]).await;
    let tasks: Vec<_> = Preset::ALL
        .into_iter()
        .map(|preset| {
            let preset = TaskConfig::preset(preset);
            let group = preset.group.to_string();
            world.start(TaskConfig {
                auto_offset_reset: preset.auto_offset_reset,
                commit: preset.commit,
                ..world.config(&group)
            })
        })
        .collect();
    for task in &tasks {
        task.wait_for_line("reached end of partition").await;
    }
    world.send(0, "new").await;
    for group in ["task-dashboard", "task-audit", "task-analytics"] {
        world.wait_for_commit(group, 0, 3).await;
    }
    for task in tasks {
        task.stop().await;
    }
    assert_eq!(world.audited("task-dashboard"), ["new"]);
    assert_eq!(world.audited("task-audit"), ["old-0", "old-1", "new"]);
    assert_eq!(world.audited("task-analytics"), ["old-0", "old-1", "new"]);
}

#[tokio::test]
async fn a_shutdown_finishes_the_record_in_hand_commits_and_closes() {
    let world = World::new(1);
    world.send_all(0, 0..100).await;
    let task = world.start(TaskConfig {
        commit: per_batch(1_000, Duration::from_secs(60), CommitMode::Async),
        processing_delay: Duration::from_millis(50),
        ..world.config("g")
    });
    world.wait_for_audited("g", 2).await;
    let log = task.log_handle();
    let summary = task.stop().await;
    let log = log.text();
    let done = world.audited("g").len() as u64;
    assert_eq!(summary.processed, done);
    assert!(done < 100, "the batch was ended between two records");
    assert_eq!(world.committed("g", 1).await, [(0, done)].into());
    assert!(log.contains("consumer closed"), "{log}");
}
