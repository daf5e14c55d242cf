//! Whether `__consumer_offsets` can be followed, checked by reading a little of it.

use tokio::time::timeout;

use super::cluster::{ClusterCheck, log_end_query};
use super::result::CheckStatus;
use crate::collect::{Mode, OFFSETS_TOPIC};
use crate::kafka::{
    Admin, Connection, ErrorCode, KafkaError, Log, LogEvent, LogReader, TopicSelection,
};
use crate::lag::{Isolation, Offset, PartitionId, TopicName};

/// Whether the topic can be followed.
enum OffsetsTopicAccess {
    /// It works.
    Possible,
    /// The topic comes with the cluster's first group.
    Missing,
}

/// Checks whether the topic can be followed, where the mode wants that.
pub(super) async fn check(check: &mut ClusterCheck<'_>) {
    let mode = check.cluster.poll.mode;
    let names_groups = !check.cluster.poll.group_names.is_empty();
    if mode == Mode::Poll || mode == Mode::Auto && names_groups {
        let text = "mode poll: commits and rebalances are seen from one poll to the next";
        return check.add_note(text.to_owned());
    }
    let (status, text) = match access(check).await {
        Ok(OffsetsTopicAccess::Possible) => (
            CheckStatus::Good,
            format!(
                "`{OFFSETS_TOPIC}` can be read: every commit and rebalance is seen as it happens (mode stream)"
            ),
        ),
        Ok(OffsetsTopicAccess::Missing) => (
            CheckStatus::Note,
            format!(
                "`{OFFSETS_TOPIC}` is not there yet: it comes with the cluster's first group, and is followed from then on"
            ),
        ),
        Err(error) => {
            let status = match mode {
                Mode::Stream => CheckStatus::Missing,
                Mode::Auto | Mode::Poll => CheckStatus::Note,
            };
            let right = format!("--operation Read --operation Describe --topic {OFFSETS_TOPIC}");
            let hint = check.hint(&error, &right);
            let text = format!(
                "`{OFFSETS_TOPIC}` cannot be read, so the cluster is polled: {error}{hint}"
            );
            (status, text)
        }
    };
    check.add(status, text);
}

async fn access(check: &ClusterCheck<'_>) -> Result<OffsetsTopicAccess, KafkaError> {
    let topic = TopicName::from(OFFSETS_TOPIC);
    let names = [topic.clone()];
    let selection = TopicSelection::Named(&names);
    let mut metadata = check.admin.metadata(selection, check.limit).await?;
    let partitions = match metadata.topics.remove(&topic) {
        None => return Ok(OffsetsTopicAccess::Missing),
        Some(Err(error)) if error.code == ErrorCode::UNKNOWN_TOPIC_OR_PART => {
            return Ok(OffsetsTopicAccess::Missing);
        }
        Some(partitions) => partitions?,
    };
    let query = log_end_query(&topic, &partitions);
    let query = query.ok_or_else(|| KafkaError::of(ErrorCode::LEADER_NOT_AVAILABLE))?;
    let partition = query.partition.partition;
    let end = check.log_end(query, Isolation::ReadCommitted).await?;
    let from = end.unwrap_or(Offset::ZERO);
    let reading = read(&check.cluster.connection, partition, from);
    let read = timeout(check.limit, reading).await;
    read.unwrap_or_else(|_| Err(KafkaError::of(ErrorCode::TIMED_OUT)))?;
    Ok(OffsetsTopicAccess::Possible)
}

/// Reads from an offset until something is read, or the end is seen.
async fn read(
    connection: &Connection,
    partition: PartitionId,
    from: Offset,
) -> Result<(), KafkaError> {
    let mut reader =
        LogReader::start(connection, OFFSETS_TOPIC, ()).map_err(|error| KafkaError {
            code: ErrorCode::INVALID_ARG,
            message: error.to_string(),
        })?;
    reader.read(partition, from);
    let mut failure = KafkaError::of(ErrorCode::DESTROY);
    while let Some(batch) = reader.next().await {
        for found in batch {
            match found {
                LogEvent::Record(..) | LogEvent::End(..) => return Ok(()),
                LogEvent::Error(_, error) if error.code.is_authorization() => return Err(error),
                LogEvent::Error(_, error) => failure = error,
            }
        }
    }
    Err(failure)
}
