//! What a consumer reports to its task.

use std::sync::Arc;

use super::inbox::Inbox;
use super::record::ConsumerRecord;
use crate::kafka::KafkaError;
use crate::lag::{Offset, TopicPartition};

/// What happens to a consumer, in the order it happens.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// Records of a partition, in offset order. They count as buffered until they are released.
    Records {
        /// The partition.
        partition: TopicPartition,
        /// At least one.
        records: Vec<ConsumerRecord>,
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
    /// To be dropped when the record in progress is done and committed.
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

impl Acknowledgement {
    /// Returns the acknowledgement of the revocation of that number.
    pub(super) fn new(revocation: u64, inbox: Arc<Inbox>) -> Self {
        Self { revocation, inbox }
    }
}

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        let Self { revocation, inbox } = self;
        inbox.post(|letters| letters.acknowledged = Some(*revocation));
    }
}

impl std::fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Acknowledgement({})", self.revocation)
    }
}
