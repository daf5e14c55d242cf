//! Reading events, taking records in hand, and waiting.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{Consuming, IDLE_NOTICE};
use crate::kafka::consumer::{ConsumerEvent, Revocation};
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::TopicPartition;
use crate::task::config::CommitMode;
use crate::task::error::TaskError;
use crate::task::partition::Partition;
use crate::task::work::Item;

/// The most records in hand at once: one transaction of the audit log.
const BATCH: usize = 1_000;

impl Consuming {
    /// Consumes until `shutdown` is cancelled.
    pub(super) async fn consume(&mut self, shutdown: &CancellationToken) -> Result<(), TaskError> {
        while !shutdown.is_cancelled() {
            while let Some(event) = self.consumer.try_next() {
                self.take_up(event).await?;
            }
            while let Some(answered) = self.commits.answered().now_or_never() {
                self.note_answer(answered);
            }
            while let Some(written) = self.dead_letters.written().now_or_never() {
                self.move_past(&written);
            }
            self.commit_what_is_due().await;
            let items = self.next_batch(Instant::now());
            if items.is_empty() {
                self.wait(shutdown).await?;
            } else {
                self.work(items, shutdown).await?;
            }
        }
        self.begin_shutdown();
        Ok(())
    }

    /// Waits for something to do, at most the poll interval.
    async fn wait(&mut self, shutdown: &CancellationToken) -> Result<(), TaskError> {
        let now = Instant::now();
        if self.idle_at.is_some_and(|at| at <= now) {
            // Who cannot reach Kafka is in no group yet, and has been told so.
            let is_cut_off = self.journal.waits_for_kafka();
            self.idle_at = is_cut_off.then(|| now + IDLE_NOTICE);
            if !is_cut_off {
                self.journal.idle();
            }
        }
        let wake_at = self.wake_at(now);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            answered = self.commits.answered() => self.note_answer(answered),
            written = self.dead_letters.written() => self.move_past(&written),
            event = self.consumer.next() => self.take_up(event.ok_or_else(closed)?).await?,
            () = sleep_until(wake_at.into()) => {}
        }
        Ok(())
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let retries = self.partitions.values().filter_map(Partition::retry_at);
        retries
            .chain(self.commits.due_at())
            .chain(self.audit_trouble.map(|trouble| trouble.retry_at))
            .chain(self.idle_at)
            .fold(now + self.config.poll_interval, Instant::min)
    }

    /// Takes records in hand: nothing while a failed commit, or the audit log, holds everything up.
    fn next_batch(&mut self, now: Instant) -> Vec<Item> {
        let audit_waits = self
            .audit_trouble
            .is_some_and(|trouble| trouble.retry_at > now);
        let limit = self.commits.room(BATCH);
        if audit_waits || limit == 0 {
            return Vec::new();
        }
        let mut items = Vec::new();
        let split = match &self.served_last {
            Some(last) => Bound::Excluded(last.clone()),
            None => Bound::Unbounded,
        };
        let first_half = match split.clone() {
            Bound::Excluded(last) => Bound::Included(last),
            other => other,
        };
        let order: Vec<TopicPartition> = self
            .partitions
            .range((split, Bound::Unbounded))
            .chain(self.partitions.range((Bound::Unbounded, first_half)))
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in order {
            if items.len() >= limit {
                break;
            }
            let Some(taken) = self
                .partitions
                .get_mut(&partition)
                .and_then(|state| state.take(now, limit - items.len()))
            else {
                continue;
            };
            items.extend(
                taken
                    .records
                    .into_iter()
                    .zip(0..)
                    .map(|(record, index)| Item {
                        partition: partition.clone(),
                        record,
                        attempt: if index == 0 { taken.attempt } else { 1 },
                    }),
            );
            self.served_last = Some(partition);
        }
        items
    }

    /// Works through `items` while events go on being read. A revocation or the shutdown ends it after the record
    /// in hand.
    async fn work(
        &mut self,
        items: Vec<Item>,
        shutdown: &CancellationToken,
    ) -> Result<(), TaskError> {
        let stop = CancellationToken::new();
        let worker = Arc::clone(&self.worker);
        let work = worker.work(items, &stop);
        tokio::pin!(work);
        let mut revocation = None;
        let worked = loop {
            let grace_end = self.grace_end;
            let commit_at = self.commits.due_at_without_waiting();
            tokio::select! {
                biased;
                worked = &mut work => break worked,
                () = shutdown.cancelled(), if grace_end.is_none() => {
                    stop.cancel();
                    self.begin_shutdown();
                }
                () = sleep_until(grace_end.unwrap_or_else(Instant::now).into()), if grace_end.is_some() => {
                    return Err(self.out_of_time());
                }
                answered = self.commits.answered() => self.note_answer(answered),
                event = self.consumer.next(), if revocation.is_none() => {
                    revocation = self.note(event.ok_or_else(closed)?)?;
                    if revocation.is_some() {
                        stop.cancel();
                    }
                }
                () = sleep_until(commit_at.unwrap_or_else(Instant::now).into()), if commit_at.is_some() => {
                    self.commit(CommitMode::Async).await;
                }
            }
        };
        self.settle(worked)?;
        if let Some(revocation) = revocation {
            self.give_back(revocation).await;
        }
        Ok(())
    }

    pub(super) async fn take_up(&mut self, event: ConsumerEvent) -> Result<(), TaskError> {
        if let Some(revocation) = self.note(event)? {
            self.give_back(revocation).await;
        }
        Ok(())
    }

    /// Notes an event. A revocation is returned: it is given back when nothing is in hand.
    fn note(&mut self, event: ConsumerEvent) -> Result<Option<Revocation>, TaskError> {
        match event {
            ConsumerEvent::Records { partition, records } => {
                if let Some(state) = self.partitions.get_mut(&partition) {
                    state.push(records);
                }
            }
            ConsumerEvent::EndOfPartition(partition) => {
                if let Some(state) = self.partitions.get_mut(&partition) {
                    state.reach_end();
                }
                self.tell_end(&partition);
            }
            ConsumerEvent::Assigned(partitions) => {
                self.journal.assigned(&partitions);
                for partition in partitions {
                    self.partitions.insert(partition, Partition::default());
                }
                self.idle_at = None;
            }
            ConsumerEvent::AutoCommitted { offsets, result } => match result {
                Ok(()) => {
                    self.journal.committed(&offsets, "auto", None);
                    self.confirm(offsets);
                }
                Err(error) => self.journal.commit_failed(&offsets, "auto", &error),
            },
            ConsumerEvent::Error(error) => self.journal.client_error(&error),
            ConsumerEvent::Fatal(source) => {
                self.journal.client_error(&source);
                return Err(TaskError::Fatal { source });
            }
            ConsumerEvent::Revoked(revocation) => return Ok(Some(revocation)),
        }
        Ok(None)
    }
}

fn closed() -> TaskError {
    TaskError::Fatal {
        source: KafkaError::of(ErrorCode::DESTROY),
    }
}
