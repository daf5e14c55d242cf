//! What the task consumer tells: its log lines and its metrics, in one place so that they say the same.

mod group;
mod text;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::Histogram;
use tracing::{Level, debug, enabled, info, warn};

pub(super) use text::mode_label;

use self::text::{listed, millis, shown_key};
use super::config::{CommitStrategy, TaskConfig};
use super::event::TaskCreated;
use super::run::TaskSummary;
use super::work::{AttemptError, Item, Outcome};
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{GroupId, Offset, TopicName, TopicPartition};
use crate::metrics::TaskMetrics;

/// Tells what one task consumer does. Clones tell to the same place.
#[derive(Clone, Debug)]
pub(in crate::task) struct Journal {
    metrics: TaskMetrics,
    group: GroupId,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    summary: TaskSummary,
    assigned: BTreeSet<TopicPartition>,
    /// Errors of the client since Kafka answered last.
    errors: BTreeSet<ErrorCode>,
    audit: Audit,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Audit {
    #[default]
    Writable,
    Failing,
}

impl Journal {
    pub(in crate::task) fn new(metrics: TaskMetrics, group: GroupId) -> Self {
        Self {
            metrics,
            group,
            state: Arc::default(),
        }
    }

    /// Returns what was counted so far.
    pub(in crate::task) fn summary(&self) -> TaskSummary {
        self.with(|state| state.summary)
    }

    pub(in crate::task) fn subscribed(&self, config: &TaskConfig) {
        for topic in &config.topics {
            self.begin_counting(topic, config.commit);
        }
        let group = &self.group;
        let topics = listed(config.topics.iter());
        let strategy = match config.commit {
            CommitStrategy::Auto { interval } => format!("auto, every {interval:?}"),
            CommitStrategy::AutoStore { interval } => format!("auto-store, every {interval:?}"),
            CommitStrategy::PerMessage => "per message, sync".to_owned(),
            CommitStrategy::PerBatch {
                records,
                interval,
                mode,
            } => format!(
                "per batch of {records} or {interval:?}, {}",
                mode_label(mode)
            ),
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

    pub(in crate::task) fn processed(&self, item: &Item, event: &TaskCreated) {
        // Asked first: at full speed, making these strings for nobody would cost more than the work.
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

    pub(in crate::task) fn duplicate(&self, item: &Item, event: &TaskCreated) {
        let Item {
            partition, record, ..
        } = item;
        let (id, offset) = (&event.id, record.offset);
        info!(
            %partition, %offset, %id,
            "skipped task {id} of `{partition}` at offset {offset}: it was done before"
        );
    }

    /// Lets counters begin at 0: `increase` does not see the first event of a counter that begins with it.
    fn begin_counting(&self, topic: &TopicName, commit: CommitStrategy) {
        let TaskMetrics {
            messages,
            commits,
            rebalances,
            duplicates,
            dead_letters,
            retries,
            // The rest are no counters, or nobody knows their labels beforehand.
            commit_duration: _,
            assigned_partitions: _,
            processing: _,
            errors: _,
        } = &self.metrics;
        let topic = topic.as_str();
        for outcome in ["processed", "duplicate", "dead_letter"] {
            messages.with_label_values(&[topic, outcome]);
        }
        for result in ["ok", "error"] {
            commits.with_label_values(&[topic, commit.mode_label(), result]);
        }
        for event in ["assigned", "revoked", "lost"] {
            rebalances.with_label_values(&[topic, event]);
        }
        for counter in [duplicates, dead_letters, retries] {
            counter.with_label_values(&[topic]);
        }
    }

    /// Counts records of a topic that are done.
    pub(in crate::task) fn count_done(&self, topic: &TopicName, processed: u64, duplicates: u64) {
        let count = |outcome, records| {
            if records > 0 {
                let messages = &self.metrics.messages;
                messages
                    .with_label_values(&[topic.as_str(), outcome])
                    .inc_by(records);
            }
        };
        count("processed", processed);
        count("duplicate", duplicates);
        self.metrics
            .duplicates
            .with_label_values(&[topic.as_str()])
            .inc_by(duplicates);
        self.with(|state| {
            state.summary.processed += processed;
            state.summary.duplicates += duplicates;
        });
    }

    /// Notes how long the attempts of one call took, evenly shared.
    pub(in crate::task) fn attempted(&self, results: &[(Item, Outcome)], duration: Duration) {
        let attempts = results
            .iter()
            .filter(|(_, outcome)| !matches!(outcome, Outcome::Untouched));
        let Ok(count @ 1..) = u32::try_from(attempts.clone().count()) else {
            return;
        };
        let seconds = (duration / count).as_secs_f64();
        let mut series: Option<(&TopicName, Histogram)> = None;
        for (item, _) in attempts {
            let topic = &item.partition.topic;
            let histogram = match &mut series {
                Some((last, histogram)) if *last == topic => histogram,
                other => {
                    let histogram = self.metrics.processing.with_label_values(&[topic.as_str()]);
                    &mut other.insert((topic, histogram)).1
                }
            };
            histogram.observe(seconds);
            if item.attempt > 1 {
                let retries = &self.metrics.retries;
                retries.with_label_values(&[topic.as_str()]).inc();
                self.with(|state| state.summary.retries += 1);
            }
        }
    }

    pub(in crate::task) fn will_retry(&self, item: &Item, error: &AttemptError, delay: Duration) {
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

    pub(in crate::task) fn gave_up(&self, item: &Item, error: &AttemptError) {
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

    pub(in crate::task) fn dead_lettered(&self, partition: &TopicPartition, offset: Offset) {
        let topic = partition.topic.as_str();
        self.metrics.dead_letters.with_label_values(&[topic]).inc();
        self.metrics
            .messages
            .with_label_values(&[topic, "dead_letter"])
            .inc();
        self.with(|state| state.summary.dead_letters += 1);
        info!(
            %partition, %offset,
            "the record of `{partition}` at offset {offset} is in the dead-letter topic; the partition goes on"
        );
    }

    pub(in crate::task) fn dead_letter_failed(
        &self,
        partition: &TopicPartition,
        offset: Offset,
        error: &KafkaError,
        delay: Duration,
    ) {
        self.count_error(error.code.name());
        warn!(
            %partition, %offset, %error, delay_ms = millis(delay),
            "the dead letter of `{partition}` at offset {offset} could not be written: {error}; tried again in {delay:?}"
        );
    }

    pub(in crate::task) fn shutting_down(&self) {
        let group = &self.group;
        info!(%group, "shutting down: finishing the record in hand, committing and leaving group `{group}`");
    }

    pub(in crate::task) fn closed(&self, left: Result<(), &KafkaError>) {
        let TaskSummary {
            processed,
            duplicates,
            dead_letters,
            ..
        } = self.summary();
        self.with(|state| {
            for partition in std::mem::take(&mut state.assigned) {
                self.assigned_gauge(&partition).dec();
            }
        });
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

    pub(in crate::task) fn store_failed(&self, error: &KafkaError) {
        self.count_error(error.code.name());
        debug!(%error, "storing offsets: {error}");
    }

    fn count_error(&self, code: &str) {
        self.metrics.errors.with_label_values(&[code]).inc();
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;

    use super::*;
    use crate::metrics::OwnMetrics;

    #[test]
    fn counters_begin_at_0_before_anything_happens() {
        let own = OwnMetrics::new("0");
        let metrics = own.task();
        let config = TaskConfig::default();
        Journal::new(metrics.clone(), config.group.clone()).subscribed(&config);
        for (counters, count) in [
            (&metrics.messages, 3),
            (&metrics.commits, 2),
            (&metrics.rebalances, 3),
            (&metrics.duplicates, 1),
            (&metrics.dead_letters, 1),
            (&metrics.retries, 1),
        ] {
            let families = counters.collect();
            let values = families[0].get_metric().iter();
            let values: Vec<f64> = values
                .map(|metric| metric.get_counter().get_value())
                .collect();
            assert_eq!(values, vec![0.0; count], "{}", families[0].name());
        }
    }
}
