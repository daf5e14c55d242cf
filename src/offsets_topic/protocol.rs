//! The consumer protocol: what members of a classic group tell each other through the coordinator.
//!
//! The coordinator stores these bytes without reading them, so that they are whatever a client wrote: a fault in them
//! is that member's, never the record's.

use crate::lag::ids::{PartitionId, TopicName, TopicPartition, is_valid_topic_name};

use super::encoding::FieldEncoding;
use super::error::{Malformed, Problem};
use super::reader::Reader;

/// The newest version whose fields are known. Later ones only add fields, so they are read as this one.
///
/// Source: Kafka's `ConsumerProtocol` does the same.
const NEWEST_VERSION: i16 = 3;

/// How many partitions a member may have or own. More than any consumer can read from, and few enough that what a member
/// leaves cannot take much memory.
pub(crate) const MOST_PARTITIONS: usize = 50_000;

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

    fn read(
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
    bytes.set_version(version.min(NEWEST_VERSION), FieldEncoding::Fixed);
    Ok(())
}

impl<'a> Embedded<'a, Assignment<'a>> {
    /// Reads what a member of a classic group was assigned, where the group's protocol type is `protocol_type`.
    pub(crate) fn read_assignment(bytes: Reader<'a>, protocol_type: &str) -> Self {
        Self::read(bytes, protocol_type, Assignment::read)
    }
}

impl<'a> Embedded<'a, Subscription<'a>> {
    /// Reads what a member of a classic group subscribed to, where the group's protocol type is `protocol_type`.
    pub(crate) fn read_subscription(bytes: Reader<'a>, protocol_type: &str) -> Self {
        Self::read(bytes, protocol_type, Subscription::read)
    }
}

impl<'a> Subscription<'a> {
    fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        let topics = bytes.list("Topics", |bytes| {
            let position = bytes.position();
            let topic = bytes.string("Topics")?;
            let is_valid = is_valid_topic_name(topic).then_some(topic);
            is_valid.ok_or(bytes.malformed(position, "Topics", Problem::TopicName))
        })?;
        let user_data = bytes.nullable_bytes("UserData")?;
        let owned = match bytes.version() {
            1.. => TopicPartitions::read_all(bytes, "OwnedPartitions")?,
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
    fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            partitions: TopicPartitions::read_all(bytes, "AssignedPartitions")?,
            user_data: bytes.nullable_bytes("UserData")?,
        })
    }

    /// Returns its partitions, sorted. Partitions of the same topic share its name.
    pub fn sorted_partitions(&self) -> Vec<TopicPartition> {
        sorted_partitions(&self.partitions)
    }
}

/// Returns partitions sorted; those of the same topic share its name, however often `topics` repeats it.
pub(crate) fn sorted_partitions(topics: &[TopicPartitions<'_>]) -> Vec<TopicPartition> {
    let mut partitions: Vec<_> = pairs(topics).collect();
    partitions.sort_unstable();
    let mut last: Option<TopicName> = None;
    let named = |(name, partition): (&str, PartitionId)| {
        let topic = match last.take() {
            Some(topic) if topic.as_str() == name => topic,
            _ => TopicName::from(name),
        };
        last = Some(topic.clone());
        TopicPartition { topic, partition }
    };
    partitions.into_iter().map(named).collect()
}

/// Returns what is wrong with the partitions of one member; nothing where they are partitions that Kafka can have, each
/// named once.
pub(crate) fn problem_of(topics: &[TopicPartitions<'_>]) -> Option<Problem> {
    let count = topics.iter().map(|topic| topic.partitions.len()).sum();
    if count > MOST_PARTITIONS {
        let most = MOST_PARTITIONS;
        return Some(Problem::TooManyPartitions { count, most });
    }
    if !topics.iter().all(|topic| is_valid_topic_name(topic.topic)) {
        return Some(Problem::TopicName);
    }
    if let Some((_, PartitionId(number))) = pairs(topics).find(|(_, partition)| partition.0 < 0) {
        return Some(Problem::NegativePartition(number));
    }
    // Most assignors write them in order, and then none is repeated.
    if pairs(topics).is_sorted_by(|one, next| one < next) {
        return None;
    }
    let mut partitions: Vec<_> = pairs(topics).collect();
    partitions.sort_unstable();
    let repeated = partitions.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(Problem::RepeatedPartition(repeated[0].1.0))
}

fn pairs<'t>(topics: &'t [TopicPartitions<'_>]) -> impl Iterator<Item = (&'t str, PartitionId)> {
    let of_topic = |topic: &'t TopicPartitions<'_>| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (topic.topic, *partition))
    };
    topics.iter().flat_map(of_topic)
}

impl<'a> TopicPartitions<'a> {
    fn read_all(bytes: &mut Reader<'a>, field: &'static str) -> Result<Vec<Self>, Malformed> {
        let position = bytes.position();
        let topics = bytes.list(field, Self::read)?;
        match problem_of(&topics) {
            Some(problem) => Err(bytes.malformed(position, field, problem)),
            None => Ok(topics),
        }
    }

    fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            topic: bytes.string("Topic")?,
            partitions: bytes.partitions("Partitions")?,
        })
    }
}
