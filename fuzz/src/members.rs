//! What a member of a classic group left with its coordinator, read as lagwatch reads it.

use crate::lag::TopicPartition;
use crate::lag::ids::is_valid_topic_name;
use crate::offsets_topic::protocol::{self, sorted_partitions};
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Assignment, Embedded, Malformed, Schema, Subscription};

/// How many partitions a member may have.
pub const MOST_PARTITIONS: usize = protocol::MOST_PARTITIONS;

/// Reads an assignment and sorts its partitions.
pub fn read_assignment(bytes: &[u8]) -> (Embedded<'_, Assignment<'_>>, Vec<TopicPartition>) {
    let bytes = Reader::new(bytes, Schema::Assignment);
    let assignment = Embedded::read_assignment(bytes, "consumer");
    let partitions = assignment.consumer().map(Assignment::sorted_partitions);
    let partitions = partitions.unwrap_or_default();
    (assignment, partitions)
}

/// Reads a subscription and sorts the partitions that the member had when it joined.
pub fn read_subscription(bytes: &[u8]) -> (Embedded<'_, Subscription<'_>>, Vec<TopicPartition>) {
    let bytes = Reader::new(bytes, Schema::Subscription);
    let subscription = Embedded::read_subscription(bytes, "consumer");
    let owned = subscription.consumer();
    let partitions = owned.map(|subscription| sorted_partitions(&subscription.owned));
    let partitions = partitions.unwrap_or_default();
    (subscription, partitions)
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

/// Asserts that topics are ones that Kafka can have.
pub fn check_topics(topics: &[&str]) {
    for topic in topics {
        assert!(is_valid_topic_name(topic), "{topic:?}");
    }
}

/// Asserts that an error is about a place in the input.
pub fn check_error(error: &Malformed, input: &[u8]) {
    assert!(error.position <= input.len(), "{error:?}");
}
