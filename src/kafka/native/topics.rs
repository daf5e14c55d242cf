//! Brokers and named topics, asked of one broker.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::time::Duration;

use rdkafka_sys as sys;

use super::array;
use super::calls::Call;
use super::client::Client;
use super::event::Event;
use super::groups::{node_id, unexpected_answer};
use super::options::Options;
use super::{codes, text};
use crate::kafka::admin::{Broker, PartitionMetadata};
use crate::kafka::error::KafkaError;
use crate::lag::{BrokerId, PartitionId, TopicId, TopicName};

/// Topics by name, an error where one cannot be read.
pub(in crate::kafka) type Topics = BTreeMap<TopicName, Result<DescribedTopic, KafkaError>>;

/// A topic as a broker describes it.
#[derive(Debug)]
pub(in crate::kafka) struct DescribedTopic {
    /// Nothing where the broker is too old to give ids.
    pub(in crate::kafka) id: Option<TopicId>,
    pub(in crate::kafka) partitions: Vec<PartitionMetadata>,
}

impl Client {
    /// Returns the brokers, with one request to `broker`.
    pub(in crate::kafka) async fn brokers(
        &self,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Vec<Broker>, KafkaError> {
        self.send_describe_cluster(broker, timeout)?.answer().await
    }

    /// Returns the named topics, with one request to `broker`. One that does not exist is an error at its place.
    pub(in crate::kafka) async fn topics(
        &self,
        topics: &[TopicName],
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Topics, KafkaError> {
        self.send_describe_topics(topics, broker, timeout)?
            .answer()
            .await
    }

    fn send_describe_cluster(
        &self,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Call<Vec<Broker>>, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER;
        let options = Options::new(self, kind, timeout)?.at_broker(broker)?;
        self.call(&options, copy_brokers, |live, options| {
            // SAFETY: client, options and queue are live; options are copied.
            unsafe {
                sys::rd_kafka_DescribeCluster(live.handle.as_ptr(), options, live.queue.as_ptr());
            }
        })
    }

    fn send_describe_topics(
        &self,
        topics: &[TopicName],
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Call<Topics>, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = Options::new(self, kind, timeout)?.at_broker(broker)?;
        let collection = TopicCollection::new(topics);
        self.call(&options, copy_topics, |live, options| {
            // SAFETY: client, collection, options and queue are live; collection and options are copied.
            unsafe {
                sys::rd_kafka_DescribeTopics(
                    live.handle.as_ptr(),
                    collection.0,
                    options,
                    live.queue.as_ptr(),
                );
            }
        })
    }
}

/// An owned collection of topic names.
struct TopicCollection(*mut sys::rd_kafka_TopicCollection_t);

impl TopicCollection {
    fn new(topics: &[TopicName]) -> Self {
        let names: Vec<CString> = topics
            .iter()
            .map(|topic| text::c_string(topic.as_str()))
            .collect();
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: array and strings are live and copied.
        Self(unsafe {
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
        })
    }
}

impl Drop for TopicCollection {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_TopicCollection_destroy(self.0) };
    }
}

fn copy_brokers(event: &Event) -> Result<Vec<Broker>, KafkaError> {
    event.error()?;
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_DescribeCluster_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let nodes = unsafe { sys::rd_kafka_DescribeCluster_result_nodes(result, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let nodes = unsafe { array::view(nodes, count) };
    let mut brokers: Vec<Broker> = nodes
        .iter()
        .map(|&node| {
            // SAFETY: an element of the result is live.
            unsafe { copy_broker(node) }
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    Ok(brokers)
}

/// # Safety
///
/// `node` is live.
unsafe fn copy_broker(node: *const sys::rd_kafka_Node_t) -> Broker {
    // SAFETY: live by the caller's promise.
    let id = unsafe { sys::rd_kafka_Node_id(node) };
    // SAFETY: as above.
    let host = unsafe { sys::rd_kafka_Node_host(node) };
    // SAFETY: as above.
    let port = unsafe { sys::rd_kafka_Node_port(node) };
    Broker {
        id: BrokerId(id),
        // SAFETY: a string owned by the node, copied here.
        host: unsafe { text::lossy(host) },
        port,
    }
}

fn copy_topics(event: &Event) -> Result<Topics, KafkaError> {
    event.error()?;
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_DescribeTopics_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let topics = unsafe { sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let topics = unsafe { array::view(topics, count) };
    Ok(topics
        .iter()
        .map(|&topic| {
            // SAFETY: an element of the result is live.
            unsafe { copy_topic(topic) }
        })
        .collect())
}

/// # Safety
///
/// `topic` is live.
unsafe fn copy_topic(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> (TopicName, Result<DescribedTopic, KafkaError>) {
    // SAFETY: live by the caller's promise.
    let name = unsafe { sys::rd_kafka_TopicDescription_name(topic) };
    // SAFETY: a string owned by the description, copied here.
    let name = TopicName::from(unsafe { text::lossy(name) });
    // SAFETY: live by the caller's promise.
    let error = unsafe { sys::rd_kafka_TopicDescription_error(topic) };
    // SAFETY: null or an error owned by the description.
    if let Err(error) = unsafe { codes::of_error(error) } {
        return (name, Err(error));
    }
    let mut count = 0;
    // SAFETY: live by the caller's promise.
    let partitions = unsafe { sys::rd_kafka_TopicDescription_partitions(topic, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let partitions = unsafe { array::view(partitions, count) };
    let partitions = partitions
        .iter()
        .map(|&partition| {
            // SAFETY: an element of the description is live.
            unsafe { copy_partition(partition) }
        })
        .collect();
    // SAFETY: live by the caller's promise.
    let id = unsafe { sys::rd_kafka_TopicDescription_topic_id(topic) };
    let topic = DescribedTopic {
        // SAFETY: null or owned by the description.
        id: unsafe { topic_id(id) },
        partitions,
    };
    (name, Ok(topic))
}

/// # Safety
///
/// `id` is null or live.
unsafe fn topic_id(id: *const sys::rd_kafka_Uuid_t) -> Option<TopicId> {
    if id.is_null() {
        return None;
    }
    // SAFETY: live by the caller's promise.
    let most = unsafe { sys::rd_kafka_Uuid_most_significant_bits(id) };
    // SAFETY: as above.
    let least = unsafe { sys::rd_kafka_Uuid_least_significant_bits(id) };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&most.to_be_bytes());
    bytes[8..].copy_from_slice(&least.to_be_bytes());
    TopicId::from_bytes(bytes)
}

/// # Safety
///
/// `partition` is live.
unsafe fn copy_partition(
    partition: *const sys::rd_kafka_TopicPartitionInfo_t,
) -> PartitionMetadata {
    // SAFETY: live by the caller's promise.
    let id = unsafe { sys::rd_kafka_TopicPartitionInfo_partition(partition) };
    // SAFETY: as above.
    let leader = unsafe { sys::rd_kafka_TopicPartitionInfo_leader(partition) };
    let mut replica_count = 0;
    // SAFETY: as above.
    let replicas =
        unsafe { sys::rd_kafka_TopicPartitionInfo_replicas(partition, &raw mut replica_count) };
    let mut in_sync_count = 0;
    // SAFETY: as above.
    let in_sync =
        unsafe { sys::rd_kafka_TopicPartitionInfo_isr(partition, &raw mut in_sync_count) };
    PartitionMetadata {
        id: PartitionId(id),
        // SAFETY: null or a node owned by the partition.
        leader: unsafe { node_id(leader) },
        // SAFETY: the array and its length, owned by the partition.
        replicas: unsafe { node_ids(replicas, replica_count) },
        // SAFETY: as above.
        in_sync: unsafe { node_ids(in_sync, in_sync_count) },
    }
}

/// # Safety
///
/// `nodes` has `count` elements, each null or a live node.
unsafe fn node_ids(nodes: *mut *const sys::rd_kafka_Node_t, count: usize) -> Vec<BrokerId> {
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let nodes = unsafe { array::view(nodes, count) };
    nodes
        .iter()
        .filter_map(|&node| {
            // SAFETY: null or live by the caller's promise.
            unsafe { node_id(node) }
        })
        .collect()
}
