//! Errors: the structure, the field and the byte at fault; and what is no error.

use super::super::encoding::FieldEncoding;
use super::super::protocol::{read_assignment, sorted_partitions};
use super::super::*;
use super::writer::Writer;

const GROUP: &[u8] = b"\0\x04bill";

fn key(number: i16, rest: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), GROUP, rest].concat()
}

/// The key of a commit of group `bill` on `t-0`.
fn commit_key() -> Vec<u8> {
    key(1, &[0, 1, b't', 0, 0, 0, 0])
}

#[test]
fn errors_name_the_structure_the_field_and_the_byte() {
    let commit_key_schema = Schema::Key(RecordType::OffsetCommit);
    let commit = Schema::Value(RecordType::OffsetCommit);
    let group_key = Schema::Key(RecordType::GroupMetadata);
    let group = Schema::Value(RecordType::GroupMetadata);
    let member_key = Schema::Key(RecordType::ConsumerGroupMemberMetadata);
    let target = Schema::Value(RecordType::ConsumerGroupTargetAssignmentMember);
    let truncated = |needed, left| Problem::Truncated { needed, left };
    let some = Some::<&[u8]>;
    let table = [
        ("no type", vec![0], None, at(Schema::Type, "type", 0, truncated(2, 1))),
        ("no group", vec![0, 1, 0, 9, b'x'], None, at(commit_key_schema, "group", 2, truncated(9, 1))),
        ("null group", vec![0, 2, 0xff, 0xff], None, at(group_key, "group", 2, Problem::Null)),
        ("group in Latin-1", vec![0, 2, 0, 1, 0xe9], None, at(group_key, "group", 2, Problem::NotUtf8)),
        ("no member", key(5, &[]), None, at(member_key, "MemberId", 8, truncated(2, 0))),
        ("no version", commit_key(), some(&[0]), at(commit, "version", 0, truncated(2, 1))),
        ("no offset", commit_key(), some(&[0, 3]), at(commit, "offset", 2, truncated(8, 0))),
        (
            "metadata longer than the value",
            commit_key(),
            some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x7f, 0xff, b'm']),
            at(commit, "metadata", 10, truncated(0x7fff, 1)),
        ),
        (
            // protocolType "", generation 1, no protocol, no leader, timestamp -1, 2^31 - 1 members.
            "more members than bytes",
            key(2, &[]),
            some(
                b"\0\x03\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff",
            ),
            at(group, "members", 20, truncated(0x7fff_ffff, 0)),
        ),
        (
            // The same in version 4, whose lengths have a variable size.
            "more members than bytes, compact",
            key(2, &[]),
            some(b"\0\x04\x01\0\0\0\x01\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f"),
            at(group, "members", 17, truncated(0xffff_fffe, 0)),
        ),
        (
            "a length of more than 32 bits",
            key(2, &[]),
            some(&[0, 4, 0xff, 0xff, 0xff, 0xff, 0x1f]),
            at(group, "protocolType", 2, Problem::TooLong),
        ),
        (
            // Offset 5, epoch 0, no metadata, timestamp 0, one tagged field of 3 bytes.
            "a tagged field that is longer than the value",
            commit_key(),
            some(b"\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x03\x01\x02"),
            at(commit, "tagged fields", 24, truncated(3, 2)),
        ),
        (
            "a topic without an id",
            key(7, b"\0\x01m"),
            some(&[&[0, 0, 2][..], &[0; 16], &[1, 0, 0]].concat().leak()[..]),
            at(target, "TopicPartitions", 3, Problem::Null),
        ),
    ];
    for (case, key, value, expected) in table {
        assert_eq!(decode(&key, value), Err(expected), "{case}");
    }
}

fn at(schema: Schema, field: &'static str, position: usize, problem: Problem) -> Malformed {
    Malformed {
        schema,
        field,
        position,
        problem,
    }
}

#[test]
fn an_error_reads_alone() {
    let error = decode(&commit_key(), Some(&[0, 3])).expect_err("the offset is missing");
    assert_eq!(
        with_sources(&error),
        "malformed value of `OffsetCommit`: field `offset` at byte 2: it needs 8 bytes where 0 are left"
    );
}

/// Returns an error with its sources, as the program prints it.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[test]
fn types_and_versions_of_the_future_are_no_errors() {
    for number in [24, 1000, -1] {
        assert_eq!(decode(&key(number, &[]), None), Ok(Record::Unknown));
    }
    for (number, rest, version) in [
        (1, &b"\0\x01t\0\0\0\0"[..], 5),
        (2, &[], 5),
        (3, &[], 1),
        (16, &[], -1),
    ] {
        let value = i16::to_be_bytes(version);
        assert_eq!(
            decode(&key(number, rest), Some(&value)),
            Ok(Record::Unknown)
        );
    }
}

#[test]
fn parts_that_are_not_used_name_their_group_alone() {
    for number in [4, 6].into_iter().chain(9..=23) {
        for value in [None, Some(&[0, 0, 1, 2, 3][..])] {
            let expected = Record::Other { group: "bill" };
            assert_eq!(decode(&key(number, &[]), value), Ok(expected), "{number}");
        }
    }
}

#[test]
fn what_one_client_left_does_not_harm_the_record() {
    // protocolType "consumer", generation 1, protocol "range", leader "m", one member "m" of client "" at "", session
    // timeout 0, a subscription of one byte, an assignment of version -1.
    let value = [
        &b"\0\0\0\x08consumer\0\0\0\x01\0\x05range\0\x01m\0\0\0\x01\0\x01m\0\0\0\0\0\0\0\0"[..],
        &[0, 0, 0, 1, 7],
        &[0, 0, 0, 2, 0xff, 0xff],
    ]
    .concat();
    let key = key(2, &[]);
    let Ok(Record::GroupMetadata {
        metadata: Some(group),
        ..
    }) = decode(&key, Some(&value))
    else {
        panic!("the record itself is sound");
    };
    let [member] = &*group.members else {
        panic!("it has one member");
    };
    let problem = Problem::Version(-1);
    let expected = at(Schema::Assignment, "version", value.len() - 2, problem);
    assert_eq!(member.assignment, Err(expected));
}

#[test]
fn partitions_that_kafka_cannot_have_are_malformed() {
    let too_many: Vec<PartitionId> = (0..=50_000).map(PartitionId).collect();
    let too_long = "t".repeat(250);
    for (topics, problem) in [
        (vec![("t", vec![0]), ("", vec![1])], Problem::TopicName),
        (vec![("a b", vec![])], Problem::TopicName),
        (vec![("..", vec![0])], Problem::TopicName),
        (vec![(&*too_long, vec![0])], Problem::TopicName),
        (vec![("t", vec![0, -1])], Problem::NegativePartition(-1)),
        (vec![("t", vec![3, 0, 3])], Problem::RepeatedPartition(3)),
        (
            vec![("t", vec![7]), ("s", vec![7]), ("t", vec![7])],
            Problem::RepeatedPartition(7),
        ),
        (
            vec![("t", too_many.iter().map(|number| number.0).collect())],
            Problem::TooManyPartitions {
                count: 50_001,
                most: 50_000,
            },
        ),
    ] {
        let bytes = assignment(&topics);
        assert_eq!(
            read(&bytes),
            Err(at(Schema::Assignment, "AssignedPartitions", 2, problem)),
        );
    }
}

#[test]
fn a_topic_that_an_assignment_repeats_has_one_name_in_memory() {
    let topics: Vec<_> = (0..1_000).rev().map(|number| ("t", vec![number])).collect();
    let bytes = assignment(&topics);
    let assignment = read(&bytes).expect("no partition is repeated");
    let partitions = sorted_partitions(&assignment);
    assert!(partitions.is_sorted());
    assert_eq!(partitions.len(), 1_000);
    let name = partitions[0].topic.as_str().as_ptr();
    assert!(
        partitions
            .iter()
            .all(|partition| partition.topic.as_str().as_ptr() == name)
    );
}

/// Returns an assignment of version 1 without user data.
fn assignment(topics: &[(&str, Vec<i32>)]) -> Vec<u8> {
    let mut writer = Writer::new(FieldEncoding::Fixed, &[]);
    writer.i16(1);
    writer.list(topics, |writer, (topic, partitions)| {
        writer.string(topic);
        writer.list(partitions, |writer, number| writer.i32(*number));
    });
    writer.nullable_bytes(None);
    writer.bytes
}

fn read(bytes: &[u8]) -> Result<Vec<TopicPartitions<'_>>, Malformed> {
    read_assignment(Reader::new(bytes, Schema::Assignment), "consumer")
}

#[test]
fn a_commit_of_minus_one_is_no_offset() {
    let value = [&[0, 0][..], &[0xff; 8], &[0, 0], &[0; 8]].concat();
    let key = commit_key();
    let Ok(Record::OffsetCommit {
        commit: Some(commit),
        ..
    }) = decode(&key, Some(&value))
    else {
        panic!("the record is sound");
    };
    assert_eq!(commit.committed, crate::lag::offset::Committed::Never);
}
