//! Lists of partitions, in both directions.

use std::ffi::CStr;
use std::ptr::NonNull;

use rdkafka_sys as sys;

use super::{codes, text};
use crate::kafka::error::KafkaError;
use crate::lag::{TopicName, TopicPartition};

/// An owned list to be passed to librdkafka.
pub(super) struct PartitionList(NonNull<sys::rd_kafka_topic_partition_list_t>);

// SAFETY: a plain object of its own, which refers to no thread.
unsafe impl Send for PartitionList {}

impl PartitionList {
    /// Returns a list of partitions, each with the number that goes into its offset field.
    pub(super) fn new<'a>(
        partitions: impl ExactSizeIterator<Item = (&'a TopicPartition, i64)>,
    ) -> Self {
        let size = i32::try_from(partitions.len()).unwrap_or(i32::MAX);
        // SAFETY: takes a size hint; the list is owned by `Self`.
        let list = unsafe { sys::rd_kafka_topic_partition_list_new(size) };
        let list = NonNull::new(list).expect("librdkafka aborts when it is out of memory");
        for (partition, offset) in partitions {
            let topic = text::c_string(partition.topic.as_str());
            // SAFETY: the list is live; the topic's name is copied.
            let element = unsafe {
                sys::rd_kafka_topic_partition_list_add(
                    list.as_ptr(),
                    topic.as_ptr(),
                    partition.partition.0,
                )
            };
            // SAFETY: the element just added, valid until the next one is.
            unsafe { (*element).offset = offset };
        }
        Self(list)
    }

    /// Returns the pointer, valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) };
    }
}

/// One element of a list that librdkafka returned.
pub(super) struct Element {
    pub(super) partition: TopicPartition,
    /// An offset, or one of Kafka's or librdkafka's negative sentinels.
    pub(super) offset: i64,
    pub(super) outcome: Result<(), KafkaError>,
}

/// Copies elements; successive ones of one topic share its name.
#[derive(Default)]
pub(super) struct Reader {
    topic: Option<TopicName>,
}

impl Reader {
    /// Copies a whole list; null is the empty list.
    ///
    /// # Safety
    ///
    /// `list` is null or a live list.
    pub(super) unsafe fn list(
        &mut self,
        list: *const sys::rd_kafka_topic_partition_list_t,
    ) -> Vec<Element> {
        if list.is_null() {
            return Vec::new();
        }
        // SAFETY: live by the caller's promise.
        let count = usize::try_from(unsafe { (*list).cnt }).unwrap_or_default();
        // SAFETY: as above.
        let elements = unsafe { (*list).elems };
        (0..count)
            .map(|index| {
                // SAFETY: within the array's length.
                let element = unsafe { elements.add(index) };
                // SAFETY: a live element of a live list.
                unsafe { self.element(element) }
            })
            .collect()
    }

    /// Copies one element.
    ///
    /// # Safety
    ///
    /// `element` is live. It is read field by field: its error may be a number that is no valid enum.
    pub(super) unsafe fn element(
        &mut self,
        element: *const sys::rd_kafka_topic_partition_t,
    ) -> Element {
        // SAFETY: live by the caller's promise.
        let topic = unsafe { (*element).topic };
        // SAFETY: as above.
        let partition = unsafe { (*element).partition };
        // SAFETY: as above.
        let offset = unsafe { (*element).offset };
        // SAFETY: as above; the address is taken without reading.
        let error = unsafe { &raw const (*element).err };
        Element {
            // SAFETY: an element's topic is a C string that it owns.
            partition: TopicPartition::new(unsafe { self.topic(topic) }, partition),
            offset,
            // SAFETY: readable, as part of a live element.
            outcome: unsafe { codes::of_field(error) },
        }
    }

    /// Copies a topic's name, or shares the one before it where they are the same.
    ///
    /// # Safety
    ///
    /// `topic` is a live C string.
    unsafe fn topic(&mut self, topic: *const std::ffi::c_char) -> TopicName {
        // SAFETY: a live C string by the caller's promise.
        let name = unsafe { CStr::from_ptr(topic) };
        let is_same = |known: &&TopicName| known.as_str().as_bytes() == name.to_bytes();
        if let Some(known) = self.topic.as_ref().filter(is_same) {
            return known.clone();
        }
        let name = TopicName::from(name.to_string_lossy().as_ref());
        self.topic = Some(name.clone());
        name
    }
}
