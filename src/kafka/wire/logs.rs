//! The offsets of logs, at the brokers that lead them: one request for all partitions of a broker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::client::{MOST_AT_ONCE, WireClient};
use super::cluster::Use;
use super::message::ListOffsets;
use crate::kafka::admin::{ListedOffset, OffsetQuery, OffsetSpec};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, Isolation, TopicName, TopicPartition};

/// The most partitions of one request: some megabytes.
const MOST_PARTITIONS: usize = 50_000;

type Queries = Vec<(TopicPartition, OffsetSpec)>;
type ListedOffsets = Vec<(TopicPartition, Result<ListedOffset, KafkaError>)>;

/// Returns one offset for each query. A partition that has moved is asked for again at its new leader, once.
pub(super) async fn list_offsets(
    client: &WireClient,
    queries: Vec<OffsetQuery>,
    isolation: Isolation,
    deadline: Instant,
) -> ListedOffsets {
    let mut by_leader: BTreeMap<BrokerId, Queries> = BTreeMap::new();
    for OffsetQuery {
        partition,
        leader,
        spec,
    } in queries
    {
        by_leader.entry(leader).or_default().push((partition, spec));
    }
    // A failure shows in what each broker answers.
    let _ = client.learn_brokers(deadline).await;
    let (mut answers, moved) = ask_leaders(client, by_leader, isolation, deadline).await;
    if moved.is_empty() {
        return answers;
    }
    let (at_new_leaders, left) = find_leaders(client, moved, deadline).await;
    let (found, moved_again) = ask_leaders(client, at_new_leaders, isolation, deadline).await;
    answers.extend(found);
    answers.extend(
        left.into_iter()
            .chain(moved_again)
            .map(|(partition, _, error)| (partition, Err(error))),
    );
    answers
}

/// Partitions that a broker does not lead any more, and what it said.
type Moved = Vec<(TopicPartition, OffsetSpec, KafkaError)>;

async fn ask_leaders(
    client: &WireClient,
    by_leader: BTreeMap<BrokerId, Queries>,
    isolation: Isolation,
    deadline: Instant,
) -> (ListedOffsets, Moved) {
    let chunks: Vec<(BrokerId, Queries)> = by_leader
        .into_iter()
        .flat_map(|(leader, mut queries)| {
            // Topics are split among as few requests as possible.
            queries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let chunks = queries.chunks(MOST_PARTITIONS);
            let chunks = chunks.map(<[_]>::to_vec).collect::<Vec<_>>();
            chunks.into_iter().map(move |queries| (leader, queries))
        })
        .collect();
    let calls = chunks.into_iter().map(|(leader, queries)| async move {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let request = Arc::new(ListOffsets::new(queries, isolation, timeout));
        let call = client
            .cluster
            .ask(leader, Use::Topics, Arc::clone(&request), deadline);
        (call.await, request)
    });
    let mut calls = stream::iter(calls).buffer_unordered(MOST_AT_ONCE);
    let (mut answers, mut moved) = (ListedOffsets::new(), Moved::new());
    while let Some((answer, request)) = calls.next().await {
        let queries = request.queries();
        let answered = answer.unwrap_or_else(|error| vec![Err(error); queries.len()]);
        for ((partition, spec), answer) in queries.iter().zip(answered) {
            match answer {
                Err(error) if is_moved(error.code) => {
                    moved.push((partition.clone(), *spec, error));
                }
                answer => answers.push((partition.clone(), answer)),
            }
        }
    }
    (answers, moved)
}

/// Returns whether the broker does not lead the partition any more, by its answer.
fn is_moved(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_FOR_PARTITION
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
    )
}

/// Looks up who leads the partitions that have moved. Those without another leader are returned apart.
async fn find_leaders(
    client: &WireClient,
    moved: Moved,
    deadline: Instant,
) -> (BTreeMap<BrokerId, Queries>, Moved) {
    let mut topics: Vec<TopicName> = moved.iter().map(|(id, ..)| id.topic.clone()).collect();
    topics.sort_unstable();
    topics.dedup();
    let mut by_leader: BTreeMap<BrokerId, Queries> = BTreeMap::new();
    let Ok(metadata) = client.read_metadata(Some(topics), deadline).await else {
        return (by_leader, moved);
    };
    let leaders: HashMap<(&TopicName, i32), BrokerId> = metadata
        .topics
        .iter()
        .filter_map(|(name, topic)| Some((name, topic.as_ref().ok()?)))
        .flat_map(|(name, topic)| {
            let partitions = topic.partitions.iter();
            partitions
                .filter_map(move |partition| Some(((name, partition.id.0), partition.leader?)))
        })
        .collect();
    let mut left = Moved::new();
    for (partition, spec, error) in moved {
        match leaders.get(&(&partition.topic, partition.partition.0)) {
            Some(leader) => by_leader
                .entry(*leader)
                .or_default()
                .push((partition, spec)),
            None => left.push((partition, spec, error)),
        }
    }
    (by_leader, left)
}
