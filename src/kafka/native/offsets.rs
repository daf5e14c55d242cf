//! ListOffsets: where logs begin and end, and where a timestamp is.

use std::time::{Duration, Instant};

use rdkafka_sys as sys;

use super::array;
use super::calls::Call;
use super::client::Client;
use super::event::Event;
use super::groups::unexpected_answer;
use super::options::Options;
use super::partitions::{PartitionList, Reader};
use crate::kafka::admin::{ListedOffset, OffsetSpec};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{Isolation, Offset, TopicPartition};

/// What the partitions of one call came to.
pub(in crate::kafka) type ListedOffsets = Vec<(TopicPartition, Result<ListedOffset, KafkaError>)>;

/// librdkafka's mark of a partition that no broker answered for, although it reports no error.
const NO_ANSWER: i64 = sys::RD_KAFKA_OFFSET_INVALID as i64;

impl Client {
    /// Returns one offset of each partition; each is named once.
    ///
    /// librdkafka sends one request to each leader it knows of, and answers when the last one has answered.
    pub(in crate::kafka) async fn list_offsets(
        &self,
        partitions: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<ListedOffsets, KafkaError> {
        let call = self.send_list_offsets(partitions, isolation, timeout)?;
        call.answer().await
    }

    fn send_list_offsets(
        &self,
        partitions: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<Call<ListedOffsets>, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
        let options = Options::new(self, kind, timeout)?.isolated(isolation)?;
        let queries = partitions
            .iter()
            .map(|(partition, spec)| (partition, to_native(*spec)));
        let list = PartitionList::new(queries);
        let deadline = Instant::now() + timeout;
        let copy = move |event: &Event| copy_offsets(event, deadline);
        self.call_paused(options, copy, move |live, options| {
            // SAFETY: client, list, options and queue are live; list and options are copied.
            unsafe {
                sys::rd_kafka_ListOffsets(
                    live.handle.as_ptr(),
                    list.as_ptr(),
                    options,
                    live.queue.as_ptr(),
                );
            }
        })
    }
}

fn to_native(spec: OffsetSpec) -> i64 {
    match spec {
        OffsetSpec::Latest => -1,
        OffsetSpec::Earliest => -2,
        OffsetSpec::MaxTimestamp => -3,
        OffsetSpec::Timestamp(ms) => ms.max(0),
    }
}

fn copy_offsets(event: &Event, deadline: Instant) -> Result<ListedOffsets, KafkaError> {
    event.error().map_err(without_leader)?;
    let silence = silence(Instant::now(), deadline);
    // SAFETY: the event is live; null if it is of another type.
    let result = unsafe { sys::rd_kafka_event_ListOffsets_result(event.as_ptr()) };
    if result.is_null() {
        return Err(unexpected_answer());
    }
    let mut count = 0;
    // SAFETY: the result lives as long as its event.
    let infos = unsafe { sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count) };
    // SAFETY: the array and its length, owned by whatever it was asked of.
    let infos = unsafe { array::view(infos, count) };
    let mut reader = Reader::default();
    Ok(infos
        .iter()
        .map(|&info| {
            // SAFETY: an element of the result is live.
            let element = unsafe { sys::rd_kafka_ListOffsetsResultInfo_topic_partition(info) };
            // SAFETY: owned by the element of the result.
            let element = unsafe { reader.element(element) };
            // SAFETY: an element of the result is live.
            let timestamp = unsafe { sys::rd_kafka_ListOffsetsResultInfo_timestamp(info) };
            let offset = element
                .outcome
                .and_then(|()| listed_offset(element.offset, timestamp, &silence));
            (element.partition, offset)
        })
        .collect())
}

/// Reads an answer without an error; a broker that gave none must not pass for a partition without records.
fn listed_offset(
    offset: i64,
    timestamp: i64,
    silence: &KafkaError,
) -> Result<ListedOffset, KafkaError> {
    if offset == NO_ANSWER {
        return Err(silence.clone());
    }
    Ok(ListedOffset {
        offset: Offset::new(offset),
        timestamp_ms: (timestamp >= 0).then_some(timestamp),
    })
}

/// Returns what a broker's silence means: librdkafka does not tell a deadline from a broken connection.
fn silence(now: Instant, deadline: Instant) -> KafkaError {
    let (code, message) = if now >= deadline {
        (ErrorCode::TIMED_OUT, "the leader did not answer in time")
    } else {
        (ErrorCode::TRANSPORT, "the leader did not answer")
    };
    KafkaError {
        code,
        message: message.to_owned(),
    }
}

/// Gives the failure to find any leader Kafka's own name.
fn without_leader(error: KafkaError) -> KafkaError {
    match error.code {
        ErrorCode::NO_ENTRY => KafkaError::of(ErrorCode::LEADER_NOT_AVAILABLE),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_an_error_but_no_record_is_none() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        for (deadline, code) in [(now, ErrorCode::TIMED_OUT), (later, ErrorCode::TRANSPORT)] {
            let error = listed_offset(NO_ANSWER, -1, &silence(now, deadline));
            assert_eq!(error.expect_err("nobody answered").code, code);
        }
        let none = ListedOffset {
            offset: None,
            timestamp_ms: None,
        };
        assert_eq!(listed_offset(-1, -1, &silence(now, later)), Ok(none));
    }
}
