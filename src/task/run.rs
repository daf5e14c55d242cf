//! The loop: poll, process, commit, until it is told to stop.
//!
//! One record, or one batch, is in hand at a time. While it is, events keep being read: records of other partitions
//! are buffered, and a rebalance ends the batch after the record in hand.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::{sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::audit::{AuditError, AuditLog};
use super::config::{CommitMode, CommitStrategy, TaskConfig};
use super::dead_letter::{DeadLetter, DeadLetters, Written};
use super::error::TaskError;
use super::journal::{Journal, mode_label};
use super::offsets::{Answered, Commits};
use super::partition::Partition;
use super::work::{AttemptError, HandOver, Item, Outcome, Retry, Worked, Worker};
use crate::kafka::consumer::{Event, Revocation, RevocationCause};
use crate::kafka::{
    AutoCommit, Connection, Consumer, ConsumerConfig, Producer, ProducerConfig, WriteOrder,
};
use crate::lag::{Offset, TopicPartition};
use crate::metrics::TaskMetrics;

/// The most records in hand at once: one transaction of the audit log.
const BATCH: usize = 1_000;

/// How long a batch of slow records may take before it is ended between two of them.
const BATCH_PATIENCE: Duration = Duration::from_secs(1);

/// How long a dead letter under way is waited for when its partition is given up.
const DEAD_LETTER_PATIENCE: Duration = Duration::from_secs(2);

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

impl Consuming {
    async fn consume(&mut self, shutdown: &CancellationToken) -> Result<(), TaskError> {
        while !shutdown.is_cancelled() {
            while let Some(event) = self.consumer.try_next() {
                self.take_up(event).await?;
            }
            while let Some(answered) = self.commits.answered().now_or_never() {
                self.note_answer(answered);
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
            self.idle_at = None;
            self.journal.idle();
        }
        let wake_at = self.wake_at(now);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            answered = self.commits.answered() => self.note_answer(answered),
            written = self.dead_letters.written() => self.move_past(&written),
            event = self.consumer.next() => match event {
                Some(event) => self.take_up(event).await?,
                None => return Err(closed()),
            },
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
                event = self.consumer.next(), if revocation.is_none() => match event {
                    Some(Event::Revoked(revoked)) => {
                        stop.cancel();
                        revocation = Some(revoked);
                    }
                    Some(event) => self.note(event)?,
                    None => return Err(closed()),
                },
            }
        };
        self.settle(worked)?;
        if let Some(revocation) = revocation {
            self.give_back(revocation).await;
        }
        Ok(())
    }

    async fn take_up(&mut self, event: Event) -> Result<(), TaskError> {
        match event {
            Event::Revoked(revocation) => self.give_back(revocation).await,
            event => self.note(event)?,
        }
        Ok(())
    }

    /// Notes an event that needs no waiting. A revocation does; see [`Self::give_back`].
    fn note(&mut self, event: Event) -> Result<(), TaskError> {
        match event {
            Event::Records { partition, records } => {
                if let Some(state) = self.partitions.get_mut(&partition) {
                    state.push(records);
                }
            }
            Event::EndOfPartition(partition) => {
                if let Some(state) = self.partitions.get_mut(&partition) {
                    state.reach_end();
                }
                self.tell_end(&partition);
            }
            Event::Assigned(partitions) => {
                self.journal.assigned(&partitions);
                for partition in partitions {
                    self.partitions.insert(partition, Partition::default());
                }
                self.idle_at = None;
            }
            Event::AutoCommitted { offsets, result } => match result {
                Ok(()) => {
                    self.journal.committed(&offsets, "auto", None);
                    self.confirm(offsets);
                }
                Err(error) => self.journal.commit_failed(&offsets, "auto", &error),
            },
            Event::Error(error) => self.journal.client_error(&error),
            Event::Fatal(source) => {
                self.journal.client_error(&source);
                return Err(TaskError::Fatal { source });
            }
            Event::Revoked(_) => unreachable!("revocations are given back, not noted"),
        }
        Ok(())
    }

    fn settle(&mut self, worked: Worked) -> Result<(), TaskError> {
        let Worked {
            results,
            audit_error,
            duration,
        } = worked;
        self.journal.attempted(&results, duration);
        match audit_error {
            Some(error @ AuditError::Closed) => return Err(error.into()),
            Some(error) => self.hold_for_audit(&error),
            None if self.audit_trouble.is_some() && results.iter().any(has_row) => {
                self.audit_trouble = None;
                self.journal.audit_written();
            }
            None => {}
        }
        let mut by_partition: BTreeMap<TopicPartition, Vec<(Item, Outcome)>> = BTreeMap::new();
        for (item, outcome) in results {
            match by_partition.get_mut(&item.partition) {
                Some(of_partition) => of_partition.push((item, outcome)),
                None => {
                    by_partition.insert(item.partition.clone(), vec![(item, outcome)]);
                }
            }
        }
        for (partition, results) in by_partition {
            self.settle_partition(&partition, results);
        }
        Ok(())
    }

    fn hold_for_audit(&mut self, error: &AuditError) {
        let failures = self
            .audit_trouble
            .map_or(0, |trouble| trouble.failures)
            .saturating_add(1);
        let delay = self.config.backoff.delay_after(failures);
        self.audit_trouble = Some(AuditTrouble {
            failures,
            retry_at: Instant::now() + delay,
        });
        self.journal.audit_failed(error, delay);
    }

    /// Moves a partition on behind what is done, and decides on the record that failed.
    fn settle_partition(&mut self, partition: &TopicPartition, results: Vec<(Item, Outcome)>) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        let mut done = 0;
        let mut position = None;
        let mut failed = None;
        let mut rest = Vec::new();
        for (item, outcome) in results {
            match outcome {
                Outcome::Processed(event) => self.journal.processed(&item, &event),
                Outcome::Duplicate(event) => self.journal.duplicate(&item, &event),
                Outcome::Failed(error) => {
                    failed = Some((item.clone(), error));
                    rest.push(item.record);
                    continue;
                }
                Outcome::Untouched => {
                    rest.push(item.record);
                    continue;
                }
            }
            done += 1;
            position = Some(item.record.next_offset());
        }
        state.settle(position, rest);
        if done > 0 {
            self.consumer.release(partition, done);
            self.commits.add(done, Instant::now());
            self.store(partition, position);
        }
        if let Some((item, error)) = failed {
            self.hold(&item, error);
        }
        self.tell_end(partition);
    }

    /// Holds a partition whose first record failed: it is tried again later, or goes to the dead-letter topic.
    fn hold(&mut self, item: &Item, error: AttemptError) {
        let Some(state) = self.partitions.get_mut(&item.partition) else {
            return;
        };
        let attempts = item.attempt;
        if error.retry == Retry::MayHelp && attempts < self.config.max_attempts.get() {
            let delay = self.config.backoff.delay_after(attempts);
            state.retry_after(attempts, delay, Instant::now());
            self.journal.will_retry(item, &error, delay);
            return;
        }
        state.give_up(attempts);
        self.journal.gave_up(item, &error);
        let letter = DeadLetter {
            partition: item.partition.clone(),
            record: item.record.clone(),
            error: error.reason,
            attempts,
        };
        self.dead_letters.write(letter, self.journal.clone());
    }

    /// Moves on behind a record that is safe in the dead-letter topic.
    fn move_past(&mut self, written: &Written) {
        let Written { partition, offset } = written;
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        if !state.dead_lettered(*offset) {
            return;
        }
        let position = state.position();
        self.journal.dead_lettered(partition, *offset);
        self.consumer.release(partition, 1);
        self.commits.add(1, Instant::now());
        self.store(partition, position);
        self.tell_end(partition);
    }

    /// Gives librdkafka the offset for its next own commit, where the strategy says so.
    fn store(&self, partition: &TopicPartition, position: Option<Offset>) {
        if let (CommitStrategy::AutoStore { .. }, Some(position)) = (self.config.commit, position)
            && let Err(error) = self.consumer.store(&[(partition.clone(), position)])
        {
            self.journal.store_failed(&error);
        }
    }

    fn tell_end(&mut self, partition: &TopicPartition) {
        if let Some(state) = self.partitions.get_mut(partition)
            && state.tell_end()
        {
            self.journal.reached_end(partition, state.position());
        }
    }

    async fn commit_what_is_due(&mut self) {
        let now = Instant::now();
        if self.commits.due_at().is_some_and(|at| at <= now)
            && let Some(mode) = self.commits.mode()
        {
            self.commit(mode).await;
        }
    }

    /// Commits what is done everywhere; waits for the answer where `mode` says so.
    async fn commit(&mut self, mode: CommitMode) {
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

    fn note_answer(&mut self, answered: Answered) {
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

    fn confirm(&mut self, offsets: Vec<(TopicPartition, Offset)>) {
        for (partition, offset) in offsets {
            if let Some(state) = self.partitions.get_mut(&partition) {
                state.committed(offset);
            }
        }
    }

    /// Gives partitions back: what is done is committed first, what is lost is not, what is buffered is dropped.
    async fn give_back(&mut self, revocation: Revocation) {
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

    fn begin_shutdown(&mut self) {
        if self.grace_end.is_none() {
            self.grace_end = Some(Instant::now() + self.config.grace_period);
            self.journal.shutting_down();
        }
    }

    fn out_of_time(&self) -> TaskError {
        TaskError::GracePeriod {
            period: self.config.grace_period,
        }
    }

    /// Commits, leaves the group and closes everything, within the grace period.
    async fn finish(mut self) -> Result<TaskSummary, TaskError> {
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
            if let Event::AutoCommitted { offsets, result } = event {
                match result {
                    Ok(()) => journal.committed(offsets, "auto", None),
                    Err(error) => journal.commit_failed(offsets, "auto", error),
                }
            }
        }
        journal.closed(left.as_ref().map(drop));
        let rest = async {
            dead_letters.flush(DEAD_LETTER_PATIENCE).await;
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

fn has_row((_, outcome): &(Item, Outcome)) -> bool {
    matches!(outcome, Outcome::Processed(_) | Outcome::Duplicate(_))
}

fn closed() -> TaskError {
    TaskError::Fatal {
        source: crate::kafka::KafkaError::of(crate::kafka::ErrorCode::DESTROY),
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
/// it: what waits in the buffer in between is not affected.
fn hand_over(strategy: CommitStrategy, consumer: &Consumer, journal: &Journal) -> Option<HandOver> {
    let CommitStrategy::Auto { .. } = strategy else {
        return None;
    };
    let store = consumer.offset_store();
    let journal = journal.clone();
    Some(Arc::new(move |partition: &TopicPartition, offset| {
        if let Err(error) = store.store(&[(partition.clone(), offset)]) {
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
        buffered_records: config.buffered_records,
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
