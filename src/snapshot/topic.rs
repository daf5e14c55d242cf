//! A topic's row: leaders, replicas and watermarks of its partitions.

use std::time::Instant;

use crate::lag::{BrokerId, PartitionId, TopicName, Watermarks};

/// One topic as the newest metadata names it.
#[derive(Clone, Debug)]
pub struct TopicRow {
    /// Its name.
    pub name: TopicName,
    /// When its metadata was read.
    pub measured: Instant,
    /// Its partitions, by number.
    pub partitions: Vec<TopicPartitionRow>,
}

/// One partition of a topic.
#[derive(Clone, Debug)]
pub struct TopicPartitionRow {
    /// Its number.
    pub id: PartitionId,
    /// The broker that leads it; nothing while there is none.
    pub leader: Option<BrokerId>,
    /// The brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The replicas that are in sync.
    pub in_sync: Vec<BrokerId>,
    /// The newest good watermarks and when they were read; nothing before the first, and once they are too old.
    pub marks: Option<(Instant, Watermarks)>,
}
