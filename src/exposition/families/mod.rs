//! A snapshot as families: which value of which row becomes which sample.
//!
//! What is too old is left out, never written as 0. The order is that of [`metrics::table`](crate::metrics::table).

mod cluster;
mod groups;
mod judgements;
mod topics;

use std::time::{Duration, Instant};

use self::cluster::{Cluster, last_success, up};
use self::groups::{committed, info, lag_seconds, lost, members, state};
use self::judgements::{abandoned, blocked, drain, headroom, partition_status};
use super::gzip::Follows;
use super::output::{Encoding, Part};
use super::writer::{Format, Head, Labels, Value, Writer};
use crate::lag::group::TopicTotals;
use crate::lag::{UncommittedPolicy, Watermarks};
use crate::metrics::{Metric, table};
use crate::snapshot::{
    Activity, ClusterSnapshot, Commits, GroupRow, Membership, PartitionRow, Reading,
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
    GroupPartition(fn(&Reading, UncommittedPolicy) -> Option<Value>),
    Topic(fn(&TopicRow) -> u64),
    TopicPartition(fn(&TopicPartitionRow) -> Option<u64>),
    Watermarks(fn(&Watermarks) -> Option<u64>),
    Owners,
    /// The status of each group.
    Status,
    GroupRowTopic(fn(&GroupRow, &[PartitionRow]) -> Option<Value>),
    GroupRowPartition(fn(&GroupRow, &PartitionRow, &mut Labels) -> Option<Value>),
    GroupActivity(fn(&Activity) -> Option<Value>),
    GroupTopicActivity(fn(&Commits) -> Option<Value>),
    Mode,
    StreamPartitions,
}

static FAMILIES: &[(&Metric, Rows)] = &[
    (&table::UP, Rows::Cluster(up)),
    (&table::LAST_SUCCESS_TIMESTAMP, Rows::Cluster(last_success)),
    (&table::BROKERS, Rows::BrokerCount),
    (&table::BROKER_INFO, Rows::BrokerInfo),
    (&table::GROUP_MEMBERS, Rows::Group(members)),
    (&table::GROUP_STATE, Rows::Group(state)),
    (&table::GROUP_STATUS, Rows::Status),
    (&table::GROUP_INFO, Rows::Group(info)),
    (&table::GROUP_LAG_SUM, Rows::GroupTopic(|totals| totals.lag)),
    (&table::GROUP_DRAIN, Rows::GroupRowTopic(drain)),
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
        Rows::GroupPartition(|reading, policy| reading.lag().records(policy).map(Value::from)),
    ),
    (&table::GROUP_LAG_SECONDS, Rows::GroupPartition(lag_seconds)),
    (
        &table::GROUP_CURRENT_OFFSET,
        Rows::GroupPartition(committed),
    ),
    (&table::GROUP_LOST_RECORDS, Rows::GroupPartition(lost)),
    (
        &table::GROUP_PARTITION_STATUS,
        Rows::GroupRowPartition(partition_status),
    ),
    (&table::GROUP_HEADROOM, Rows::GroupRowPartition(headroom)),
    (&table::GROUP_BLOCKED, Rows::GroupRowPartition(blocked)),
    (&table::GROUP_ABANDONED, Rows::GroupRowTopic(abandoned)),
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
        &table::GROUP_COMMITS,
        Rows::GroupTopicActivity(|commits| Some(commits.count.into())),
    ),
    (
        &table::GROUP_LAST_COMMIT,
        Rows::GroupTopicActivity(|commits| commits.last_ms.map(timestamp)),
    ),
    (
        &table::GROUP_REBALANCES,
        Rows::GroupActivity(|activity| Some(activity.rebalances.into())),
    ),
    (
        &table::GROUP_LAST_REBALANCE,
        Rows::GroupActivity(|activity| activity.last_rebalance_ms.map(timestamp)),
    ),
    (
        &table::GROUP_MEMBER_JOINS,
        Rows::GroupActivity(|activity| Some(activity.member_joins.into())),
    ),
    (
        &table::GROUP_MEMBER_LEAVES,
        Rows::GroupActivity(|activity| Some(activity.member_leaves.into())),
    ),
    (&table::COLLECT_MODE, Rows::Mode),
    (&table::STREAM_PARTITIONS, Rows::StreamPartitions),
    (
        &table::SHARD_PARTITIONS,
        Rows::Cluster(|_, snapshot| Some((snapshot?.shard_partitions? as u64).into())),
    ),
    (
        &table::SHARD_GROUPS,
        Rows::Cluster(|_, snapshot| {
            let snapshot = snapshot?;
            snapshot.shard_partitions?;
            Some((snapshot.groups.len() as u64).into())
        }),
    ),
    (
        &table::SERIES,
        Rows::Cluster(|cluster, snapshot| snapshot.map(|_| cluster.written.into())),
    ),
];

/// Returns milliseconds since the epoch as seconds.
fn timestamp(millis: i64) -> Value {
    Value::Float(millis as f64 / 1_000.0)
}

/// Returns a time as seconds, to the millisecond.
fn seconds(time: Duration) -> Value {
    Value::Float(time.as_millis() as f64 / 1_000.0)
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
