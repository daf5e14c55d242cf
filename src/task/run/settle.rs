//! What becomes of records that were in hand.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{AuditTrouble, Consuming};
use crate::lag::{Offset, TopicPartition};
use crate::task::audit::AuditError;
use crate::task::config::CommitStrategy;
use crate::task::dead_letter::{DeadLetter, Written};
use crate::task::error::TaskError;
use crate::task::work::{AttemptError, Item, Outcome, Retry, Worked};

impl Consuming {
    /// Notes what was done and decides on what was not.
    pub(super) fn settle(&mut self, worked: Worked) -> Result<(), TaskError> {
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
        let (mut processed, mut duplicates) = (0, 0);
        let mut position = None;
        let mut failed = None;
        let mut rest = Vec::new();
        for (item, outcome) in results {
            match outcome {
                Outcome::Processed(event) => {
                    self.journal.processed(&item, &event);
                    processed += 1;
                }
                Outcome::Duplicate(event) => {
                    self.journal.duplicate(&item, &event);
                    duplicates += 1;
                }
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
            position = Some(item.record.next_offset());
        }
        state.settle(position, rest);
        if position.is_some() {
            let done = processed + duplicates;
            let counted = |records: usize| u64::try_from(records).unwrap_or(u64::MAX);
            self.journal
                .count_done(&partition.topic, counted(processed), counted(duplicates));
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
    pub(super) fn move_past(&mut self, written: &Written) {
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

    pub(super) fn tell_end(&mut self, partition: &TopicPartition) {
        if let Some(state) = self.partitions.get_mut(partition)
            && state.tell_end()
        {
            self.journal.reached_end(partition, state.position());
        }
    }
}

fn has_row((_, outcome): &(Item, Outcome)) -> bool {
    matches!(outcome, Outcome::Processed(_) | Outcome::Duplicate(_))
}
