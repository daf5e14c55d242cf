//! What one record says.

use crate::lag::ids::PartitionId;

use super::assignment::{Assigned, CurrentAssignment, TargetEpoch};
use super::classic::GroupMetadata;
use super::commit::OffsetCommit;
use super::modern::{GroupEpoch, GroupTopic, MemberMetadata, ResolvedTopics};
use super::record_type::{GroupKind, RecordType};

/// What one record says. Where the value is nothing, the record is a tombstone: what the key names is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A group of any kind has committed an offset; a tombstone: the offset was deleted or has expired.
    OffsetCommit {
        /// The group.
        group: &'a str,
        /// The topic.
        topic: &'a str,
        /// The topic's partition.
        partition: PartitionId,
        /// The commit.
        commit: Option<OffsetCommit<'a>>,
    },
    /// A classic group; a tombstone: it was deleted, has expired or has become a group of another kind.
    GroupMetadata {
        /// The group.
        group: &'a str,
        /// The generation and the members.
        metadata: Option<GroupMetadata<'a>>,
    },
    /// The epoch of a modern group; a tombstone: it was deleted, has expired or has become a classic group.
    GroupEpoch {
        /// The kind of the group.
        kind: GroupKind,
        /// The group.
        group: &'a str,
        /// The epoch.
        epoch: Option<GroupEpoch>,
    },
    /// The topics that a modern group is subscribed to.
    GroupTopics {
        /// The kind of the group.
        kind: GroupKind,
        /// The group.
        group: &'a str,
        /// The topics.
        topics: Option<Vec<GroupTopic<'a>>>,
    },
    /// A member of a modern group; a tombstone: it has left, or was put out.
    Member {
        /// The kind of the group.
        kind: GroupKind,
        /// The group.
        group: &'a str,
        /// The member's id.
        member: &'a str,
        /// The member.
        metadata: Option<MemberMetadata<'a>>,
    },
    /// A modern group has a new target assignment, whose members' parts were written before.
    TargetEpoch {
        /// The kind of the group.
        kind: GroupKind,
        /// The group.
        group: &'a str,
        /// The epoch of the assignment.
        target: Option<TargetEpoch>,
    },
    /// What a member of a modern group is to get.
    TargetAssignment {
        /// The kind of the group.
        kind: GroupKind,
        /// The group.
        group: &'a str,
        /// The member's id.
        member: &'a str,
        /// What it is to get.
        target: Option<Assigned<'a>>,
    },
    /// What a member of a modern group has.
    CurrentAssignment {
        /// The kind of the group.
        kind: GroupKind,
        /// The group.
        group: &'a str,
        /// The member's id.
        member: &'a str,
        /// What it has.
        current: Option<CurrentAssignment<'a>>,
    },
    /// The topics that a regular expression of a consumer group stands for; a tombstone: nobody uses it any more.
    RegularExpression {
        /// The group.
        group: &'a str,
        /// The expression.
        expression: &'a str,
        /// The topics.
        resolved: Option<ResolvedTopics<'a>>,
    },
    /// A part of a share or Streams group that tells nothing about offsets, members or assignments; not read further.
    Other {
        /// The type.
        record_type: RecordType,
        /// The group.
        group: &'a str,
    },
    /// A value in a version of the future.
    UnknownVersion {
        /// The type.
        record_type: RecordType,
        /// The group.
        group: &'a str,
        /// The version of the value.
        version: i16,
    },
    /// A type of the future.
    UnknownType {
        /// The number of the type.
        number: i16,
    },
}
