//! What a record of `__consumer_offsets` is about, by the first two bytes of its key.

use std::fmt;

use super::encoding::FieldEncoding;

/// The type of a record. Prints as Kafka's own schemas are called: `ConsumerGroupMemberMetadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// A group's commit on one partition, whatever kind the group is of.
    OffsetCommit,
    /// A classic group: its generation and its members.
    GroupMetadata,
    /// One part of a group whose assignment the coordinator makes: what Kafka's own code calls a modern group.
    Modern(GroupKind, GroupPart),
    /// The topics that a regular expression of a consumer group stands for.
    ConsumerGroupRegularExpression,
    /// Which partitions of a share group have a share state.
    ShareGroupStatePartitionMetadata,
    /// The topology of a Streams group.
    StreamsGroupTopology,
}

/// The kinds of groups whose assignment the coordinator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// KIP-848.
    Consumer,
    /// KIP-932.
    Share,
    /// KIP-1071.
    Streams,
}

/// The parts in which the coordinator stores a group whose assignment it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupPart {
    /// The group's epoch.
    Metadata,
    /// The topics it is subscribed to.
    PartitionMetadata,
    /// A member.
    MemberMetadata,
    /// The epoch of the assignment that the members are on the way to.
    TargetAssignmentMetadata,
    /// What a member is to get.
    TargetAssignmentMember,
    /// What a member has.
    CurrentMemberAssignment,
}

impl RecordType {
    /// Returns the type that Kafka gives this number to; nothing for numbers of the future.
    pub fn from_number(number: i16) -> Option<Self> {
        use GroupKind::{Consumer, Share, Streams};
        use GroupPart::{
            CurrentMemberAssignment, MemberMetadata, Metadata, PartitionMetadata,
            TargetAssignmentMember, TargetAssignmentMetadata,
        };
        Some(match number {
            // Brokers before 0.9 wrote 0; the fields are the same.
            0 | 1 => Self::OffsetCommit,
            2 => Self::GroupMetadata,
            3 => Self::Modern(Consumer, Metadata),
            4 => Self::Modern(Consumer, PartitionMetadata),
            5 => Self::Modern(Consumer, MemberMetadata),
            6 => Self::Modern(Consumer, TargetAssignmentMetadata),
            7 => Self::Modern(Consumer, TargetAssignmentMember),
            8 => Self::Modern(Consumer, CurrentMemberAssignment),
            9 => Self::Modern(Share, PartitionMetadata),
            10 => Self::Modern(Share, MemberMetadata),
            11 => Self::Modern(Share, Metadata),
            12 => Self::Modern(Share, TargetAssignmentMetadata),
            13 => Self::Modern(Share, TargetAssignmentMember),
            14 => Self::Modern(Share, CurrentMemberAssignment),
            15 => Self::ShareGroupStatePartitionMetadata,
            16 => Self::ConsumerGroupRegularExpression,
            17 => Self::Modern(Streams, Metadata),
            18 => Self::Modern(Streams, PartitionMetadata),
            19 => Self::Modern(Streams, MemberMetadata),
            20 => Self::Modern(Streams, TargetAssignmentMetadata),
            21 => Self::Modern(Streams, TargetAssignmentMember),
            22 => Self::Modern(Streams, CurrentMemberAssignment),
            23 => Self::StreamsGroupTopology,
            _ => return None,
        })
    }

    /// Returns how a version of its value is written; nothing for versions of the future.
    pub(super) fn encoding(self, version: i16) -> Option<FieldEncoding> {
        match (self, version) {
            (Self::OffsetCommit | Self::GroupMetadata, 0..=3) => Some(FieldEncoding::Fixed),
            (Self::OffsetCommit | Self::GroupMetadata, 4) => Some(FieldEncoding::Flexible),
            (Self::OffsetCommit | Self::GroupMetadata, _) => None,
            (_, 0) => Some(FieldEncoding::Flexible),
            (_, _) => None,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Modern(kind, part) => write!(f, "{kind:?}Group{part:?}"),
            other => fmt::Debug::fmt(other, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_names_of_kafkas_schemas() {
        let names = [
            "OffsetCommit",
            "OffsetCommit",
            "GroupMetadata",
            "ConsumerGroupMetadata",
            "ConsumerGroupPartitionMetadata",
            "ConsumerGroupMemberMetadata",
            "ConsumerGroupTargetAssignmentMetadata",
            "ConsumerGroupTargetAssignmentMember",
            "ConsumerGroupCurrentMemberAssignment",
            "ShareGroupPartitionMetadata",
            "ShareGroupMemberMetadata",
            "ShareGroupMetadata",
            "ShareGroupTargetAssignmentMetadata",
            "ShareGroupTargetAssignmentMember",
            "ShareGroupCurrentMemberAssignment",
            "ShareGroupStatePartitionMetadata",
            "ConsumerGroupRegularExpression",
            "StreamsGroupMetadata",
            "StreamsGroupPartitionMetadata",
            "StreamsGroupMemberMetadata",
            "StreamsGroupTargetAssignmentMetadata",
            "StreamsGroupTargetAssignmentMember",
            "StreamsGroupCurrentMemberAssignment",
            "StreamsGroupTopology",
        ];
        let known: Vec<String> = (i16::MIN..=i16::MAX)
            .filter_map(RecordType::from_number)
            .map(|known| known.to_string())
            .collect();
        assert_eq!(known, names);
        assert_eq!(RecordType::from_number(-1), None);
    }
}
