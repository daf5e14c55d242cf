//! A topic's row: leaders, replicas and watermarks of its partitions.

use std::time::Instant;

use super::Revision;
use crate::lag::{BrokerId, PartitionId, TopicName, Watermarks};

/// One topic as the newest metadata names it.
#[derive(Clone, Debug)]
pub struct TopicRow {
    /// The revision of what it shows.
    pub revision: Revision,
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

impl TopicRow {
    /// Sets the revision that follows `before`: the same if it shows the same.
    pub(super) fn revise(&mut self, before: Option<&Self>) {
        let known = before.filter(|before| self.shows_the_same_as(before));
        self.revision = known.map_or_else(Revision::next, |before| before.revision);
    }

    /// Returns whether it shows the same as `other` where both are fresh: when it was measured does not count.
    fn shows_the_same_as(&self, other: &Self) -> bool {
        let Self {
            revision: _,
            name,
            series,
            measured: _,
            partitions,
        } = self;
        let mut pairs = partitions.iter().zip(&other.partitions);
        *name == other.name
            && *series == other.series
            && partitions.len() == other.partitions.len()
            && pairs.all(|(row, other)| row.shows_the_same_as(other))
    }
}

impl TopicPartitionRow {
    fn shows_the_same_as(&self, other: &Self) -> bool {
        let Self {
            id,
            leader,
            replicas,
            in_sync,
            marks,
        } = self;
        let offsets = |(_, marks): &(Instant, Watermarks)| *marks;
        *id == other.id
            && *leader == other.leader
            && *replicas == other.replicas
            && *in_sync == other.in_sync
            && marks.as_ref().map(offsets) == other.marks.as_ref().map(offsets)
    }
}
