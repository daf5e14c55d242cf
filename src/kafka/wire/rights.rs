//! What the credentials may do, found out without doing it.

use std::time::Duration;

use tokio::time::Instant;

use super::client::KafkaAdmin;
use super::groups;
use crate::kafka::error::KafkaError;
use crate::lag::GroupId;

/// The bit of `READ` in a set of operations.
///
/// Source: Kafka's `AclOperation` and KIP-430.
const READ: i32 = 1 << 3;

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
    /// Those of [`describe_groups`](crate::kafka::Admin::describe_groups): the right to describe the group comes with that to
    /// read it.
    pub async fn read_right(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<ReadRight, KafkaError> {
        let deadline = Instant::now() + timeout;
        let operations = groups::authorized_operations(self, group, deadline).await?;
        Ok(match operations {
            None => ReadRight::Untold,
            Some(operations) if operations & READ != 0 => ReadRight::Granted,
            Some(_) => ReadRight::Missing,
        })
    }
}
