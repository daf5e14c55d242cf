//! The one table of every metric, and this process's own counters.
//!
//! [`table`] names each metric once; exposition, README, dashboards and alerts are held to it by tests. What comes
//! from a snapshot is rendered by `exposition`; the rest is counted here, in a `prometheus` registry.

pub mod own;
pub mod table;

pub use own::{ClusterMetrics, HttpMetrics, OwnMetrics, TaskMetrics};
pub use table::{Kind, Metric, Source};
