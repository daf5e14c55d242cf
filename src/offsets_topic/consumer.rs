//! Consumer groups of KIP-848, whose assignment the coordinator makes.
//!
//! Such a group is many records: one for its epoch, a few for every member. A rebalance is a new epoch, after which the
//! members move to it one by one. What is assigned is only counted: records name topics by their ids alone.

use super::error::Malformed;
use super::reader::Reader;

/// What a member has at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentAssignment {
    /// The epoch it has reached.
    pub member_epoch: i32,
    /// How many partitions it has.
    pub partitions: usize,
}

impl CurrentAssignment {
    pub(super) fn read(mut value: Reader<'_>) -> Result<Self, Malformed> {
        let member_epoch = value.i32("MemberEpoch")?;
        value.i32("PreviousMemberEpoch")?;
        value.i8("State")?;
        let partitions = count_partitions(&mut value, "AssignedPartitions")?;
        count_partitions(&mut value, "PartitionsPendingRevocation")?;
        value.end()?;
        Ok(Self {
            member_epoch,
            partitions,
        })
    }
}

/// Reads the epoch of a group, which counts the changes of its members, subscriptions and topics.
pub(super) fn read_epoch(mut value: Reader<'_>) -> Result<i32, Malformed> {
    let epoch = value.i32("Epoch")?;
    value.end()?;
    Ok(epoch)
}

/// Reads how many partitions a member is to get.
pub(super) fn read_target(mut value: Reader<'_>) -> Result<usize, Malformed> {
    let partitions = count_partitions(&mut value, "TopicPartitions")?;
    value.end()?;
    Ok(partitions)
}

/// Reads partitions topic by topic, and returns how many there are.
fn count_partitions(value: &mut Reader<'_>, field: &'static str) -> Result<usize, Malformed> {
    let mut count = 0;
    value.each(field, |value| {
        value.topic_id(field)?;
        value.each(field, |value| {
            count += 1;
            value.i32(field).map(drop)
        })?;
        value.end()
    })?;
    Ok(count)
}
