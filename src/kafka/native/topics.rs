//! Brokers, topics, partitions and topic configurations.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka_sys as sys;

use super::array;
use super::calls::Call;
use super::client::{Client, Live};
use super::event::Event;
use super::groups::{node_id, unexpected_answer};
use super::options::Options;
use super::{codes, text};
use crate::kafka::admin::{Broker, Metadata, PartitionMetadata};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, PartitionId, TopicName};

/// Topics by name, an error where one cannot be read.
pub(in crate::kafka) type Topics = BTreeMap<TopicName, Result<Vec<PartitionMetadata>, KafkaError>>;

/// Topic configurations by name of the topic: property to value.
pub(in crate::kafka) type Configs =
    BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>;

unsafe extern "C" {
    /// As in the bindings, but with the code as a number.
    fn rd_kafka_metadata(
        client: *mut sys::rd_kafka_t,
        all_topics: i32,
        only_topic: *mut sys::rd_kafka_topic_t,
        metadata: *mut *const sys::rd_kafka_metadata_t,
        timeout_ms: i32,
    ) -> i32;
}

impl Client {
    /// Returns every broker and every topic, with one request to some broker.
    pub(in crate::kafka) async fn all_topics(
        &self,
        timeout: Duration,
    ) -> Result<Metadata, KafkaError> {
        // librdkafka lists all topics only by a function that blocks.
        self.blocking("kafka-metadata", timeout, move |live| {
            read_metadata(live, timeout)
        })
        .await
    }

    /// Returns the brokers, with one request to `broker`.
    pub(in crate::kafka) async fn brokers(
        &self,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Vec<Broker>, KafkaError> {
        self.send_describe_cluster(broker, timeout)?
            .answer(timeout)
            .await
    }

    /// Returns the named topics, with one request to `broker`. One that does not exist is an error at its place.
    pub(in crate::kafka) async fn topics(
        &self,
        topics: &[TopicName],
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Topics, KafkaError> {
        self.send_describe_topics(topics, broker, timeout)?
            .answer(timeout)
            .await
    }

    /// Returns the configuration of the named topics, with one request to `broker`; secrets are left out.
    pub(in crate::kafka) async fn topic_configs(
        &self,
        topics: &[TopicName],
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Configs, KafkaError> {
        self.send_describe_configs(topics, broker, timeout)?
            .answer(timeout)
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

    fn send_describe_configs(
        &self,
        topics: &[TopicName],
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Call<Configs>, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
        let options = Options::new(self, kind, timeout)?.at_broker(broker)?;
        let mut resources: Vec<_> = topics.iter().map(ConfigResource::topic).collect();
        let mut pointers: Vec<_> = resources.iter_mut().map(|resource| resource.0).collect();
        self.call(&options, copy_configs, |live, options| {
            // SAFETY: client, resources, options and queue are live; resources and options are copied.
            unsafe {
                sys::rd_kafka_DescribeConfigs(
                    live.handle.as_ptr(),
                    pointers.as_mut_ptr(),
                    pointers.len(),
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

/// An owned question about one resource's configuration.
struct ConfigResource(*mut sys::rd_kafka_ConfigResource_t);

impl ConfigResource {
    fn topic(name: &TopicName) -> Self {
        let name = text::c_string(name.as_str());
        // SAFETY: the string is live and copied.
        Self(unsafe {
            sys::rd_kafka_ConfigResource_new(
                sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                name.as_ptr(),
            )
        })
    }
}

impl Drop for ConfigResource {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_ConfigResource_destroy(self.0) };
    }
}

/// Asks some broker for everything, and waits.
fn read_metadata(live: &Live, timeout: Duration) -> Result<Metadata, KafkaError> {
    let timeout_ms = i32::try_from(timeout.as_millis())
        .unwrap_or(i32::MAX)
        .max(1);
    let mut metadata = ptr::null();
    // SAFETY: the client is live; the pointer is written on success only.
    let code = unsafe {
        rd_kafka_metadata(
            live.handle.as_ptr(),
            1,
            ptr::null_mut(),
            &raw mut metadata,
            timeout_ms,
        )
    };
    if code != 0 {
        return Err(KafkaError::of(ErrorCode::new(code)));
    }
    // SAFETY: written by the call above, owned by this function.
    let copied = unsafe { copy_metadata(metadata) };
    // SAFETY: owned, and destroyed once; `copied` does not refer to it.
    unsafe { sys::rd_kafka_metadata_destroy(metadata) };
    Ok(copied)
}

/// # Safety
///
/// `metadata` is live.
unsafe fn copy_metadata(metadata: *const sys::rd_kafka_metadata_t) -> Metadata {
    // SAFETY: live by the caller's promise; the struct holds numbers and pointers alone.
    let metadata = unsafe { &*metadata };
    // SAFETY: the array and its length, owned by the metadata; numbers and pointers alone.
    let brokers = unsafe { array::view(metadata.brokers, metadata.broker_cnt) };
    let mut brokers: Vec<Broker> = brokers
        .iter()
        .map(|broker| Broker {
            id: BrokerId(broker.id),
            // SAFETY: a string owned by the metadata, copied here.
            host: unsafe { text::lossy(broker.host) },
            port: u16::try_from(broker.port).unwrap_or_default(),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    let count = usize::try_from(metadata.topic_cnt).unwrap_or_default();
    let topics = (0..count)
        .map(|index| {
            // SAFETY: within the array's length.
            let topic = unsafe { metadata.topics.add(index) };
            // SAFETY: a live element of the metadata.
            unsafe { copy_metadata_topic(topic) }
        })
        .collect();
    Metadata { brokers, topics }
}

/// # Safety
///
/// `topic` is live. It is read field by field: its error may be a number that is no valid enum.
unsafe fn copy_metadata_topic(
    topic: *const sys::rd_kafka_metadata_topic_t,
) -> (TopicName, Result<Vec<PartitionMetadata>, KafkaError>) {
    // SAFETY: live by the caller's promise.
    let name = unsafe { (*topic).topic };
    // SAFETY: a string owned by the metadata, copied here.
    let name = TopicName::from(unsafe { text::lossy(name) });
    // SAFETY: live by the caller's promise; the address is taken without reading.
    let error = unsafe { &raw const (*topic).err };
    // SAFETY: readable, as part of a live element.
    if let Err(error) = unsafe { codes::of_field(error) } {
        return (name, Err(error));
    }
    // SAFETY: live by the caller's promise.
    let count = usize::try_from(unsafe { (*topic).partition_cnt }).unwrap_or_default();
    // SAFETY: as above.
    let partitions = unsafe { (*topic).partitions };
    let partitions = (0..count)
        .map(|index| {
            // SAFETY: within the array's length.
            let partition = unsafe { partitions.add(index) };
            // SAFETY: a live element of the metadata.
            unsafe { copy_metadata_partition(partition) }
        })
        .collect();
    (name, Ok(partitions))
}

/// # Safety
///
/// `partition` is live. Its error is not read: it repeats that there is no leader, or that a replica is offline.
unsafe fn copy_metadata_partition(
    partition: *const sys::rd_kafka_metadata_partition_t,
) -> PartitionMetadata {
    // SAFETY: live by the caller's promise.
    let id = unsafe { (*partition).id };
    // SAFETY: as above.
    let leader = unsafe { (*partition).leader };
    // SAFETY: as above.
    let replicas = unsafe { (*partition).replicas };
    // SAFETY: as above.
    let replica_count = unsafe { (*partition).replica_cnt };
    // SAFETY: as above.
    let in_sync = unsafe { (*partition).isrs };
    // SAFETY: as above.
    let in_sync_count = unsafe { (*partition).isr_cnt };
    // SAFETY: the array and its length, owned by the metadata.
    let replicas = unsafe { array::view(replicas, replica_count) };
    // SAFETY: as above.
    let in_sync = unsafe { array::view(in_sync, in_sync_count) };
    PartitionMetadata {
        id: PartitionId(id),
        leader: (leader >= 0).then_some(BrokerId(leader)),
        replicas: replicas.iter().copied().map(BrokerId).collect(),
        in_sync: in_sync.iter().copied().map(BrokerId).collect(),
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
) -> (TopicName, Result<Vec<PartitionMetadata>, KafkaError>) {
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
    (name, Ok(partitions))
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

fn copy_configs(event: &Event) -> Result<Configs, KafkaError> {
    event.error()?;
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_DescribeConfigs_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let resources =
        unsafe { sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let resources = unsafe { array::view(resources, count) };
    Ok(resources
        .iter()
        .map(|&resource| {
            // SAFETY: an element of the result is live.
            unsafe { copy_resource(resource) }
        })
        .collect())
}

/// # Safety
///
/// `resource` is live.
unsafe fn copy_resource(
    resource: *const sys::rd_kafka_ConfigResource_t,
) -> (TopicName, Result<BTreeMap<String, String>, KafkaError>) {
    // SAFETY: live by the caller's promise.
    let name = unsafe { sys::rd_kafka_ConfigResource_name(resource) };
    // SAFETY: a string owned by the resource, copied here.
    let name = TopicName::from(unsafe { text::lossy(name) });
    // SAFETY: live by the caller's promise.
    if let Err(error) = unsafe { codes::of_resource(resource) } {
        return (name, Err(error));
    }
    let mut count = 0;
    // SAFETY: live by the caller's promise.
    let entries = unsafe { sys::rd_kafka_ConfigResource_configs(resource, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let entries = unsafe { array::view(entries, count) };
    let entries = entries
        .iter()
        .filter_map(|&entry| {
            // SAFETY: an element of the resource is live.
            unsafe { copy_entry(entry) }
        })
        .collect();
    (name, Ok(entries))
}

/// Copies a property and its value; nothing for a secret and for a property without a value.
///
/// # Safety
///
/// `entry` is live.
unsafe fn copy_entry(entry: *const sys::rd_kafka_ConfigEntry_t) -> Option<(String, String)> {
    // SAFETY: live by the caller's promise.
    let is_sensitive = unsafe { sys::rd_kafka_ConfigEntry_is_sensitive(entry) };
    if is_sensitive != 0 {
        return None;
    }
    // SAFETY: as above.
    let name = unsafe { sys::rd_kafka_ConfigEntry_name(entry) };
    // SAFETY: as above.
    let value = unsafe { sys::rd_kafka_ConfigEntry_value(entry) };
    // SAFETY: a string owned by the entry, copied here.
    let name = unsafe { text::lossy(name) };
    // SAFETY: null or a string owned by the entry, copied here.
    let value = unsafe { text::lossy_opt(value) }?;
    Some((name, value))
}
