//! Why there is no figure.

use serde::Serialize;

/// Why there is no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Absence {
    /// The group has no partitions.
    NoPartitions,
    /// The group has committed nothing here, and the policy says that this is no lag.
    NoCommit,
    /// The committed offset could not be read.
    CommittedOffsetUnknown,
    /// The log end offset could not be read.
    LogEndOffsetUnknown,
    /// The log start offset, where the policy counts from, could not be read.
    LogStartOffsetUnknown,
    /// The partition has no leader.
    NoLeader,
    /// The newest good reading is too old to be shown.
    Stale,
}
