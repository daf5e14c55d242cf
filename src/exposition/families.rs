//! A snapshot as families: which value of which row becomes which sample.
//!
//! What is too old is left out, never written as 0. The order is that of [`metrics::table`](crate::metrics::table).

use std::time::{Instant, SystemTime};

use super::gzip::Follows;
use super::output::{Encoding, Part};
use super::writer::{Family, Format, Head, Labels, Value, Writer};
use crate::lag::group::TopicTotals;
use crate::lag::{ClusterName, Committed, Lag, UncommittedPolicy, Watermarks};
use crate::metrics::{Metric, table};
use crate::snapshot::{
    ClusterSnapshot, Granularity, GroupRow, Membership, OwnerInfo, PartitionRow, Reading,
    TopicPartitionRow, TopicRow, World,
};

/// A world as bytes, and how long they stay true.
#[derive(Debug)]
pub struct Rendering {
    /// The first part of a scrape's body.
    pub part: Part,
    /// The last instant at which everything shown is fresh; nothing where nothing shown ages.
    pub valid_until: Option<Instant>,
    /// Series left out because of the limit, for each cluster of the world.
    pub dropped: Vec<u64>,
}

/// Renders the newest snapshots as they are to be seen at `now`.
///
/// All samples of a family stand together, cluster by cluster.
pub fn render(world: &World, now: Instant, format: Format, encoding: Encoding) -> Rendering {
    let mut writer = Writer::new(format, encoding);
    let mut clusters: Vec<_> = world
        .clusters
        .iter()
        .map(|(name, snapshot)| Cluster::new(name.as_ref(), snapshot.as_deref(), now))
        .collect();
    for (metric, rows) in FAMILIES {
        let mut family = writer.family(Head::of(metric));
        for cluster in &mut clusters {
            cluster.write(&mut family, rows);
        }
    }
    Rendering {
        part: writer.finish(Follows::Another),
        valid_until: clusters.iter().filter_map(Cluster::valid_until).min(),
        dropped: clusters.iter().map(|cluster| cluster.dropped).collect(),
    }
}

/// Which rows of a snapshot a family has samples of, and their values.
enum Rows {
    /// One for the cluster, before its first snapshot too.
    Cluster(fn(&Cluster<'_>, Option<&ClusterSnapshot>) -> Option<Value>),
    BrokerCount,
    BrokerInfo,
    Group(fn(&Membership, &mut Labels) -> u64),
    GroupTopic(fn(&TopicTotals) -> Option<u64>),
    GroupPartition(fn(&Reading, UncommittedPolicy) -> Option<u64>),
    Topic(fn(&TopicRow) -> u64),
    TopicPartition(fn(&TopicPartitionRow) -> Option<u64>),
    Watermarks(fn(&Watermarks) -> Option<u64>),
    Owners,
}

static FAMILIES: &[(&Metric, Rows)] = &[
    (&table::UP, Rows::Cluster(up)),
    (&table::LAST_SUCCESS_TIMESTAMP, Rows::Cluster(last_success)),
    (&table::BROKERS, Rows::BrokerCount),
    (&table::BROKER_INFO, Rows::BrokerInfo),
    (&table::GROUP_MEMBERS, Rows::Group(members)),
    (&table::GROUP_STATE, Rows::Group(state)),
    (&table::GROUP_INFO, Rows::Group(info)),
    (&table::GROUP_LAG_SUM, Rows::GroupTopic(|totals| totals.lag)),
    (
        &table::GROUP_CURRENT_OFFSET_SUM,
        Rows::GroupTopic(|totals| totals.committed),
    ),
    (
        &table::GROUP_UNCOMMITTED_PARTITIONS,
        Rows::GroupTopic(|totals| totals.uncommitted_partitions),
    ),
    (
        &table::GROUP_LAG,
        Rows::GroupPartition(|reading, policy| reading.lag.records(policy)),
    ),
    (
        &table::GROUP_CURRENT_OFFSET,
        Rows::GroupPartition(committed),
    ),
    (&table::GROUP_LOST_RECORDS, Rows::GroupPartition(lost)),
    (
        &table::TOPIC_PARTITIONS,
        Rows::Topic(|topic| topic.partitions.len() as u64),
    ),
    (
        &table::TOPIC_PARTITION_CURRENT_OFFSET,
        Rows::Watermarks(|marks| Some(marks.log_end.value())),
    ),
    (
        &table::TOPIC_PARTITION_OLDEST_OFFSET,
        Rows::Watermarks(|marks| marks.log_start.map(|offset| offset.value())),
    ),
    (
        &table::TOPIC_PARTITION_LAST_STABLE_OFFSET,
        Rows::Watermarks(|marks| marks.last_stable.map(|offset| offset.value())),
    ),
    (
        &table::TOPIC_PARTITION_UNDER_REPLICATED,
        Rows::TopicPartition(|row| Some((row.in_sync.len() < row.replicas.len()).into())),
    ),
    (
        &table::TOPIC_PARTITION_LEADER,
        Rows::TopicPartition(|row| row.leader.and_then(|leader| u64::try_from(leader.0).ok())),
    ),
    (
        &table::TOPIC_PARTITION_LEADER_IS_PREFERRED,
        Rows::TopicPartition(|row| {
            let preferred = row.replicas.first()?;
            Some((row.leader.as_ref() == Some(preferred)).into())
        }),
    ),
    (
        &table::TOPIC_PARTITION_IN_SYNC_REPLICA,
        Rows::TopicPartition(|row| Some(row.in_sync.len() as u64)),
    ),
    (
        &table::TOPIC_PARTITION_REPLICAS,
        Rows::TopicPartition(|row| Some(row.replicas.len() as u64)),
    ),
    (&table::GROUP_PARTITION_OWNER_INFO, Rows::Owners),
    (
        &table::SERIES,
        Rows::Cluster(|cluster, snapshot| snapshot.map(|_| cluster.written.into())),
    ),
];

fn up(cluster: &Cluster<'_>, snapshot: Option<&ClusterSnapshot>) -> Option<Value> {
    let is_up = snapshot.is_some_and(|snapshot| snapshot.is_up(cluster.now));
    Some(u64::from(is_up).into())
}

fn last_success(_: &Cluster<'_>, snapshot: Option<&ClusterSnapshot>) -> Option<Value> {
    let ended = snapshot?.last_complete?;
    let since_epoch = ended.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Value::Float(since_epoch.as_secs_f64()))
}

fn members(membership: &Membership, _: &mut Labels) -> u64 {
    membership.members.len() as u64
}

fn state(membership: &Membership, labels: &mut Labels) -> u64 {
    labels.push("state", membership.state.as_str());
    1
}

fn info(membership: &Membership, labels: &mut Labels) -> u64 {
    labels.push("type", membership.group_type.as_str());
    labels.push("protocol", &membership.assignor);
    if let Some(coordinator) = membership.coordinator {
        labels.push_number("coordinator", coordinator.0);
    }
    1
}

fn committed(reading: &Reading, _: UncommittedPolicy) -> Option<u64> {
    match reading.committed {
        Committed::At(offset) => Some(offset.value()),
        Committed::Never => None,
    }
}

fn lost(reading: &Reading, _: UncommittedPolicy) -> Option<u64> {
    match reading.lag {
        Lag::Known(distance) => distance.lost.filter(|&lost| lost > 0),
        Lag::NoCommit { .. } | Lag::Unavailable(_) => None,
    }
}

/// One cluster while its families are written.
struct Cluster<'a> {
    snapshot: Option<&'a ClusterSnapshot>,
    now: Instant,
    labels: Labels,
    written: u64,
    room: u64,
    dropped: u64,
    /// When the oldest of the values that were fresh enough to be shown was measured.
    oldest: Option<Instant>,
}

impl<'a> Cluster<'a> {
    fn new(
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

    fn valid_until(&self) -> Option<Instant> {
        self.oldest?.checked_add(self.snapshot?.stale_after)
    }

    fn write(&mut self, family: &mut Family<'_>, rows: &Rows) {
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
            Rows::GroupTopic(value) => self.each_group_topic(snapshot, |cluster, _, rows| {
                if let Some(value) = value(&cluster.totals(snapshot, rows)) {
                    cluster.series(family, value);
                }
            }),
            Rows::GroupPartition(_) | Rows::Owners if granularity != Granularity::Partition => {}
            Rows::GroupPartition(value) => self.each_group_topic(snapshot, |cluster, _, rows| {
                cluster.group_partitions(family, snapshot, rows, *value);
            }),
            Rows::Owners if snapshot.exposure.owner_info == OwnerInfo::Hidden => {}
            Rows::Owners => self.each_group_topic(snapshot, |cluster, group, rows| {
                cluster.owners(family, snapshot, group, rows);
            }),
        }
        self.labels.cut(start);
    }

    /// Writes a sample with the labels as they are, or counts it as dropped.
    fn series(&mut self, family: &mut Family<'_>, value: u64) {
        if self.room == 0 {
            self.dropped += 1;
            return;
        }
        self.room -= 1;
        self.written += 1;
        family.sample(&self.labels, value.into());
    }

    /// Remembers how old what is about to be shown is.
    fn show(&mut self, measured: Instant) {
        if self.oldest.is_none_or(|oldest| measured < oldest) {
            self.oldest = Some(measured);
        }
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

    fn topics(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&TopicRow) -> u64,
    ) {
        let mark = self.labels.mark();
        for topic in &snapshot.topics {
            if snapshot.is_fresh(topic.measured, self.now) {
                self.show(topic.measured);
                self.labels.push("topic", topic.name.as_str());
                self.series(family, value(topic));
                self.labels.cut(mark);
            }
        }
    }

    fn topic_partitions(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&TopicPartitionRow) -> Option<u64>,
    ) {
        let start = self.labels.mark();
        for topic in &snapshot.topics {
            if !snapshot.is_fresh(topic.measured, self.now) {
                continue;
            }
            self.labels.push("topic", topic.name.as_str());
            for partition in &topic.partitions {
                if let Some(value) = value(partition) {
                    self.partition(family, partition.id.0, value);
                }
            }
            self.labels.cut(start);
        }
    }

    fn watermarks(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&Watermarks) -> Option<u64>,
    ) {
        let start = self.labels.mark();
        for topic in &snapshot.topics {
            self.labels.push("topic", topic.name.as_str());
            for partition in &topic.partitions {
                if let Some((measured, marks)) = &partition.marks
                    && snapshot.is_fresh(*measured, self.now)
                    && let Some(value) = value(marks)
                {
                    self.show(*measured);
                    self.partition(family, partition.id.0, value);
                }
            }
            self.labels.cut(start);
        }
    }

    fn partition(&mut self, family: &mut Family<'_>, partition: i32, value: u64) {
        let mark = self.labels.mark();
        self.labels.push_number("partition", partition);
        self.series(family, value);
        self.labels.cut(mark);
    }

    fn group(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        value: fn(&Membership, &mut Labels) -> u64,
    ) {
        let Some(membership) = snapshot.fresh_membership(group, self.now) else {
            return;
        };
        self.show(membership.measured);
        self.labels.push("consumergroup", group.id.as_str());
        let value = value(membership, &mut self.labels);
        self.series(family, value);
    }

    /// Calls `write` for the partitions of each group on each topic, with the labels of both set.
    fn each_group_topic(
        &mut self,
        snapshot: &'a ClusterSnapshot,
        mut write: impl FnMut(&mut Self, &'a GroupRow, &'a [PartitionRow]),
    ) {
        let start = self.labels.mark();
        for group in &snapshot.groups {
            self.labels.push("consumergroup", group.id.as_str());
            let mark = self.labels.mark();
            for rows in group
                .partitions
                .chunk_by(|one, next| one.id.topic == next.id.topic)
            {
                self.labels.push("topic", rows[0].id.topic.as_str());
                write(self, group, rows);
                self.labels.cut(mark);
            }
            self.labels.cut(start);
        }
    }

    fn totals(&mut self, snapshot: &ClusterSnapshot, rows: &[PartitionRow]) -> TopicTotals {
        let readings = rows.iter().map(|row| {
            let reading = snapshot.fresh_reading(row, self.now)?;
            self.show(reading.measured);
            Some((reading.committed, reading.lag))
        });
        TopicTotals::of(readings, snapshot.uncommitted)
    }

    fn group_partitions(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        rows: &[PartitionRow],
        value: fn(&Reading, UncommittedPolicy) -> Option<u64>,
    ) {
        for row in rows {
            if let Some(reading) = snapshot.fresh_reading(row, self.now)
                && let Some(value) = value(reading, snapshot.uncommitted)
            {
                self.show(reading.measured);
                self.partition(family, row.id.partition.0, value);
            }
        }
    }

    fn owners(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        rows: &[PartitionRow],
    ) {
        let Some(membership) = snapshot.fresh_membership(group, self.now) else {
            return;
        };
        let mark = self.labels.mark();
        for row in rows {
            let Some(member) = membership.owner(row) else {
                continue;
            };
            self.labels.push_number("partition", row.id.partition.0);
            self.labels.push("member_id", &member.id);
            self.labels.push("client_id", &member.client_id);
            self.labels.push("host", &member.host);
            self.series(family, 1);
            self.labels.cut(mark);
        }
    }
}

impl Head<'static> {
    pub(super) fn of(metric: &'static Metric) -> Self {
        Self {
            name: metric.name,
            kind: metric.kind,
            help: metric.help,
        }
    }
}
