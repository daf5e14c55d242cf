//! Names of groups and topics as kafka-protocol takes them.

use kafka_protocol::messages::{GroupId as WireGroupId, TopicName as WireTopicName};
use kafka_protocol::protocol::StrBytes;

use crate::lag::{GroupId, TopicName, TopicPartition};

pub(super) fn wire_string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn wire_group(group: &GroupId) -> WireGroupId {
    WireGroupId(wire_string(group.as_str()))
}

pub(super) fn wire_topic(topic: &TopicName) -> WireTopicName {
    WireTopicName(wire_string(topic.as_str()))
}

/// Returns elements topic by topic, as requests name partitions; `partition` says which one an element is about.
pub(super) fn by_topic<'a, T>(
    elements: impl Iterator<Item = &'a T>,
    partition: impl Fn(&'a T) -> &'a TopicPartition,
) -> Vec<(&'a TopicName, Vec<&'a T>)> {
    let mut elements: Vec<&T> = elements.collect();
    elements.sort_by_key(|element| partition(element));
    let mut topics: Vec<(&TopicName, Vec<&T>)> = Vec::new();
    for element in elements {
        let name = &partition(element).topic;
        match topics.last_mut() {
            Some((topic, of_topic)) if *topic == name => of_topic.push(element),
            _ => topics.push((name, vec![element])),
        }
    }
    topics
}
