//! What the credentials may do, found out without doing it.

use tokio::time::Instant;

use super::client::WireClient;
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

/// Returns whether the credentials may read a group.
pub(super) async fn read_right(
    client: &WireClient,
    group: &GroupId,
    deadline: Instant,
) -> Result<ReadRight, KafkaError> {
    let operations = groups::authorized_operations(client, group, deadline).await?;
    Ok(match operations {
        None => ReadRight::Untold,
        Some(operations) if operations & READ != 0 => ReadRight::Granted,
        Some(_) => ReadRight::Missing,
    })
}
