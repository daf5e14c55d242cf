//! The revision of a row: what was rendered of a row is kept while its revision stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sorted::walk_to;

/// Identifies what a row shows: rows of one revision show the same wherever their figures are equally fresh.
///
/// Unique in this process, so that rows of different groups, topics or clusters never have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(u64);

impl Revision {
    /// Returns a revision that no row has had.
    pub fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Passes each of some sorted rows to `revise`, together with the row of the same name `before`. Rows that are still shared keep
/// their revision.
pub(super) fn revise_rows<T: Clone, N: Ord>(
    rows: &mut [Arc<T>],
    before: &[Arc<T>],
    name: impl Fn(&T) -> &N,
    revise: impl Fn(&mut T, Option<&T>),
) {
    let mut before = before.iter().peekable();
    for row in rows {
        let before = walk_to(&mut before, name(row), |row| name(row));
        if !before.is_some_and(|before| Arc::ptr_eq(before, row)) {
            revise(Arc::make_mut(row), before.map(AsRef::as_ref));
        }
    }
}
