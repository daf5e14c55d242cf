//! Values in the versions that older brokers wrote, by hand from Kafka's schema files.

use crate::lag::ids::TopicId;
use crate::lag::offset::{Committed, Offset};

use super::super::*;

/// A group's id: `bill`.
const GROUP: &[u8] = b"\0\x04bill";

fn commit_of(key_type: u8, value: &[u8]) -> OffsetCommit<'_> {
    // Type, group, topic `orders`, partition 7.
    let key = [&[0, key_type], GROUP, b"\0\x06orders", &[0, 0, 0, 7]].concat();
    let Ok(Record::OffsetCommit {
        group,
        topic,
        partition,
        commit: Some(commit),
    }) = decode(&key.leak()[..], Some(value))
    else {
        panic!("it is a commit");
    };
    assert_eq!(
        (group, topic, partition),
        ("bill", "orders", PartitionId(7))
    );
    commit
}

#[test]
fn commits_of_every_version() {
    let bytes = |parts: &[&[u8]]| parts.concat();
    let offset: &[u8] = &[0, 0, 0, 0, 0, 0, 1, 2];
    let committed_at: &[u8] = &[0, 0, 1, 0x8f, 0, 0, 0, 0];
    let expires_at: &[u8] = &[0, 0, 1, 0x8f, 0, 0, 0, 1];
    let common = OffsetCommit {
        committed: Offset::new(0x102).map_or(Committed::Never, Committed::At),
        leader_epoch: None,
        metadata: b"hi",
        commit_timestamp_ms: 0x18f_0000_0000,
        expire_timestamp_ms: None,
        topic_id: None,
    };
    let table = [
        // offset, metadata, commitTimestamp.
        (
            0,
            bytes(&[&[0, 0], offset, b"\0\x02hi", committed_at]),
            common,
        ),
        // ... expireTimestamp.
        (
            1,
            bytes(&[&[0, 1], offset, b"\0\x02hi", committed_at, expires_at]),
            OffsetCommit {
                expire_timestamp_ms: Some(0x18f_0000_0001),
                ..common
            },
        ),
        // expireTimestamp -1: the broker's retention rules.
        (
            1,
            bytes(&[&[0, 1], offset, b"\0\x02hi", committed_at, &[0xff; 8]]),
            common,
        ),
        // Without expireTimestamp again.
        (
            1,
            bytes(&[&[0, 2], offset, b"\0\x02hi", committed_at]),
            common,
        ),
        // offset, leaderEpoch, metadata, commitTimestamp.
        (
            1,
            bytes(&[&[0, 3], offset, &[0, 0, 0, 9], b"\0\x02hi", committed_at]),
            OffsetCommit {
                leader_epoch: Some(9),
                ..common
            },
        ),
        // leaderEpoch -1: the client did not tell.
        (
            1,
            bytes(&[&[0, 3], offset, &[0xff; 4], b"\0\x02hi", committed_at]),
            common,
        ),
        // The same in the flexible encoding: lengths plus one, tagged fields. Here tag 0, topicId, of 16 bytes.
        (
            1,
            bytes(&[
                &[0, 4],
                offset,
                &[0xff; 4],
                b"\x03hi",
                committed_at,
                &[1, 0, 16],
                &[0xab; 16],
            ]),
            OffsetCommit {
                topic_id: TopicId::from_bytes([0xab; 16]),
                ..common
            },
        ),
        // topicId of zeros: the broker did not know it. And tag 1, of one byte, which nobody knows.
        (
            1,
            bytes(&[
                &[0, 4],
                offset,
                &[0xff; 4],
                b"\x03hi",
                committed_at,
                &[2, 0, 16],
                &[0; 16],
                &[1, 1, 0xcd],
            ]),
            common,
        ),
    ];
    for (key_type, value, expected) in table {
        assert_eq!(commit_of(key_type, &value), expected, "{value:02x?}");
    }
}

/// The subscription and the assignment of a member that wants and has `orders` 1 and 2.
const SUBSCRIPTION_0: &[u8] = b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff";
const ASSIGNMENT_0: &[u8] =
    b"\0\0\0\0\0\x01\0\x06orders\0\0\0\x02\0\0\0\x01\0\0\0\x02\xff\xff\xff\xff";

fn orders() -> Vec<TopicPartitions<'static>> {
    vec![TopicPartitions {
        topic: "orders",
        partitions: vec![PartitionId(1), PartitionId(2)],
    }]
}

#[test]
fn classic_groups_of_every_version() {
    // protocolType, generation 5, protocol, leader.
    let begin: &[u8] = b"\0\x08consumer\0\0\0\x05\0\x05range\0\x02m1";
    let begin_4: &[u8] = b"\x09consumer\0\0\0\x05\x06range\x03m1";
    let since: &[u8] = &[0, 0, 1, 0x8f, 0, 0, 0, 0];
    let one_member: &[u8] = &[0, 0, 0, 1];
    let (rebalance, session): (&[u8], &[u8]) = (&[0, 0, 0, 60], &[0, 0, 0, 45]);
    let names: &[u8] = b"\0\x06reader\0\x09/10.0.0.1";
    let blobs = [&[0, 0, 0, 18], SUBSCRIPTION_0, &[0, 0, 0, 30], ASSIGNMENT_0].concat();
    let table = [
        (
            0,
            None,
            None,
            None,
            [
                &[0, 0],
                begin,
                one_member,
                b"\0\x02m1",
                names,
                session,
                &blobs,
            ]
            .concat(),
        ),
        // rebalanceTimeout.
        (
            1,
            None,
            None,
            Some(60),
            [
                &[0, 1],
                begin,
                one_member,
                b"\0\x02m1",
                names,
                rebalance,
                session,
                &blobs,
            ]
            .concat(),
        ),
        // currentStateTimestamp.
        (
            2,
            Some(0x18f_0000_0000),
            None,
            Some(60),
            [
                &[0, 2],
                begin,
                since,
                one_member,
                b"\0\x02m1",
                names,
                rebalance,
                session,
                &blobs,
            ]
            .concat(),
        ),
        // groupInstanceId.
        (
            3,
            Some(0x18f_0000_0000),
            Some("i1"),
            Some(60),
            [
                &[0, 3],
                begin,
                since,
                one_member,
                b"\0\x02m1\0\x02i1",
                names,
                rebalance,
                session,
                &blobs,
            ]
            .concat(),
        ),
        // The flexible encoding. The member ends with a tagged field that nobody knows, the group with none.
        (
            4,
            Some(0x18f_0000_0000),
            Some("i1"),
            Some(60),
            [
                &[0, 4],
                begin_4,
                since,
                b"\x02\x03m1\x03i1\x07reader\x0a/10.0.0.1",
                rebalance,
                session,
                &[19],
                SUBSCRIPTION_0,
                &[31],
                ASSIGNMENT_0,
                &[1, 5, 2, 0xab, 0xcd],
                &[0],
            ]
            .concat(),
        ),
    ];
    let key = [&[0, 2], GROUP].concat();
    for (version, state_timestamp_ms, instance_id, rebalance_timeout_ms, value) in table {
        let subscription = Subscription {
            topics: vec!["orders"],
            user_data: None,
            owned: vec![],
            generation: None,
            rack_id: None,
        };
        let member = ClassicMember {
            id: "m1",
            instance_id,
            client_id: "reader",
            client_host: "/10.0.0.1",
            rebalance_timeout_ms,
            session_timeout_ms: 45,
            subscription: Embedded::Consumer(subscription),
            assignment: Embedded::Consumer(Assignment {
                partitions: orders(),
                user_data: None,
            }),
        };
        let metadata = GroupMetadata {
            protocol_type: "consumer",
            generation: 5,
            protocol: Some("range"),
            leader: Some("m1"),
            state_timestamp_ms,
            members: vec![member],
        };
        let expected = Record::GroupMetadata {
            group: "bill",
            metadata: Some(metadata),
        };
        assert_eq!(
            decode(&key, Some(&value)),
            Ok(expected),
            "version {version}"
        );
    }
}

#[test]
fn subscriptions_and_assignments_of_every_version() {
    let topics: &[u8] = b"\0\0\0\x01\0\x06orders";
    let user_data: &[u8] = b"\0\0\0\x02ud";
    let owned: &[u8] = b"\0\0\0\x01\0\x06orders\0\0\0\x02\0\0\0\x01\0\0\0\x02";
    let bare = Subscription {
        topics: vec!["orders"],
        user_data: Some(b"ud"),
        owned: vec![],
        generation: None,
        rack_id: None,
    };
    let cooperative = Subscription {
        owned: orders(),
        ..bare.clone()
    };
    let dated = Subscription {
        generation: Some(5),
        ..cooperative.clone()
    };
    let racked = Subscription {
        rack_id: Some("r1"),
        ..dated.clone()
    };
    let generation: &[u8] = &[0, 0, 0, 5];
    let subscriptions = [
        (bare, [&[0, 0], topics, user_data].concat()),
        (cooperative, [&[0, 1], topics, user_data, owned].concat()),
        (
            dated,
            [&[0, 2], topics, user_data, owned, generation].concat(),
        ),
        (
            racked.clone(),
            [&[0, 3], topics, user_data, owned, generation, b"\0\x02r1"].concat(),
        ),
        // A version of the future adds fields at the end.
        (
            racked,
            [
                &[0, 9],
                topics,
                user_data,
                owned,
                generation,
                b"\0\x02r1",
                &[1, 2],
            ]
            .concat(),
        ),
    ];
    for (expected, bytes) in subscriptions {
        let (subscription, _) = read_blobs(&bytes, &[]);
        assert_eq!(subscription, Embedded::Consumer(expected), "{bytes:02x?}");
    }
    for version in 0..5 {
        let bytes = [&[0, version], owned, user_data].concat();
        let (_, assignment) = read_blobs(&[], &bytes);
        let expected = Assignment {
            partitions: orders(),
            user_data: Some(b"ud"),
        };
        assert_eq!(
            assignment,
            Embedded::Consumer(expected),
            "version {version}"
        );
    }
    assert_eq!(read_blobs(&[], &[]), (Embedded::Empty, Embedded::Empty));
}

/// Reads the two blobs of the one member of a group.
fn read_blobs(
    subscription: &[u8],
    assignment: &[u8],
) -> (
    Embedded<'static, Subscription<'static>>,
    Embedded<'static, Assignment<'static>>,
) {
    let length = |bytes: &[u8]| [0, 0, 0, bytes.len() as u8];
    let value = [
        &b"\0\0\0\x08consumer\0\0\0\x05\xff\xff\xff\xff\0\0\0\x01\0\x01m\0\0\0\0\0\0\0\0"[..],
        &length(subscription),
        subscription,
        &length(assignment),
        assignment,
    ]
    .concat();
    let key = [&[0, 2], GROUP].concat();
    let record = decode(key.leak(), Some(value.leak()));
    let Ok(Record::GroupMetadata {
        metadata: Some(group),
        ..
    }) = record
    else {
        panic!("{record:?}");
    };
    let member = group.members.into_iter().next().expect("it has one");
    (member.subscription, member.assignment)
}
