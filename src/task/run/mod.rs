//! The loop: poll, process, commit, until it is told to stop.
//!
//! One record, or one batch, is in hand at a time. While it is, events keep being read: records of other partitions
//! are buffered, and a rebalance ends the batch after the record in hand.

mod commit;
mod consuming;
mod settle;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::audit::AuditLog;
use super::config::{CommitStrategy, TaskConfig};
use super::dead_letter::DeadLetters;
use super::error::TaskError;
use super::journal::Journal;
use super::offsets::Commits;
use super::partition::Partition;
use super::work::{HandOver, Worker};
use crate::kafka::{
    AutoCommit, Connection, Consumer, ConsumerConfig, Intake, Producer, ProducerConfig, WriteOrder,
};
use crate::lag::TopicPartition;
use crate::metrics::TaskMetrics;

/// How long a batch of slow records may take before it is ended between two of them.
const BATCH_PATIENCE: Duration = Duration::from_secs(1);

/// How long a member without partitions waits before it says so; KIP-848 sends such a member no assignment.
const IDLE_NOTICE: Duration = Duration::from_secs(5);

/// What a task consumer did from its start to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskSummary {
    /// Records that were done for the first time.
    pub processed: u64,
    /// Records whose event was done before.
    pub duplicates: u64,
    /// Records that are in the dead-letter topic.
    pub dead_letters: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Commits that Kafka confirmed, librdkafka's own included.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Times that partitions were given or taken.
    pub rebalances: u64,
}

/// Consumes until `shutdown` is cancelled, then finishes the record in hand, commits and leaves the group.
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

/// A task consumer that has what it needs: an audit log it can write, and clients with properties that are accepted.
pub struct TaskConsumer {
    consuming: Consuming,
}

impl TaskConsumer {
    /// Opens the audit log and makes the clients; the group is joined from now on.
    ///
    /// # Errors
    ///
    /// The audit log cannot be written or a property is refused. A cluster that is away is no error.
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
        let journal = Journal::new(metrics, config.group.clone());
        journal.subscribed(&config);
        let worker = Worker {
            audit,
            handler: config.handler.clone(),
            delay: config.processing_delay,
            patience: batch_patience(config.commit),
            hand_over: hand_over(config.commit, &consumer, &journal),
        };
        let consuming = Consuming {
            consumer,
            worker: Arc::new(worker),
            partitions: BTreeMap::new(),
            served_last: None,
            commits: Commits::new(config.commit, config.commit_timeout),
            dead_letters: DeadLetters::new(
                producer,
                config.dead_letter_topic.clone(),
                config.backoff,
            ),
            journal,
            audit_trouble: None,
            idle_at: Some(Instant::now() + IDLE_NOTICE),
            grace_end: None,
            config,
        };
        Ok(Self { consuming })
    }

    /// Consumes until `shutdown` is cancelled, then finishes the record in hand, commits and leaves the group.
    ///
    /// # Errors
    ///
    /// librdkafka gives up, or the shutdown takes longer than the grace period.
    pub async fn run(self, shutdown: CancellationToken) -> Result<TaskSummary, TaskError> {
        let Self { mut consuming } = self;
        consuming.consume(&shutdown).await?;
        consuming.finish().await
    }
}

/// The state of the loop.
struct Consuming {
    config: TaskConfig,
    consumer: Consumer,
    worker: Arc<Worker>,
    /// The assigned partitions.
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Where the last batch came from: the others have their turn first.
    served_last: Option<TopicPartition>,
    commits: Commits,
    dead_letters: DeadLetters,
    journal: Journal,
    audit_trouble: Option<AuditTrouble>,
    /// When to say that there is nothing to do.
    idle_at: Option<Instant>,
    /// When the shutdown must be over; nothing before it begins.
    grace_end: Option<Instant>,
}

/// The audit log cannot be written: nothing is processed until then.
#[derive(Clone, Copy)]
struct AuditTrouble {
    failures: u32,
    retry_at: Instant,
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
/// it: what waits in the buffer in between is not affected.
fn hand_over(strategy: CommitStrategy, consumer: &Consumer, journal: &Journal) -> Option<HandOver> {
    let CommitStrategy::Auto { .. } = strategy else {
        return None;
    };
    let store = consumer.offset_store();
    let journal = journal.clone();
    Some(Arc::new(move |offsets| {
        if let Err(error) = store.store(offsets) {
            journal.store_failed(&error);
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
