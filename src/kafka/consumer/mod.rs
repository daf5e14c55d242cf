//! A group consumer as a stream of events.
//!
//! librdkafka's consumer lives on one thread that polls for ever, so that `max.poll.interval.ms` is kept however long
//! the processing of a record takes. Each partition has a queue of its own there: a partition whose records are not
//! released is paused by not being read, without losing what librdkafka has fetched already, and the others go on.

mod commit;
mod config;
mod context;
mod inbox;
mod poll;
mod record;
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset as RdOffset, TopicPartitionList};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;

pub use commit::CommitAnswer;
pub use config::{AutoCommit, ConsumerConfig, Intake, OffsetReset};
pub use record::{Header, Record};

use commit::Committer;
use context::Context;
use inbox::Inbox;

use super::{Connection, ConnectionError, ErrorCode, KafkaError};
use crate::lag::{Offset, TopicPartition};

/// Events on their way to the task.
const EVENTS: usize = 64;

/// A member of a consumer group. Dropped, it leaves the group in the background; [`Consumer::close`] says when it has.
pub struct Consumer {
    client: Arc<BaseConsumer<Context>>,
    committer: Committer,
    mailbox: Mailbox,
    events: mpsc::Receiver<Event>,
}

/// The way to the polling thread, which is asked to close when it is dropped.
struct Mailbox {
    inbox: Arc<Inbox>,
    is_full: Arc<AtomicBool>,
}

/// What happens to a consumer, in the order it happens.
#[derive(Debug)]
pub enum Event {
    /// Records of a partition, in offset order. They count as buffered until they are released.
    Records {
        /// The partition.
        partition: TopicPartition,
        /// At least one.
        records: Vec<Record>,
    },
    /// Kafka has no record after those handed over, for now. Information.
    EndOfPartition(TopicPartition),
    /// Partitions are this member's from now on; an empty list says that the group has none for it.
    Assigned(Vec<TopicPartition>),
    /// Partitions are taken away. Records of theirs that are still buffered belong to somebody else.
    Revoked(Revocation),
    /// A commit of librdkafka's own was answered.
    AutoCommitted {
        /// What was to be committed.
        offsets: Vec<(TopicPartition, Offset)>,
        /// The answer.
        result: Result<(), KafkaError>,
    },
    /// Something is wrong; the client keeps trying.
    Error(KafkaError),
    /// The client is unusable from now on.
    Fatal(KafkaError),
}

/// Partitions that are taken away once the acknowledgement is dropped, or the revoke timeout has passed.
#[derive(Debug)]
pub struct Revocation {
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// Why.
    pub cause: RevocationCause,
    /// To be dropped when the record in hand is done and committed.
    pub acknowledgement: Acknowledgement,
}

/// Why partitions are taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationCause {
    /// The group is being rebalanced: there is time to commit.
    Rebalance,
    /// The group went on without this member: somebody else may own them already, so nothing is committed.
    Lost,
}

/// Lets go of revoked partitions when it is dropped.
pub struct Acknowledgement {
    revocation: u64,
    inbox: Arc<Inbox>,
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
    /// Joins the group, in the background: a cluster that is away is retried for ever.
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
        poll::Poller {
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
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.mailbox.make_room();
        event
    }

    /// Returns the next event if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok();
        self.mailbox.make_room();
        event
    }

    /// Tells that so many records of a partition are no longer buffered.
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

    /// Commits; the answer may be awaited or looked at later. Commits reach Kafka in the order of the calls.
    pub fn commit(&self, offsets: Vec<(TopicPartition, Offset)>) -> CommitAnswer {
        self.committer.commit(offsets)
    }

    /// Leaves the group at once and returns what was still under way, such as the answer to the last auto-commit.
    ///
    /// # Errors
    ///
    /// When Kafka does not confirm within `patience`; librdkafka goes on trying in the background.
    pub async fn close(self, patience: Duration) -> Result<Vec<Event>, KafkaError> {
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
                if !matches!(event, Event::Records { .. }) {
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

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        let Self { revocation, inbox } = self;
        inbox.post(|letters| letters.acknowledged = Some(*revocation));
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

impl std::fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Acknowledgement({})", self.revocation)
    }
}

/// Returns partitions and offsets as librdkafka takes them.
fn partition_list(offsets: &[(TopicPartition, Offset)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (TopicPartition { topic, partition }, offset) in offsets {
        let offset = i64::try_from(offset.value()).expect("an offset is at most i64::MAX");
        list.add_partition_offset(topic.as_str(), partition.0, RdOffset::Offset(offset))
            .expect("a whole offset has a form librdkafka takes");
    }
    list
}

/// Returns librdkafka's partitions as ours.
fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let mut partitions: Vec<_> = list
        .elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect();
    partitions.sort_unstable();
    partitions
}

/// Returns librdkafka's partitions with their offsets, those that have one.
fn partition_offsets(list: &TopicPartitionList) -> Vec<(TopicPartition, Offset)> {
    let mut offsets: Vec<_> = list
        .elements()
        .iter()
        .filter_map(|element| {
            let offset = Offset::new(element.offset().to_raw()?)?;
            Some((
                TopicPartition::new(element.topic(), element.partition()),
                offset,
            ))
        })
        .collect();
    offsets.sort_unstable();
    offsets
}
