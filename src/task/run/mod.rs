//! The loop: poll, process, commit, until the shutdown.
//!
//! One record, or one batch, is in progress at a time. Meanwhile events continue to be read: records of other partitions
//! are buffered, and a rebalance ends the batch after the record in progress.

mod commit;
mod events;
mod member;
mod settle;
mod shutdown;

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::commit::{commit, commit_if_due, note_commit};
use self::events::{give_back, handle, note};
use self::member::TaskMember;
use self::settle::{move_past, settle};
use self::shutdown::{GracePeriod, finish};
use super::assigned::AssignedPartitions;
use super::audit::AuditLog;
use super::commit_schedule::CommitSchedule;
use super::config::{CommitMode, CommitStrategy, TaskConfig};
use super::dead_letter::DeadLetters;
use super::error::TaskError;
use super::item::Item;
use super::journal::Journal;
use super::summary::TaskSummary;
use super::work::Worker;
use crate::kafka::{
    AutoCommit, Connection, Consumer, ConsumerConfig, ErrorCode, Intake, KafkaError, Producer,
    ProducerConfig, WriteOrder,
};
use crate::metrics::TaskMetrics;

/// The most records in progress at once: one transaction of the audit log.
const BATCH: usize = 1_000;

/// How long a batch of slow records may take before it is ended between two of them.
const BATCH_PATIENCE: Duration = Duration::from_secs(1);

/// Consumes until `shutdown` is cancelled, then finishes the record in progress, commits and leaves the group.
///
/// # Errors
///
/// Those of [`TaskConsumer::open`] and of [`TaskConsumer::run`].
pub async fn run(
    config: TaskConfig,
    connection: Connection,
    metrics: TaskMetrics,
    shutdown: CancellationToken,
) -> Result<TaskSummary, TaskError> {
    let consumer = TaskConsumer::open(config, connection, metrics).await?;
    consumer.run(shutdown).await
}

/// A task consumer that is ready: its audit log can be written, and the properties of its clients are accepted.
pub struct TaskConsumer {
    member: TaskMember,
    worker: Worker,
    grace: GracePeriod,
}

impl TaskConsumer {
    /// Opens the audit log and creates the clients, which join the group.
    ///
    /// # Errors
    ///
    /// The audit log cannot be written or a property is refused. An unreachable cluster is not an error.
    pub async fn open(
        config: TaskConfig,
        connection: Connection,
        metrics: TaskMetrics,
    ) -> Result<Self, TaskError> {
        if config.topics.is_empty() {
            return Err(TaskError::NoTopic);
        }
        let audit = AuditLog::open(&config.audit_log).await?;
        let producer = Producer::connect(&connection, &dead_letter_producer(&config))?;
        let consumer = Consumer::start(&connection, consumer_config(&config))?;
        let journal = Journal::new(metrics, config.group.clone(), Instant::now());
        journal.subscribed(&config);
        let failures = &journal.failures;
        let stores_at_start = matches!(config.commit, CommitStrategy::Auto { .. });
        let worker = Worker {
            audit,
            handler: config.handler.clone(),
            delay: config.processing_delay,
            patience: batch_patience(config.commit),
            store_at_start: stores_at_start.then(|| consumer.offset_store()),
            failures: failures.clone(),
        };
        let topic = config.dead_letter_topic.clone();
        let member = TaskMember {
            consumer,
            assigned: AssignedPartitions::default(),
            commits: CommitSchedule::new(config.commit, config.commit_timeout),
            dead_letters: DeadLetters::new(producer, topic, config.backoff, failures.clone()),
            journal,
            audit_hold: None,
            config,
        };
        Ok(Self {
            grace: GracePeriod::new(member.config.grace_period),
            member,
            worker,
        })
    }

    /// Consumes until `shutdown` is cancelled, then finishes the record in progress, commits and leaves the group.
    ///
    /// # Errors
    ///
    /// librdkafka fails for good, or the shutdown takes longer than the grace period.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<TaskSummary, TaskError> {
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

fn batch_patience(strategy: CommitStrategy) -> Duration {
    match strategy {
        CommitStrategy::PerBatch { interval, .. } => interval,
        _ => BATCH_PATIENCE,
    }
}

fn consumer_config(config: &TaskConfig) -> ConsumerConfig {
    ConsumerConfig {
        group: config.group.clone(),
        topics: config.topics.clone(),
        offset_reset: config.auto_offset_reset,
        auto_commit: match config.commit {
            CommitStrategy::Auto { interval } | CommitStrategy::AutoStore { interval } => {
                AutoCommit::Every(interval)
            }
            CommitStrategy::PerMessage | CommitStrategy::PerBatch { .. } => AutoCommit::Off,
        },
        client_id: config.client_id.clone(),
        intake: Intake::Records {
            buffered: config.buffered_records,
        },
        poll_interval: config.poll_interval,
        revoke_timeout: config.revoke_timeout,
        properties: config.properties.clone(),
    }
}

fn dead_letter_producer(config: &TaskConfig) -> ProducerConfig {
    ProducerConfig {
        client_id: format!("{}-dead-letters", config.client_id),
        delivery_timeout: Duration::from_secs(10),
        order: WriteOrder::Any,
    }
}
