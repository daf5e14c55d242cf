//! One cluster while its families are written: what is shown, what is dropped, how old it is. And its brokers.

use std::time::{Instant, SystemTime};

use super::Rows;
use crate::exposition::writer::{Family, Labels, Value};
use crate::lag::ClusterName;
use crate::snapshot::{ClusterSnapshot, CollectMode, Granularity, OwnerInfo};

/// One cluster while its families are written.
pub(super) struct Cluster<'a> {
    snapshot: Option<&'a ClusterSnapshot>,
    pub(super) now: Instant,
    pub(super) labels: Labels,
    pub(super) written: u64,
    room: u64,
    pub(super) dropped: u64,
    /// When the oldest of the values that were fresh enough to be shown was measured.
    oldest: Option<Instant>,
}

impl<'a> Cluster<'a> {
    /// Returns a cluster of which nothing is written yet; without a snapshot there is little to write.
    pub(super) fn new(
        name: Option<&'a ClusterName>,
        snapshot: Option<&'a ClusterSnapshot>,
        now: Instant,
    ) -> Self {
        let mut labels = Labels::default();
        labels.push("cluster", name.map_or("", ClusterName::as_str));
        Self {
            snapshot,
            now,
            labels,
            written: 0,
            room: snapshot.map_or(0, |snapshot| snapshot.exposure.max_series as u64),
            dropped: 0,
            // `lagwatch_up` ages with the snapshot itself.
            oldest: snapshot
                .filter(|snapshot| snapshot.is_fresh(snapshot.taken, now))
                .map(|snapshot| snapshot.taken),
        }
    }

    /// Returns the last instant at which everything shown is fresh.
    pub(super) fn valid_until(&self) -> Option<Instant> {
        self.oldest?.checked_add(self.snapshot?.stale_after)
    }

    /// Writes the samples of one family.
    pub(super) fn write(&mut self, family: &mut Family<'_>, rows: &Rows) {
        if let Rows::Cluster(value) = rows {
            if let Some(value) = value(self, self.snapshot) {
                family.sample(&self.labels, value);
            }
            return;
        }
        let Some(snapshot) = self.snapshot else {
            return;
        };
        let granularity = snapshot.exposure.granularity;
        let start = self.labels.mark();
        match rows {
            Rows::Cluster(_) => {}
            Rows::BrokerCount => self.broker_count(family, snapshot),
            Rows::BrokerInfo => self.broker_info(family, snapshot),
            Rows::Topic(value) => self.topics(family, snapshot, *value),
            Rows::TopicPartition(value) => self.topic_partitions(family, snapshot, *value),
            Rows::Watermarks(value) => self.watermarks(family, snapshot, *value),
            Rows::Group(value) => {
                for group in &snapshot.groups {
                    self.group(family, snapshot, group, *value);
                    self.labels.cut(start);
                }
            }
            Rows::GroupTopic(_) if granularity == Granularity::Group => {}
            Rows::GroupTopic(value) => self.each_group_topic(snapshot, |cluster, group, rows| {
                if let Some(value) = value(&cluster.totals(snapshot, group, rows)) {
                    cluster.series(family, value);
                }
            }),
            Rows::GroupPartition(_) | Rows::Owners if granularity != Granularity::Partition => {}
            Rows::GroupPartition(value) => {
                self.each_group_topic(snapshot, |cluster, group, rows| {
                    cluster.group_partitions(family, snapshot, group, rows, *value);
                })
            }
            Rows::Status => self.statuses(family, snapshot),
            Rows::GroupRowTopic(_) if granularity == Granularity::Group => {}
            Rows::GroupRowTopic(value) => self.judged_topics(family, snapshot, *value),
            Rows::GroupRowPartition(_) if granularity != Granularity::Partition => {}
            Rows::GroupRowPartition(value) => self.judged_partitions(family, snapshot, *value),
            Rows::Owners if snapshot.exposure.owner_info == OwnerInfo::Hidden => {}
            Rows::Owners => self.each_group_topic(snapshot, |cluster, group, rows| {
                cluster.owners(family, snapshot, group, rows);
            }),
            Rows::GroupActivity(value) => self.activities(family, snapshot, *value),
            Rows::GroupTopicActivity(_) if granularity == Granularity::Group => {}
            Rows::GroupTopicActivity(value) => {
                self.each_group_topic(snapshot, |cluster, group, rows| {
                    if !cluster.shows_commits(snapshot, group, rows) {
                        return;
                    }
                    let commits = group.activity.commits.get(&rows[0].id.topic);
                    if let Some(value) = value(&commits.copied().unwrap_or_default()) {
                        cluster.series(family, value);
                    }
                });
            }
            Rows::Mode => {
                self.labels.push("mode", snapshot.mode.as_str());
                family.sample(&self.labels, 1.into());
            }
            Rows::StreamPartitions => {
                if let CollectMode::Stream { live, behind } = snapshot.mode {
                    for (state, count) in [("live", live), ("behind", behind)] {
                        self.labels.push("state", state);
                        family.sample(&self.labels, (count as u64).into());
                        self.labels.cut(start);
                    }
                }
            }
        }
        self.labels.cut(start);
    }

    /// Writes a sample with the labels as they are, or counts it as dropped.
    pub(super) fn series(&mut self, family: &mut Family<'_>, value: impl Into<Value>) {
        if self.room == 0 {
            self.dropped += 1;
            return;
        }
        self.room -= 1;
        self.written += 1;
        family.sample(&self.labels, value.into());
    }

    /// Remembers how old what is about to be shown is.
    pub(super) fn show(&mut self, measured: Instant) {
        if self.oldest.is_none_or(|oldest| measured < oldest) {
            self.oldest = Some(measured);
        }
    }

    /// Writes a sample of one partition of what the labels name.
    pub(super) fn partition(
        &mut self,
        family: &mut Family<'_>,
        partition: i32,
        value: impl Into<Value>,
    ) {
        let mark = self.labels.mark();
        self.labels.push_number("partition", partition);
        self.series(family, value);
        self.labels.cut(mark);
    }

    fn broker_count(&mut self, family: &mut Family<'_>, snapshot: &ClusterSnapshot) {
        if let Some(brokers) = snapshot.fresh_brokers(self.now) {
            snapshot
                .brokers_measured
                .into_iter()
                .for_each(|at| self.show(at));
            self.series(family, brokers.len() as u64);
        }
    }

    fn broker_info(&mut self, family: &mut Family<'_>, snapshot: &ClusterSnapshot) {
        let mark = self.labels.mark();
        for broker in snapshot.fresh_brokers(self.now).unwrap_or_default() {
            self.labels.push_number("id", broker.id.0);
            self.labels.push("address", &broker.address);
            self.series(family, 1);
            self.labels.cut(mark);
        }
    }
}

pub(super) fn up(cluster: &Cluster<'_>, snapshot: Option<&ClusterSnapshot>) -> Option<Value> {
    let is_up = snapshot.is_some_and(|snapshot| snapshot.is_up(cluster.now));
    Some(u64::from(is_up).into())
}

pub(super) fn last_success(_: &Cluster<'_>, snapshot: Option<&ClusterSnapshot>) -> Option<Value> {
    let ended = snapshot?.last_complete?;
    let since_epoch = ended.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Value::Float(since_epoch.as_secs_f64()))
}
