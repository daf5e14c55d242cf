//! What a consumer is told, and the librdkafka properties that follow from it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::kafka::log::log_level;
use crate::kafka::{Connection, ConnectionError};
use crate::lag::{GroupId, TopicName};

/// How a [`super::Consumer`] consumes.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// The group to join.
    pub group: GroupId,
    /// The topics to subscribe to.
    pub topics: Vec<TopicName>,
    /// Where to begin on a partition without a commit.
    pub offset_reset: OffsetReset,
    /// Whether librdkafka commits what [`super::Consumer::store`] was told.
    pub auto_commit: AutoCommit,
    /// The name Kafka shows for this client.
    pub client_id: String,
    /// What is read of the partitions.
    pub intake: Intake,
    /// The longest wait for something to happen before Kafka is polled all the same.
    pub poll_interval: Duration,
    /// How long a revocation waits for its acknowledgement.
    pub revoke_timeout: Duration,
    /// librdkafka's own properties, over those of the connection.
    pub properties: BTreeMap<String, String>,
}

/// What a consumer reads of the partitions it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Their records.
    Records {
        /// How many are handed over and not yet released, by partition: from here on the partition is paused.
        buffered: NonZeroUsize,
    },
    /// Nothing: it is the assignment that matters.
    Nothing,
}

/// Where a group begins on a partition it has no commit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record still stored.
    Earliest,
    /// At what is written from now on.
    Latest,
}

/// Whether librdkafka commits stored offsets by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCommit {
    /// It does not.
    Off,
    /// Every so often, when partitions are given up, and at the end.
    Every(Duration),
}

impl OffsetReset {
    /// Returns the value of `auto.offset.reset`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
        }
    }
}

impl ConsumerConfig {
    /// Returns the properties of the client.
    ///
    /// What the group's semantics rest on is always ours; the rest are defaults that the connection may override.
    pub(super) fn client_config(
        &self,
        connection: &Connection,
    ) -> Result<ClientConfig, ConnectionError> {
        let mut connection = connection.clone();
        connection.properties.extend(self.properties.clone());
        let mut config = connection.client_config()?;
        let mut default = |name: &str, value: &str| {
            if !connection.properties.contains_key(name) {
                config.set(name, value);
            }
        };
        default("client.id", &self.client_id);
        if connection
            .properties
            .get("group.protocol")
            .is_none_or(|protocol| protocol.eq_ignore_ascii_case("classic"))
        {
            // With KIP-848 the broker assigns, and librdkafka refuses the property.
            default("partition.assignment.strategy", "cooperative-sticky");
            if !connection.properties.contains_key("session.timeout.ms") {
                // How long until a member hears that another has left: librdkafka's default is three seconds.
                default("heartbeat.interval.ms", "1000");
            }
        }
        // The limits are per partition here: each has a queue of its own.
        default("queued.max.messages.kbytes", "4096");
        default("queued.min.messages", "10000");
        // The default is a second without fetching each time the queue was full.
        default("fetch.queue.backoff.ms", "20");
        // A topic that is created later is found within seconds.
        default("topic.metadata.refresh.interval.ms", "10000");

        let interval = match self.auto_commit {
            AutoCommit::Off => Duration::ZERO,
            AutoCommit::Every(interval) => interval.max(Duration::from_millis(1)),
        };
        config
            .set("group.id", self.group.as_str())
            .set("auto.offset.reset", self.offset_reset.name())
            .set("enable.partition.eof", "true")
            .set("enable.auto.offset.store", "false")
            .set(
                "enable.auto.commit",
                if interval.is_zero() { "false" } else { "true" },
            )
            .set("auto.commit.interval.ms", interval.as_millis().to_string());
        config.set_log_level(log_level(&connection));
        Ok(config)
    }
}
