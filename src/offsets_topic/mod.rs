//! The records of `__consumer_offsets`: from bytes to what they say.
//!
//! [`decode`] knows every type and version that Kafka has written so far, up to 4.4. It is pure, borrows what it can
//! from the record, and takes bytes from anybody: it checks every bound and never panics. What a sequence of records
//! means for a group does not belong here.
//!
//! Source: the schema files of Kafka's group coordinator and of its consumer protocol. As in Kafka, bytes after the
//! last known field of a key or value are ignored.

mod assignment;
mod classic;
mod commit;
pub(crate) mod encoding;
mod error;
mod modern;
pub(crate) mod protocol;
pub(crate) mod reader;
mod record;
mod record_type;

pub use assignment::{
    Assigned, CurrentAssignment, MemberState, SubtopologyTasks, TargetEpoch, Tasks,
    TopicIdPartitions,
};
pub use classic::{ClassicMember, GroupMetadata};
pub use commit::OffsetCommit;
pub use error::{Malformed, Problem, Schema};
pub use modern::{ClassicProtocols, GroupEpoch, GroupTopic, MemberMetadata, ResolvedTopics};
pub use protocol::{Assignment, Embedded, Subscription, TopicPartitions};
pub use record::Record;
pub use record_type::{GroupKind, GroupPart, RecordType};

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
    let number = key.i16("type")?;
    let Some(record_type) = RecordType::from_number(number) else {
        return Ok(Record::UnknownType { number });
    };
    key.name(Schema::Key(record_type));
    let group = key.string("group")?;
    let mut value = value.map(|bytes| Reader::new(bytes, Schema::Value(record_type)));
    if let Some(value) = &mut value {
        let version = value.i16("version")?;
        let Some(encoding) = record_type.encoding(version) else {
            return Ok(Record::UnknownVersion {
                record_type,
                group,
                version,
            });
        };
        value.set_version(version, encoding);
    }
    Begun {
        record_type,
        group,
        key,
        value,
    }
    .finish()
}

/// A record of which the type, the group and the value's version have been read.
struct Begun<'a> {
    record_type: RecordType,
    group: &'a str,
    key: Reader<'a>,
    value: Option<Reader<'a>>,
}

impl<'a> Begun<'a> {
    fn finish(mut self) -> Result<Record<'a>, Malformed> {
        let (group, key) = (self.group, &mut self.key);
        Ok(match self.record_type {
            RecordType::OffsetCommit => Record::OffsetCommit {
                group,
                topic: key.string("topic")?,
                partition: PartitionId(key.i32("partition")?),
                commit: self.value(OffsetCommit::read)?,
            },
            RecordType::GroupMetadata => Record::GroupMetadata {
                group,
                metadata: self.value(GroupMetadata::read)?,
            },
            RecordType::Modern(kind, part) => self.finish_modern(kind, part)?,
            RecordType::ConsumerGroupRegularExpression => Record::RegularExpression {
                group,
                expression: key.string("RegularExpression")?,
                resolved: self.value(ResolvedTopics::read)?,
            },
            record_type @ (RecordType::ShareGroupStatePartitionMetadata
            | RecordType::StreamsGroupTopology) => Record::Other { record_type, group },
        })
    }

    fn finish_modern(mut self, kind: GroupKind, part: GroupPart) -> Result<Record<'a>, Malformed> {
        let group = self.group;
        Ok(match part {
            GroupPart::Metadata => Record::GroupEpoch {
                kind,
                group,
                epoch: self.value(|value| GroupEpoch::read(value, kind))?,
            },
            GroupPart::PartitionMetadata => Record::GroupTopics {
                kind,
                group,
                topics: self.value(GroupTopic::read_all)?,
            },
            GroupPart::MemberMetadata => Record::Member {
                kind,
                group,
                member: self.key.string("MemberId")?,
                metadata: self.value(|value| MemberMetadata::read(value, kind))?,
            },
            GroupPart::TargetAssignmentMetadata => Record::TargetEpoch {
                kind,
                group,
                target: self.value(TargetEpoch::read)?,
            },
            GroupPart::TargetAssignmentMember => Record::TargetAssignment {
                kind,
                group,
                member: self.key.string("MemberId")?,
                target: self.value(|value| Assigned::read_target(value, kind))?,
            },
            GroupPart::CurrentMemberAssignment => Record::CurrentAssignment {
                kind,
                group,
                member: self.key.string("MemberId")?,
                current: self.value(|value| CurrentAssignment::read(value, kind))?,
            },
        })
    }

    /// Reads the value, where there is one.
    fn value<T>(
        &mut self,
        fields: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        self.value.as_mut().map(fields).transpose()
    }
}

#[cfg(test)]
mod tests;
