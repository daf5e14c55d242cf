//! A group consumer as a stream of events.
//!
//! librdkafka's consumer lives on one thread that polls for ever, so that `max.poll.interval.ms` is kept however long
//! the processing of a record takes. Each partition has a queue of its own there: a partition whose records are not
//! released is paused by not being read, without losing what librdkafka has fetched already, and the others go on.

mod commit;
mod config;
mod context;
mod event;
mod inbox;
mod partition_list;
mod poll;
mod record;
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub use commit::CommitAnswer;
pub use config::{AutoCommit, ConsumerConfig, Intake, OffsetReset};
pub use event::{Acknowledgement, ConsumerEvent, Revocation, RevocationCause};
pub use record::{ConsumerRecord, Header};

use commit::Committer;
use context::Context;
use inbox::Inbox;
use partition_list::partition_list;

use super::{Connection, ConnectionError, ErrorCode, KafkaError};
use crate::lag::{Offset, TopicPartition};

/// Events on their way to the task.
const EVENTS: usize = 64;

/// A member of a consumer group. Dropped, it leaves the group in the background; [`Consumer::close`] says when it has.
pub struct Consumer {
    client: Arc<BaseConsumer<Context>>,
    committer: Committer,
    mailbox: Mailbox,
    events: mpsc::Receiver<ConsumerEvent>,
}

/// The way to the polling thread, which is asked to close when it is dropped.
struct Mailbox {
    inbox: Arc<Inbox>,
    is_full: Arc<AtomicBool>,
}

/// Stores offsets for a consumer that lives elsewhere.
pub struct OffsetStore(Weak<BaseConsumer<Context>>);

/// Why no consumer could be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The properties are wrong.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// librdkafka refuses.
    #[error("making a Kafka consumer")]
    Create {
        /// In librdkafka's words.
        #[source]
        source: KafkaError,
    },
    /// The system has no thread for it.
    #[error("starting a thread for the Kafka consumer")]
    Thread {
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

impl Consumer {
    /// Joins the group, in the background: an unreachable cluster is retried for ever.
    ///
    /// Its thread ends when the consumer is dropped or closed.
    ///
    /// # Errors
    ///
    /// When the properties are refused.
    pub fn start(connection: &Connection, config: ConsumerConfig) -> Result<Self, ConsumerError> {
        let create = |source: rdkafka::error::KafkaError| ConsumerError::Create {
            source: KafkaError::from(&source),
        };
        let properties = config.client_config(connection)?;
        let notes = Arc::new(context::Notes::default());
        let inbox = Arc::new(Inbox::default());
        let mut client: BaseConsumer<Context> = properties
            .create_with_context(Context::new(Arc::clone(&notes)))
            .map_err(create)?;
        let bell = Arc::clone(&inbox);
        client.set_nonempty_callback(move || bell.wake());
        let topics: Vec<&str> = config.topics.iter().map(|topic| topic.as_str()).collect();
        client.subscribe(&topics).map_err(create)?;

        let client = Arc::new(client);
        let (sender, events) = mpsc::channel(EVENTS);
        let is_full = Arc::new(AtomicBool::new(false));
        let (committer, committing) = Committer::start(Arc::clone(&client))
            .map_err(|source| ConsumerError::Thread { source })?;
        poll::PollSetup {
            client: Arc::clone(&client),
            committing,
            notes,
            inbox: Arc::clone(&inbox),
            events: sender,
            is_full: Arc::clone(&is_full),
            intake: config.intake,
            poll_interval: config.poll_interval,
            revoke_timeout: config.revoke_timeout,
        }
        .start()
        .map_err(|source| ConsumerError::Thread { source })?;
        Ok(Self {
            client,
            committer,
            mailbox: Mailbox { inbox, is_full },
            events,
        })
    }

    /// Returns the next event; nothing once the consumer is closed.
    ///
    /// # Cancel safety
    ///
    /// No event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ConsumerEvent> {
        let event = self.events.recv().await;
        self.mailbox.make_room();
        event
    }

    /// Returns the next event if there is one already.
    pub fn try_next(&mut self) -> Option<ConsumerEvent> {
        let event = self.events.try_recv().ok();
        self.mailbox.make_room();
        event
    }

    /// Notes that records of a partition have left the buffer.
    pub fn release(&self, partition: &TopicPartition, records: usize) {
        self.mailbox.inbox.post(|letters| {
            *letters.released.entry(partition.clone()).or_default() += records;
        });
    }

    /// Notes what librdkafka's next own commit shall say. Does not block.
    ///
    /// # Errors
    ///
    /// When a partition is no longer this member's.
    pub fn store(&self, offsets: &[(TopicPartition, Offset)]) -> Result<(), KafkaError> {
        store(&self.client, offsets)
    }

    /// Returns a handle that does what [`Self::store`] does and does not keep the consumer open.
    pub fn offset_store(&self) -> OffsetStore {
        OffsetStore(Arc::downgrade(&self.client))
    }

    /// Commits; the answer may be awaited later. Commits reach Kafka in the order of the calls.
    pub fn commit(&self, offsets: Vec<(TopicPartition, Offset)>) -> CommitAnswer {
        self.committer.commit(offsets)
    }

    /// Leaves the group at once and returns what was still under way, such as the answer to the last auto-commit.
    ///
    /// # Errors
    ///
    /// When Kafka does not confirm within `patience`; librdkafka goes on trying in the background.
    pub async fn close(self, patience: Duration) -> Result<Vec<ConsumerEvent>, KafkaError> {
        let Self {
            client,
            committer,
            mailbox,
            mut events,
        } = self;
        // The polling thread must hold the last reference: dropping it is what leaves the group.
        drop(client);
        drop(committer);
        drop(mailbox);
        let rest = async {
            let mut rest = Vec::new();
            while let Some(event) = events.recv().await {
                if !matches!(event, ConsumerEvent::Records { .. }) {
                    rest.push(event);
                }
            }
            rest
        };
        timeout(patience, rest)
            .await
            .map_err(|_| KafkaError::of(ErrorCode::TIMED_OUT))
    }
}

impl OffsetStore {
    /// Notes what librdkafka's next own commit shall say. Does not block.
    ///
    /// # Errors
    ///
    /// When a partition is no longer the member's, or the consumer is closed.
    pub fn store(&self, offsets: &[(TopicPartition, Offset)]) -> Result<(), KafkaError> {
        let client = self
            .0
            .upgrade()
            .ok_or_else(|| KafkaError::of(ErrorCode::DESTROY))?;
        store(&client, offsets)
    }
}

fn store(
    client: &BaseConsumer<Context>,
    offsets: &[(TopicPartition, Offset)],
) -> Result<(), KafkaError> {
    client
        .store_offsets(&partition_list(offsets))
        .map_err(|error| KafkaError::from(&error))
}

impl Mailbox {
    /// Wakes the polling thread if it found no room for an event.
    fn make_room(&self) {
        if self.is_full.swap(false, Ordering::AcqRel) {
            self.inbox.wake();
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.inbox.post(|letters| letters.close = true);
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OffsetStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OffsetStore").finish_non_exhaustive()
    }
}
