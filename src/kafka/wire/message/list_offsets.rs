//! ListOffsets: where the logs of partitions begin and end, and which offset a timestamp has.

use std::ops::Range;
use std::time::Duration;

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId as WireBrokerId, ListOffsetsRequest};

use super::names::{by_topic, wire_topic};
use super::request::{Request, Throttled, read_throttle_time, succeeded};
use crate::kafka::admin::{ListedOffset, OffsetSpec};
use crate::kafka::api::Api;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{Isolation, Offset, PartitionId, TopicPartition};
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;

/// Asks a broker for one offset of each of some partitions that it leads.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct ListOffsets {
    /// Sorted by partition, each partition once.
    queries: Vec<(TopicPartition, OffsetSpec)>,
    isolation: Isolation,
    /// How long the broker may read from remote storage; from version 10.
    timeout: Duration,
}

impl ListOffsets {
    /// Returns the request. Of queries for the same partition the first counts.
    pub(in crate::kafka) fn new(
        mut queries: Vec<(TopicPartition, OffsetSpec)>,
        isolation: Isolation,
        timeout: Duration,
    ) -> Self {
        queries.sort_by(|(one, _), (other, _)| one.cmp(other));
        queries.dedup_by(|(later, _), (first, _)| later == first);
        Self {
            queries,
            isolation,
            timeout,
        }
    }

    /// Returns what is asked for: sorted by partition, each partition once.
    pub(in crate::kafka) fn queries(&self) -> &[(TopicPartition, OffsetSpec)] {
        &self.queries
    }
}

impl Request for ListOffsets {
    const API: Api = Api::LIST_OFFSETS;
    const VERSIONS: (i16, i16) = (1, 10);
    const FLEXIBLE: i16 = 6;
    type Message = ListOffsetsRequest;
    /// One answer for each query, in their order; `_BAD_MSG` where the broker sent none.
    type Response = Vec<Result<ListedOffset, KafkaError>>;

    fn message(&self, version: i16) -> ListOffsetsRequest {
        let topics = by_topic(self.queries.iter(), |(partition, _)| partition);
        let topic = |(topic, queries): (_, Vec<&(TopicPartition, OffsetSpec)>)| {
            ListOffsetsTopic::default()
                .with_name(wire_topic(topic))
                .with_partitions(queries.into_iter().map(wire_partition).collect())
        };
        let mut request = ListOffsetsRequest::default()
            // A client, not a replica.
            .with_replica_id(WireBrokerId(-1))
            .with_topics(topics.into_iter().map(topic).collect());
        if version >= 2 {
            request.isolation_level = match self.isolation {
                Isolation::ReadUncommitted => 0,
                Isolation::ReadCommitted => 1,
            };
        }
        if version >= 10 {
            request.timeout_ms = i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX);
        }
        request
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = read_throttle_time(body, 2)?;
        let mut answers = OffsetAnswers::new(&self.queries);
        body.each("Topics", |body| {
            answers.begin_topic(body.string_bytes("Topics.Name")?);
            body.each("Topics.Partitions", |body| {
                let partition = PartitionId(body.i32("Partitions.PartitionIndex")?);
                let answer = read_answer(body)?;
                answers.add(partition, answer);
                Ok(())
            })?;
            body.end()
        })?;
        body.end()?;
        Ok(Throttled::new(throttle_time_ms, answers.into_all()))
    }
}

fn wire_partition((partition, spec): &(TopicPartition, OffsetSpec)) -> ListOffsetsPartition {
    let timestamp = match *spec {
        OffsetSpec::Latest => -1,
        OffsetSpec::Earliest => -2,
        // Negative ones would ask for something else.
        OffsetSpec::Timestamp(timestamp_ms) => timestamp_ms.max(0),
    };
    ListOffsetsPartition::default()
        .with_partition_index(partition.partition.0)
        .with_current_leader_epoch(-1)
        .with_timestamp(timestamp)
}

/// What a broker sends of one partition.
#[derive(Clone, Copy)]
struct Answer {
    code: i16,
    timestamp_ms: i64,
    offset: i64,
}

fn read_answer(body: &mut Reader<'_>) -> Result<Answer, Malformed> {
    let code = body.i16("Partitions.ErrorCode")?;
    let timestamp_ms = body.i64("Partitions.Timestamp")?;
    let offset = body.i64("Partitions.Offset")?;
    if body.version() >= 4 {
        body.i32("Partitions.LeaderEpoch")?;
    }
    body.end()?;
    Ok(Answer {
        code,
        timestamp_ms,
        offset,
    })
}

impl Answer {
    fn listed(self) -> Result<ListedOffset, KafkaError> {
        succeeded(self.code, None)?;
        let offset = Offset::new(self.offset);
        if offset.is_none() && self.offset != -1 {
            return Err(bad_answer(format!(
                "the broker sent the offset {}",
                self.offset
            )));
        }
        Ok(ListedOffset {
            offset,
            timestamp_ms: (self.timestamp_ms >= 0).then_some(self.timestamp_ms),
        })
    }
}

fn bad_answer(message: impl Into<String>) -> KafkaError {
    KafkaError {
        code: ErrorCode::BAD_MSG,
        message: message.into(),
    }
}

/// The answers to queries that are sorted by partition, while they are read.
struct OffsetAnswers<'q> {
    queries: &'q [(TopicPartition, OffsetSpec)],
    /// The answer to each query, if it was read.
    answers: Vec<Option<Result<ListedOffset, KafkaError>>>,
    /// The queries of the topic that is being read.
    topic: Range<usize>,
    /// Which of those is answered next, where the broker keeps the order of the request.
    next: usize,
}

impl<'q> OffsetAnswers<'q> {
    fn new(queries: &'q [(TopicPartition, OffsetSpec)]) -> Self {
        Self {
            queries,
            answers: vec![None; queries.len()],
            topic: 0..0,
            next: 0,
        }
    }

    fn begin_topic(&mut self, name: &[u8]) {
        let queries = self.queries;
        let start = queries.partition_point(|(query, _)| query.topic.as_str().as_bytes() < name);
        let end = queries.partition_point(|(query, _)| query.topic.as_str().as_bytes() <= name);
        self.topic = start..end;
        self.next = 0;
    }

    /// Takes the answer for a partition of the topic; ignores one that was not asked for or has an answer.
    fn add(&mut self, partition: PartitionId, answer: Answer) {
        let queries = &self.queries[self.topic.clone()];
        let is_next = match queries.get(self.next) {
            Some((query, _)) => query.partition == partition,
            None => false,
        };
        let found = if is_next {
            Ok(self.next)
        } else {
            queries.binary_search_by_key(&partition, |(query, _)| query.partition)
        };
        let Ok(index) = found else {
            return;
        };
        self.next = index + 1;
        self.answers[self.topic.start + index].get_or_insert_with(|| answer.listed());
    }

    /// Returns the answers in the order of the queries.
    fn into_all(self) -> Vec<Result<ListedOffset, KafkaError>> {
        let missing = || bad_answer("the broker left the partition out of its response");
        let answers = self.answers.into_iter();
        answers
            .map(|answer| answer.unwrap_or_else(|| Err(missing())))
            .collect()
    }
}

#[cfg(test)]
mod tests;
