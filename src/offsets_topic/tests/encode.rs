//! What a coordinator would write: the schemas once more, the other way round.

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
        Record::GroupEpoch { kind, group, epoch } => {
            key.start(number(*kind, [3, 11, 17]), group);
            epoch.map(|epoch| value.epoch(&epoch, *kind)).is_none()
        }
        Record::GroupTopics {
            kind,
            group,
            topics,
        } => {
            key.start(number(*kind, [4, 9, 18]), group);
            topics.as_ref().map(|topics| value.topics(topics)).is_none()
        }
        Record::Member {
            kind,
            group,
            member,
            metadata,
        } => {
            key.start(number(*kind, [5, 10, 19]), group);
            key.string(member);
            let metadata = metadata.as_ref();
            metadata
                .map(|metadata| value.member(metadata, *kind))
                .is_none()
        }
        Record::TargetEpoch {
            kind,
            group,
            target,
        } => {
            key.start(number(*kind, [6, 12, 20]), group);
            target.map(|target| value.target_epoch(target)).is_none()
        }
        Record::TargetAssignment {
            kind,
            group,
            member,
            target,
        } => {
            key.start(number(*kind, [7, 13, 21]), group);
            key.string(member);
            target.as_ref().map(|target| value.target(target)).is_none()
        }
        Record::CurrentAssignment {
            kind,
            group,
            member,
            current,
        } => {
            key.start(number(*kind, [8, 14, 22]), group);
            key.string(member);
            let current = current.as_ref();
            current
                .map(|current| value.current(current, *kind))
                .is_none()
        }
        Record::RegularExpression {
            group,
            expression,
            resolved,
        } => {
            key.start(16, group);
            key.string(expression);
            resolved
                .as_ref()
                .map(|resolved| value.resolved(resolved))
                .is_none()
        }
        Record::Other { record_type, group } => {
            let is_share = *record_type == RecordType::ShareGroupStatePartitionMetadata;
            key.start(if is_share { 15 } else { 23 }, group);
            true
        }
        Record::UnknownVersion { .. } | Record::UnknownType { .. } => {
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

fn number(kind: GroupKind, [consumer, share, streams]: [i16; 3]) -> i16 {
    match kind {
        GroupKind::Consumer => consumer,
        GroupKind::Share => share,
        GroupKind::Streams => streams,
    }
}

impl Writer<'_> {
    fn commit(&mut self, commit: &OffsetCommit<'_>, version: i16) {
        let OffsetCommit {
            committed,
            leader_epoch,
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms,
            topic_id,
        } = commit;
        self.i64(match committed {
            Committed::At(offset) => offset.value() as i64,
            Committed::Never => -1,
        });
        if version >= 3 {
            self.i32(leader_epoch.unwrap_or(-1));
        }
        self.short_length(Some(metadata.len()));
        self.bytes.extend(*metadata);
        self.i64(*commit_timestamp_ms);
        if version == 1 {
            self.i64(expire_timestamp_ms.unwrap_or(-1));
        }
        let topic_id: Vec<_> = topic_id
            .iter()
            .map(|id| (0, id.to_bytes().to_vec()))
            .collect();
        self.end(&topic_id);
    }

    fn classic_group(&mut self, group: &GroupMetadata<'_>, version: i16) {
        let GroupMetadata {
            protocol_type,
            generation,
            protocol,
            leader,
            state_timestamp_ms,
            members,
        } = group;
        self.string(protocol_type);
        self.i32(*generation);
        self.nullable_string(*protocol);
        self.nullable_string(*leader);
        if version >= 2 {
            self.i64(state_timestamp_ms.unwrap_or(-1));
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
            rebalance_timeout_ms,
            session_timeout_ms,
            subscription,
            assignment,
        } = member;
        self.string(id);
        if version >= 3 {
            self.nullable_string(*instance_id);
        }
        self.string(client_id);
        self.string(client_host);
        if version >= 1 {
            self.i32(rebalance_timeout_ms.unwrap_or(-1));
        }
        self.i32(*session_timeout_ms);
        self.nullable_bytes(Some(&embedded(subscription, |blob, content| {
            blob.subscription(content)
        })));
        self.nullable_bytes(Some(&embedded(assignment, |blob, content| {
            blob.assignment(content)
        })));
        self.end(&[]);
    }

    fn subscription(&mut self, subscription: &Subscription<'_>) {
        let Subscription {
            topics,
            user_data,
            owned,
            generation,
            rack_id,
        } = subscription;
        self.i16(3);
        self.strings(topics);
        self.nullable_bytes(*user_data);
        self.list(owned, Writer::topic_partitions);
        self.i32(generation.unwrap_or(-1));
        self.nullable_string(*rack_id);
    }

    fn assignment(&mut self, assignment: &Assignment<'_>) {
        let Assignment {
            partitions,
            user_data,
        } = assignment;
        self.i16(1);
        self.list(partitions, Writer::topic_partitions);
        self.nullable_bytes(*user_data);
    }

    fn topic_partitions(&mut self, owned: &TopicPartitions<'_>) {
        let TopicPartitions { topic, partitions } = owned;
        self.string(topic);
        self.partitions(partitions);
    }
}

fn embedded<T>(content: &Embedded<'_, T>, write: impl FnOnce(&mut Writer<'static>, &T)) -> Vec<u8> {
    let mut writer = Writer::new(FieldEncoding::Fixed, &[]);
    match content {
        Embedded::Consumer(content) => write(&mut writer, content),
        Embedded::Empty => {}
        Embedded::Foreign(bytes) => writer.bytes.extend(*bytes),
        Embedded::Malformed(_) => unreachable!("there is no schema to write this in"),
    }
    writer.bytes
}
