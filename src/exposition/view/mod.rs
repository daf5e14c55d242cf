//! Views of groups at an instant: metrics, JSON and `lagwatch describe` take their values from here.
//!
//! Values that are too old are absent. A value that is absent from the metrics is null in JSON, and a dash in tables.

mod absence;
mod group;
mod partition;
mod scene;
mod sums;
#[cfg(test)]
mod tests;

pub(super) use self::absence::Absence;
pub(crate) use self::group::GroupView;
pub(crate) use self::partition::PartitionView;
pub(super) use self::scene::Freshness;
pub(crate) use self::scene::Scene;
pub(super) use self::sums::Sums;
