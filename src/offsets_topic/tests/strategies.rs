//! Records of every type that is read, and of every version, at random.

use std::collections::HashSet;

use proptest::collection::{hash_map, hash_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::lag::offset::{Committed, Offset};

use super::super::*;

/// A record and the version that its value is to be written in: one that has every field the record has.
pub(super) fn any_record() -> impl Strategy<Value = (Record<'static>, i16)> {
    let of_consumer_group = (any_consumer_group(), Just(0));
    prop_oneof![any_commit(), any_classic_group(), of_consumer_group]
}

/// Records borrow their texts, and these live as long as the test does.
fn any_text() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(""),
        "[a-z.]{1,12}".prop_map(leak),
        any::<String>().prop_map(leak),
        // Lengths of more than seven bits.
        "[a-z]{120,300}".prop_map(leak),
    ]
}

fn leak(text: String) -> &'static str {
    text.leak()
}

fn any_commit() -> impl Strategy<Value = (Record<'static>, i16)> {
    let committed = option::of(0..=i64::MAX).prop_map(|offset| {
        offset
            .and_then(Offset::new)
            .map_or(Committed::Never, Committed::At)
    });
    let commit =
        (committed, any::<i64>()).prop_map(|(committed, commit_timestamp_ms)| OffsetCommit {
            committed,
            commit_timestamp_ms,
        });
    let key = (any_text(), any_text(), any::<i32>());
    (key, option::of(commit), 0..5_i16).prop_map(|((group, topic, partition), commit, version)| {
        let partition = PartitionId(partition);
        (
            Record::OffsetCommit {
                group,
                topic,
                partition,
                commit,
            },
            version,
        )
    })
}

fn any_classic_group() -> impl Strategy<Value = (Record<'static>, i16)> {
    let protocol_type = prop_oneof![3 => Just("consumer"), 1 => any_text()];
    (protocol_type, 0..5_i16).prop_flat_map(|(protocol_type, version)| {
        let members = vec(any_classic_member(protocol_type, version), 0..4);
        let metadata = (any::<i32>(), option::of(any_text()), members);
        let metadata = metadata.prop_map(move |(generation, protocol, members)| GroupMetadata {
            protocol_type,
            generation,
            protocol,
            members,
        });
        (any_text(), option::of(metadata))
            .prop_map(move |(group, metadata)| (Record::GroupMetadata { group, metadata }, version))
    })
}

fn any_classic_member(
    protocol_type: &'static str,
    version: i16,
) -> impl Strategy<Value = ClassicMember<'static>> {
    let names = (any_text(), option::of(any_text()), any_text(), any_text());
    (names, any_topic_partitions()).prop_map(
        move |((id, instance_id, client_id, client_host), topics)| ClassicMember {
            id,
            instance_id: instance_id.filter(|_| version >= 3),
            client_id,
            client_host,
            // What members of another protocol leave is not read.
            assignment: Ok(if protocol_type == "consumer" {
                topics
            } else {
                Vec::new()
            }),
        },
    )
}

fn any_topic_partitions() -> impl Strategy<Value = Vec<TopicPartitions<'static>>> {
    let partitions = hash_set((0..=i32::MAX).prop_map(PartitionId), 0..5);
    let topics = hash_map(any_topic_name(), partitions, 0..4);
    topics.prop_map(|topics| {
        let topics = topics.into_iter();
        let of_topic = |(topic, partitions): (_, HashSet<_>)| TopicPartitions {
            topic,
            partitions: partitions.into_iter().collect(),
        };
        topics.map(of_topic).collect()
    })
}

fn any_topic_name() -> impl Strategy<Value = &'static str> {
    "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,248}".prop_map(leak)
}

fn any_consumer_group() -> impl Strategy<Value = Record<'static>> {
    let current =
        (any::<i32>(), 0..10_usize).prop_map(|(member_epoch, partitions)| CurrentAssignment {
            member_epoch,
            partitions,
        });
    let parts = (
        option::of(any::<i32>()),
        any::<bool>(),
        option::of(0..10_usize),
        option::of(current),
    );
    (any_text(), any_text(), parts, 0..4).prop_map(|(group, member, parts, part)| {
        let (epoch, is_deleted, partitions, current) = parts;
        match part {
            0 => Record::ConsumerGroupEpoch { group, epoch },
            1 => Record::ConsumerGroupMember {
                group,
                member,
                is_deleted,
            },
            2 => Record::TargetAssignment {
                group,
                member,
                partitions,
            },
            _ => Record::CurrentAssignment {
                group,
                member,
                current,
            },
        }
    })
}
