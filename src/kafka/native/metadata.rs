//! Every broker and every topic, asked of whichever broker answers: the first question of a client that knows none.

use std::ptr;
use std::time::Duration;

use rdkafka_sys as sys;

use super::array;
use super::client::{Client, Live};
use super::{codes, text};
use crate::kafka::admin::{Broker, Metadata, PartitionMetadata};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, PartitionId, TopicName};

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
