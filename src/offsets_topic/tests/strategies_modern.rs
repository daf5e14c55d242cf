//! Records of groups whose assignment the coordinator makes, at random.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::*;
use super::strategies::{any_partitions, any_text, any_topic_id, known_i32, known_i64};

pub(super) fn any_modern() -> impl Strategy<Value = (Record<'static>, i16)> {
    let record = any_kind().prop_flat_map(|kind| {
        prop_oneof![
            any_epoch(kind).boxed(),
            any_topics(kind).boxed(),
            any_member(kind).boxed(),
            any_target_epoch(kind).boxed(),
            any_target(kind).boxed(),
            any_current(kind).boxed(),
            any_regular_expression().boxed(),
        ]
    });
    (record, Just(0))
}

fn any_kind() -> impl Strategy<Value = GroupKind> {
    prop_oneof![
        Just(GroupKind::Consumer),
        Just(GroupKind::Share),
        Just(GroupKind::Streams)
    ]
}

fn any_epoch(kind: GroupKind) -> impl Strategy<Value = Record<'static>> {
    let tags = move |number: Option<i64>| number.filter(|_| kind == GroupKind::Consumer);
    let epoch = (any::<i32>(), option::of(any::<i64>()), known_i64());
    let epoch = epoch.prop_map(move |(epoch, hash, created)| GroupEpoch {
        epoch,
        metadata_hash: tags(hash),
        creation_time_ms: tags(created),
    });
    (any_text(), option::of(epoch)).prop_map(move |(group, epoch)| Record::GroupEpoch {
        kind,
        group,
        epoch,
    })
}

fn any_topics(kind: GroupKind) -> impl Strategy<Value = Record<'static>> {
    let topic =
        (any_topic_id(), any_text(), any::<i32>()).prop_map(|(id, name, partitions)| GroupTopic {
            id,
            name,
            partitions,
        });
    (any_text(), option::of(vec(topic, 0..3))).prop_map(move |(group, topics)| {
        Record::GroupTopics {
            kind,
            group,
            topics,
        }
    })
}

fn any_member(kind: GroupKind) -> impl Strategy<Value = Record<'static>> {
    let names = (
        option::of(any_text()),
        option::of(any_text()),
        any_text(),
        any_text(),
    );
    let subscription = (
        vec(any_text(), 0..3),
        option::of(any_text()),
        option::of(any_text()),
    );
    let classic =
        (any::<i32>(), vec(any_text(), 0..3)).prop_map(|(session_timeout_ms, protocols)| {
            ClassicProtocols {
                session_timeout_ms,
                protocols,
            }
        });
    let metadata = (names, subscription, known_i32(), option::of(classic));
    let metadata = metadata.prop_map(
        move |(names, subscription, rebalance_timeout_ms, classic)| {
            let (instance_id, rack_id, client_id, client_host) = names;
            let (subscribed_topics, subscribed_regex, server_assignor) = subscription;
            let all = MemberMetadata {
                instance_id,
                rack_id,
                client_id,
                client_host,
                subscribed_topics,
                subscribed_regex,
                rebalance_timeout_ms,
                server_assignor,
                classic,
            };
            as_stored(all, kind)
        },
    );
    (any_text(), any_text(), option::of(metadata)).prop_map(move |(group, member, metadata)| {
        Record::Member {
            kind,
            group,
            member,
            metadata,
        }
    })
}

/// Keeps the fields that members of this kind of group have.
fn as_stored(all: MemberMetadata<'static>, kind: GroupKind) -> MemberMetadata<'static> {
    match kind {
        GroupKind::Consumer => all,
        GroupKind::Share => MemberMetadata {
            instance_id: None,
            subscribed_regex: None,
            rebalance_timeout_ms: None,
            server_assignor: None,
            classic: None,
            ..all
        },
        GroupKind::Streams => MemberMetadata {
            subscribed_topics: Vec::new(),
            subscribed_regex: None,
            server_assignor: None,
            classic: None,
            ..all
        },
    }
}

fn any_target_epoch(kind: GroupKind) -> impl Strategy<Value = Record<'static>> {
    let target = (any::<i32>(), known_i64()).prop_map(|(epoch, timestamp_ms)| TargetEpoch {
        epoch,
        timestamp_ms,
    });
    (any_text(), option::of(target)).prop_map(move |(group, target)| Record::TargetEpoch {
        kind,
        group,
        target,
    })
}

fn any_target(kind: GroupKind) -> impl Strategy<Value = Record<'static>> {
    (any_text(), any_text(), option::of(any_assigned(kind))).prop_map(
        move |(group, member, target)| Record::TargetAssignment {
            kind,
            group,
            member,
            target,
        },
    )
}

fn any_current(kind: GroupKind) -> impl Strategy<Value = Record<'static>> {
    let state = prop_oneof![
        Just(MemberState::Stable),
        Just(MemberState::Unrevoked),
        Just(MemberState::Unreleased),
        (10..=i8::MAX).prop_map(MemberState::Unknown),
    ];
    let current = (
        any::<i32>(),
        any::<i32>(),
        state,
        any_assigned(kind),
        any_assigned(kind),
    );
    let current = current.prop_map(
        move |(member_epoch, previous_member_epoch, state, assigned, pending)| CurrentAssignment {
            member_epoch,
            previous_member_epoch,
            state,
            assigned,
            pending_revocation: match kind {
                GroupKind::Share => Assigned::Partitions(Vec::new()),
                GroupKind::Consumer | GroupKind::Streams => pending,
            },
        },
    );
    (any_text(), any_text(), option::of(current)).prop_map(move |(group, member, current)| {
        Record::CurrentAssignment {
            kind,
            group,
            member,
            current,
        }
    })
}

fn any_assigned(kind: GroupKind) -> BoxedStrategy<Assigned<'static>> {
    match kind {
        GroupKind::Consumer | GroupKind::Share => {
            let topic = (any_topic_id(), any_partitions())
                .prop_map(|(topic, partitions)| TopicIdPartitions { topic, partitions });
            vec(topic, 0..4).prop_map(Assigned::Partitions).boxed()
        }
        GroupKind::Streams => {
            let tasks = || {
                let one = (any_text(), any_partitions()).prop_map(|(subtopology, partitions)| {
                    SubtopologyTasks {
                        subtopology,
                        partitions,
                    }
                });
                vec(one, 0..3)
            };
            let tasks = (tasks(), tasks(), tasks());
            tasks
                .prop_map(|(active, standby, warmup)| {
                    Assigned::Tasks(Tasks {
                        active,
                        standby,
                        warmup,
                    })
                })
                .boxed()
        }
    }
}

fn any_regular_expression() -> impl Strategy<Value = Record<'static>> {
    let resolved = (vec(any_text(), 0..4), any::<i64>(), any::<i64>()).prop_map(
        |(topics, version, timestamp_ms)| ResolvedTopics {
            topics,
            version,
            timestamp_ms,
        },
    );
    (any_text(), any_text(), option::of(resolved)).prop_map(|(group, expression, resolved)| {
        Record::RegularExpression {
            group,
            expression,
            resolved,
        }
    })
}
