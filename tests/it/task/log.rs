//! What a reader of the task consumer's log sees, line by line; failures of records are in `embedded`.

use std::time::Duration;

use lagwatch::kafka::{Api, ErrorCode, OffsetReset};
use lagwatch::task::{CommitMode, CommitStrategy, TaskConfig};

use super::world::{RunningTask, World, per_batch};

const ERRORS: &str = "lagwatch_task_errors_total";
const REBALANCES: &str = "lagwatch_task_rebalances_total";

/// An interval that never passes.
const NEVER: Duration = Duration::from_secs(3_600);

/// Kafka's answer to a member that the group went on without.
const UNKNOWN_MEMBER_ID: ErrorCode = ErrorCode::new(25);

#[tokio::test]
async fn what_the_log_tells_reads_alone() {
    let world = World::new(1);
    world.send(0, "a").await;
    let task = world.start(world.config("g"));
    world.wait_for_commit("g", 0, 1).await;
    task.wait_for_line("reached end of partition").await;
    let log = ended_log(task).await;
    for line in [
        "subscribed to `task-created` as group `g`: commits per message, sync",
        "rebalance: given `task-created-0`; 1 in all",
        "processed task `title of a` (id a, key `key`) of `task-created-0` at offset 0",
        "committed `task-created-0` at 1 (sync)",
        "reached end of partition `task-created-0` at offset 1",
        "shutting down: finishing the record in hand, committing and leaving group `g`",
        "consumer closed: 1 processed, 0 duplicates, 0 dead letters",
    ] {
        assert!(log.contains(line), "no `{line}` in\n{log}");
    }
}

async fn ended_log(task: RunningTask) -> String {
    let log = task.log_handle();
    task.stop().await;
    log.text()
}

#[tokio::test]
async fn a_subscription_is_told_with_its_policy() {
    let world = World::new(1);
    let second = Duration::from_secs(1);
    for (commit, text) in [
        (
            CommitStrategy::Auto { interval: second },
            "commits auto, every 1s; begins at the latest record",
        ),
        (
            CommitStrategy::AutoStore { interval: second },
            "commits auto-store, every 1s; begins at the latest record",
        ),
        (
            per_batch(500, second, CommitMode::Sync),
            "commits per batch of 500 or 1s, sync; begins at the latest record",
        ),
    ] {
        let task = world.start(TaskConfig {
            commit,
            auto_offset_reset: OffsetReset::Latest,
            ..world.config("g")
        });
        let log = ended_log(task).await;
        assert!(log.contains(text), "no `{text}` in\n{log}");
    }
}

#[tokio::test]
async fn a_rebalance_is_told_with_what_was_taken_and_given() {
    let world = World::new(2);
    let first = world.start(world.config("g"));
    first.wait_for_partitions(2).await;
    let second = world.start(world.config("g"));
    second.wait_for_partitions(1).await;
    first.wait_for_partitions(1).await;
    let given = "rebalance: given `task-created-0`, `task-created-1`; 2 in all";
    first.wait_for_line(given).await;
    let taken = |number| format!("rebalance: taken `task-created-{number}`; 1 left");
    let log = first.log();
    assert!(
        (0..2).any(|number| log.contains(&taken(number))),
        "the assignment is cooperative: {log}"
    );
    second.wait_for_line("; 1 in all").await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn lost_partitions_are_told_and_nothing_of_them_is_committed() {
    let world = World::new(1);
    world.send(0, "a").await;
    let task = world.start(TaskConfig {
        commit: per_batch(1_000, NEVER, CommitMode::Async),
        ..world.config("g")
    });
    world.wait_for_audited("g", 1).await;
    world
        .cluster
        .push_request_errors(Api::HEARTBEAT, &[UNKNOWN_MEMBER_ID]);
    let line = "lost `task-created-0`: the group went on without this member, nothing of it is committed; 0 left";
    task.wait_for_line(line).await;
    assert_eq!(task.metric(REBALANCES, &[("event", "lost")]), 1);
    assert_eq!(world.committed("g", 1).await, [].into());
    // It joins again, and what comes again is known.
    task.wait_for_line("skipped task a of `task-created-0` at offset 0: it was done before")
        .await;
    assert_eq!(task.stop().await.processed, 1);
    assert_eq!(world.committed("g", 1).await, [(0, 1)].into());
}

#[tokio::test]
async fn commits_of_librdkafkas_own_are_told_as_such() {
    let world = World::new(1);
    world.send(0, "a").await;
    let interval = Duration::from_millis(20);
    let task = world.start(TaskConfig {
        commit: CommitStrategy::AutoStore { interval },
        ..world.config("g")
    });
    task.wait_for_line("committed `task-created-0` at 1 (auto)")
        .await;
    task.stop().await;
}

#[tokio::test]
async fn a_group_or_topic_that_is_not_granted_is_told_once_and_tried_again() {
    for (api, refused) in [
        (Api::FIND_COORDINATOR, ErrorCode::GROUP_AUTHORIZATION_FAILED),
        (Api::FETCH, ErrorCode::TOPIC_AUTHORIZATION_FAILED),
    ] {
        let world = World::new(1);
        world.send(0, "a").await;
        world.cluster.push_request_errors(api, &[refused; 2]);
        let task = world.start(world.config("g"));
        task.wait_for_metric(ERRORS, &[("code", refused.name())], 1)
            .await;
        // It is let in after all.
        world.wait_for_commit("g", 0, 1).await;
        let log = task.log();
        let line = "trying again; the credentials or permissions need a look";
        assert_eq!(log.matches(line).count(), 1, "{refused}: {log}");
        assert!(log.contains("Kafka answers again, after "), "{log}");
        task.stop().await;
    }
}

#[tokio::test]
async fn an_audit_log_that_somebody_else_locks_is_told_and_holds_everything_up() {
    let world = World::new(1);
    world.send(0, "a").await;
    let task = world.start(world.config("g"));
    world.wait_for_commit("g", 0, 1).await;
    let other = rusqlite::Connection::open(world.audit_log("g")).expect("the file is there");
    let locked = other.execute_batch("BEGIN IMMEDIATE");
    locked.expect("nobody else writes now");
    world.send(0, "b").await;
    task.wait_for_line("nothing is processed until it can be written, tried again every ")
        .await;
    assert_eq!(world.committed("g", 1).await, [(0, 1)].into());
    assert_eq!(task.metric(ERRORS, &[("code", "audit_log")]), 1);
    let unlocked = other.execute_batch("ROLLBACK");
    unlocked.expect("the lock is this connection's");
    task.wait_for_line("the audit log can be written again")
        .await;
    world.wait_for_commit("g", 0, 2).await;
    assert_eq!(world.audited("g"), ["a", "b"]);
    task.stop().await;
}
