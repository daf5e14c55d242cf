//! What is shown of groups at an instant, whatever the format: metrics and JSON take their values from here.
//!
//! What is too old is absent. A value that is absent in one format is absent, or null, in the other.

mod absence;
mod group;
mod partition;
mod scene;
mod sums;
#[cfg(test)]
mod tests;

pub use self::absence::Absence;
pub(super) use self::group::GroupView;
pub(super) use self::partition::PartitionView;
pub(super) use self::scene::{Oldest, Scene};
pub(super) use self::sums::Sums;
