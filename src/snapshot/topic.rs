//! A topic's row: leaders, replicas and watermarks of its partitions.

use std::time::Instant;

use crate::lag::{BrokerId, PartitionId, TopicName, Watermarks};

/// One topic as the newest metadata names it.
#[derive(Clone, Debug)]
pub struct TopicRow {
    /// Its name.
    pub name: TopicName,
    /// Whether it has series of its own.
    pub series: TopicSeries,
    /// When its metadata was read.
    pub measured: Instant,
    /// Its partitions, by number.
    pub partitions: Vec<TopicPartitionRow>,
}

/// Which replica shows the series of a topic, where several share a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopicSeries {
    /// This one.
    #[default]
    Here,
    /// Another one; here it is read for the lag of groups alone.
    Elsewhere,
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
