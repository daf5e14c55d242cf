//! A snapshot as families: which value of which row becomes which sample.
//!
//! What is too old is left out, never written as 0. The order is that of [`metrics::table`](crate::metrics::table).

mod cluster;
mod groups;
mod partitions;
mod topics;

pub(super) use self::cluster::ClusterView;
pub(super) use self::groups::GroupTopicView;
pub(super) use self::topics::{TopicPartitionView, TopicView};
use super::lines::Lines;
use super::view::{GroupView, PartitionView};
use super::writer::{Labels, Value};
use crate::metrics::{Metric, table};

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

/// Every family, in the order of exposition.
pub(super) static FAMILIES: &[(&Metric, Rows)] = &[
    (&table::UP, Rows::Cluster(cluster::up)),
    (
        &table::LAST_SUCCESS_TIMESTAMP,
        Rows::Cluster(cluster::last_success),
    ),
    (&table::BROKERS, Rows::Cluster(cluster::brokers)),
    (&table::BROKER_INFO, Rows::Cluster(cluster::broker_info)),
    (&table::GROUP_MEMBERS, Rows::Group(groups::members)),
    (&table::GROUP_STATE, Rows::Group(groups::state)),
    (&table::GROUP_STATUS, Rows::Group(groups::status)),
    (&table::GROUP_INFO, Rows::Group(groups::info)),
    (&table::GROUP_LAG_SUM, Rows::GroupTopic(groups::lag_sum)),
    (
        &table::GROUP_LAG_SECONDS_MAX,
        Rows::GroupTopic(groups::lag_seconds_max),
    ),
    (
        &table::GROUP_HEADROOM_MIN,
        Rows::GroupTopic(groups::headroom_min),
    ),
    (&table::GROUP_DRAIN, Rows::GroupTopic(groups::drain)),
    (
        &table::GROUP_CURRENT_OFFSET_SUM,
        Rows::GroupTopic(groups::committed_sum),
    ),
    (
        &table::GROUP_UNCOMMITTED_PARTITIONS,
        Rows::GroupTopic(groups::uncommitted),
    ),
    (&table::GROUP_LAG, Rows::GroupPartition(partitions::lag)),
    (
        &table::GROUP_LAG_SECONDS,
        Rows::GroupPartition(partitions::lag_seconds),
    ),
    (
        &table::GROUP_CURRENT_OFFSET,
        Rows::GroupPartition(partitions::committed),
    ),
    (
        &table::GROUP_LOST_RECORDS,
        Rows::GroupPartition(partitions::lost),
    ),
    (
        &table::GROUP_PARTITION_STATUS,
        Rows::GroupPartition(partitions::status),
    ),
    (
        &table::GROUP_HEADROOM,
        Rows::GroupPartition(partitions::headroom),
    ),
    (
        &table::GROUP_BLOCKED,
        Rows::GroupPartition(partitions::blocked),
    ),
    (&table::GROUP_ABANDONED, Rows::GroupTopic(groups::abandoned)),
    (
        &table::TOPIC_PARTITIONS,
        Rows::Topic(topics::partition_count),
    ),
    (
        &table::TOPIC_PARTITION_CURRENT_OFFSET,
        Rows::TopicPartition(topics::log_end),
    ),
    (
        &table::TOPIC_PARTITION_OLDEST_OFFSET,
        Rows::TopicPartition(topics::log_start),
    ),
    (
        &table::TOPIC_PARTITION_LAST_STABLE_OFFSET,
        Rows::TopicPartition(topics::last_stable),
    ),
    (
        &table::TOPIC_PARTITION_UNDER_REPLICATED,
        Rows::TopicPartition(topics::under_replicated),
    ),
    (
        &table::TOPIC_PARTITION_LEADER,
        Rows::TopicPartition(topics::leader),
    ),
    (
        &table::TOPIC_PARTITION_LEADER_IS_PREFERRED,
        Rows::TopicPartition(topics::leader_is_preferred),
    ),
    (
        &table::TOPIC_PARTITION_IN_SYNC_REPLICA,
        Rows::TopicPartition(topics::in_sync),
    ),
    (
        &table::TOPIC_PARTITION_REPLICAS,
        Rows::TopicPartition(topics::replicas),
    ),
    (
        &table::GROUP_PARTITION_OWNER_INFO,
        Rows::GroupPartition(partitions::owner),
    ),
    (&table::GROUP_COMMITS, Rows::GroupTopic(groups::commits)),
    (
        &table::GROUP_LAST_COMMIT,
        Rows::GroupTopic(groups::last_commit),
    ),
    (&table::GROUP_REBALANCES, Rows::Group(groups::rebalances)),
    (
        &table::GROUP_LAST_REBALANCE,
        Rows::Group(groups::last_rebalance),
    ),
    (
        &table::GROUP_MEMBER_JOINS,
        Rows::Group(groups::member_joins),
    ),
    (
        &table::GROUP_MEMBER_LEAVES,
        Rows::Group(groups::member_leaves),
    ),
    (&table::COLLECT_MODE, Rows::Cluster(cluster::mode)),
    (
        &table::STREAM_PARTITIONS,
        Rows::Cluster(cluster::stream_partitions),
    ),
    (
        &table::GROUPS_SKIPPED,
        Rows::Cluster(cluster::groups_skipped),
    ),
    (
        &table::SHARD_PARTITIONS,
        Rows::Cluster(cluster::shard_partitions),
    ),
    (&table::SHARD_GROUPS, Rows::Cluster(cluster::shard_groups)),
    (&table::SERIES, Rows::Cluster(cluster::series)),
];
