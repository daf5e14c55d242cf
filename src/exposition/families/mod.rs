//! A snapshot as families: which value of which row becomes which sample.
//!
//! What is too old is left out, never written as 0. The order is that of [`metrics::table`](crate::metrics::table).

mod cluster;
mod groups;
mod topics;

pub(super) use self::cluster::ClusterView;
pub(super) use self::groups::GroupTopicView;
pub(super) use self::topics::{TopicPartitionView, TopicView};
use super::lines::Lines;
use super::view::{GroupView, PartitionView};
use super::writer::{Labels, Value};
use crate::lag::Status;
use crate::metrics::{Metric, table};
use crate::snapshot::OwnerInfo;

/// Which rows of a snapshot a family has samples of, and their values.
///
/// A function may add labels to those of its row, also where it returns nothing.
pub(super) enum Rows {
    /// Of the cluster as a whole: any number of samples.
    Cluster(fn(&ClusterView<'_>, &mut Labels, &mut Lines<'_>)),
    /// One of each group.
    Group(fn(&GroupView<'_>, &mut Labels) -> Option<Value>),
    /// One of each topic of each group.
    GroupTopic(fn(&GroupTopicView, &mut Labels) -> Option<Value>),
    /// One of each partition of each group.
    GroupPartition(fn(&PartitionView<'_>, &mut Labels) -> Option<Value>),
    /// One of each topic.
    Topic(fn(&TopicView<'_>, &mut Labels) -> Option<Value>),
    /// One of each partition of each topic.
    TopicPartition(fn(&TopicPartitionView<'_>, &mut Labels) -> Option<Value>),
}

macro_rules! families {
    ($( $metric:ident = $rows:ident($value:expr); )*) => {
        /// Every family, in the order of exposition.
        pub(super) static FAMILIES: &[(&Metric, Rows)] = &[
            $( (&table::$metric, Rows::$rows($value)) ),*
        ];
    };
}

families! {
    UP = Cluster(cluster::up);
    LAST_SUCCESS_TIMESTAMP = Cluster(cluster::last_success);
    BROKERS = Cluster(cluster::brokers);
    BROKER_INFO = Cluster(cluster::broker_info);
    GROUP_MEMBERS = Group(|view, _| Some((view.membership?.members.len() as u64).into()));
    GROUP_STATE = Group(|view, labels| {
        labels.push("state", view.membership?.state.as_str());
        Some(1.into())
    });
    GROUP_STATUS = Group(|view, labels| {
        labels.push("status", view.status()?.as_str());
        Some(1.into())
    });
    GROUP_INFO = Group(|view, labels| {
        let membership = view.membership?;
        labels.push("type", membership.group_type.as_str());
        labels.push("protocol", &membership.assignor);
        if let Some(coordinator) = membership.coordinator {
            labels.push_number("coordinator", coordinator.0);
        }
        Some(1.into())
    });
    GROUP_LAG_SUM = GroupTopic(|view, _| view.totals.lag.map(Value::from));
    GROUP_LAG_SECONDS_MAX = GroupTopic(|view, _| view.lag_seconds.map(Value::seconds));
    GROUP_HEADROOM_MIN = GroupTopic(|view, _| view.headroom.map(Value::seconds));
    GROUP_DRAIN = GroupTopic(|view, _| view.drain?.seconds().map(Value::Float));
    GROUP_CURRENT_OFFSET_SUM = GroupTopic(|view, _| view.totals.committed.map(Value::from));
    GROUP_UNCOMMITTED_PARTITIONS = GroupTopic(|view, _| view.totals.uncommitted_partitions.map(Value::from));
    GROUP_LAG = GroupPartition(|view, _| view.lag().map(Value::from));
    GROUP_LAG_SECONDS = GroupPartition(|view, _| view.lag_seconds().map(Value::seconds));
    GROUP_CURRENT_OFFSET = GroupPartition(|view, _| Some(view.committed()?.value().into()));
    GROUP_LOST_RECORDS = GroupPartition(|view, _| view.distance()?.lost.filter(|lost| *lost > 0).map(Value::from));
    GROUP_PARTITION_STATUS = GroupPartition(|view, labels| {
        let status = view.judgement()?.finding.status();
        labels.push("status", status.as_str());
        (status != Status::Ok).then(|| 1.into())
    });
    GROUP_HEADROOM = GroupPartition(|view, _| view.headroom().map(|(left, _)| Value::seconds(left)));
    GROUP_BLOCKED = GroupPartition(|view, _| view.blocked().map(Value::from));
    GROUP_ABANDONED = GroupTopic(|view, _| (view.abandoned > 0).then(|| view.abandoned.into()));
    TOPIC_PARTITIONS = Topic(|view, _| view.is_fresh.then(|| (view.row.partitions.len() as u64).into()));
    TOPIC_PARTITION_CURRENT_OFFSET = TopicPartition(|view, _| Some(view.marks?.log_end.value().into()));
    TOPIC_PARTITION_OLDEST_OFFSET = TopicPartition(|view, _| Some(view.marks?.log_start?.value().into()));
    TOPIC_PARTITION_LAST_STABLE_OFFSET = TopicPartition(|view, _| Some(view.marks?.last_stable?.value().into()));
    TOPIC_PARTITION_UNDER_REPLICATED = TopicPartition(|view, _| {
        let row = view.row?;
        Some(u64::from(row.in_sync.len() < row.replicas.len()).into())
    });
    TOPIC_PARTITION_LEADER = TopicPartition(|view, _| u64::try_from(view.row?.leader?.0).ok().map(Value::from));
    TOPIC_PARTITION_LEADER_IS_PREFERRED = TopicPartition(|view, _| {
        let row = view.row?;
        let preferred = row.replicas.first()?;
        Some(u64::from(row.leader.as_ref() == Some(preferred)).into())
    });
    TOPIC_PARTITION_IN_SYNC_REPLICA = TopicPartition(|view, _| Some((view.row?.in_sync.len() as u64).into()));
    TOPIC_PARTITION_REPLICAS = TopicPartition(|view, _| Some((view.row?.replicas.len() as u64).into()));
    GROUP_PARTITION_OWNER_INFO = GroupPartition(|view, labels| {
        let exposure = view.group.scene.snapshot.exposure;
        if exposure.owner_info != OwnerInfo::Exposed {
            return None;
        }
        let member = view.owner()?;
        labels.push("member_id", &member.id);
        labels.push("client_id", &member.client_id);
        labels.push("host", &member.host);
        Some(1.into())
    });
    GROUP_COMMITS = GroupTopic(|view, _| Some(view.commits?.count.into()));
    GROUP_LAST_COMMIT = GroupTopic(|view, _| view.commits?.last_ms.map(Value::timestamp));
    GROUP_REBALANCES = Group(|view, _| Some(view.activity()?.rebalances.into()));
    GROUP_LAST_REBALANCE = Group(|view, _| view.activity()?.last_rebalance_ms.map(Value::timestamp));
    GROUP_MEMBER_JOINS = Group(|view, _| Some(view.activity()?.member_joins.into()));
    GROUP_MEMBER_LEAVES = Group(|view, _| Some(view.activity()?.member_leaves.into()));
    COLLECT_MODE = Cluster(cluster::mode);
    STREAM_PARTITIONS = Cluster(cluster::stream_partitions);
    GROUPS_SKIPPED = Cluster(cluster::groups_skipped);
    SHARD_PARTITIONS = Cluster(cluster::shard_partitions);
    SHARD_GROUPS = Cluster(cluster::shard_groups);
    SERIES = Cluster(cluster::series);
}
