//! A consumer group's row: its members, its state and its partitions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::lag::{
    Age, BrokerId, Committed, Drain, Finding, GroupId, Headroom, Isolation, Lag, Ownership, Status,
    TopicName, TopicPartition, Unavailable, Verdict, Watermarks,
};

/// One group as the newest cycle left it.
#[derive(Clone, Debug)]
pub struct GroupRow {
    /// The group.
    pub id: GroupId,
    /// Its members and state; nothing where the cluster cannot describe groups or the last good answer is too old.
    pub membership: Option<Arc<Membership>>,
    /// Every partition that is assigned to a member or has a commit, by topic and number.
    pub partitions: Arc<[PartitionRow]>,
    /// How far its consumers read.
    pub isolation: Isolation,
    /// What the rules say of it: the status of its worst partition.
    pub verdict: Verdict,
    /// What failed for this group in the newest cycle.
    pub failures: Vec<GroupFailure>,
    /// What it was seen to do.
    pub activity: Arc<Activity>,
}

/// What a group was seen to do since it is watched. Counts only grow while its row stays.
///
/// Read from `__consumer_offsets` it is everything; from polls it is what one poll after the other shows, a lower bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Its commits, by topic.
    pub commits: BTreeMap<TopicName, Commits>,
    /// Times that partitions were given to members anew.
    pub rebalances: u64,
    /// When it last was rebalanced, in milliseconds since the epoch.
    pub last_rebalance_ms: Option<i64>,
    /// Members that joined.
    pub member_joins: u64,
    /// Members that left or were put out.
    pub member_leaves: u64,
}

/// A group's commits on one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Committed partition offsets: a request that commits three partitions counts three.
    pub count: u64,
    /// When the last one was made, in milliseconds since the epoch.
    pub last_ms: Option<i64>,
}

impl GroupRow {
    /// Returns the partitions of each topic, by name; the partitions by number.
    pub fn by_topic(&self) -> impl Iterator<Item = (&TopicName, &[PartitionRow])> {
        self.partitions
            .chunk_by(|one, next| one.id.topic == next.id.topic)
            .map(|partitions| (&partitions[0].id.topic, partitions))
    }

    /// Returns its status in one word; `unknown` for a group of which nothing could be read.
    pub fn status(&self) -> Status {
        if self.partitions.is_empty() && !self.failures.is_empty() {
            return Status::Unknown;
        }
        self.verdict.status()
    }

    /// Tells whether the newest cycle could read everything about the group.
    pub fn is_read_in_full(&self) -> bool {
        let has_gap = |row: &PartitionRow| matches!(row.latest, Lag::Unavailable(_));
        self.failures.is_empty() && !self.partitions.iter().any(has_gap)
    }
}

/// What a describe call says of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// When it was read.
    pub measured: Instant,
    /// The group's state.
    pub state: GroupState,
    /// Classic or KIP-848.
    pub group_type: GroupType,
    /// The assignor of a consumer group (`range`, `cooperative-sticky`, `uniform`); empty where it has none.
    pub assignor: String,
    /// The broker that coordinates the group; nothing where the answer names none.
    pub coordinator: Option<BrokerId>,
    /// The members, as the coordinator orders them.
    pub members: MemberList,
}

impl Membership {
    /// Returns the member that owns a partition of the same group's row; nothing where none does.
    pub fn owner(&self, row: &PartitionRow) -> Option<&Member> {
        let index = usize::try_from(row.owner?).ok()?;
        self.members.get(index)
    }
}

/// The members of a group, as the coordinator orders them: Kafka's own tool breaks ties by that order.
pub type MemberList = Arc<[Member]>;

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The id the coordinator gave it (CONSUMER-ID).
    pub id: Arc<str>,
    /// Its `client.id`.
    pub client_id: Arc<str>,
    /// Where it connects from, as Kafka prints it: `/127.0.0.1`.
    pub host: Arc<str>,
    /// Its `group.instance.id`, where it is a static member.
    pub instance_id: Option<Arc<str>>,
    /// The partitions assigned to it, sorted.
    pub assignment: Vec<TopicPartition>,
}

/// One partition of a group: a commit and watermarks of one and the same cycle.
#[derive(Clone, Debug)]
pub struct PartitionRow {
    /// The partition.
    pub id: TopicPartition,
    /// The newest good pair; nothing before the first, and once it is older than the cluster's `stale_after`.
    pub reading: Option<Reading>,
    /// The lag of the newest cycle's own fetches, `Unavailable` where one of them failed (even while `reading` is still shown).
    pub latest: Lag,
    /// The index in [`Membership::members`] of the member that owns it.
    pub owner: Option<u32>,
    /// What the rules say of it.
    pub judgement: Judgement,
}

/// What the figures of a group on one partition mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its status, with the figures that it rests on.
    pub finding: Finding,
    /// How long until it is caught up.
    pub drain: Drain,
    /// How long its first unread record is safe from deletion.
    pub headroom: Headroom,
    /// Whose the partition is.
    pub ownership: Ownership,
}

impl Default for Judgement {
    /// Nothing was judged.
    fn default() -> Self {
        Self {
            finding: Finding::Unknown(Unavailable::Committed),
            drain: Drain::Unknown,
            headroom: Headroom::Unknown,
            ownership: Ownership::Unknown,
        }
    }
}

impl PartitionRow {
    /// Tells whether no member of the group reads the topic any more.
    pub fn is_abandoned(&self) -> bool {
        self.judgement.ownership == Ownership::Abandoned
    }

    /// Returns how long until the group is caught up; nothing without a commit, and where nobody reads any more.
    pub fn drain(&self) -> Option<Drain> {
        let is_read = !self.is_abandoned() && !matches!(self.latest, Lag::NoCommit { .. });
        is_read.then_some(self.judgement.drain)
    }

    /// Returns the records that wait behind an open transaction, where the group has read everything before: a
    /// `read_committed` consumer cannot go on.
    pub fn blocked(&self, isolation: Isolation) -> Option<u64> {
        let reading = self.reading.as_ref()?;
        let (Isolation::ReadCommitted, Committed::At(committed)) = (isolation, reading.committed)
        else {
            return None;
        };
        let stable = reading.marks.last_stable?;
        let blocked = reading.marks.log_end.records_since(stable);
        (committed >= stable && blocked > 0).then_some(blocked)
    }
}

/// A commit, the watermarks read after it in the same cycle, and the lag between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When the pair was read.
    pub measured: Instant,
    /// What the group has committed.
    pub committed: Committed,
    /// Where the log begins and ends.
    pub marks: Watermarks,
    /// The lag between the two; never `Unavailable`.
    pub lag: Lag,
    /// How long the first record that the group has not consumed has been waiting; nothing where it never committed.
    pub age: Option<Age>,
}

/// A fetch of the newest cycle that failed for this group alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFailure {
    /// What was tried: `describe_group`, `committed_offsets`.
    pub operation: &'static str,
    /// Kafka's name of the error: `GROUP_AUTHORIZATION_FAILED`.
    pub error: &'static str,
    /// One line for people.
    pub message: String,
}

/// The state of a group.
///
/// Source: KIP-518, KIP-848; the words are those of `kafka-consumer-groups --state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// The broker used a word that is not known here.
    Unknown,
    /// Waiting for members to join.
    PreparingRebalance,
    /// Waiting for the leader's assignment.
    CompletingRebalance,
    /// Members have their partitions.
    Stable,
    /// It is being removed, or does not exist.
    Dead,
    /// No members.
    Empty,
    /// KIP-848: the target assignment is being computed.
    Assigning,
    /// KIP-848: members are moving to the target assignment.
    Reconciling,
}

impl GroupState {
    /// Every state, in the order of exposition.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::Dead,
        Self::Empty,
        Self::Assigning,
        Self::Reconciling,
    ];

    /// Returns Kafka's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
        }
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The protocol family of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupType {
    /// The broker does not say (before KIP-848), or used a word that is not known here.
    Unknown,
    /// The original join and sync protocol.
    Classic,
    /// KIP-848: the broker assigns.
    Consumer,
}

impl GroupType {
    /// Returns the word in labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(partitions: &[(&str, i32, Lag)]) -> GroupRow {
        let partition = |&(topic, number, latest): &(&str, i32, Lag)| PartitionRow {
            id: TopicPartition::new(topic, number),
            reading: None,
            latest,
            owner: None,
            judgement: Judgement::default(),
        };
        GroupRow {
            id: "g".into(),
            membership: None,
            partitions: partitions.iter().map(partition).collect(),
            isolation: Isolation::default(),
            verdict: Verdict::Ok,
            failures: Vec::new(),
            activity: Arc::default(),
        }
    }

    const WAITING: Lag = Lag::NoCommit { backlog: None };
    const UNREAD: Lag = Lag::Unavailable(Unavailable::EndOffset);

    #[test]
    fn partitions_are_told_topic_by_topic() {
        let row = row(&[("a", 0, WAITING), ("a", 1, WAITING), ("b", 0, WAITING)]);
        let topics: Vec<(&str, usize)> = row
            .by_topic()
            .map(|(topic, partitions)| (topic.as_str(), partitions.len()))
            .collect();
        assert_eq!(topics, [("a", 2), ("b", 1)]);
    }

    #[test]
    fn a_row_is_read_in_full_without_failures_and_gaps() {
        let full = row(&[("a", 0, WAITING)]);
        assert!(full.is_read_in_full());
        assert!(!row(&[("a", 0, WAITING), ("a", 1, UNREAD)]).is_read_in_full());
        let failure = GroupFailure {
            operation: "describe_group",
            error: "_TIMED_OUT",
            message: String::new(),
        };
        let failed = GroupRow {
            failures: vec![failure],
            ..full
        };
        assert!(!failed.is_read_in_full());
    }
}
