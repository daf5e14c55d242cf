//! The end of a task consumer, within its grace period.

use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout, timeout_at};

use super::commit::commit_last;
use super::events::{DEAD_LETTER_PATIENCE, await_dead_letters, handle};
use super::member::TaskMember;
use crate::kafka::KafkaError;
use crate::kafka::consumer::ConsumerEvent;
use crate::task::audit::AuditLog;
use crate::task::dead_letter::DeadLetters;
use crate::task::error::TaskError;
use crate::task::journal::Journal;
use crate::task::summary::TaskSummary;

/// The time that a shutdown may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct GracePeriod {
    length: Duration,
    /// Absent before the shutdown starts.
    end: Option<Instant>,
}

impl GracePeriod {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, end: None }
    }

    /// Starts the shutdown, unless it has started.
    pub(super) fn start(&mut self, journal: &Journal) {
        if self.end.is_none() {
            self.end = Some(Instant::now() + self.length);
            journal.shutting_down();
        }
    }

    /// Returns when the shutdown must be over; `None` before it starts.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    pub(super) fn exceeded(&self) -> TaskError {
        TaskError::GracePeriod {
            period: self.length,
        }
    }
}

/// Commits, leaves the group and closes everything, within the grace period.
pub(super) async fn finish(
    mut member: TaskMember,
    audit: AuditLog,
    grace: GracePeriod,
) -> Result<TaskSummary, TaskError> {
    let end = grace.end.unwrap_or_else(Instant::now);
    // Failed commits are in the log; leaving the group matters all the same.
    let _ = timeout_at(end.into(), commit_to_the_end(&mut member)).await;
    let TaskMember {
        consumer,
        mut journal,
        dead_letters,
        ..
    } = member;
    let left = consumer.close(time_until(end)).await;
    report_left(&mut journal, &left);
    let closed = timeout(time_until(end), close(dead_letters, audit)).await;
    if left.is_err() || closed.is_err() {
        return Err(grace.exceeded());
    }
    Ok(journal.summary())
}

/// Waits for dead letters to be delivered, then commits what is done until Kafka confirms it. Rebalances that come meanwhile are
/// handled.
async fn commit_to_the_end(member: &mut TaskMember) {
    let partitions = member.assigned.names();
    await_dead_letters(member, &partitions).await;
    loop {
        commit_last(member).await;
        let Some(at) = member.commits.due_at() else {
            return;
        };
        tokio::select! {
            () = sleep_until(at.into()) => {}
            event = member.consumer.next() => match event {
                // An event that cannot be handled any more changes nothing about the end.
                Some(event) => drop(handle(member, event).await),
                None => return,
            },
        }
    }
}

fn report_left(journal: &mut Journal, left: &Result<Vec<ConsumerEvent>, KafkaError>) {
    for event in left.iter().flatten() {
        if let ConsumerEvent::AutoCommitted { offsets, result } = event {
            journal.group.commit_answered(offsets, "auto", result, None);
        }
    }
    journal.closed(left.as_ref().map(drop));
}

async fn close(dead_letters: DeadLetters, audit: AuditLog) {
    dead_letters.close(DEAD_LETTER_PATIENCE).await;
    audit.close().await;
}

fn time_until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}
