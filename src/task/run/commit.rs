//! Commits, giving partitions back, and the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout, timeout_at};

use super::{Consuming, IDLE_NOTICE, TaskSummary};
use crate::kafka::consumer::{ConsumerEvent, Revocation, RevocationCause};
use crate::lag::{Offset, TopicPartition};
use crate::task::config::CommitMode;
use crate::task::error::TaskError;
use crate::task::journal::mode_label;
use crate::task::offsets::Answered;

/// How long a dead letter under way is waited for when its partition is given up.
const DEAD_LETTER_PATIENCE: Duration = Duration::from_secs(2);

impl Consuming {
    pub(super) async fn commit_what_is_due(&mut self) {
        let now = Instant::now();
        if self.commits.due_at().is_some_and(|at| at <= now)
            && let Some(mode) = self.commits.mode()
        {
            self.commit(mode).await;
        }
    }

    /// Commits what is done everywhere; waits for the answer where `mode` says so.
    pub(super) async fn commit(&mut self, mode: CommitMode) {
        let offsets: Vec<(TopicPartition, Offset)> = self
            .partitions
            .iter()
            .filter_map(|(partition, state)| Some((partition.clone(), state.uncommitted()?)))
            .collect();
        if offsets.is_empty() {
            self.commits.clear();
            return;
        }
        let answer = self.consumer.commit(offsets.clone());
        self.commits.begin(answer, offsets, mode, Instant::now());
        if mode == CommitMode::Sync {
            let answered = self.commits.answered().await;
            self.note_answer(answered);
        }
    }

    /// Commits what is done, before partitions are given up, unless librdkafka does. Tries twice.
    async fn commit_last(&mut self) {
        if self.commits.mode().is_none() {
            return;
        }
        if self.commits.is_under_way() {
            let answered = self.commits.answered().await;
            self.note_answer(answered);
        }
        self.commit(CommitMode::Sync).await;
        if let Some(at) = self.commits.due_at() {
            sleep_until(at.into()).await;
            self.commit(CommitMode::Sync).await;
        }
    }

    /// Commits what is done until Kafka confirms it. A rebalance that refuses it meanwhile is gone through first.
    async fn commit_to_the_end(&mut self) {
        loop {
            self.commit_last().await;
            let Some(at) = self.commits.due_at() else {
                return;
            };
            tokio::select! {
                () = sleep_until(at.into()) => {}
                event = self.consumer.next() => match event {
                    // What cannot be noted any more changes nothing about the end.
                    Some(event) => drop(self.take_up(event).await),
                    None => return,
                },
            }
        }
    }

    pub(super) fn note_answer(&mut self, answered: Answered) {
        let Answered {
            offsets,
            result,
            duration,
            mode,
        } = answered;
        let mode = mode_label(mode);
        match result {
            Ok(()) => {
                self.journal.committed(&offsets, mode, Some(duration));
                self.confirm(offsets);
            }
            Err(error) => self.journal.commit_failed(&offsets, mode, &error),
        }
    }

    pub(super) fn confirm(&mut self, offsets: Vec<(TopicPartition, Offset)>) {
        for (partition, offset) in offsets {
            if let Some(state) = self.partitions.get_mut(&partition) {
                state.committed(offset);
            }
        }
    }

    /// Gives partitions back: what is done is committed first, what is lost is not, what is buffered is dropped.
    pub(super) async fn give_back(&mut self, revocation: Revocation) {
        let Revocation {
            partitions,
            cause,
            acknowledgement,
        } = revocation;
        match cause {
            RevocationCause::Rebalance => {
                self.await_dead_letters(&partitions).await;
                self.commit_last().await;
                self.journal.revoked(&partitions);
            }
            RevocationCause::Lost => self.journal.lost(&partitions),
        }
        for partition in &partitions {
            self.partitions.remove(partition);
            self.dead_letters.abandon(partition);
        }
        if self.partitions.is_empty() {
            self.idle_at = Some(Instant::now() + IDLE_NOTICE);
        }
        drop(acknowledgement);
    }

    async fn await_dead_letters(&mut self, partitions: &[TopicPartition]) {
        let deadline = tokio::time::Instant::now() + DEAD_LETTER_PATIENCE;
        while self.dead_letters.is_writing(partitions.iter()) {
            let Ok(written) = timeout_at(deadline, self.dead_letters.written()).await else {
                return;
            };
            self.move_past(&written);
        }
    }

    pub(super) fn begin_shutdown(&mut self) {
        if self.grace_end.is_none() {
            self.grace_end = Some(Instant::now() + self.config.grace_period);
            self.journal.shutting_down();
        }
    }

    pub(super) fn out_of_time(&self) -> TaskError {
        TaskError::GracePeriod {
            period: self.config.grace_period,
        }
    }

    /// Commits, leaves the group and closes everything, within the grace period.
    pub(super) async fn finish(mut self) -> Result<TaskSummary, TaskError> {
        let out_of_time = self.out_of_time();
        let grace_end = self.grace_end.unwrap_or_else(Instant::now);
        let last_commit = async {
            let partitions: Vec<_> = self.partitions.keys().cloned().collect();
            self.await_dead_letters(&partitions).await;
            self.commit_to_the_end().await;
        };
        // Its outcome is told by the journal; leaving the group matters all the same.
        let _ = timeout_at(grace_end.into(), last_commit).await;
        let Self {
            consumer,
            worker,
            journal,
            dead_letters,
            ..
        } = self;
        let left = consumer
            .close(grace_end.saturating_duration_since(Instant::now()))
            .await;
        for event in left.iter().flatten() {
            if let ConsumerEvent::AutoCommitted { offsets, result } = event {
                match result {
                    Ok(()) => journal.committed(offsets, "auto", None),
                    Err(error) => journal.commit_failed(offsets, "auto", error),
                }
            }
        }
        journal.closed(left.as_ref().map(drop));
        let rest = async {
            dead_letters.close(DEAD_LETTER_PATIENCE).await;
            if let Some(worker) = Arc::into_inner(worker) {
                worker.audit.close().await;
            }
        };
        let closed = timeout(grace_end.saturating_duration_since(Instant::now()), rest).await;
        if left.is_err() || closed.is_err() {
            return Err(out_of_time);
        }
        Ok(journal.summary())
    }
}
