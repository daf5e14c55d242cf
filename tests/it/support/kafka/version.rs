//! The releases of Apache Kafka whose brokers the tests start.

use std::fmt::{self, Display, Formatter};

/// A release of Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum KafkaVersion {
    /// Runs on ZooKeeper, and knows no batches of groups in an OffsetFetch request.
    V2_8_2,
    /// The first whose KRaft is meant for production.
    V3_3_2,
    /// The last with ZooKeeper, and with the oldest versions of all requests; here by KRaft.
    V3_9_1,
    /// The newest.
    V4_4_0,
}

/// What keeps the metadata of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetadataStore {
    ZooKeeper,
    KRaft,
}

impl KafkaVersion {
    const ALL: [Self; 4] = [Self::V2_8_2, Self::V3_3_2, Self::V3_9_1, Self::V4_4_0];
    pub(crate) const OLDEST: Self = Self::V2_8_2;
    pub(crate) const NEWEST: Self = Self::V4_4_0;

    /// Returns whether groups may use the protocol of KIP-848.
    pub(crate) fn has_consumer_protocol(self) -> bool {
        self >= Self::V3_9_1
    }

    /// Returns the properties that this release needs, beside those of every node.
    pub(super) fn properties(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // KIP-848 is a preview there.
            Self::V3_9_1 => &[("group.coordinator.rebalance.protocols", "classic,consumer")],
            Self::V2_8_2 | Self::V3_3_2 | Self::V4_4_0 => &[],
        }
    }

    pub(super) fn metadata_store(self) -> MetadataStore {
        match self {
            Self::V2_8_2 => MetadataStore::ZooKeeper,
            Self::V3_3_2 | Self::V3_9_1 | Self::V4_4_0 => MetadataStore::KRaft,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::V2_8_2 => "2.8.2",
            Self::V3_3_2 => "3.3.2",
            Self::V3_9_1 => "3.9.1",
            Self::V4_4_0 => "4.4.0",
        }
    }

    /// Returns the release of this name; nothing where the tests do not know it.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == name)
    }
}

impl Display for KafkaVersion {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
