//! The loop: poll, process, commit, until the shutdown.
//!
//! One record, or one batch, is in progress at a time. Meanwhile events continue to be read: records of other partitions
//! are buffered, and a rebalance ends the batch after the record in progress.

mod commit;
mod consuming;
mod events;
mod member;
mod settle;
mod shutdown;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use self::consuming::Consuming;
use self::member::TaskMember;
use self::shutdown::GracePeriod;
use super::assigned::AssignedPartitions;
use super::audit::AuditLog;
use super::commit_schedule::CommitSchedule;
use super::config::{CommitStrategy, TaskConfig};
use super::dead_letter::DeadLetters;
use super::error::TaskError;
use super::journal::{FailureJournal, Journal};
use super::summary::TaskSummary;
use super::work::{HandOver, Worker};
use crate::kafka::{
    AutoCommit, Connection, Consumer, ConsumerConfig, Intake, Producer, ProducerConfig, WriteOrder,
};
use crate::metrics::TaskMetrics;

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
    consuming: Consuming,
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
        let worker = Worker {
            audit,
            handler: config.handler.clone(),
            delay: config.processing_delay,
            patience: batch_patience(config.commit),
            hand_over: hand_over(config.commit, &consumer, failures.clone()),
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
        let consuming = Consuming {
            grace: GracePeriod::new(member.config.grace_period),
            member,
            worker,
        };
        Ok(Self { consuming })
    }

    /// Consumes until `shutdown` is cancelled, then finishes the record in progress, commits and leaves the group.
    ///
    /// # Errors
    ///
    /// librdkafka fails for good, or the shutdown takes longer than the grace period.
    pub async fn run(self, shutdown: CancellationToken) -> Result<TaskSummary, TaskError> {
        let Self { consuming } = self;
        consuming.run(shutdown).await
    }
}

fn batch_patience(strategy: CommitStrategy) -> Duration {
    match strategy {
        CommitStrategy::PerBatch { interval, .. } => interval,
        _ => BATCH_PATIENCE,
    }
}

/// Returns what is called when a record is handed to the processing step.
///
/// Under `auto` that is when its offset counts as consumed, exactly as in a loop that polls one record and processes
/// it: records that are still in the buffer are not affected.
fn hand_over(
    strategy: CommitStrategy,
    consumer: &Consumer,
    failures: FailureJournal,
) -> Option<HandOver> {
    let CommitStrategy::Auto { .. } = strategy else {
        return None;
    };
    let store = consumer.offset_store();
    Some(Arc::new(move |offsets| {
        if let Err(error) = store.store(offsets) {
            failures.store_failed(&error);
        }
    }))
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
        max_in_flight: NonZeroU32::new(1_000).expect("1000 is not zero"),
        delivery_timeout: Duration::from_secs(10),
        order: WriteOrder::Any,
    }
}
