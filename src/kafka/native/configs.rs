//! Topic configurations, asked of one broker.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka_sys as sys;

use super::array;
use super::calls::Call;
use super::client::Client;
use super::event::Event;
use super::groups::unexpected_answer;
use super::options::Options;
use super::{codes, text};
use crate::kafka::error::KafkaError;
use crate::lag::{BrokerId, TopicName};

/// Topic configurations by name of the topic: property to value.
pub(in crate::kafka) type Configs =
    BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>;

impl Client {
    /// Returns the configuration of the named topics, with one request to `broker`; secrets are left out.
    pub(in crate::kafka) async fn topic_configs(
        &self,
        topics: &[TopicName],
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<Configs, KafkaError> {
        self.send_describe_configs(topics, broker, timeout)?
            .answer()
            .await
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
