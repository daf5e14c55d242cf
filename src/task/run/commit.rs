//! Commits of what is done.

use std::time::Instant;

use tokio::time::sleep_until;

use super::member::TaskMember;
use crate::kafka::KafkaError;
use crate::lag::{Offset, TopicPartition};
use crate::task::commit_schedule::CompletedCommit;
use crate::task::config::CommitMode;

/// Commits if a commit is due.
pub(super) async fn commit_if_due(member: &mut TaskMember) {
    let now = Instant::now();
    if member.commits.due_at().is_some_and(|at| at <= now)
        && let Some(mode) = member.commits.mode()
    {
        commit(member, mode).await;
    }
}

/// Commits what is done on every partition; waits for the answer if `mode` says so.
pub(super) async fn commit(member: &mut TaskMember, mode: CommitMode) {
    let offsets = member.assigned.uncommitted();
    if offsets.is_empty() {
        member.commits.clear();
        return;
    }
    let answer = member.consumer.commit(offsets.clone());
    member.commits.begin(answer, offsets, mode, Instant::now());
    if mode == CommitMode::Sync {
        let completed = member.commits.completed().await;
        note_commit(member, completed);
    }
}

/// Commits what is done, before partitions are given back, unless librdkafka does. Tries twice.
pub(super) async fn commit_last(member: &mut TaskMember) {
    if member.commits.mode().is_none() {
        return;
    }
    if member.commits.is_in_flight() {
        let completed = member.commits.completed().await;
        note_commit(member, completed);
    }
    commit(member, CommitMode::Sync).await;
    if let Some(at) = member.commits.due_at() {
        sleep_until(at.into()).await;
        commit(member, CommitMode::Sync).await;
    }
}

/// Notes the answer to a commit.
pub(super) fn note_commit(member: &mut TaskMember, completed: CompletedCommit) {
    let CompletedCommit {
        offsets,
        result,
        duration,
        mode,
    } = completed;
    let journal = &mut member.journal.group;
    journal.commit_answered(&offsets, mode.label(), &result, Some(duration));
    if result.is_ok() {
        member.assigned.confirm(offsets);
    }
}

/// Notes the answer to a commit of librdkafka's own.
pub(super) fn note_auto_commit(
    member: &mut TaskMember,
    offsets: Vec<(TopicPartition, Offset)>,
    result: &Result<(), KafkaError>,
) {
    let journal = &mut member.journal.group;
    journal.commit_answered(&offsets, "auto", result, None);
    if result.is_ok() {
        member.assigned.confirm(offsets);
    }
}
