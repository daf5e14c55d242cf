//! Finding groups and partitions in sorted lists that are read in parallel.

use std::collections::HashMap;

use crate::lag::TopicPartition;
use crate::snapshot::PartitionRows;
pub(super) use crate::snapshot::walk_to;

/// A map whose keys are hashed fast: names that a cluster's own administrators give.
pub(super) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Returns the place of `id` in a sorted list, or where it belongs; looks at `hint` first, where the walk of another list
/// leads to expect it.
pub(super) fn place<T>(
    sorted: &[(TopicPartition, T)],
    id: &TopicPartition,
    hint: usize,
) -> Result<usize, usize> {
    match sorted.get(hint) {
        Some((known, _)) if known == id => Ok(hint),
        _ => sorted.binary_search_by(|(known, _)| known.cmp(id)),
    }
}

/// Keeps what is of partitions that are shown; both lists are sorted.
pub(super) fn retain_shown<T>(sorted: &mut Vec<(TopicPartition, T)>, shown: &PartitionRows) {
    let mut shown = shown.iter().peekable();
    sorted.retain(|(id, _)| walk_to(&mut shown, id, |row| &row.id).is_some());
    sorted.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_whatever_the_hint() {
        let sorted: Vec<_> = [1, 3, 5].map(|n| (TopicPartition::new("t", n), ())).into();
        for hint in 0..5 {
            for (number, expected) in [(3, Ok(1)), (5, Ok(2)), (4, Err(2)), (9, Err(3))] {
                let found = place(&sorted, &TopicPartition::new("t", number), hint);
                assert_eq!(found, expected, "{number} at {hint}");
            }
        }
    }
}
