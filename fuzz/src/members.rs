//! What a member of a classic group left with its coordinator, read as lagwatch reads it.

use crate::lag::TopicPartition;
use crate::lag::ids::is_valid_topic_name;
use crate::offsets_topic::protocol::{self, sorted_partitions};
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, Schema};

/// How many partitions a member may have.
pub const MOST_PARTITIONS: usize = protocol::MOST_PARTITIONS;

/// Reads an assignment and sorts its partitions.
pub fn read_assignment(bytes: &[u8]) -> Result<Vec<TopicPartition>, Malformed> {
    let bytes = Reader::new(bytes, Schema::Assignment);
    let topics = protocol::read_assignment(bytes, "consumer")?;
    Ok(sorted_partitions(&topics))
}

/// Asserts that Kafka can have the partitions, each once and in order, and that one member can.
pub fn check_partitions(partitions: &[TopicPartition]) {
    assert!(partitions.len() <= MOST_PARTITIONS, "{}", partitions.len());
    assert!(partitions.is_sorted_by(|one, next| one < next));
    for TopicPartition { topic, partition } in partitions {
        assert!(is_valid_topic_name(topic.as_str()), "{topic:?}");
        assert!(partition.0 >= 0, "{partition}");
    }
}
