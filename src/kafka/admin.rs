//! The questions lagwatch asks a cluster, as a trait: answered by brokers in production and by fakes in tests.
//!
//! Every answer is an owned value. A method returns `Err` only where nothing at all is known; what failed for one
//! group, partition or broker is an error value at its place in the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::committed::CommittedOffsets;
use super::error::{ErrorCode, KafkaError};
use crate::lag::{
    BrokerId, Committed, GroupId, Offset, PartitionId, TopicId, TopicName, TopicPartition,
};
use crate::offsets_topic::Malformed;

/// Read-only questions to one cluster.
///
/// Every call ends within its `timeout`, with [`KafkaError`] `_TIMED_OUT` at the latest. Calls may overlap freely.
///
/// # Cancel safety
///
/// A dropped future abandons its answer; the request itself may still reach the broker.
#[async_trait]
pub trait Admin: Send + Sync + 'static {
    /// Returns the brokers and the topics: all of them, or only `topics` where some are named.
    async fn metadata(
        &self,
        topics: TopicSelection<'_>,
        timeout: Duration,
    ) -> Result<Metadata, KafkaError>;

    /// Returns every group of every kind that each of `brokers` coordinates: one request a broker, all at once.
    ///
    /// A listing is complete or an error.
    async fn list_groups(
        &self,
        brokers: &[BrokerId],
        timeout: Duration,
    ) -> BTreeMap<BrokerId, Result<Vec<ListedGroup>, KafkaError>>;

    /// Returns the state and the members of each group: about a hundred groups a request.
    ///
    /// One that no coordinator knows under any kind is `GROUP_ID_NOT_FOUND`. `is_unsupported` where the cluster cannot
    /// describe groups at all; `NOT_COORDINATOR` before the cluster has its first group, whose consumer makes the cluster
    /// create `__consumer_offsets`. This client never does.
    async fn describe_groups(
        &self,
        groups: &[GroupQuery],
        timeout: Duration,
    ) -> BTreeMap<GroupId, Result<GroupDescription, KafkaError>>;

    /// Returns what each group has committed: for `partitions` where they are named, else for every partition it has a commit
    /// on. About a hundred groups a request, or one where brokers are older than Kafka 3.0.
    async fn committed_offsets(
        &self,
        groups: &[GroupId],
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> BTreeMap<GroupId, Result<CommittedOffsets, KafkaError>>;

    /// Describes one group, as [`Admin::describe_groups`] does.
    async fn describe_group(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<GroupDescription, KafkaError> {
        let query = GroupQuery {
            id: group.clone(),
            group_type: crate::snapshot::GroupType::Unknown,
        };
        let mut answers = self.describe_groups(&[query], timeout).await;
        let answer = answers.remove(group);
        answer.unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)))
    }

    /// Returns what one group has committed, sorted by partition, as [`Admin::committed_offsets`] does.
    async fn committed_offsets_of(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> Result<Vec<(TopicPartition, Result<Committed, KafkaError>)>, KafkaError> {
        let groups = std::slice::from_ref(group);
        let mut answers = self.committed_offsets(groups, partitions, timeout).await;
        let answer = answers.remove(group);
        let answer = answer.unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)));
        answer.map(|commits| commits.decode())
    }

    /// Returns one offset for each of `queries`: one request to each broker that leads some of them.
    ///
    /// A partition is named at most once. The answer has one entry for each query, in any order; a broker that does
    /// not answer costs only its own partitions.
    async fn list_offsets(
        &self,
        queries: Vec<OffsetQuery>,
        isolation: crate::lag::Isolation,
        timeout: Duration,
    ) -> Vec<(TopicPartition, Result<ListedOffset, KafkaError>)>;

    /// Returns the configuration of `topics`: property to value, secrets left out.
    async fn topic_configs(
        &self,
        topics: &[TopicName],
        timeout: Duration,
    ) -> Result<BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>, KafkaError>;
}

/// Which topics a metadata call is about.
#[derive(Clone, Copy, Debug)]
pub enum TopicSelection<'a> {
    /// Every topic the credentials may see.
    All,
    /// These alone.
    Named(&'a [TopicName]),
}

/// Brokers and topics, by id and name.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The brokers that are alive, by id.
    pub brokers: Vec<Broker>,
    /// The topics, by name; an error where one cannot be read.
    pub topics: BTreeMap<TopicName, Result<Vec<PartitionMetadata>, KafkaError>>,
    /// The ids of topics (KIP-516), as far as they have one.
    pub topic_ids: BTreeMap<TopicName, TopicId>,
}

/// A live broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: BrokerId,
    /// Its advertised host name or address.
    pub host: String,
    /// Its advertised port, 1 to 65535.
    pub port: u16,
}

/// One partition as the metadata names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number.
    pub id: PartitionId,
    /// Its leader; nothing while there is none.
    pub leader: Option<BrokerId>,
    /// Brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas in sync.
    pub in_sync: Vec<BrokerId>,
}

/// A group as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub id: GroupId,
    /// Its state as the listing tells it (KIP-518).
    pub state: crate::snapshot::GroupState,
    /// Its type (KIP-848); `Unknown` where the broker is too old to list types.
    pub group_type: crate::snapshot::GroupType,
    /// What its members agree on: `consumer`, `connect`, `share`, `streams`; empty for a group without members ever.
    pub protocol_type: String,
}

/// A group to be described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupQuery {
    /// The group.
    pub id: GroupId,
    /// Its type, as the listing says; `Unknown` where it was not listed.
    pub group_type: crate::snapshot::GroupType,
}

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its state.
    pub state: crate::snapshot::GroupState,
    /// Its type, by the request that described it.
    pub group_type: crate::snapshot::GroupType,
    /// What its members agree on: `consumer`, `connect`, `share`, `streams`; empty for a group without members ever.
    pub protocol_type: String,
    /// The assignor's name; empty where it has none.
    pub assignor: String,
    /// The broker that coordinates it.
    pub coordinator: Option<BrokerId>,
    /// Its members, as the coordinator orders them.
    pub members: Vec<crate::snapshot::Member>,
    /// The members whose assignment cannot be read, and is empty here.
    pub malformed: Option<MalformedMembers>,
}

/// Members that left bytes with the coordinator that are not an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedMembers {
    /// How many.
    pub count: usize,
    /// What is wrong with the first of them.
    pub first: String,
}

impl MalformedMembers {
    /// Counts one more member.
    pub fn add(members: &mut Option<Self>, malformed: &Malformed) {
        let members = members.get_or_insert_with(|| Self {
            count: 0,
            first: format!("{malformed}: {}", malformed.problem),
        });
        members.count += 1;
    }
}

/// A question about one partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetQuery {
    /// The partition.
    pub partition: TopicPartition,
    /// The broker that leads it, as the newest metadata says.
    pub leader: BrokerId,
    /// The position asked for.
    pub spec: OffsetSpec,
}

/// Which offset of a partition is asked for.
///
/// Source: ListOffsets (KIP-79).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The offset the next record will get.
    Latest,
    /// The first offset still stored.
    Earliest,
    /// The first record whose timestamp is this or later, in milliseconds since the epoch, 0 or more.
    Timestamp(i64),
}

/// The answer to an [`OffsetQuery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; nothing where no record is that young.
    pub offset: Option<Offset>,
    /// The record's timestamp in milliseconds since the epoch, for a query by timestamp.
    pub timestamp_ms: Option<i64>,
}
