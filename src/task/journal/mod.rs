//! What the task consumer reports: its log lines and its metrics, in one place so that they agree.

mod counters;
mod group;
mod text;

use std::time::{Duration, Instant};

use tracing::{Level, debug, enabled, info, warn};

use self::group::GroupJournal;
use self::text::{listed, millis, shown_key};
use super::config::{CommitStrategy, TaskConfig};
use super::event::TaskCreated;
use super::handler::HandlerError;
use super::item::{Item, Outcome};
use super::summary::TaskSummary;
use crate::kafka::KafkaError;
use crate::lag::{GroupId, Offset, TopicName, TopicPartition};
use crate::metrics::TaskMetrics;

/// Reports what one task consumer does.
#[derive(Debug)]
pub(super) struct Journal {
    /// What concerns the group.
    pub(super) group: GroupJournal,
    /// Failures of what runs beside the loop.
    pub(super) failures: FailureJournal,
    metrics: TaskMetrics,
    group_id: GroupId,
    summary: TaskSummary,
}

/// Reports failures of what runs beside the loop. Clones count into the same metrics.
#[derive(Clone, Debug)]
pub(super) struct FailureJournal {
    metrics: TaskMetrics,
}

impl Journal {
    pub(super) fn new(metrics: TaskMetrics, group: GroupId, now: Instant) -> Self {
        Self {
            group: GroupJournal::new(metrics.clone(), group.clone(), now),
            failures: FailureJournal {
                metrics: metrics.clone(),
            },
            metrics,
            group_id: group,
            summary: TaskSummary::default(),
        }
    }

    /// Returns what was counted so far.
    pub(super) fn summary(&self) -> TaskSummary {
        self.summary
    }

    pub(super) fn subscribed(&self, config: &TaskConfig) {
        for topic in &config.topics {
            counters::start_at_zero(&self.metrics, topic, config.commit);
        }
        let group = &self.group_id;
        let topics = listed(config.topics.iter());
        let strategy = match config.commit {
            CommitStrategy::Auto { interval } => format!("auto, every {interval:?}"),
            CommitStrategy::AutoStore { interval } => format!("auto-store, every {interval:?}"),
            CommitStrategy::PerMessage => "per message, sync".to_owned(),
            CommitStrategy::PerBatch {
                records,
                interval,
                mode,
            } => format!("per batch of {records} or {interval:?}, {}", mode.label()),
        };
        let reset = config.auto_offset_reset.name();
        info!(
            %group, topics, commit = strategy, reset,
            "subscribed to {topics} as group `{group}`: commits {strategy}; begins at the {reset} record where it has no commit"
        );
        if let CommitStrategy::Auto { .. } = config.commit {
            warn!(
                %group,
                "commits of `auto` come before the work is done: a crash loses the record in hand; `auto-store` does not"
            );
        }
    }

    pub(super) fn processed(&self, item: &Item, event: &TaskCreated) {
        // Checked first: at full speed, building strings that nobody reads would cost more than the work.
        if !enabled!(Level::INFO) {
            return;
        }
        let Item {
            partition, record, ..
        } = item;
        let key = shown_key(record.key.as_deref());
        let (id, title, offset) = (&event.id, event.title.escape_debug(), record.offset);
        info!(
            %partition, %offset, key, %id, %title,
            "processed task `{title}` (id {id}, key {key}) of `{partition}` at offset {offset}"
        );
    }

    pub(super) fn duplicate(&self, item: &Item, event: &TaskCreated) {
        let Item {
            partition, record, ..
        } = item;
        let (id, offset) = (&event.id, record.offset);
        info!(
            %partition, %offset, %id,
            "skipped task {id} of `{partition}` at offset {offset}: it was done before"
        );
    }

    /// Counts records of a topic that are done.
    pub(super) fn count_done(&mut self, topic: &TopicName, processed: u64, duplicates: u64) {
        counters::count_done(&self.metrics, topic, processed, duplicates);
        self.summary.processed += processed;
        self.summary.duplicates += duplicates;
    }

    /// Notes how long the attempts of one call took, evenly shared.
    pub(super) fn attempted(&mut self, results: &[(Item, Outcome)], duration: Duration) {
        self.summary.retries += counters::count_attempts(&self.metrics, results, duration);
    }

    pub(super) fn will_retry(&self, item: &Item, error: &HandlerError, delay: Duration) {
        let Item {
            partition,
            record,
            attempt,
        } = item;
        let offset = record.offset;
        warn!(
            %partition, %offset, attempt, %error, delay_ms = millis(delay),
            "attempt {attempt} failed on `{partition}` at offset {offset}: {error}; the partition is paused and the record tried again in {delay:?}"
        );
    }

    pub(super) fn gave_up(&self, item: &Item, error: &HandlerError) {
        let Item {
            partition,
            record,
            attempt,
        } = item;
        let offset = record.offset;
        warn!(
            %partition, %offset, attempts = attempt, %error,
            "gave the record of `{partition}` at offset {offset} up after attempt {attempt}: {error}; it goes to the dead-letter topic"
        );
    }

    pub(super) fn dead_lettered(&mut self, partition: &TopicPartition, offset: Offset) {
        counters::count_dead_letter(&self.metrics, &partition.topic);
        self.summary.dead_letters += 1;
        info!(
            %partition, %offset,
            "the record of `{partition}` at offset {offset} is in the dead-letter topic; the partition goes on"
        );
    }

    pub(super) fn shutting_down(&self) {
        let group = &self.group_id;
        info!(%group, "shutting down: finishing the record in hand, committing and leaving group `{group}`");
    }

    pub(super) fn closed(&mut self, left: Result<(), &KafkaError>) {
        let TaskSummary {
            processed,
            duplicates,
            dead_letters,
            ..
        } = self.summary;
        self.group.clear_assigned();
        if let Err(error) = left {
            warn!(%error, "the group was not left in time: {error}; it goes on after the session timeout");
        }
        info!(
            processed,
            duplicates,
            dead_letters,
            "consumer closed: {processed} processed, {duplicates} duplicates, {dead_letters} dead letters"
        );
    }
}

impl FailureJournal {
    pub(super) fn dead_letter_failed(
        &self,
        partition: &TopicPartition,
        offset: Offset,
        error: &KafkaError,
        delay: Duration,
    ) {
        counters::count_error(&self.metrics, error.code.name());
        warn!(
            %partition, %offset, %error, delay_ms = millis(delay),
            "the dead letter of `{partition}` at offset {offset} could not be written: {error}; tried again in {delay:?}"
        );
    }

    pub(super) fn store_failed(&self, error: &KafkaError) {
        counters::count_error(&self.metrics, error.code.name());
        debug!(%error, "storing offsets: {error}");
    }
}
