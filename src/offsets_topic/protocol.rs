//! The consumer protocol: what members of a classic group tell each other through the coordinator.
//!
//! The coordinator stores these bytes without reading them, so that they are whatever a client wrote: a fault in them
//! is that member's, never the record's.

use crate::lag::ids::PartitionId;

use super::error::{Malformed, Problem};
use super::reader::{Encoding, Reader};

/// The newest version whose fields are known. Later ones only add fields, so they are read as this one.
///
/// Source: Kafka's `ConsumerProtocol` does the same.
const NEWEST_VERSION: i16 = 3;

/// The protocol type of consumers. Connect and schema registries use classic groups with types of their own.
const CONSUMER: &str = "consumer";

/// Bytes that a client left with the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedded<'a, T> {
    /// The consumer protocol's.
    Consumer(T),
    /// No bytes at all.
    Empty,
    /// Of another protocol type than `consumer`.
    Foreign(&'a [u8]),
    /// Of protocol type `consumer`, but they are something else.
    Malformed(Malformed),
}

/// What a member wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// The topics, in the member's order.
    pub topics: Vec<&'a str>,
    /// The assignor's own bytes.
    pub user_data: Option<&'a [u8]>,
    /// The partitions it had when it joined, where its assignor is cooperative; from version 1.
    pub owned: Vec<TopicPartitions<'a>>,
    /// The generation it had them in; from version 2.
    pub generation: Option<i32>,
    /// `client.rack`; from version 3.
    pub rack_id: Option<&'a str>,
}

/// What a member was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The partitions, topic by topic.
    pub partitions: Vec<TopicPartitions<'a>>,
    /// The assignor's own bytes.
    pub user_data: Option<&'a [u8]>,
}

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Its partitions.
    pub partitions: Vec<PartitionId>,
}

impl<'a, T> Embedded<'a, T> {
    /// Returns what the consumer protocol says, where it is the consumer protocol's.
    pub fn consumer(&self) -> Option<&T> {
        match self {
            Self::Consumer(content) => Some(content),
            Self::Empty | Self::Foreign(_) | Self::Malformed(_) => None,
        }
    }

    pub(super) fn read(
        mut bytes: Reader<'a>,
        protocol_type: &str,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Self {
        if bytes.rest().is_empty() {
            return Self::Empty;
        }
        if protocol_type != CONSUMER {
            return Self::Foreign(bytes.rest());
        }
        let content = begin(&mut bytes).and_then(|()| read(&mut bytes));
        content.map_or_else(Self::Malformed, Self::Consumer)
    }
}

/// Reads the version that stands before every structure of the protocol.
fn begin(bytes: &mut Reader<'_>) -> Result<(), Malformed> {
    const NAME: &str = "version";
    let position = bytes.position();
    let version = bytes.i16(NAME)?;
    if version < 0 {
        return Err(bytes.malformed(position, NAME, Problem::Version(version)));
    }
    bytes.set_version(version.min(NEWEST_VERSION), Encoding::Fixed);
    Ok(())
}

impl<'a> Subscription<'a> {
    pub(super) fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        let topics = bytes.list("Topics", |bytes| bytes.string("Topics"))?;
        let user_data = bytes.nullable_bytes("UserData")?;
        let owned = match bytes.version() {
            1.. => bytes.list("OwnedPartitions", TopicPartitions::read)?,
            _ => Vec::new(),
        };
        let generation = match bytes.version() {
            2.. => bytes.optional_i32("GenerationId")?,
            _ => None,
        };
        let rack_id = match bytes.version() {
            3.. => bytes.nullable_string("RackId")?,
            _ => None,
        };
        Ok(Self {
            topics,
            user_data,
            owned,
            generation,
            rack_id,
        })
    }
}

impl<'a> Assignment<'a> {
    /// Every version so far has the same fields.
    pub(super) fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            partitions: bytes.list("AssignedPartitions", TopicPartitions::read)?,
            user_data: bytes.nullable_bytes("UserData")?,
        })
    }
}

impl<'a> TopicPartitions<'a> {
    fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            topic: bytes.string("Topic")?,
            partitions: bytes.partitions("Partitions")?,
        })
    }
}
