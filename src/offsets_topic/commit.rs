//! A committed offset.

use crate::lag::ids::TopicId;
use crate::lag::offset::{Committed, Offset};

use super::error::Malformed;
use super::reader::Reader;

/// What a group has committed for a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetCommit<'a> {
    /// The next record the group will read. A client may commit -1, which is [`Committed::Never`].
    pub committed: Committed,
    /// The leader epoch of the last record read, where the client told it; from version 3.
    pub leader_epoch: Option<i32>,
    /// What the client left beside the offset. Bytes, as not every broker checks that it is UTF-8.
    pub metadata: &'a [u8],
    /// When the coordinator took the commit, in milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// When the commit ends, in milliseconds since 1970; only in version 1, and only where the client chose it.
    pub expire_timestamp_ms: Option<i64>,
    /// The topic's id, where the coordinator knew it; from version 4.
    pub topic_id: Option<TopicId>,
}

impl<'a> OffsetCommit<'a> {
    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, Malformed> {
        let committed = Offset::new(value.i64("offset")?).map_or(Committed::Never, Committed::At);
        let leader_epoch = match value.version() {
            3.. => value.optional_i32("leaderEpoch")?,
            _ => None,
        };
        let metadata = value.string_bytes("metadata")?;
        let commit_timestamp_ms = value.i64("commitTimestamp")?;
        let expire_timestamp_ms = match value.version() {
            1 => value.optional_i64("expireTimestamp")?,
            _ => None,
        };
        let mut topic_id = None;
        value.tagged(|tag, field| {
            if tag == 0 {
                topic_id = field.optional_topic_id("topicId")?;
            }
            Ok(())
        })?;
        Ok(Self {
            committed,
            leader_epoch,
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms,
            topic_id,
        })
    }
}
