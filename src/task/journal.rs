//! What the task consumer tells: its log lines and its metrics, in one place so that they say the same.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, IntGauge};
use tracing::{debug, error, info, warn};

use super::config::{CommitMode, CommitStrategy, TaskConfig};
use super::event::TaskCreated;
use super::run::TaskSummary;
use super::work::{AttemptError, Item, Outcome, one_line};
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{GroupId, Offset, TopicName, TopicPartition};
use crate::metrics::TaskMetrics;

/// The longest list of partitions or offsets in one line.
const LISTED: usize = 20;

/// Tells what one task consumer does. Clones tell to the same place.
#[derive(Clone, Debug)]
pub(super) struct Journal {
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
    pub(super) fn new(metrics: TaskMetrics, group: GroupId) -> Self {
        Self {
            metrics,
            group,
            state: Arc::default(),
        }
    }

    /// Returns what was counted so far.
    pub(super) fn summary(&self) -> TaskSummary {
        self.with(|state| state.summary)
    }

    pub(super) fn subscribed(&self, config: &TaskConfig) {
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
    }

    pub(super) fn processed(&self, item: &Item, event: &TaskCreated) {
        let topic = item.partition.topic.as_str();
        self.metrics
            .messages
            .with_label_values(&[topic, "processed"])
            .inc();
        self.with(|state| state.summary.processed += 1);
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
        let topic = item.partition.topic.as_str();
        self.metrics
            .messages
            .with_label_values(&[topic, "duplicate"])
            .inc();
        self.metrics.duplicates.with_label_values(&[topic]).inc();
        self.with(|state| state.summary.duplicates += 1);
        let Item {
            partition, record, ..
        } = item;
        let (id, offset) = (&event.id, record.offset);
        info!(
            %partition, %offset, %id,
            "skipped task {id} of `{partition}` at offset {offset}: it was done before"
        );
    }

    /// Notes how long the attempts of one call took, evenly shared.
    pub(super) fn attempted(&self, results: &[(Item, Outcome)], duration: Duration) {
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

    pub(super) fn will_retry(&self, item: &Item, error: &AttemptError, delay: Duration) {
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

    pub(super) fn gave_up(&self, item: &Item, error: &AttemptError) {
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

    pub(super) fn dead_lettered(&self, partition: &TopicPartition, offset: Offset) {
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

    pub(super) fn dead_letter_failed(
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

    pub(super) fn committed(
        &self,
        offsets: &[(TopicPartition, Offset)],
        mode: &str,
        duration: Option<Duration>,
    ) {
        for topic in topics(offsets) {
            self.metrics
                .commits
                .with_label_values(&[topic, mode, "ok"])
                .inc();
            if let Some(duration) = duration {
                self.metrics
                    .commit_duration
                    .with_label_values(&[topic])
                    .observe(duration.as_secs_f64());
            }
        }
        self.with(|state| state.summary.commits += 1);
        self.kafka_answers();
        let list = listed_offsets(offsets);
        info!(mode, offsets = list, "committed {list} ({mode})");
    }

    pub(super) fn commit_failed(
        &self,
        offsets: &[(TopicPartition, Offset)],
        mode: &str,
        error: &KafkaError,
    ) {
        for topic in topics(offsets) {
            self.metrics
                .commits
                .with_label_values(&[topic, mode, "error"])
                .inc();
        }
        self.count_error(error.code.name());
        self.with(|state| state.summary.failed_commits += 1);
        let list = listed_offsets(offsets);
        warn!(
            mode, offsets = list, %error,
            "committing {list} ({mode}) failed: {error}; a later commit makes it good"
        );
    }

    pub(super) fn assigned(&self, partitions: &[TopicPartition]) {
        self.count_rebalance(partitions, "assigned");
        let owned = self.with(|state| {
            for partition in partitions {
                if state.assigned.insert(partition.clone()) {
                    self.assigned_gauge(partition).inc();
                }
            }
            state.summary.rebalances += 1;
            state.assigned.len()
        });
        self.kafka_answers();
        let given = listed(partitions.iter());
        info!(
            assigned = given,
            owned, "rebalance: given {given}; {owned} in all"
        );
        if owned == 0 {
            self.idle();
        }
    }

    /// Tells that this member has nothing to do.
    pub(super) fn idle(&self) {
        let group = &self.group;
        info!(
            %group,
            "idle: group `{group}` has no partition for this member; it stands by until another member leaves"
        );
    }

    pub(super) fn revoked(&self, partitions: &[TopicPartition]) {
        let owned = self.take_away(partitions, "revoked");
        let taken = listed(partitions.iter());
        info!(
            revoked = taken,
            owned, "rebalance: taken {taken}; {owned} left"
        );
    }

    pub(super) fn lost(&self, partitions: &[TopicPartition]) {
        let owned = self.take_away(partitions, "lost");
        let taken = listed(partitions.iter());
        warn!(
            lost = taken,
            owned,
            "lost {taken}: the group went on without this member, nothing of it is committed; {owned} left"
        );
    }

    fn take_away(&self, partitions: &[TopicPartition], event: &str) -> usize {
        self.count_rebalance(partitions, event);
        self.with(|state| {
            for partition in partitions {
                if state.assigned.remove(partition) {
                    self.assigned_gauge(partition).dec();
                }
            }
            state.summary.rebalances += 1;
            state.assigned.len()
        })
    }

    pub(super) fn reached_end(&self, partition: &TopicPartition, position: Option<Offset>) {
        match position {
            Some(offset) => info!(
                %partition, %offset,
                "reached end of partition `{partition}` at offset {offset}"
            ),
            None => info!(%partition, "reached end of partition `{partition}`"),
        }
    }

    /// Counts an error of the client, and tells it where it is new.
    pub(super) fn client_error(&self, error: &KafkaError) {
        self.count_error(error.code.name());
        if !self.with(|state| state.errors.insert(error.code)) {
            return;
        }
        let advice = match error.code {
            ErrorCode::UNKNOWN_TOPIC_OR_PART | ErrorCode::UNKNOWN_TOPIC => {
                "waiting for the topic to be created"
            }
            ErrorCode::ALL_BROKERS_DOWN => "waiting for a broker to come back",
            code if code.is_authentication() || code.is_authorization() => {
                "trying again; the credentials or permissions need a look"
            }
            _ => "trying again",
        };
        warn!(code = %error.code, "{error}; {advice}");
    }

    /// Notes that Kafka answered, and tells it where it did not before.
    pub(super) fn kafka_answers(&self) {
        let errors = self.with(|state| std::mem::take(&mut state.errors));
        if !errors.is_empty() {
            let over = listed(errors.iter());
            info!("Kafka answers again, after {over}");
        }
    }

    pub(super) fn audit_failed(&self, failure: &super::AuditError, delay: Duration) {
        self.count_error("audit_log");
        let is_new = self
            .with(|state| std::mem::replace(&mut state.audit, Audit::Failing) == Audit::Writable);
        if is_new {
            let reason = one_line(failure);
            error!(
                "{reason}; nothing is processed until it can be written, tried again every {delay:?} or so"
            );
        }
    }

    pub(super) fn audit_written(&self) {
        let was_failing = self
            .with(|state| std::mem::replace(&mut state.audit, Audit::Writable) == Audit::Failing);
        if was_failing {
            info!("the audit log can be written again");
        }
    }

    pub(super) fn shutting_down(&self) {
        let group = &self.group;
        info!(%group, "shutting down: finishing the record in hand, committing and leaving group `{group}`");
    }

    pub(super) fn closed(&self, left: Result<(), &KafkaError>) {
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

    pub(super) fn store_failed(&self, error: &KafkaError) {
        self.count_error(error.code.name());
        debug!(%error, "storing offsets: {error}");
    }

    fn count_error(&self, code: &str) {
        self.metrics.errors.with_label_values(&[code]).inc();
    }

    fn count_rebalance(&self, partitions: &[TopicPartition], event: &str) {
        let topics: BTreeSet<_> = partitions
            .iter()
            .map(|partition| partition.topic.as_str())
            .collect();
        for topic in topics {
            self.metrics
                .rebalances
                .with_label_values(&[topic, event])
                .inc();
        }
    }

    fn assigned_gauge(&self, partition: &TopicPartition) -> IntGauge {
        self.metrics
            .assigned_partitions
            .with_label_values(&[partition.topic.as_str()])
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the value of the label `mode`.
pub(super) fn mode_label(mode: CommitMode) -> &'static str {
    match mode {
        CommitMode::Sync => "sync",
        CommitMode::Async => "async",
    }
}

fn topics(offsets: &[(TopicPartition, Offset)]) -> BTreeSet<&str> {
    offsets
        .iter()
        .map(|(partition, _)| partition.topic.as_str())
        .collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn shown_key(key: Option<&[u8]>) -> String {
    key.map_or_else(
        || "none".to_owned(),
        |key| format!("`{}`", String::from_utf8_lossy(key).escape_debug()),
    )
}

/// Returns names in backticks, the first few of many; "nothing" for none.
fn listed(names: impl ExactSizeIterator<Item = impl std::fmt::Display>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut list: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    if list.is_empty() {
        "nothing".to_owned()
    } else {
        list.join(", ")
    }
}

fn listed_offsets(offsets: &[(TopicPartition, Offset)]) -> String {
    let more = offsets.len().saturating_sub(LISTED);
    let mut list: Vec<String> = offsets
        .iter()
        .take(LISTED)
        .map(|(partition, offset)| format!("`{partition}` at {offset}"))
        .collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    list.join(", ")
}
