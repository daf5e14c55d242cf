//! The loop: reading events, processing records, and waiting.

use std::time::Instant;

use futures_util::FutureExt;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::commit::{commit, commit_if_due, note_commit};
use super::events::{give_back, handle, note};
use super::member::TaskMember;
use super::settle::{move_past, settle};
use super::shutdown::{GracePeriod, finish};
use crate::kafka::{ErrorCode, KafkaError};
use crate::task::config::CommitMode;
use crate::task::error::TaskError;
use crate::task::item::Item;
use crate::task::summary::TaskSummary;
use crate::task::work::Worker;

/// The most records in progress at once: one transaction of the audit log.
const BATCH: usize = 1_000;

/// The loop and what it works on.
pub(super) struct Consuming {
    pub(super) member: TaskMember,
    pub(super) worker: Worker,
    pub(super) grace: GracePeriod,
}

impl Consuming {
    /// Consumes until `shutdown` is cancelled, then finishes within the grace period.
    pub(super) async fn run(
        mut self,
        shutdown: CancellationToken,
    ) -> Result<TaskSummary, TaskError> {
        while !shutdown.is_cancelled() {
            self.note_what_came().await?;
            commit_if_due(&mut self.member).await;
            let items = next_batch(&mut self.member, Instant::now());
            if items.is_empty() {
                wait(&mut self.member, &shutdown).await?;
            } else {
                self.work(items, &shutdown).await?;
            }
        }
        let Self {
            member,
            worker,
            mut grace,
        } = self;
        grace.start(&member.journal);
        finish(member, worker.audit, grace).await
    }

    /// Notes events, answers to commits and delivered dead letters that are there already.
    async fn note_what_came(&mut self) -> Result<(), TaskError> {
        let member = &mut self.member;
        while let Some(event) = member.consumer.try_next() {
            handle(member, event).await?;
        }
        while let Some(completed) = member.commits.completed().now_or_never() {
            note_commit(member, completed);
        }
        while let Some(delivered) = member.dead_letters.delivered().now_or_never() {
            move_past(member, &delivered);
        }
        Ok(())
    }

    /// Works through `items` while events continue to be read. A revocation or the shutdown ends it after the record
    /// in progress.
    async fn work(
        &mut self,
        items: Vec<Item>,
        shutdown: &CancellationToken,
    ) -> Result<(), TaskError> {
        let Self {
            member,
            worker,
            grace,
        } = self;
        let stop = CancellationToken::new();
        let work = worker.work(items, &stop);
        tokio::pin!(work);
        let mut revocation = None;
        let worked = loop {
            let grace_end = grace.end();
            let commit_at = member.commits.due_at_without_waiting();
            tokio::select! {
                biased;
                worked = &mut work => break worked,
                () = shutdown.cancelled(), if grace_end.is_none() => {
                    stop.cancel();
                    grace.start(&member.journal);
                }
                () = sleep_until(grace_end.unwrap_or_else(Instant::now).into()), if grace_end.is_some() => {
                    return Err(grace.exceeded());
                }
                completed = member.commits.completed() => note_commit(member, completed),
                event = member.consumer.next(), if revocation.is_none() => {
                    revocation = note(member, event.ok_or_else(closed)?)?;
                    if revocation.is_some() {
                        stop.cancel();
                    }
                }
                () = sleep_until(commit_at.unwrap_or_else(Instant::now).into()), if commit_at.is_some() => {
                    commit(member, CommitMode::Async).await;
                }
            }
        };
        settle(member, worked)?;
        if let Some(revocation) = revocation {
            give_back(member, revocation).await;
        }
        Ok(())
    }
}

/// Takes records to be processed: none while a failed commit, or the audit log, holds everything up.
fn next_batch(member: &mut TaskMember, now: Instant) -> Vec<Item> {
    if member.audit_hold.is_some_and(|hold| hold.retry_at > now) {
        return Vec::new();
    }
    let limit = member.commits.room(BATCH);
    member.assigned.take(now, limit)
}

/// Waits for something to do, at most the poll interval.
async fn wait(member: &mut TaskMember, shutdown: &CancellationToken) -> Result<(), TaskError> {
    let now = Instant::now();
    member.journal.group.idle_notice(now);
    let wake_at = wake_at(member, now);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        completed = member.commits.completed() => note_commit(member, completed),
        delivered = member.dead_letters.delivered() => move_past(member, &delivered),
        event = member.consumer.next() => handle(member, event.ok_or_else(closed)?).await?,
        () = sleep_until(wake_at.into()) => {}
    }
    Ok(())
}

fn wake_at(member: &TaskMember, now: Instant) -> Instant {
    member
        .assigned
        .retry_times()
        .chain(member.commits.due_at())
        .chain(member.audit_hold.map(|hold| hold.retry_at))
        .chain(member.journal.group.idle_at())
        .fold(now + member.config.poll_interval, Instant::min)
}

fn closed() -> TaskError {
    TaskError::Fatal {
        source: KafkaError::of(ErrorCode::DESTROY),
    }
}
