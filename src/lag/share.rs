//! Which of a cluster's groups and topics are one replica's, where several share the work.
//!
//! A name belongs to the partition of `__consumer_offsets` that it hashes to, and a partition to one replica. Who owns
//! which partition is decided elsewhere.

use std::collections::BTreeSet;

use super::ids::PartitionId;

/// The groups and topics that are one replica's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// All of them: nobody shares the work.
    #[default]
    Whole,
    /// Those that hash to one of the `owned` of `count` partitions. Without partitions there are none.
    Part {
        /// Numbers below `count`.
        owned: BTreeSet<PartitionId>,
        /// How many partitions there are in all.
        count: usize,
    },
}

impl Share {
    /// Returns the share of one of `count` replicas, whose numbers begin at 0.
    pub fn fixed(index: PartitionId, count: usize) -> Self {
        Self::Part {
            owned: [index].into(),
            count,
        }
    }

    /// Returns whether a group, or a topic, of this name is part of the share.
    pub fn owns(&self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Part { owned, count } => {
                *count > 0 && owned.contains(&partition_of(name, *count))
            }
        }
    }
}

impl Share {
    /// Returns whether a group of the share may lie in a partition of `__consumer_offsets`, which has `count` of them.
    pub fn may_own_in(&self, partition: PartitionId, count: usize) -> bool {
        match self {
            // Shares of another number of partitions lie across.
            Self::Part { owned, count: of } if *of == count => owned.contains(&partition),
            Self::Part { owned, count: 0 } => owned.contains(&partition),
            Self::Whole | Self::Part { .. } => true,
        }
    }
}

/// Returns which of `count` partitions a name hashes to; a count of 0 is read as 1.
///
/// Source: `GroupCoordinatorService.partitionFor`, which is `Utils.abs(groupId.hashCode) % count`: a group's commits lie
/// in that partition of `__consumer_offsets`. The hash is Java's, over UTF-16 units; the absolute value of its minimum
/// is 0.
pub fn partition_of(name: &str, count: usize) -> PartitionId {
    let hash = name.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let count = i32::try_from(count.max(1)).unwrap_or(i32::MAX);
    PartitionId(hash.checked_abs().unwrap_or(0) % count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_lies_where_kafka_puts_it() {
        // As `Utils.abs("…".hashCode()) % 50` says in Java; the last two hashes are negative.
        for (group, partition) in [
            ("", 0),
            ("a", 47),
            ("task-notification-service", 45),
            ("größe 🚀", 6),
            ("crowd-14-transactional", 31),
            ("crowd-06-cooperative", 44),
        ] {
            assert_eq!(partition_of(group, 50), PartitionId(partition), "{group}");
        }
        // Its hash is the minimum.
        assert_eq!(partition_of("polygenelubricants", 50), PartitionId(0));
    }

    #[test]
    fn a_share_without_partitions_is_empty() {
        let nothing = Share::Part {
            owned: BTreeSet::new(),
            count: 50,
        };
        assert!(!nothing.owns("a"));
        let unknown = Share::Part {
            owned: [PartitionId(0)].into(),
            count: 0,
        };
        assert!(!unknown.owns("a"));
        assert!(Share::Whole.owns("a"));
    }

    proptest! {
        #[test]
        fn every_name_is_in_exactly_one_share(name in ".*", count in 1_usize..60) {
            let shares = (0..count).map(|index| {
                Share::fixed(PartitionId(i32::try_from(index).expect("small")), count)
            });
            prop_assert_eq!(shares.filter(|share| share.owns(&name)).count(), 1);
        }
    }
}
