//! The consumer protocol: what members of a classic group tell each other through the coordinator.
//!
//! The coordinator stores these bytes without reading them, so that they are whatever a client wrote: a fault in them
//! is that member's, never the record's.

use crate::lag::ids::{PartitionId, TopicName, TopicPartition, is_valid_topic_name};

use super::error::{Malformed, Problem};
use super::reader::Reader;

/// How many partitions a member may have or own. More than any consumer can read from, and few enough that what a member
/// leaves cannot take much memory.
pub(crate) const MOST_PARTITIONS: usize = 50_000;

/// The protocol type of consumers. Connect and schema registries use classic groups with types of their own.
const CONSUMER: &str = "consumer";

/// Partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions<'a> {
    /// The topic.
    pub topic: &'a str,
    /// Its partitions.
    pub partitions: Vec<PartitionId>,
}

/// Reads what a member of a classic group was assigned, where the group's protocol type is `protocol_type`. Without bytes,
/// and of another protocol, it has no partitions.
pub(crate) fn read_assignment<'a>(
    mut bytes: Reader<'a>,
    protocol_type: &str,
) -> Result<Vec<TopicPartitions<'a>>, Malformed> {
    const FIELD: &str = "AssignedPartitions";
    if bytes.rest().is_empty() || protocol_type != CONSUMER {
        return Ok(Vec::new());
    }
    let position = bytes.position();
    // Every version so far has the same fields, and later ones only add some.
    let version = bytes.i16("version")?;
    if version < 0 {
        return Err(bytes.malformed(position, "version", Problem::Version(version)));
    }
    let position = bytes.position();
    let topics = bytes.list(FIELD, TopicPartitions::read)?;
    if let Some(problem) = problem_of(&topics) {
        return Err(bytes.malformed(position, FIELD, problem));
    }
    bytes.nullable_bytes("UserData")?;
    Ok(topics)
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
    fn read(bytes: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Self {
            topic: bytes.string("Topic")?,
            partitions: bytes.partitions("Partitions")?,
        })
    }
}
