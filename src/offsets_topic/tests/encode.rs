//! What a coordinator would write: the schemas once more, the other way round. Fields that are not read have any value.

use crate::lag::ids::TopicId;
use crate::lag::offset::Committed;

use super::super::encoding::FieldEncoding;
use super::super::*;
use super::writer::Writer;

/// A key and a value as they are stored.
pub(super) type Bytes = (Vec<u8>, Option<Vec<u8>>);

/// Writes a record with its value in this version, and these tagged fields, which nobody knows, in every structure.
pub(super) fn encode(record: &Record<'_>, version: i16, unknown: &[(u32, Vec<u8>)]) -> Bytes {
    let mut key = Writer::new(FieldEncoding::Fixed, &[]);
    let mut value = Writer::new(encoding(record, version), unknown);
    value.i16(version);
    let is_tombstone = match record {
        Record::OffsetCommit {
            group,
            topic,
            partition,
            commit,
        } => {
            key.start(1, group);
            key.string(topic);
            key.i32(partition.0);
            commit
                .map(|commit| value.commit(&commit, version))
                .is_none()
        }
        Record::GroupMetadata { group, metadata } => {
            key.start(2, group);
            let metadata = metadata.as_ref();
            metadata
                .map(|metadata| value.classic_group(metadata, version))
                .is_none()
        }
        Record::ConsumerGroupEpoch { group, epoch } => {
            key.start(3, group);
            epoch.map(|epoch| value.epoch(epoch)).is_none()
        }
        Record::ConsumerGroupMember {
            group,
            member,
            is_deleted,
        } => {
            key.start(5, group);
            key.string(member);
            value.strings(&["instance", "rack", "client", "/10.0.0.1"]);
            *is_deleted
        }
        Record::TargetAssignment {
            group,
            member,
            partitions,
        } => {
            key.start(7, group);
            key.string(member);
            partitions.map(|count| value.target(count)).is_none()
        }
        Record::CurrentAssignment {
            group,
            member,
            current,
        } => {
            key.start(8, group);
            key.string(member);
            current.map(|current| value.current(current)).is_none()
        }
        Record::Other { .. } | Record::Unknown => {
            unreachable!("there is no schema to write these in")
        }
    };
    (key.bytes, (!is_tombstone).then_some(value.bytes))
}

fn encoding(record: &Record<'_>, version: i16) -> FieldEncoding {
    match record {
        Record::OffsetCommit { .. } | Record::GroupMetadata { .. } if version < 4 => {
            FieldEncoding::Fixed
        }
        _ => FieldEncoding::Flexible,
    }
}

impl Writer<'_> {
    fn commit(&mut self, commit: &OffsetCommit, version: i16) {
        let OffsetCommit {
            committed,
            commit_timestamp_ms,
        } = commit;
        self.i64(match committed {
            Committed::At(offset) => offset.value() as i64,
            Committed::Never => -1,
        });
        if version >= 3 {
            self.i32(7);
        }
        self.short_length(Some(2));
        self.bytes.extend([0xff, 0]);
        self.i64(*commit_timestamp_ms);
        if version == 1 {
            self.i64(-1);
        }
        self.end(&[(0, vec![0xab; 16])]);
    }

    fn classic_group(&mut self, group: &GroupMetadata<'_>, version: i16) {
        let GroupMetadata {
            protocol_type,
            generation,
            protocol,
            members,
        } = group;
        self.string(protocol_type);
        self.i32(*generation);
        self.nullable_string(*protocol);
        self.nullable_string(members.first().map(|member| member.id));
        if version >= 2 {
            self.i64(-1);
        }
        self.list(members, |writer, member| {
            writer.classic_member(member, version)
        });
        self.end(&[]);
    }

    fn classic_member(&mut self, member: &ClassicMember<'_>, version: i16) {
        let ClassicMember {
            id,
            instance_id,
            client_id,
            client_host,
            assignment,
        } = member;
        self.string(id);
        if version >= 3 {
            self.nullable_string(*instance_id);
        }
        self.string(client_id);
        self.string(client_host);
        if version >= 1 {
            self.i32(60_000);
        }
        self.i32(45_000);
        self.nullable_bytes(Some(b"subscription"));
        let mut bytes = Writer::new(FieldEncoding::Fixed, &[]);
        bytes.assignment(assignment.as_ref().expect("it was made so"));
        self.nullable_bytes(Some(&bytes.bytes));
        self.end(&[]);
    }

    fn assignment(&mut self, topics: &[TopicPartitions<'_>]) {
        self.i16(1);
        self.list(topics, |writer, TopicPartitions { topic, partitions }| {
            writer.string(topic);
            writer.partitions(partitions);
        });
        self.nullable_bytes(Some(b"user data"));
    }

    fn epoch(&mut self, epoch: i32) {
        self.i32(epoch);
        self.end(&[(0, vec![0; 8]), (1, vec![0; 8])]);
    }

    fn target(&mut self, partitions: usize) {
        self.topic_ids(partitions);
        self.end(&[]);
    }

    fn current(&mut self, current: CurrentAssignment) {
        let CurrentAssignment {
            member_epoch,
            partitions,
        } = current;
        self.i32(member_epoch);
        self.i32(member_epoch.wrapping_sub(1));
        self.bytes.push(1);
        self.topic_ids(partitions);
        self.topic_ids(2);
        self.end(&[]);
    }

    /// Writes that many partitions, three to a topic at most.
    fn topic_ids(&mut self, count: usize) {
        let partitions: Vec<_> = (0..count as i32).map(PartitionId).collect();
        let topics: Vec<_> = partitions.chunks(3).collect();
        self.list(&topics, |writer, partitions| {
            writer.topic_id(TopicId::from_bytes([0xab; 16]).expect("it is not zero"));
            writer.partitions(partitions);
            writer.end(&[]);
        });
    }
}
