//! The partitions that are assigned to this member, and whose turn it is. Pure: `now` is an argument.

use std::collections::BTreeMap;
use std::iter;
use std::time::Instant;

use super::item::Item;
use super::partition::Partition;
use crate::lag::{Offset, TopicPartition};

/// The assigned partitions. Each batch starts behind the partition that the last one ended with.
#[derive(Debug, Default)]
pub(super) struct AssignedPartitions {
    partitions: BTreeMap<TopicPartition, Partition>,
    served_last: Option<TopicPartition>,
}

impl AssignedPartitions {
    pub(super) fn add(&mut self, partition: TopicPartition) {
        self.partitions.insert(partition, Partition::default());
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    pub(super) fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut Partition> {
        self.partitions.get_mut(partition)
    }

    pub(super) fn names(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// Takes up to `limit` records, each partition's in order.
    pub(super) fn take(&mut self, now: Instant, limit: usize) -> Vec<Item> {
        let mut items = Vec::new();
        if limit == 0 {
            return items;
        }
        for partition in self.turns() {
            if items.len() >= limit {
                break;
            }
            let Some(taken) = self
                .get_mut(&partition)
                .and_then(|state| state.take(now, limit - items.len()))
            else {
                continue;
            };
            let attempts = iter::once(taken.attempt).chain(iter::repeat(1));
            let records = taken.records.into_iter().zip(attempts);
            items.extend(records.map(|(record, attempt)| Item {
                partition: partition.clone(),
                record,
                attempt,
            }));
            self.served_last = Some(partition);
        }
        items
    }

    /// Returns the partitions in the order of their turns: those after the one that was served last come first.
    fn turns(&self) -> Vec<TopicPartition> {
        let last = self.served_last.as_ref();
        let (served, mut turns): (Vec<_>, Vec<_>) = self
            .names()
            .into_iter()
            .partition(|partition| Some(partition) <= last);
        turns.extend(served);
        turns
    }

    /// Returns when records that failed may be tried again.
    pub(super) fn retry_times(&self) -> impl Iterator<Item = Instant> {
        self.partitions.values().filter_map(Partition::retry_at)
    }

    /// Returns the offsets that are to be committed.
    pub(super) fn uncommitted(&self) -> Vec<(TopicPartition, Offset)> {
        self.partitions
            .iter()
            .filter_map(|(partition, state)| Some((partition.clone(), state.uncommitted()?)))
            .collect()
    }

    /// Notes a commit that Kafka has confirmed.
    pub(super) fn confirm(&mut self, offsets: Vec<(TopicPartition, Offset)>) {
        for (partition, offset) in offsets {
            if let Some(state) = self.get_mut(&partition) {
                state.committed(offset);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ConsumerRecord;

    #[test]
    fn partitions_take_turns() {
        let now = Instant::now();
        let mut assigned = AssignedPartitions::default();
        for number in 0..3 {
            let partition = TopicPartition::new("task-created", number);
            assigned.add(partition.clone());
            let state = assigned.get_mut(&partition).expect("it was added");
            state.push((0..4).map(ConsumerRecord::at_offset).collect());
        }
        let mut served = Vec::new();
        for _ in 0..4 {
            let items = assigned.take(now, 1);
            let Item {
                partition, record, ..
            } = items.first().expect("records of every partition wait");
            served.push(partition.partition.0);
            let state = assigned.get_mut(partition).expect("it is assigned");
            state.settle(Some(record.next_offset()), Vec::new());
        }
        assert_eq!(served, [0, 1, 2, 0]);
    }
}
