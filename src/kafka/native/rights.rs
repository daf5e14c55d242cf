//! What the credentials may do with a group, as its coordinator tells it (KIP-430).

use std::time::Duration;

use rdkafka_sys as sys;

use super::array;
use super::client::Client;
use super::event::Event;
use super::groups::described;
use super::options::Options;
use crate::kafka::client::ReadRight;
use crate::kafka::error::KafkaError;
use crate::lag::{BrokerId, GroupId};

impl Client {
    /// Returns whether the group may be read, as `broker`, its coordinator, tells it.
    pub(in crate::kafka) async fn read_right(
        &self,
        group: &GroupId,
        broker: BrokerId,
        timeout: Duration,
    ) -> Result<ReadRight, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options = Options::new(self, kind, timeout)?
            .at_broker(broker)?
            .telling_rights()?;
        self.send_describe(group, &options, copy_right)?
            .answer()
            .await
    }
}

fn copy_right(event: &Event) -> Result<ReadRight, KafkaError> {
    let group = described(event)?;
    let mut count = 0;
    // SAFETY: the description lives as long as its event.
    let operations = unsafe {
        sys::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut count)
    };
    if operations.is_null() {
        return Ok(ReadRight::Untold);
    }
    // As numbers: a newer broker may name an operation that the bindings do not know.
    // SAFETY: the array and its length, owned by the description; the enum is a number of this size.
    let operations = unsafe { array::view(operations.cast::<u32>(), count) };
    let read = sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ as u32;
    Ok(if operations.contains(&read) {
        ReadRight::Granted
    } else {
        ReadRight::Missing
    })
}
