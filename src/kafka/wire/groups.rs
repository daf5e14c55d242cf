//! Groups, at their coordinators: many groups a request, each with an answer of its own.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::client::WireClient;
use super::cluster::Use;
use super::message::{
    AuthorizedOperations, ConsumerGroupDescribe, DescribeGroups, DescribedGroup, OffsetFetch,
    Request, ShareGroupDescribe, StreamsGroupDescribe,
};
use super::search::{Answers, Time, at_coordinators};
use crate::kafka::admin::{GroupDescription, GroupQuery};
use crate::kafka::committed::CommittedOffsets;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{GroupId, TopicPartition};
use crate::snapshot::{GroupState, GroupType};

/// The groups of one request: a broker was measured to answer a thousand groups of a hundred partitions fastest by a
/// hundred a request.
const BATCH: usize = 100;

/// Requests to one broker at once, where each is about one group.
const SINGLES_AT_ONCE: usize = 32;

/// The requests that describe groups, each of one kind, in the order in which they are tried.
const KINDS: [GroupType; 4] = [
    GroupType::Consumer,
    GroupType::Classic,
    GroupType::Streams,
    GroupType::Share,
];

/// Describes groups by the request for their kind; where that is not known, tries one kind after the other.
pub(super) async fn describe(
    client: &WireClient,
    groups: &[GroupQuery],
    deadline: Instant,
) -> Answers<GroupDescription> {
    let groups = groups.iter().map(|query| {
        let likely = likely_kind(client, query);
        (query.id.clone(), likely)
    });
    let (known, unknown): (Vec<_>, Vec<_>) = groups.partition(|(_, likely)| likely.is_some());
    // Apart, so that the broker of one group does not take the time of another.
    let (mut answers, others) = tokio::join!(
        describe_in_turn(client, known, |_| deadline.into()),
        describe_in_turn(client, unknown, |kinds_left| {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let until = if kinds_left > 1 {
                now + left / 2
            } else {
                deadline
            };
            Time { until, deadline }
        }),
    );
    answers.extend(others);
    answers
}

/// Tries the requests for one kind after the other, the likely one first. `time` returns what a round has, by the kinds that
/// are left.
async fn describe_in_turn(
    client: &WireClient,
    groups: Vec<(GroupId, Option<GroupType>)>,
    time: impl Fn(usize) -> Time,
) -> Answers<GroupDescription> {
    let mut answers = Answers::new();
    let mut open: Vec<(GroupId, Vec<GroupType>)> = groups
        .into_iter()
        .map(|(group, likely)| (group, kinds_to_try(likely)))
        .collect();
    while !open.is_empty() {
        let kinds_left = open.iter().map(|(_, kinds)| kinds.len()).max();
        let time = time(kinds_left.unwrap_or_default());
        let mut described = describe_round(client, &open, time).await;
        open.retain_mut(|(group, kinds)| {
            kinds.remove(0);
            let answer = described.remove(group);
            let answer = answer.unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)));
            let answer = answer.and_then(existing);
            if let Ok(described) = &answer {
                client.kinds.remember(group, described.group_type);
            }
            let is_elsewhere = answer.as_ref().is_err_and(may_be_of_another_kind);
            if !is_elsewhere || is_replaceable(answers.get(group)) {
                answers.insert(group.clone(), answer);
            }
            is_elsewhere && !kinds.is_empty()
        });
    }
    answers
}

/// Describes each group as the first of its kinds, all at once.
async fn describe_round(
    client: &WireClient,
    groups: &[(GroupId, Vec<GroupType>)],
    time: Time,
) -> Answers<GroupDescription> {
    let mut by_kind: HashMap<GroupType, Vec<GroupId>> = HashMap::new();
    for (group, kinds) in groups {
        if let Some(kind) = kinds.first() {
            by_kind.entry(*kind).or_default().push(group.clone());
        }
    }
    let asking = by_kind
        .into_iter()
        .map(|(kind, groups)| describe_as(client, kind, groups, time));
    let answers = futures_util::future::join_all(asking).await;
    answers.into_iter().flatten().collect()
}

/// Returns a description unless it says, in the word of the older versions, that the group does not exist.
fn existing(described: GroupDescription) -> Result<GroupDescription, KafkaError> {
    match described.state {
        GroupState::Dead => Err(KafkaError::of(ErrorCode::GROUP_ID_NOT_FOUND)),
        _ => Ok(described),
    }
}

/// Returns whether the request for another kind may still describe the group.
fn may_be_of_another_kind(error: &KafkaError) -> bool {
    error.code == ErrorCode::GROUP_ID_NOT_FOUND || error.code.is_unsupported()
}

/// Returns whether a further error replaces what is known of a group: "no such group" says more than that a kind is not
/// supported.
fn is_replaceable(known: Option<&Result<GroupDescription, KafkaError>>) -> bool {
    known
        .and_then(|known| known.as_ref().err())
        .is_none_or(|error| error.code.is_unsupported())
}

/// Returns the kind that a group was listed or last described as; nothing where it was neither.
fn likely_kind(client: &WireClient, query: &GroupQuery) -> Option<GroupType> {
    match query.group_type {
        GroupType::Unknown => client.kinds.kind(&query.id),
        listed => Some(listed),
    }
}

/// Returns the kinds in the order in which they are tried: the likely one first, as only that one costs a request where
/// it is right.
fn kinds_to_try(likely: Option<GroupType>) -> Vec<GroupType> {
    let others = KINDS.into_iter().filter(|kind| Some(*kind) != likely);
    likely.into_iter().chain(others).collect()
}

async fn describe_as(
    client: &WireClient,
    kind: GroupType,
    groups: Vec<GroupId>,
    time: Time,
) -> Answers<GroupDescription> {
    let described = match kind {
        GroupType::Consumer => describe_by(client, groups, time, ConsumerGroupDescribe::new).await,
        GroupType::Streams => describe_by(client, groups, time, StreamsGroupDescribe::new).await,
        GroupType::Share => describe_by(client, groups, time, ShareGroupDescribe::new).await,
        GroupType::Classic | GroupType::Unknown => {
            describe_by(client, groups, time, DescribeGroups::new).await
        }
    };
    let described = described.into_iter();
    described
        .map(|(group, answer)| (group, answer.map(|answer| answer.description)))
        .collect()
}

/// Returns what the credentials may do with a group, as a set of bits; nothing where the broker is too old to say.
pub(super) async fn authorized_operations(
    client: &WireClient,
    group: &GroupId,
    deadline: Instant,
) -> Result<Option<i32>, KafkaError> {
    let request = |groups| DescribeGroups {
        groups,
        authorized_operations: AuthorizedOperations::Asked,
    };
    let mut answers = describe_by(client, vec![group.clone()], deadline.into(), request).await;
    let answer = answers.remove(group);
    let answer = answer.unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)))?;
    Ok(answer.authorized_operations)
}

/// Describes groups by one kind of request.
async fn describe_by<R>(
    client: &WireClient,
    groups: Vec<GroupId>,
    time: Time,
    request: impl Fn(Vec<GroupId>) -> R + Copy + Send + Sync,
) -> Answers<DescribedGroup>
where
    R: Request<Response = Vec<(GroupId, Result<DescribedGroup, KafkaError>)>>,
{
    at_coordinators(
        client,
        groups,
        time,
        |broker, groups, deadline| async move {
            let mut answers = in_batches(groups, BATCH, |groups| {
                let request = Arc::new(request(groups));
                client.cluster.ask(broker, Use::Groups, request, deadline)
            })
            .await;
            for described in answers.values_mut().flatten() {
                described.description.coordinator = Some(broker);
            }
            answers
        },
    )
    .await
}

/// Fetches what groups have committed.
pub(super) async fn committed_offsets(
    client: &WireClient,
    groups: &[GroupId],
    partitions: Option<&[TopicPartition]>,
    deadline: Instant,
) -> Answers<CommittedOffsets> {
    let partitions: Option<Arc<[TopicPartition]>> = partitions.map(Into::into);
    let partitions = &partitions;
    at_coordinators(
        client,
        groups.to_vec(),
        deadline.into(),
        |broker, groups, deadline| async move {
            let fetch = |groups| {
                let request = Arc::new(OffsetFetch {
                    groups,
                    partitions: partitions.clone(),
                });
                client.cluster.ask(broker, Use::Groups, request, deadline)
            };
            if client.kinds.is_unbatched(broker) {
                return one_by_one(groups, fetch).await;
            }
            let answers = in_batches(groups.clone(), BATCH, fetch).await;
            let is_refused = |answer: &Result<CommittedOffsets, KafkaError>| {
                answer
                    .as_ref()
                    .is_err_and(|error| error.code.is_unsupported())
            };
            if groups.len() > 1 && answers.values().any(is_refused) {
                client.kinds.set_unbatched(broker);
                return one_by_one(groups, fetch).await;
            }
            answers
        },
    )
    .await
}

/// Asks about groups in batches, all at once. A batch whose response would be too long is asked again in halves.
async fn in_batches<T, F>(
    groups: Vec<GroupId>,
    size: usize,
    ask: impl Fn(Vec<GroupId>) -> F,
) -> Answers<T>
where
    F: Future<Output = Result<Vec<(GroupId, Result<T, KafkaError>)>, KafkaError>>,
{
    let mut answers = Answers::new();
    let batch = |groups: Vec<GroupId>| {
        let call = ask(groups.clone());
        async move { (groups, call.await) }
    };
    let batches = groups.chunks(size.max(1));
    let mut running: FuturesUnordered<_> = batches.map(|groups| batch(groups.to_vec())).collect();
    while let Some((groups, answer)) = running.next().await {
        let missing = match answer {
            Ok(answered) => {
                let asked: HashSet<&GroupId> = groups.iter().collect();
                for (group, answer) in answered {
                    if asked.contains(&group) {
                        answers.entry(group).or_insert(answer);
                    }
                }
                KafkaError {
                    code: ErrorCode::BAD_MSG,
                    message: "the broker left the group out of its response".to_owned(),
                }
            }
            Err(error) if error.code == ErrorCode::BAD_MSG && groups.len() > 1 => {
                let (one, other) = groups.split_at(groups.len() / 2);
                running.push(batch(one.to_vec()));
                running.push(batch(other.to_vec()));
                continue;
            }
            Err(error) => error,
        };
        for group in groups {
            let answer = answers.entry(group);
            answer.or_insert_with(|| Err(missing.clone()));
        }
    }
    answers
}

/// Asks about groups one a request, a few at once.
async fn one_by_one<T, F>(groups: Vec<GroupId>, ask: impl Fn(Vec<GroupId>) -> F) -> Answers<T>
where
    F: Future<Output = Result<Vec<(GroupId, Result<T, KafkaError>)>, KafkaError>>,
{
    let ask = &ask;
    let calls = groups
        .into_iter()
        .map(|group| in_batches(vec![group], 1, ask));
    let answers = stream::iter(calls).buffer_unordered(SINGLES_AT_ONCE);
    answers.concat().await
}
