//! The snapshot of one cluster, and which of its values are fresh enough to be shown.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::revision::revise_rows;
use super::{
    AbandonedPolicy, CollectMode, CycleOutcome, Exposure, GroupRow, GroupState, Membership, Moment,
    PartitionRow, Reading, TopicRow, TopicSeries,
};
use crate::lag::{BrokerId, ClusterName, GroupId, UncommittedPolicy};

/// One cluster as one poll cycle saw it.
#[derive(Clone, Debug)]
pub struct ClusterSnapshot {
    /// The configured name; nothing while there is only one, unnamed cluster.
    pub cluster: Option<ClusterName>,
    /// How the cycle that made this snapshot ended.
    pub outcome: CycleOutcome,
    /// How the cluster was collected.
    pub mode: CollectMode,
    /// How many partitions of `__consumer_offsets` hold the groups that this replica collects, where several share the
    /// cluster; 1 for a replica whose number is given.
    pub shard_partitions: Option<usize>,
    /// When the cycle ended, for people and for timestamps.
    pub taken_at: SystemTime,
    /// When the cycle ended, for ages.
    pub taken: Instant,
    /// When the newest complete cycle ended; nothing before the first.
    pub last_complete: Option<SystemTime>,
    /// When the newest cycle that [`CycleOutcome::is_up`] ended; nothing before the first.
    pub last_up: Option<Instant>,
    /// How long a row's last good values may be shown after they were measured.
    pub stale_after: Duration,
    /// What counts as lag where a group never committed.
    pub uncommitted: UncommittedPolicy,
    /// How much of the snapshot becomes series.
    pub exposure: Exposure,
    /// When `brokers` was read; nothing before the first metadata.
    pub brokers_measured: Option<Instant>,
    /// The brokers of the newest metadata, by id.
    pub brokers: Arc<[BrokerRow]>,
    /// The topics that pass the filters, by name.
    pub topics: Vec<Arc<TopicRow>>,
    /// The groups that pass the filters, by id.
    pub groups: Vec<Arc<GroupRow>>,
    /// The groups that have no row because they do not consume partitions, such as those of Connect, by id.
    pub skipped: Arc<[SkippedGroup]>,
}

/// A group that has no row because it does not consume partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedGroup {
    /// The group.
    pub id: GroupId,
    /// What its members agree on, in one of few words: `connect`, `sr`, `share`, `other`.
    pub protocol_type: &'static str,
    /// Its state.
    pub state: GroupState,
}

/// A broker as the metadata names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokerRow {
    /// Its node id.
    pub id: BrokerId,
    /// Its advertised `host:port`.
    pub address: String,
}

impl ClusterSnapshot {
    /// Returns the snapshot of a cluster of which nothing could be read yet: without rows, and with the default settings.
    pub fn empty(taken: Instant, taken_at: SystemTime, stale_after: Duration) -> Self {
        Self {
            cluster: None,
            outcome: CycleOutcome::Failed,
            mode: CollectMode::Poll,
            shard_partitions: None,
            taken_at,
            taken,
            last_complete: None,
            last_up: None,
            stale_after,
            uncommitted: UncommittedPolicy::default(),
            exposure: Exposure::default(),
            brokers_measured: None,
            brokers: Arc::default(),
            topics: Vec::new(),
            groups: Vec::new(),
            skipped: Arc::default(),
        }
    }

    /// Gives each row the revision that it has in `previous` if it shows the same as there, and a new one otherwise. All rows
    /// get new ones if the settings that decide on what rows show have changed, as by a reload.
    pub(crate) fn revise(&mut self, previous: &Self) {
        let settings = |one: &Self| (one.stale_after, one.uncommitted, one.exposure);
        let (groups, topics) = if settings(self) == settings(previous) {
            (&*previous.groups, &*previous.topics)
        } else {
            Default::default()
        };
        revise_rows(&mut self.groups, groups, |row| &row.id, GroupRow::revise);
        revise_rows(&mut self.topics, topics, |row| &row.name, TopicRow::revise);
    }

    /// Returns the rows of the topics that have series of their own here.
    pub fn topics_shown(&self) -> impl Iterator<Item = &TopicRow> {
        let topics = self.topics.iter().map(AsRef::as_ref);
        topics.filter(|row| row.series == TopicSeries::Here)
    }

    /// Returns the row of a group.
    pub fn group(&self, id: &GroupId) -> Option<&Arc<GroupRow>> {
        let place = self.groups.binary_search_by(|row| row.id.cmp(id));
        place.ok().map(|index| &self.groups[index])
    }

    /// Returns whether a partition counts in the sums of its group.
    pub fn counts(&self, row: &PartitionRow) -> bool {
        self.exposure.abandoned == AbandonedPolicy::Counted || !row.is_abandoned()
    }

    /// Returns whether values measured at `measured` may still be shown at `now`.
    pub fn is_fresh(&self, measured: Instant, now: Instant) -> bool {
        now.saturating_duration_since(measured) <= self.stale_after
    }

    /// Returns whether the cluster could be read and this was not too long before `now`: the value of `lagwatch_up`.
    pub fn is_up(&self, now: Instant) -> bool {
        self.outcome.is_up() && self.is_fresh(self.taken, now)
    }

    /// Returns the pair of a partition of `group` that may be shown at `now`, and when it was read.
    pub fn fresh_reading<'a>(
        &self,
        group: &GroupRow,
        row: &'a PartitionRow,
        now: Instant,
    ) -> Option<(&'a Reading, Moment)> {
        let reading = row.reading.as_ref()?;
        let measured = reading.measured(group.measured);
        self.is_fresh(measured.instant, now)
            .then_some((reading, measured))
    }

    /// Returns the members and the state of a group that may be shown at `now`.
    pub fn fresh_membership<'a>(
        &self,
        group: &'a GroupRow,
        now: Instant,
    ) -> Option<&'a Membership> {
        let membership = group.membership.as_deref();
        membership.filter(|membership| self.is_fresh(membership.measured, now))
    }

    /// Returns the brokers that may be shown at `now`; nothing where the newest metadata is too old.
    pub fn fresh_brokers(&self, now: Instant) -> Option<&[BrokerRow]> {
        let measured = self.brokers_measured?;
        self.is_fresh(measured, now).then_some(&*self.brokers)
    }
}
