//! The topic `__consumer_offsets` as a topic: its partitions, their leaders, and their ends.

use std::collections::BTreeMap;

use crate::collect::fetch::{Budget, within};
use crate::kafka::{Admin, ErrorCode, KafkaError, OffsetQuery, OffsetSpec, TopicSelection};
use crate::lag::{BrokerId, Isolation, Offset, PartitionId, TopicName, TopicPartition};

/// The topic.
pub const TOPIC: &str = "__consumer_offsets";

/// The leader of each partition; nothing while it has none.
pub(super) type PartitionLeaders = Vec<Option<BrokerId>>;

/// Why the partitions are not known.
#[derive(Clone, Debug)]
pub(super) enum TopicTrouble {
    /// There is no such topic.
    Missing,
    /// The client may not describe it.
    Refused(KafkaError),
    /// The request failed otherwise.
    Unknown,
}

/// Returns the leaders of the topic's partitions.
pub(super) async fn partitions(
    admin: &dyn Admin,
    budget: Budget,
) -> Result<PartitionLeaders, TopicTrouble> {
    let name = TopicName::from(TOPIC);
    let limit = budget.request_timeout;
    let names = [name.clone()];
    let call = admin.metadata(TopicSelection::Named(&names), limit);
    let answer = within(limit, call).await.and_then(|answer| answer);
    let mut metadata = answer.map_err(trouble)?;
    match metadata.topics.remove(&name) {
        None => Err(TopicTrouble::Missing),
        Some(Err(error)) => Err(trouble(error)),
        Some(Ok(partitions)) => Ok(partitions
            .into_iter()
            .map(|partition| partition.leader)
            .collect()),
    }
}

/// Returns how many partitions the topic has.
///
/// # Errors
///
/// Why the partitions are not known.
pub(in crate::collect) async fn partition_count(
    admin: &dyn Admin,
    budget: Budget,
) -> Result<usize, KafkaError> {
    match partitions(admin, budget).await {
        Ok(partitions) => Ok(partitions.len()),
        Err(TopicTrouble::Refused(error)) => Err(error),
        Err(TopicTrouble::Missing) => Err(KafkaError::of(ErrorCode::UNKNOWN_TOPIC_OR_PART)),
        Err(TopicTrouble::Unknown) => Err(KafkaError::of(ErrorCode::TIMED_OUT)),
    }
}

fn trouble(error: KafkaError) -> TopicTrouble {
    match error.code {
        ErrorCode::UNKNOWN_TOPIC_OR_PART | ErrorCode::UNKNOWN_TOPIC => TopicTrouble::Missing,
        code if code.is_authorization() => TopicTrouble::Refused(error),
        _ => TopicTrouble::Unknown,
    }
}

/// Returns the ends of the partitions, without those whose request failed: the last stable offset for `ReadCommitted`.
pub(super) async fn ends(
    admin: &dyn Admin,
    budget: Budget,
    leaders: &PartitionLeaders,
    isolation: Isolation,
) -> BTreeMap<PartitionId, Offset> {
    let topic = TopicName::from(TOPIC);
    let queries = (0..).map(PartitionId).zip(leaders);
    let queries = queries
        .filter_map(|(partition, leader)| {
            Some(OffsetQuery {
                partition: TopicPartition {
                    topic: topic.clone(),
                    partition,
                },
                leader: (*leader)?,
                spec: OffsetSpec::Latest,
            })
        })
        .collect();
    let limit = budget.request_timeout;
    let answers = within(limit, admin.list_offsets(queries, isolation, limit)).await;
    answers
        .into_iter()
        .flatten()
        .filter_map(|(id, answer)| Some((id.partition, answer.ok()?.offset?)))
        .collect()
}
