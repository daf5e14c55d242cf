//! The records of `__consumer_offsets`: from bytes to what they say.
//!
//! [`decode`] knows every type and version that Kafka has written so far, up to 4.4, and reads what is used: commits, the
//! members of classic groups, and who has how many partitions in consumer groups (KIP-848). It is pure, borrows what it can
//! from the record, and takes bytes from anybody: it checks every bound and never panics. What a sequence of records
//! means for a group does not belong here.
//!
//! Source: the schema files of Kafka's group coordinator and of its consumer protocol. As in Kafka, bytes after the
//! last known field of a key or value are ignored.

mod classic;
mod commit;
mod consumer;
pub(crate) mod encoding;
mod error;
pub(crate) mod protocol;
pub(crate) mod reader;
mod record;
mod record_type;

pub use classic::{ClassicMember, GroupMetadata};
pub use commit::OffsetCommit;
pub use consumer::CurrentAssignment;
pub use error::{Malformed, Problem, Schema};
pub use protocol::TopicPartitions;
pub use record::Record;
pub use record_type::RecordType;

use crate::lag::ids::PartitionId;

use self::reader::Reader;

/// Reads a record; a value that is nothing is a tombstone.
///
/// # Errors
///
/// The bytes do not follow the schema that the type and the version name. Types and versions that are unknown are
/// values, as they are no fault of the record.
pub fn decode<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Result<Record<'a>, Malformed> {
    let mut key = Reader::new(key, Schema::Type);
    let Some(record_type) = RecordType::from_number(key.i16("type")?) else {
        return Ok(Record::Unknown);
    };
    key.name(Schema::Key(record_type));
    let group = key.string("group")?;
    let mut value = value.map(|bytes| Reader::new(bytes, Schema::Value(record_type)));
    if let Some(value) = &mut value {
        let version = value.i16("version")?;
        let Some(encoding) = record_type.encoding(version) else {
            return Ok(Record::Unknown);
        };
        value.set_version(version, encoding);
    }
    read(record_type, group, key, value)
}

/// Reads the rest of a record, of which the type, the group and the value's version have been read.
fn read<'a>(
    record_type: RecordType,
    group: &'a str,
    mut key: Reader<'a>,
    value: Option<Reader<'a>>,
) -> Result<Record<'a>, Malformed> {
    Ok(match record_type {
        RecordType::OffsetCommit => Record::OffsetCommit {
            group,
            topic: key.string("topic")?,
            partition: PartitionId(key.i32("partition")?),
            commit: value.map(OffsetCommit::read).transpose()?,
        },
        RecordType::GroupMetadata => Record::GroupMetadata {
            group,
            metadata: value.map(GroupMetadata::read).transpose()?,
        },
        RecordType::ConsumerGroupMetadata => Record::ConsumerGroupEpoch {
            group,
            epoch: value.map(consumer::read_epoch).transpose()?,
        },
        RecordType::ConsumerGroupMemberMetadata => Record::ConsumerGroupMember {
            group,
            member: key.string("MemberId")?,
            is_deleted: value.is_none(),
        },
        RecordType::ConsumerGroupTargetAssignmentMember => Record::TargetAssignment {
            group,
            member: key.string("MemberId")?,
            partitions: value.map(consumer::read_target).transpose()?,
        },
        RecordType::ConsumerGroupCurrentMemberAssignment => Record::CurrentAssignment {
            group,
            member: key.string("MemberId")?,
            current: value.map(CurrentAssignment::read).transpose()?,
        },
        RecordType::Other(_) => Record::Other { group },
    })
}

#[cfg(test)]
mod tests;
