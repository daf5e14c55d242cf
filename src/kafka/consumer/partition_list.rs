//! Partitions and their offsets, to and from the lists of librdkafka.

use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use crate::lag::{Offset, TopicPartition};

/// Returns partitions and offsets as librdkafka takes them.
pub(super) fn partition_list(offsets: &[(TopicPartition, Offset)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (TopicPartition { topic, partition }, offset) in offsets {
        let offset = i64::try_from(offset.value()).expect("an offset is at most i64::MAX");
        list.add_partition_offset(topic.as_str(), partition.0, NativeOffset::Offset(offset))
            .expect("a whole offset has a form librdkafka takes");
    }
    list
}

/// Returns librdkafka's partitions as ours.
pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let mut partitions: Vec<_> = list
        .elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect();
    partitions.sort_unstable();
    partitions
}

/// Returns librdkafka's partitions with their offsets, those that have one.
pub(super) fn partition_offsets(list: &TopicPartitionList) -> Vec<(TopicPartition, Offset)> {
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
