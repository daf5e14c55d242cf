//! What one record says.

use crate::lag::ids::PartitionId;

use super::classic::GroupMetadata;
use super::commit::OffsetCommit;
use super::consumer::CurrentAssignment;

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
        commit: Option<OffsetCommit>,
    },
    /// A classic group; a tombstone: it was deleted, has expired or has become a group of another kind.
    GroupMetadata {
        /// The group.
        group: &'a str,
        /// The generation and the members.
        metadata: Option<GroupMetadata<'a>>,
    },
    /// The epoch of a consumer group; a tombstone: it was deleted, has expired or has become a classic group.
    ConsumerGroupEpoch {
        /// The group.
        group: &'a str,
        /// The epoch, from 1.
        epoch: Option<i32>,
    },
    /// A member of a consumer group that has joined or changed its subscription, or has left.
    ConsumerGroupMember {
        /// The group.
        group: &'a str,
        /// The member's id.
        member: &'a str,
        /// Whether the record is a tombstone: the member has left, or was removed.
        is_deleted: bool,
    },
    /// What a member of a consumer group is to get.
    TargetAssignment {
        /// The group.
        group: &'a str,
        /// The member's id.
        member: &'a str,
        /// How many partitions it is to get.
        partitions: Option<usize>,
    },
    /// What a member of a consumer group has.
    CurrentAssignment {
        /// The group.
        group: &'a str,
        /// The member's id.
        member: &'a str,
        /// What it has.
        current: Option<CurrentAssignment>,
    },
    /// A part of a group that is not used, and not read further.
    Other {
        /// The group.
        group: &'a str,
    },
    /// A type, or a version of the value, of the future.
    Unknown,
}
