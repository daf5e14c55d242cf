//! A little chance, so that many clients do not come back at the same moment.

use std::hash::{BuildHasher, RandomState};

/// Returns a number from 0 to 1.
pub(super) fn fraction() -> f64 {
    // Every state hashes with keys of its own; no more chance than that is needed.
    let bits = RandomState::new().hash_one(());
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
