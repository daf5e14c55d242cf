//! Records of every type and version, at random.

use std::collections::HashSet;
use std::ops::Range;

use proptest::collection::{hash_map, hash_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::lag::ids::TopicId;
use crate::lag::offset::{Committed, Offset};

use super::super::*;
use super::strategies_modern::any_modern;

/// A record and the version that its value is to be written in: one that has every field the record has.
pub(super) fn any_record() -> impl Strategy<Value = (Record<'static>, i16)> {
    prop_oneof![any_commit(), any_classic_group(), any_modern()]
}

/// Records borrow their texts, and these live as long as the test does.
pub(super) fn any_text() -> impl Strategy<Value = &'static str> {
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

fn any_bytes() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..40).prop_map(|bytes| &*bytes.leak())
}

pub(super) fn any_partitions() -> impl Strategy<Value = Vec<PartitionId>> {
    vec(any::<i32>().prop_map(PartitionId), 0..5)
}

pub(super) fn any_topic_id() -> impl Strategy<Value = TopicId> {
    (1..=u128::MAX)
        .prop_map(|bits| TopicId::from_bytes(bits.to_be_bytes()).expect("it is not zero"))
}

pub(super) fn known_i32() -> impl Strategy<Value = Option<i32>> {
    option::of(0..=i32::MAX)
}

pub(super) fn known_i64() -> impl Strategy<Value = Option<i64>> {
    option::of(0..=i64::MAX)
}

/// Keeps a field that only some versions have.
fn in_versions<T>(versions: Range<i16>, version: i16, field: Option<T>) -> Option<T> {
    field.filter(|_| versions.contains(&version))
}

fn any_commit() -> impl Strategy<Value = (Record<'static>, i16)> {
    let committed = option::of(0..=i64::MAX).prop_map(|offset| {
        offset
            .and_then(Offset::new)
            .map_or(Committed::Never, Committed::At)
    });
    let fields = (
        committed,
        known_i32(),
        any_bytes(),
        any::<i64>(),
        known_i64(),
        option::of(any_topic_id()),
    );
    let key = (any_text(), any_text(), any::<i32>());
    (key, option::of(fields), 0..5_i16).prop_map(|((group, topic, partition), fields, version)| {
        let commit = fields.map(
            |(committed, epoch, metadata, commit_timestamp_ms, expires, id)| OffsetCommit {
                committed,
                leader_epoch: in_versions(3..5, version, epoch),
                metadata,
                commit_timestamp_ms,
                expire_timestamp_ms: in_versions(1..2, version, expires),
                topic_id: in_versions(4..5, version, id),
            },
        );
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
        let names = (option::of(any_text()), option::of(any_text()));
        let metadata = (any::<i32>(), names, known_i64(), members);
        let metadata =
            metadata.prop_map(move |(generation, (protocol, leader), since, members)| {
                GroupMetadata {
                    protocol_type,
                    generation,
                    protocol,
                    leader,
                    state_timestamp_ms: in_versions(2..5, version, since),
                    members,
                }
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
    let timeouts = (known_i32(), any::<i32>());
    let subscription = any_embedded(protocol_type, any_subscription());
    let assignment = any_embedded(protocol_type, any_assignment());
    (names, timeouts, subscription, assignment).prop_map(
        move |(names, timeouts, subscription, assignment)| {
            let (id, instance_id, client_id, client_host) = names;
            let (rebalance_timeout_ms, session_timeout_ms) = timeouts;
            ClassicMember {
                id,
                instance_id: in_versions(3..5, version, instance_id),
                client_id,
                client_host,
                rebalance_timeout_ms: in_versions(1..5, version, rebalance_timeout_ms),
                session_timeout_ms,
                subscription,
                assignment,
            }
        },
    )
}

fn any_embedded<T: Clone + std::fmt::Debug + 'static>(
    protocol_type: &'static str,
    content: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Embedded<'static, T>> {
    let content = if protocol_type == "consumer" {
        content.prop_map(Embedded::Consumer).boxed()
    } else {
        let bytes = any_bytes().prop_filter("without bytes it is empty", |bytes| !bytes.is_empty());
        bytes.prop_map(Embedded::Foreign).boxed()
    };
    prop_oneof![4 => content, 1 => Just(Embedded::Empty)].boxed()
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

fn any_subscription() -> impl Strategy<Value = Subscription<'static>> {
    let names = (
        vec(any_topic_name(), 0..4),
        option::of(any_bytes()),
        option::of(any_text()),
    );
    (names, any_topic_partitions(), known_i32()).prop_map(
        |((topics, user_data, rack_id), owned, generation)| Subscription {
            topics,
            user_data,
            owned,
            generation,
            rack_id,
        },
    )
}

fn any_assignment() -> impl Strategy<Value = Assignment<'static>> {
    (any_topic_partitions(), option::of(any_bytes())).prop_map(|(partitions, user_data)| {
        Assignment {
            partitions,
            user_data,
        }
    })
}
