//! What concerns the group: commits, rebalances, errors of the client, and the audit log that holds all of it up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::counters;
use super::text::{listed, listed_offsets};
use crate::diagnostics::one_line;
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::{GroupId, Offset, TopicPartition};
use crate::metrics::TaskMetrics;
use crate::task::audit::AuditError;

/// How long a member without partitions waits before it says so; KIP-848 sends such a member no assignment.
const IDLE_NOTICE: Duration = Duration::from_secs(5);

/// Reports what happens between a member and its group.
#[derive(Debug)]
pub(in crate::task) struct GroupJournal {
    metrics: TaskMetrics,
    group: GroupId,
    assigned: BTreeSet<TopicPartition>,
    /// Errors of the client since Kafka answered last.
    errors: BTreeSet<ErrorCode>,
    /// When to report that this member has nothing to do.
    idle_at: Option<Instant>,
}

impl GroupJournal {
    /// The member has no partition at `now`.
    pub(super) fn new(metrics: TaskMetrics, group: GroupId, now: Instant) -> Self {
        Self {
            metrics,
            group,
            assigned: BTreeSet::new(),
            errors: BTreeSet::new(),
            idle_at: Some(now + IDLE_NOTICE),
        }
    }

    /// Reports the answer to a commit; `duration` is absent for librdkafka's own commits.
    pub(in crate::task) fn commit_answered(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
        mode: &str,
        result: &Result<(), KafkaError>,
        duration: Option<Duration>,
    ) {
        let list = listed_offsets(offsets);
        match result {
            Ok(()) => {
                counters::count_commit(&self.metrics, offsets, mode, "ok");
                if let Some(duration) = duration {
                    counters::observe_commit(&self.metrics, offsets, duration);
                }
                self.kafka_answers();
                info!(mode, offsets = list, "committed {list} ({mode})");
            }
            Err(error) => {
                counters::count_commit(&self.metrics, offsets, mode, "error");
                counters::count_error(&self.metrics, error.code.name());
                warn!(
                    mode, offsets = list, %error,
                    "committing {list} ({mode}) failed: {error}; a later commit makes it good"
                );
            }
        }
    }

    pub(in crate::task) fn assigned(&mut self, partitions: &[TopicPartition]) {
        counters::count_rebalance(&self.metrics, partitions, "assigned");
        for partition in partitions {
            if self.assigned.insert(partition.clone()) {
                counters::assigned_gauge(&self.metrics, partition).inc();
            }
        }
        let owned = self.assigned.len();
        self.idle_at = None;
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

    /// Returns when [`Self::idle_notice`] has something to report.
    pub(in crate::task) fn idle_at(&self) -> Option<Instant> {
        self.idle_at
    }

    /// Reports once that this member has nothing to do, when it has had no partition for a while.
    pub(in crate::task) fn idle_notice(&mut self, now: Instant) {
        if self.idle_at.is_none_or(|at| at > now) {
            return;
        }
        // A member that cannot reach Kafka is in no group yet, and that was reported.
        let is_cut_off = !self.errors.is_empty();
        self.idle_at = is_cut_off.then(|| now + IDLE_NOTICE);
        if !is_cut_off {
            self.idle();
        }
    }

    fn idle(&self) {
        let group = &self.group;
        info!(
            %group,
            "idle: group `{group}` has no partition for this member; it stands by until another member leaves"
        );
    }

    pub(in crate::task) fn revoked(&mut self, partitions: &[TopicPartition], now: Instant) {
        let owned = self.take_away(partitions, "revoked", now);
        let taken = listed(partitions.iter());
        info!(
            revoked = taken,
            owned, "rebalance: taken {taken}; {owned} left"
        );
    }

    pub(in crate::task) fn lost(&mut self, partitions: &[TopicPartition], now: Instant) {
        let owned = self.take_away(partitions, "lost", now);
        let taken = listed(partitions.iter());
        warn!(
            lost = taken,
            owned,
            "lost {taken}: the group went on without this member, nothing of it is committed; {owned} left"
        );
    }

    fn take_away(&mut self, partitions: &[TopicPartition], event: &str, now: Instant) -> usize {
        counters::count_rebalance(&self.metrics, partitions, event);
        for partition in partitions {
            if self.assigned.remove(partition) {
                counters::assigned_gauge(&self.metrics, partition).dec();
            }
        }
        if self.assigned.is_empty() {
            self.idle_at = Some(now + IDLE_NOTICE);
        }
        self.assigned.len()
    }

    /// Takes this member's partitions from the gauge: it leaves the group.
    pub(super) fn clear_assigned(&mut self) {
        for partition in std::mem::take(&mut self.assigned) {
            counters::assigned_gauge(&self.metrics, &partition).dec();
        }
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

    /// Counts an error of the client, and reports it unless it was reported since Kafka answered last.
    pub(in crate::task) fn client_error(&mut self, error: &KafkaError) {
        counters::count_error(&self.metrics, error.code.name());
        if !self.errors.insert(error.code) {
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

    /// Notes that Kafka answered, and reports it after errors.
    fn kafka_answers(&mut self) {
        let errors = std::mem::take(&mut self.errors);
        if !errors.is_empty() {
            let over = listed(errors.iter());
            info!("Kafka answers again, after {over}");
        }
    }

    /// Counts a failed write of the audit log, and reports the first of several: `failures` is 1.
    pub(in crate::task) fn audit_failed(
        &self,
        failure: &AuditError,
        failures: u32,
        delay: Duration,
    ) {
        counters::count_error(&self.metrics, "audit_log");
        if failures == 1 {
            let reason = one_line(failure);
            error!(
                "{reason}; nothing is processed until it can be written, tried again every {delay:?} or so"
            );
        }
    }

    pub(in crate::task) fn audit_written(&self) {
        info!("the audit log can be written again");
    }
}
