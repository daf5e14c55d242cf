//! Kinds of groups: those that have partitions and offsets, and those that are only counted.

use std::collections::BTreeMap;

use crate::lag::GroupId;
use crate::snapshot::{GroupState, GroupType};

/// The groups that have no series of their own, each with the word that counts it and its state.
pub(super) type SkippedGroups = BTreeMap<GroupId, (&'static str, GroupState)>;

/// Returns the word that counts a group without series of its own; nothing for one that consumes partitions of topics.
///
/// The words are few, whatever protocol types clients make up.
pub fn skipped_as(group_type: GroupType, protocol_type: &str) -> Option<&'static str> {
    match (group_type, protocol_type) {
        (GroupType::Share, _) => Some("share"),
        (GroupType::Consumer | GroupType::Streams, _) => None,
        (GroupType::Classic | GroupType::Unknown, protocol_type) => match protocol_type {
            // No protocol type: nobody was ever a member, and somebody commits.
            "" | "consumer" | "streams" => None,
            "share" => Some("share"),
            "connect" => Some("connect"),
            // Schema Registry.
            "sr" => Some("sr"),
            _ => Some("other"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_that_consume_partitions_have_series() {
        for (group_type, protocol_type, expected) in [
            (GroupType::Unknown, "", None),
            (GroupType::Classic, "consumer", None),
            (GroupType::Consumer, "consumer", None),
            (GroupType::Streams, "streams", None),
            (GroupType::Share, "share", Some("share")),
            (GroupType::Unknown, "connect", Some("connect")),
            (GroupType::Classic, "sr", Some("sr")),
            (GroupType::Classic, "made-up-by-a-client", Some("other")),
        ] {
            assert_eq!(skipped_as(group_type, protocol_type), expected);
        }
    }
}
