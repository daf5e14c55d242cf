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
    /// The epoch of a consumer group (KIP-848).
    ConsumerGroupMetadata,
    /// A member of a consumer group.
    ConsumerGroupMemberMetadata,
    /// What a member of a consumer group is to get.
    ConsumerGroupTargetAssignmentMember,
    /// What a member of a consumer group has.
    ConsumerGroupCurrentMemberAssignment,
    /// Another part of a group, which is not used, by the name of its schema.
    Other(&'static str),
}

impl RecordType {
    /// Returns the type that Kafka gives this number to; nothing for numbers of the future.
    pub fn from_number(number: i16) -> Option<Self> {
        Some(match number {
            // Brokers before 0.9 wrote 0; the fields are the same.
            0 | 1 => Self::OffsetCommit,
            2 => Self::GroupMetadata,
            3 => Self::ConsumerGroupMetadata,
            4 => Self::Other("ConsumerGroupPartitionMetadata"),
            5 => Self::ConsumerGroupMemberMetadata,
            6 => Self::Other("ConsumerGroupTargetAssignmentMetadata"),
            7 => Self::ConsumerGroupTargetAssignmentMember,
            8 => Self::ConsumerGroupCurrentMemberAssignment,
            9 => Self::Other("ShareGroupPartitionMetadata"),
            10 => Self::Other("ShareGroupMemberMetadata"),
            11 => Self::Other("ShareGroupMetadata"),
            12 => Self::Other("ShareGroupTargetAssignmentMetadata"),
            13 => Self::Other("ShareGroupTargetAssignmentMember"),
            14 => Self::Other("ShareGroupCurrentMemberAssignment"),
            15 => Self::Other("ShareGroupStatePartitionMetadata"),
            16 => Self::Other("ConsumerGroupRegularExpression"),
            17 => Self::Other("StreamsGroupMetadata"),
            18 => Self::Other("StreamsGroupPartitionMetadata"),
            19 => Self::Other("StreamsGroupMemberMetadata"),
            20 => Self::Other("StreamsGroupTargetAssignmentMetadata"),
            21 => Self::Other("StreamsGroupTargetAssignmentMember"),
            22 => Self::Other("StreamsGroupCurrentMemberAssignment"),
            23 => Self::Other("StreamsGroupTopology"),
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
            Self::Other(name) => f.write_str(name),
            used => fmt::Debug::fmt(used, f),
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
