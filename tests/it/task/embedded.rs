//! The task consumer on the embedded cluster: failures, rebalances, long processing, and what must not happen.

use std::time::Duration;

use lagwatch::kafka::{Api, ErrorCode, Header};
use lagwatch::task::dead_letter::{
    ATTEMPTS, ERROR, ORIGINAL_OFFSET, ORIGINAL_PARTITION, ORIGINAL_TOPIC,
};
use lagwatch::task::{CommitMode, CommitStrategy, HandlerError, TaskConfig, TaskError};

use super::world::{Recorder, TOPIC, World, per_batch};

const REBALANCES: &str = "lagwatch_task_rebalances_total";

#[tokio::test]
async fn a_record_that_fails_for_good_becomes_a_dead_letter_and_only_then_is_passed() {
    let world = World::new(2);
    world.send_all(0, ["a", "bad", "c"]).await;
    world.send_all(1, ["e", "f"]).await;
    let (handler, calls) = Recorder::new(|id, _| match id {
        "bad" => Err(HandlerError::Transient("no such user".into())),
        _ => Ok(()),
    });
    let task = world.start(TaskConfig {
        handler: Some(handler),
        max_attempts: 3.try_into().expect("not zero"),
        ..world.config("g")
    });
    world.wait_for_commit("g", 0, 3).await;
    world.wait_for_commit("g", 1, 2).await;
    let log = task.log();
    let summary = task.stop().await;
    assert_eq!((summary.dead_letters, summary.retries), (1, 2));

    let letter = world.read("dead", 1).await.remove(0);
    assert_eq!(letter.key.as_deref(), Some(&b"key"[..]));
    let value = letter.value.expect("the original value");
    assert!(String::from_utf8_lossy(&value).contains(r#""id":"bad""#));
    assert_eq!(
        letter.headers,
        [
            Header::text(ORIGINAL_TOPIC, TOPIC),
            Header::text(ORIGINAL_PARTITION, "0"),
            Header::text(ORIGINAL_OFFSET, "1"),
            Header::text(ERROR, "no such user"),
            Header::text(ATTEMPTS, "3"),
        ]
    );
    let calls = calls.lock().expect("no writer panics");
    let on_first: Vec<&str> = calls
        .iter()
        .map(|(id, _)| id.as_str())
        .filter(|id| ["a", "bad", "c"].contains(id))
        .collect();
    assert_eq!(on_first, ["a", "bad", "bad", "bad", "c"]);
    for line in [
        "attempt 1 failed on `task-created-0` at offset 1: no such user; the partition is paused",
        "gave the record of `task-created-0` at offset 1 up after attempt 3: no such user",
        "the record of `task-created-0` at offset 1 is in the dead-letter topic",
    ] {
        assert!(log.contains(line), "no `{line}` in\n{log}");
    }
}

#[tokio::test]
async fn bad_json_is_a_failed_record_that_another_attempt_cannot_help() {
    let world = World::new(1);
    for commit in [
        CommitStrategy::PerMessage,
        per_batch(100, Duration::from_millis(20), CommitMode::Async),
    ] {
        let group = format!("g-{}", commit.mode_label());
        world.send(0, format!("a-{group}")).await;
        world.send_raw(0, r#"{"id": "#).await;
        world.send(0, format!("b-{group}")).await;
    }
    for commit in [
        CommitStrategy::PerMessage,
        per_batch(100, Duration::from_millis(20), CommitMode::Async),
    ] {
        let group = format!("g-{}", commit.mode_label());
        let task = world.start(TaskConfig {
            commit,
            dead_letter_topic: format!("dead-{group}").as_str().into(),
            ..world.config(&group)
        });
        world.wait_for_commit(&group, 0, 6).await;
        let summary = task.stop().await;
        assert_eq!((summary.processed, summary.dead_letters), (4, 2));
        assert_eq!(summary.retries, 0);
        let letters = world.read(&format!("dead-{group}"), 2).await;
        for letter in letters {
            assert_eq!(letter.value.as_deref(), Some(&br#"{"id": "#[..]));
            let attempts = Header::text(ATTEMPTS, "1");
            assert!(letter.headers.contains(&attempts), "{letter:?}");
        }
    }
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_written_is_tried_again_and_never_skipped() {
    let world = World::new(1);
    world.send_raw(0, "poison").await;
    world.send(0, "b").await;
    // Errors that librdkafka does not retry by itself.
    let refused = [ErrorCode::TOPIC_AUTHORIZATION_FAILED; 3];
    world.cluster.push_request_errors(Api::PRODUCE, &refused);
    let task = world.start(world.config("g"));
    world.wait_for_commit("g", 0, 2).await;
    let failures = [("code", "TOPIC_AUTHORIZATION_FAILED")];
    assert!(task.metric("lagwatch_task_errors_total", &failures) >= 3);
    let line = "the dead letter of `task-created-0` at offset 0 could not be written: ";
    assert!(task.log().contains(line), "{}", task.log());
    assert_eq!(task.stop().await.dead_letters, 1);
    assert_eq!(world.read("dead", 1).await.len(), 1);
}

#[tokio::test]
async fn a_dead_letter_is_passed_while_other_partitions_keep_the_consumer_busy() {
    let world = World::new(2);
    world.send_raw(0, "poison").await;
    world.send(0, "b").await;
    world.send_all(1, 0..1_000).await;
    let task = world.start(TaskConfig {
        processing_delay: Duration::from_millis(20),
        ..world.config("g")
    });
    world.wait_for_commit("g", 0, 2).await;
    assert!(world.audited("g").len() < 1_000, "the other one is done");
    task.stop().await;
}

#[tokio::test]
async fn an_asynchronous_commit_is_sent_while_a_long_record_is_in_hand() {
    let world = World::new(1);
    world.send_all(0, ["a", "b"]).await;
    let task = world.start(TaskConfig {
        commit: per_batch(1_000, Duration::from_millis(50), CommitMode::Async),
        processing_delay: Duration::from_secs(4),
        ..world.config("g")
    });
    world.wait_for_commit("g", 0, 1).await;
    assert_eq!(world.audited("g"), ["a"]);
    task.abort().await;
}

#[tokio::test]
async fn long_processing_keeps_the_membership() {
    let world = World::new(1);
    world.send_all(0, ["a", "b"]).await;
    let mut config = world.config("g");
    // The smallest that librdkafka takes with this session timeout.
    config
        .properties
        .insert("max.poll.interval.ms".into(), "1500".into());
    let task = world.start(TaskConfig {
        processing_delay: Duration::from_secs(4),
        ..config
    });
    world.wait_for_commit("g", 0, 2).await;
    assert_eq!(task.metric(REBALANCES, &[("event", "assigned")]), 1);
    assert_eq!(task.metric(REBALANCES, &[("event", "lost")]), 0);
    assert_eq!(task.metric("lagwatch_task_errors_total", &[]), 0);
    assert_eq!(task.stop().await.duplicates, 0);
}

#[tokio::test]
async fn revoked_partitions_wait_for_the_record_in_hand_and_no_longer_than_they_may() {
    let world = World::new(2);
    world.send_all(0, ["a"]).await;
    world.send_all(1, ["b"]).await;
    let stuck = world.start(TaskConfig {
        processing_delay: Duration::from_secs(600),
        revoke_timeout: Duration::from_millis(300),
        grace_period: Duration::from_millis(300),
        ..world.config("g")
    });
    stuck.wait_for_partitions(2).await;
    let other = world.start(TaskConfig {
        audit_log: world.audit_log("other"),
        ..world.config("g")
    });
    other.wait_for_partitions(1).await;
    world.wait_for_audited("other", 1).await;
    // The shutdown does not wait for ever either, and what was in hand is not committed.
    stuck.request_stop();
    assert!(matches!(
        stuck.end().await,
        Err(TaskError::GracePeriod { .. })
    ));
    world.wait_for_audited("other", 2).await;
    other.stop().await;
}

#[tokio::test]
async fn what_waits_in_memory_is_bounded_and_all_of_it_is_done() {
    let world = World::new(2);
    for partition in 0..2 {
        let ids = (0..500).map(|number| format!("{partition}-{number}"));
        world.send_all(partition, ids).await;
    }
    let task = world.start(TaskConfig {
        buffered_records: 7.try_into().expect("not zero"),
        commit: per_batch(50, Duration::from_millis(50), CommitMode::Async),
        ..world.config("g")
    });
    world.wait_for_commit("g", 0, 500).await;
    world.wait_for_commit("g", 1, 500).await;
    assert_eq!(task.stop().await.processed, 1_000);
}

#[tokio::test]
async fn an_audit_log_that_cannot_be_written_is_an_error_at_start() {
    let world = World::new(1);
    world.send(0, "a").await;
    let folder = world.audit_log("missing").join("audit.sqlite");
    let task = world.start(TaskConfig {
        audit_log: folder,
        ..world.config("g")
    });
    let error = task.end().await.expect_err("there is no such folder");
    assert!(matches!(error, TaskError::Audit(_)), "{error:?}");
    assert_eq!(world.committed("g", 1).await, [].into());
}
