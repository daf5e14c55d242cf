//! Offsets as brokers answer them, asked for and not.

use kafka_protocol::messages::ListOffsetsResponse;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};

use super::super::tests::{read, sent, survives};
use super::*;

/// A topic and its partitions: number, error code, timestamp, offset.
type Topic<'a> = (&'a str, &'a [(i32, i16, i64, i64)]);

fn request(queries: &[(&str, i32, OffsetSpec)]) -> ListOffsets {
    let queries = queries.iter();
    let query = |&(topic, number, spec): &_| (TopicPartition::new(topic, number), spec);
    let timeout = Duration::from_secs(2);
    ListOffsets::new(
        queries.map(query).collect(),
        Isolation::ReadCommitted,
        timeout,
    )
}

fn response(topics: &[Topic<'_>]) -> ListOffsetsResponse {
    let partition = |&(number, code, timestamp_ms, offset): &(i32, i16, i64, i64)| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(number)
            .with_error_code(code)
            .with_timestamp(timestamp_ms)
            .with_offset(offset)
    };
    let topic = |&(name, partitions): &Topic<'_>| {
        ListOffsetsTopicResponse::default()
            .with_name(wire_topic(&name.into()))
            .with_partitions(partitions.iter().map(partition).collect())
    };
    ListOffsetsResponse::default().with_topics(topics.iter().map(topic).collect())
}

fn listed(offset: i64, timestamp_ms: Option<i64>) -> Result<ListedOffset, ErrorCode> {
    Ok(ListedOffset {
        offset: Offset::new(offset),
        timestamp_ms,
    })
}

/// Returns the answers to a request as topic, number and offset or error code.
fn brief<'a>(
    request: &'a ListOffsets,
    answers: &[Result<ListedOffset, KafkaError>],
) -> Vec<(&'a str, i32, Result<ListedOffset, ErrorCode>)> {
    assert_eq!(answers.len(), request.queries.len());
    let answers = request.queries.iter().zip(answers);
    let brief = answers.map(|((partition, _), answer)| {
        let answer = answer.as_ref().map_err(|error| error.code);
        (
            partition.topic.as_str(),
            partition.partition.0,
            answer.copied(),
        )
    });
    brief.collect()
}

const LATEST: OffsetSpec = OffsetSpec::Latest;

#[test]
fn offsets_of_every_version_are_read() {
    let queries = [
        ("t", 1, LATEST),
        ("t", 0, OffsetSpec::Earliest),
        ("s", 0, OffsetSpec::Timestamp(1_000)),
        ("s", 1, OffsetSpec::Timestamp(2_000)),
        ("s", 2, LATEST),
    ];
    let topics: [Topic<'_>; 2] = [
        ("s", &[(0, 0, 1_001, 5), (1, 0, -1, -1), (2, 6, -1, -1)]),
        ("t", &[(0, 0, -1, 0), (1, 0, -1, 9)]),
    ];
    let request = request(&queries);
    for version in 1..=10 {
        let answers = survives(&request, version, &response(&topics));
        let expected = [
            ("s", 0, listed(5, Some(1_001))),
            ("s", 1, listed(-1, None)),
            ("s", 2, Err(ErrorCode::NOT_LEADER_FOR_PARTITION)),
            ("t", 0, listed(0, None)),
            ("t", 1, listed(9, None)),
        ];
        assert_eq!(brief(&request, &answers), expected, "version {version}");
    }
}

#[test]
fn only_what_was_asked_for_is_answered_and_once() {
    let request = request(&[
        ("t", 0, LATEST),
        ("t", 2, LATEST),
        ("t", 9, LATEST),
        ("u", 0, LATEST),
    ]);
    let topics: [Topic<'_>; 5] = [
        ("u", &[(0, 0, -1, 1), (0, 0, -1, 2)]),
        (
            "t",
            &[(2, 0, -1, 3), (1, 0, -1, 4), (-1, 0, -1, 4), (0, 0, -1, -2)],
        ),
        ("other", &[(0, 0, -1, 5)]),
        ("", &[(0, 0, -1, 5)]),
        ("t", &[(0, 0, -1, 6), (2, 0, -1, 7)]),
    ];
    for version in 1..=10 {
        let answers = read(&request, version, &response(&topics));
        let expected = [
            ("t", 0, Err(ErrorCode::BAD_MSG)),
            ("t", 2, listed(3, None)),
            ("t", 9, Err(ErrorCode::BAD_MSG)),
            ("u", 0, listed(1, None)),
        ];
        assert_eq!(brief(&request, &answers), expected, "version {version}");
    }
}

#[test]
fn queries_are_sent_topic_by_topic_and_each_partition_once() {
    let request = request(&[
        ("t", 1, OffsetSpec::Timestamp(5)),
        ("s", 0, OffsetSpec::Earliest),
        ("t", 0, OffsetSpec::Timestamp(-1)),
        ("t", 1, LATEST),
    ]);
    for version in 1..=10 {
        let sent = sent(&request, version);
        let topics = sent.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter();
            let partitions = partitions.map(|partition| {
                assert_eq!(partition.current_leader_epoch, -1);
                (partition.partition_index, partition.timestamp)
            });
            (topic.name.as_str(), partitions.collect())
        });
        let expected = [("s", vec![(0, -2)]), ("t", vec![(0, 0), (1, 5)])];
        assert_eq!(topics.collect::<Vec<_>>(), expected, "version {version}");
        assert_eq!(sent.replica_id.0, -1);
        assert_eq!(sent.isolation_level, i8::from(version >= 2));
        assert_eq!(sent.timeout_ms, if version >= 10 { 2_000 } else { 0 });
    }
}

#[test]
fn a_hundred_thousand_partitions_are_answered_in_any_order() {
    let queries: Vec<_> = (0..100_000).map(|number| ("t", number, LATEST)).collect();
    let request = request(&queries);
    let mut partitions: Vec<_> = (0..100_000).map(|number| (number, 0, -1, 1)).collect();
    for _ in 0..2 {
        let answers = read(&request, 10, &response(&[("t", &partitions)]));
        assert_eq!(answers.len(), 100_000);
        assert!(answers.iter().all(Result::is_ok));
        partitions.reverse();
    }
}
