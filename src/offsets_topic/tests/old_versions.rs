//! Values in the versions that older brokers wrote, by hand from Kafka's schema files.

use crate::lag::offset::{Committed, Offset};

use super::super::*;

/// A group's id: `bill`.
const GROUP: &[u8] = b"\0\x04bill";

fn commit_of(key_type: u8, value: &[u8]) -> OffsetCommit {
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
    let expected = OffsetCommit {
        committed: Offset::new(0x102).map_or(Committed::Never, Committed::At),
        commit_timestamp_ms: 0x18f_0000_0000,
    };
    let table = [
        // offset, metadata, commitTimestamp.
        (0, bytes(&[&[0, 0], offset, b"\0\x02hi", committed_at])),
        // ... expireTimestamp.
        (
            1,
            bytes(&[&[0, 1], offset, b"\0\x02hi", committed_at, expires_at]),
        ),
        // expireTimestamp -1: the broker's retention rules.
        (
            1,
            bytes(&[&[0, 1], offset, b"\0\x02hi", committed_at, &[0xff; 8]]),
        ),
        // Without expireTimestamp again.
        (1, bytes(&[&[0, 2], offset, b"\0\x02hi", committed_at])),
        // offset, leaderEpoch, metadata, commitTimestamp.
        (
            1,
            bytes(&[&[0, 3], offset, &[0, 0, 0, 9], b"\0\x02hi", committed_at]),
        ),
        // leaderEpoch -1: the client did not tell.
        (
            1,
            bytes(&[&[0, 3], offset, &[0xff; 4], b"\0\x02hi", committed_at]),
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
        ),
    ];
    for (key_type, value) in table {
        assert_eq!(commit_of(key_type, &value), expected, "{value:02x?}");
    }
}

/// The subscription and the assignment of a member that has `orders` 1 and 2. The former is not read.
const SUBSCRIPTION: &[u8] = b"\0\0 not read";
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
    let blobs = [&[0, 0, 0, 11], SUBSCRIPTION, &[0, 0, 0, 30], ASSIGNMENT_0].concat();
    let table = [
        (
            0,
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
            None,
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
            Some("i1"),
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
            Some("i1"),
            [
                &[0, 4],
                begin_4,
                since,
                b"\x02\x03m1\x03i1\x07reader\x0a/10.0.0.1",
                rebalance,
                session,
                &[12],
                SUBSCRIPTION,
                &[31],
                ASSIGNMENT_0,
                &[1, 5, 2, 0xab, 0xcd],
                &[0],
            ]
            .concat(),
        ),
    ];
    let key = [&[0, 2], GROUP].concat();
    for (version, instance_id, value) in table {
        let member = ClassicMember {
            id: "m1",
            instance_id,
            client_id: "reader",
            client_host: "/10.0.0.1",
            assignment: Ok(orders()),
        };
        let metadata = GroupMetadata {
            protocol_type: "consumer",
            generation: 5,
            protocol: Some("range"),
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
fn assignments_of_every_version() {
    let topics: &[u8] = b"\0\0\0\x01\0\x06orders\0\0\0\x02\0\0\0\x01\0\0\0\x02";
    for version in 0..5 {
        // A version of the future may add fields at the end.
        let bytes = [&[0, version], topics, b"\0\0\0\x02ud", &[version]].concat();
        let assignment = protocol::read_assignment(reader(&bytes), "consumer");
        assert_eq!(assignment, Ok(orders()), "version {version}");
        let foreign = protocol::read_assignment(reader(&bytes), "connect");
        assert_eq!(foreign, Ok(Vec::new()), "version {version}");
    }
    let empty = protocol::read_assignment(reader(&[]), "consumer");
    assert_eq!(empty, Ok(Vec::new()));
}

fn reader(bytes: &[u8]) -> Reader<'_> {
    Reader::new(bytes, Schema::Assignment)
}
