//! Sorted lists that are read in parallel.

use std::iter::Peekable;

/// Skips the items of a sorted list up to `key`, and takes the item of that key if there is one. Keys must come in ascending
/// order, each once.
pub(crate) fn walk_to<T, K: Ord>(
    sorted: &mut Peekable<impl Iterator<Item = T>>,
    key: &K,
    key_of: impl Fn(&T) -> &K,
) -> Option<T> {
    while sorted.next_if(|item| key_of(item) < key).is_some() {}
    sorted.next_if(|item| key_of(item) == key)
}
