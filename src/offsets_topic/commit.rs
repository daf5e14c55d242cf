//! A committed offset.

use crate::lag::offset::{Committed, Offset};

use super::error::Malformed;
use super::reader::Reader;

/// What a group has committed for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The next record the group will read. A client may commit -1, which is [`Committed::Never`].
    pub committed: Committed,
    /// When the coordinator took the commit, in milliseconds since 1970.
    pub commit_timestamp_ms: i64,
}

impl OffsetCommit {
    pub(super) fn read(mut value: Reader<'_>) -> Result<Self, Malformed> {
        let committed = Offset::new(value.i64("offset")?).map_or(Committed::Never, Committed::At);
        if value.version() >= 3 {
            value.i32("leaderEpoch")?;
        }
        // Bytes, as not every broker checks that it is UTF-8.
        value.string_bytes("metadata")?;
        let commit_timestamp_ms = value.i64("commitTimestamp")?;
        if value.version() == 1 {
            value.i64("expireTimestamp")?;
        }
        value.end()?;
        Ok(Self {
            committed,
            commit_timestamp_ms,
        })
    }
}
