//! Sharing out the partitions of a topic among the members of a group, without reading any of them.
//!
//! Kafka assigns the partitions and moves those of a member that is gone. The member never fetches and never commits.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use tracing::warn;

use super::connection::Connection;
use super::consumer::{
    AutoCommit, Consumer, ConsumerConfig, ConsumerError, ConsumerEvent, Intake, OffsetReset,
    Revocation, RevocationCause,
};
use super::error::KafkaError;
use crate::lag::{GroupId, PartitionId, TopicName, TopicPartition};

/// How long partitions that are taken away wait for clients that hold them.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a member may be silent before its partitions are another's, unless the connection sets it.
const SESSION_TIMEOUT_MS: u32 = 10_000;

/// How long until a member hears that another one has left: librdkafka's default is three seconds.
const HEARTBEAT_INTERVAL_MS: u32 = 1_000;

/// A member of the group. Dropped, it leaves in the background; [`ShardMember::close`] says when it has.
#[derive(Debug)]
pub struct GroupShardMember(Consumer);

/// A member that is told which partitions are its: [`GroupShardMember`] in production, a fake in tests.
#[async_trait]
pub trait ShardMember: Send + Sync {
    /// Returns what happens next; nothing once the member can go on no longer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Option<ShardEvent>;

    /// Leaves the group, so that the others have the partitions at once.
    async fn close(self: Box<Self>, patience: Duration);
}

/// What happens to a member.
#[derive(Debug)]
pub enum ShardEvent {
    /// These are its partitions, too, from now on. None: the group has none for it.
    Given(Vec<PartitionId>),
    /// These are its no longer.
    Taken {
        /// The partitions.
        partitions: Vec<PartitionId>,
        /// To be dropped once nothing of them is shown any more: only then another member is given them.
        hold: Hold,
    },
    /// The group went on without the member: it has no partitions until it is given some again.
    CutOff,
    /// Something is wrong; the member keeps trying.
    Trouble(KafkaError),
}

/// Holds up the others until it is dropped, or for five seconds.
pub type Hold = Box<dyn Any + Send>;

impl GroupShardMember {
    /// Joins `group`, in the background, to share out the partitions of `topic`.
    ///
    /// # Errors
    ///
    /// When the properties are refused.
    pub fn join(
        connection: &Connection,
        group: GroupId,
        topic: &str,
    ) -> Result<Self, ConsumerError> {
        let config = ConsumerConfig {
            topics: vec![TopicName::from(topic)],
            group,
            offset_reset: OffsetReset::Latest,
            auto_commit: AutoCommit::Off,
            client_id: "lagwatch-shard".to_owned(),
            intake: Intake::Nothing,
            poll_interval: Duration::from_secs(1),
            revoke_timeout: REVOKE_TIMEOUT,
            properties: defaults(connection),
        };
        Consumer::start(connection, config).map(Self)
    }
}

#[async_trait]
impl ShardMember for GroupShardMember {
    async fn next(&mut self) -> Option<ShardEvent> {
        loop {
            return Some(match self.0.next().await? {
                ConsumerEvent::Assigned(given) => ShardEvent::Given(numbers(given)),
                ConsumerEvent::Revoked(Revocation {
                    cause: RevocationCause::Lost,
                    ..
                }) => ShardEvent::CutOff,
                ConsumerEvent::Revoked(Revocation {
                    partitions,
                    cause: RevocationCause::Rebalance,
                    acknowledgement,
                }) => ShardEvent::Taken {
                    partitions: numbers(partitions),
                    hold: Box::new(acknowledgement),
                },
                ConsumerEvent::Error(error) => ShardEvent::Trouble(error),
                ConsumerEvent::Fatal(error) => {
                    warn!("the shard group is lost for good: {error}");
                    return None;
                }
                ConsumerEvent::Records { .. }
                | ConsumerEvent::EndOfPartition(_)
                | ConsumerEvent::AutoCommitted { .. } => {
                    continue;
                }
            });
        }
    }

    async fn close(self: Box<Self>, patience: Duration) {
        if let Err(error) = self.0.close(patience).await {
            warn!("the shard group was not left in time: {error}");
        }
    }
}

/// Returns the properties that the connection does not set itself.
fn defaults(connection: &Connection) -> BTreeMap<String, String> {
    let is_set = |name: &str| connection.properties.contains_key(name);
    // With KIP-848 the broker decides, and librdkafka refuses these properties.
    if is_set("session.timeout.ms") || is_set("group.protocol") {
        return BTreeMap::new();
    }
    let defaults = [
        ("session.timeout.ms", SESSION_TIMEOUT_MS),
        ("heartbeat.interval.ms", HEARTBEAT_INTERVAL_MS),
    ];
    defaults
        .map(|(name, value)| (name.to_owned(), value.to_string()))
        .into()
}

fn numbers(partitions: Vec<TopicPartition>) -> Vec<PartitionId> {
    partitions.into_iter().map(|id| id.partition).collect()
}
