//! One member of the group, between its client and its records.

use std::time::Instant;

use crate::kafka::Consumer;
use crate::lag::{Offset, TopicPartition};
use crate::task::assigned::AssignedPartitions;
use crate::task::commit_schedule::CommitSchedule;
use crate::task::config::{CommitStrategy, TaskConfig};
use crate::task::dead_letter::DeadLetters;
use crate::task::journal::Journal;

/// What a member of the group holds: its client, its partitions, and commits and dead letters in flight.
pub(super) struct TaskMember {
    pub(super) config: TaskConfig,
    pub(super) consumer: Consumer,
    pub(super) assigned: AssignedPartitions,
    pub(super) commits: CommitSchedule,
    pub(super) dead_letters: DeadLetters,
    pub(super) journal: Journal,
    pub(super) audit_hold: Option<AuditHold>,
}

/// The audit log cannot be written: nothing is processed until it can.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuditHold {
    /// Failed writes in a row.
    pub(super) failures: u32,
    pub(super) retry_at: Instant,
}

impl TaskMember {
    /// Notes that `records` more of a partition are done, all below `position`.
    pub(super) fn advance(
        &mut self,
        partition: &TopicPartition,
        position: Option<Offset>,
        records: usize,
    ) {
        self.consumer.release(partition, records);
        self.commits.add(records, Instant::now());
        // Where the strategy says so, librdkafka's next own commit contains it.
        if let (CommitStrategy::AutoStore { .. }, Some(position)) = (self.config.commit, position)
            && let Err(error) = self.consumer.store(&[(partition.clone(), position)])
        {
            self.journal.failures.store_failed(&error);
        }
    }

    /// Reports the end of a partition when everything up to it is done.
    pub(super) fn report_end(&mut self, partition: &TopicPartition) {
        if let Some(state) = self.assigned.get_mut(partition)
            && state.report_end()
        {
            let position = state.position();
            self.journal.group.reached_end(partition, position);
        }
    }
}
