//! What the credentials may do, told without doing it.

use std::time::Duration;

use super::KafkaAdmin;
use crate::kafka::error::KafkaError;
use crate::lag::GroupId;

/// Whether a group may be read: to join it, and to commit, takes no more and no less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadRight {
    /// It may.
    Granted,
    /// It may not.
    Missing,
    /// The broker is too old to say (KIP-430, Kafka 2.3).
    Untold,
}

impl KafkaAdmin {
    /// Returns whether the credentials may read a group, which need not exist. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`describe_group`](crate::kafka::Admin::describe_group): the right to describe the group comes with that to read
    /// it.
    pub async fn read_right(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<ReadRight, KafkaError> {
        self.at_coordinator(group, timeout, |broker, timeout| {
            self.client.read_right(group, broker, timeout)
        })
        .await
    }
}
