//! Views of groups at an instant: metrics and JSON take their values from here.
//!
//! Values that are too old are absent. A value that is absent from the metrics is null in JSON.

mod absence;
mod group;
mod partition;
mod scene;
mod sums;
#[cfg(test)]
mod tests;

pub(super) use self::absence::Absence;
pub(super) use self::group::GroupView;
pub(super) use self::partition::PartitionView;
pub(super) use self::scene::{Oldest, Scene};
pub(super) use self::sums::Sums;
