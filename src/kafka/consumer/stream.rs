//! The queue of one assigned partition, and how much of it waits with the task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;

use super::context::Context;
use super::inbox::Inbox;
use super::record::ConsumerRecord;
use crate::lag::TopicPartition;

/// Records read from one partition before the others have their turn.
const TURN: usize = 500;

/// The queue.
pub(super) struct PartitionStream {
    queue: PartitionQueue<Context>,
    /// librdkafka has put something in; set before the thread is woken, cleared before the queue is read.
    has_more: Arc<AtomicBool>,
    /// Records handed over and not released.
    buffered: usize,
    /// Whether it is not read until half of the buffer is free again.
    is_paused: bool,
}

impl PartitionStream {
    /// Takes the partition's records out of the consumer's own queue; nothing for a partition librdkafka does not know.
    pub(super) fn split(
        client: &Arc<BaseConsumer<Context>>,
        inbox: &Arc<Inbox>,
        partition: &TopicPartition,
    ) -> Option<Self> {
        let mut queue =
            client.split_partition_queue(partition.topic.as_str(), partition.partition.0)?;
        let has_more = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&has_more);
        let inbox = Arc::clone(inbox);
        queue.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            inbox.wake();
        });
        Some(Self {
            queue,
            has_more,
            buffered: 0,
            is_paused: false,
        })
    }

    /// Returns whether a read may find something.
    pub(super) fn is_readable(&self) -> bool {
        !self.is_paused && self.has_more.load(Ordering::Acquire)
    }

    /// Reads a turn's records, as far as there is room, and whether the partition's end follows them.
    pub(super) fn read(&mut self, high_mark: usize) -> (Vec<ConsumerRecord>, bool) {
        let mut records = Vec::new();
        if self.is_paused || !self.has_more.swap(false, Ordering::AcqRel) {
            return (records, false);
        }
        let room = high_mark.saturating_sub(self.buffered).min(TURN);
        while records.len() < room {
            match self.queue.poll(Duration::ZERO) {
                Some(Ok(message)) => records.extend(ConsumerRecord::copy(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.has_more.store(true, Ordering::Release);
                    self.buffered += records.len();
                    return (records, true);
                }
                Some(Err(_)) => {}
                None => {
                    self.buffered += records.len();
                    return (records, false);
                }
            }
        }
        self.has_more.store(true, Ordering::Release);
        self.buffered += records.len();
        (records, false)
    }

    /// Pauses a partition whose buffer is full; returns how much is in it when it just did.
    pub(super) fn pause(&mut self, high_mark: usize) -> Option<usize> {
        if self.is_paused || self.buffered < high_mark {
            return None;
        }
        self.is_paused = true;
        Some(self.buffered)
    }

    /// Counts a record that was handed over without this queue.
    pub(super) fn add_one(&mut self) {
        self.buffered += 1;
    }

    /// Notes that records have left the buffer.
    pub(super) fn release(&mut self, records: usize, high_mark: usize) {
        self.buffered = self.buffered.saturating_sub(records);
        if self.buffered <= high_mark / 2 {
            self.is_paused = false;
        }
    }
}
