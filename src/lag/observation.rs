//! One observation of a group on one partition: the pair of offsets that a poll cycle has read.

use super::offset::Offset;
use super::timestamp::Timestamp;

/// A committed offset and the end of what the group may read, both of one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the pair was read.
    pub at: Timestamp,
    /// The next record the group will read.
    pub committed: Offset,
    /// Exclusive: the log end, or the last stable offset for a `read_committed` group.
    pub end: Offset,
}

impl Observation {
    /// Returns the pending records; 0 where the commit is at the end or past it.
    pub fn lag(self) -> u64 {
        self.end.records_since(self.committed)
    }
}
