//! What concerns the group: commits, rebalances, errors of the client, and the audit log that holds all of it up.

use std::collections::BTreeSet;
use std::time::Duration;

use prometheus::IntGauge;
use tracing::{error, info, warn};

use super::text::{listed, listed_offsets};
use super::{Audit, Journal};
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{Offset, TopicPartition};
use crate::task::audit::AuditError;
use crate::task::work::one_line;

impl Journal {
    pub(in crate::task) fn committed(
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

    pub(in crate::task) fn commit_failed(
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

    pub(in crate::task) fn assigned(&self, partitions: &[TopicPartition]) {
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
    pub(in crate::task) fn idle(&self) {
        let group = &self.group;
        info!(
            %group,
            "idle: group `{group}` has no partition for this member; it stands by until another member leaves"
        );
    }

    pub(in crate::task) fn revoked(&self, partitions: &[TopicPartition]) {
        let owned = self.take_away(partitions, "revoked");
        let taken = listed(partitions.iter());
        info!(
            revoked = taken,
            owned, "rebalance: taken {taken}; {owned} left"
        );
    }

    pub(in crate::task) fn lost(&self, partitions: &[TopicPartition]) {
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

    pub(in crate::task) fn reached_end(
        &self,
        partition: &TopicPartition,
        position: Option<Offset>,
    ) {
        match position {
            Some(offset) => info!(
                %partition, %offset,
                "reached end of partition `{partition}` at offset {offset}"
            ),
            None => info!(%partition, "reached end of partition `{partition}`"),
        }
    }

    /// Counts an error of the client, and tells it where it is new.
    pub(in crate::task) fn client_error(&self, error: &KafkaError) {
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

    /// Tells whether there were errors since Kafka answered last.
    pub(in crate::task) fn waits_for_kafka(&self) -> bool {
        self.with(|state| !state.errors.is_empty())
    }

    /// Notes that Kafka answered, and tells it where it did not before.
    pub(in crate::task) fn kafka_answers(&self) {
        let errors = self.with(|state| std::mem::take(&mut state.errors));
        if !errors.is_empty() {
            let over = listed(errors.iter());
            info!("Kafka answers again, after {over}");
        }
    }

    pub(in crate::task) fn audit_failed(&self, failure: &AuditError, delay: Duration) {
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

    pub(in crate::task) fn audit_written(&self) {
        let was_failing = self
            .with(|state| std::mem::replace(&mut state.audit, Audit::Writable) == Audit::Failing);
        if was_failing {
            info!("the audit log can be written again");
        }
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

    pub(super) fn assigned_gauge(&self, partition: &TopicPartition) -> IntGauge {
        self.metrics
            .assigned_partitions
            .with_label_values(&[partition.topic.as_str()])
    }
}

fn topics(offsets: &[(TopicPartition, Offset)]) -> BTreeSet<&str> {
    offsets
        .iter()
        .map(|(partition, _)| partition.topic.as_str())
        .collect()
}
