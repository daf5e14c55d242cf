//! The dead-letter topic: where records go that failed for good, with where they came from and why.
//!
//! The write is retried until Kafka has it. Only then does the partition move on, so a dead letter is never skipped;
//! a crash in between writes it twice.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use super::config::Backoff;
use super::handler::HandlerError;
use super::item::Item;
use super::journal::FailureJournal;
use crate::kafka::{Header, OutgoingRecord, Producer};
use crate::lag::{Offset, TopicName, TopicPartition};

/// The header with the topic a dead letter came from.
pub const ORIGINAL_TOPIC: &str = "x-original-topic";
/// The header with its partition there.
pub const ORIGINAL_PARTITION: &str = "x-original-partition";
/// The header with its offset there.
pub const ORIGINAL_OFFSET: &str = "x-original-offset";
/// The header that says why it failed.
pub const ERROR: &str = "x-error";
/// The header that says how often it was tried.
pub const ATTEMPTS: &str = "x-attempts";

/// A dead letter that Kafka has.
#[derive(Debug)]
pub(super) struct DeliveredDeadLetter {
    pub(super) partition: TopicPartition,
    pub(super) offset: Offset,
}

/// Dead letters in flight, at most one a partition. Its tasks end when this is dropped.
#[derive(Debug)]
pub(super) struct DeadLetters {
    producer: Producer,
    topic: TopicName,
    backoff: Backoff,
    journal: FailureJournal,
    writing: JoinSet<DeliveredDeadLetter>,
    handles: BTreeMap<TopicPartition, AbortHandle>,
}

impl DeadLetters {
    /// Failed writes are reported to `journal` and tried again.
    pub(super) fn new(
        producer: Producer,
        topic: TopicName,
        backoff: Backoff,
        journal: FailureJournal,
    ) -> Self {
        Self {
            producer,
            topic,
            backoff,
            journal,
            writing: JoinSet::new(),
            handles: BTreeMap::new(),
        }
    }

    /// Starts to write a record that failed for good.
    pub(super) fn write(&mut self, item: Item, error: &HandlerError) {
        let producer = self.producer.clone();
        let journal = self.journal.clone();
        let backoff = self.backoff;
        let partition = item.partition.clone();
        let delivered = DeliveredDeadLetter {
            partition: partition.clone(),
            offset: item.record.offset,
        };
        let outgoing = outgoing(self.topic.clone(), item, error);
        let writing = async move {
            let mut attempts = 0;
            while let Err(error) = producer.send(outgoing.clone()).await {
                attempts += 1;
                let delay = backoff.delay_after(attempts);
                journal.dead_letter_failed(&delivered.partition, delivered.offset, &error, delay);
                sleep(delay).await;
            }
            delivered
        };
        // Its log lines belong to the consumer that runs it.
        let writing = writing.in_current_span().with_current_subscriber();
        let handle = self.writing.spawn(writing);
        self.handles.insert(partition, handle);
    }

    /// Returns the next dead letter that Kafka has; waits for ever while none is in flight.
    ///
    /// # Cancel safety
    ///
    /// None is lost when the future is dropped.
    pub(super) async fn delivered(&mut self) -> DeliveredDeadLetter {
        loop {
            match self.writing.join_next().await {
                Some(Ok(delivered)) => {
                    self.handles.remove(&delivered.partition);
                    return delivered;
                }
                // Aborted with its partition.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Returns whether a dead letter of any of `partitions` is in flight.
    pub(super) fn is_writing(&self, partitions: &[TopicPartition]) -> bool {
        partitions
            .iter()
            .any(|partition| self.handles.contains_key(partition))
    }

    /// Aborts the dead letter of a partition that is no longer ours: its next owner will write it.
    pub(super) fn abandon(&mut self, partition: &TopicPartition) {
        if let Some(handle) = self.handles.remove(partition) {
            handle.abort();
        }
    }

    /// Waits until none is in flight, then closes the producer; each for `patience` at most.
    pub(super) async fn close(self, patience: Duration) {
        let Self {
            producer,
            mut writing,
            ..
        } = self;
        let delivered = async { while writing.join_next().await.is_some() {} };
        // What is not delivered by then is not committed either.
        let _ = timeout(patience, delivered).await;
        writing.shutdown().await;
        producer.close(patience).await;
    }
}

/// Returns the record as the dead-letter topic gets it: its own key, value and headers, and where it came from.
fn outgoing(topic: TopicName, item: Item, error: &HandlerError) -> OutgoingRecord {
    let Item {
        partition,
        record,
        attempt,
    } = item;
    let mut headers = record.headers;
    headers.extend([
        Header::text(ORIGINAL_TOPIC, partition.topic.as_str()),
        Header::text(ORIGINAL_PARTITION, partition.partition.to_string()),
        Header::text(ORIGINAL_OFFSET, record.offset.to_string()),
        Header::text(ERROR, error.to_string()),
        Header::text(ATTEMPTS, attempt.to_string()),
    ]);
    OutgoingRecord {
        topic,
        partition: None,
        key: record.key,
        value: record.value,
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ConsumerRecord;

    #[test]
    fn a_dead_letter_keeps_its_bytes_and_says_where_it_came_from() {
        let record = ConsumerRecord {
            key: Some(b"k".to_vec()),
            value: Some(b"{".to_vec()),
            headers: vec![Header::text("trace", "t-1")],
            ..ConsumerRecord::at_offset(41)
        };
        let sent = outgoing(
            "dlq".into(),
            Item {
                partition: TopicPartition::new("task-created", 3),
                record,
                attempt: 5,
            },
            &HandlerError::Permanent("no JSON".into()),
        );
        assert_eq!(sent.topic.as_str(), "dlq");
        assert_eq!(sent.key.as_deref(), Some(&b"k"[..]));
        assert_eq!(sent.value.as_deref(), Some(&b"{"[..]));
        assert_eq!(
            sent.headers,
            [
                Header::text("trace", "t-1"),
                Header::text(ORIGINAL_TOPIC, "task-created"),
                Header::text(ORIGINAL_PARTITION, "3"),
                Header::text(ORIGINAL_OFFSET, "41"),
                Header::text(ERROR, "no JSON"),
                Header::text(ATTEMPTS, "5"),
            ]
        );
    }
}
