//! Groups, at their coordinators: many groups a request, each with an answer of its own.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::client::KafkaAdmin;
use super::cluster::Use;
use super::message::{
    AuthorizedOperations, ConsumerGroupDescribe, DescribeGroups, DescribedGroup, OffsetFetch,
    Request, ShareGroupDescribe, StreamsGroupDescribe,
};
use super::search::{Answers, Time, at_coordinators};
use crate::kafka::admin::{GroupDescription, GroupQuery};
use crate::kafka::committed::CommittedOffsets;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, GroupId, TopicPartition};
use crate::snapshot::{GroupState, GroupType};

/// The groups of one request: a broker was measured to answer a thousand groups of a hundred partitions fastest by a
/// hundred a request.
const BATCH: usize = 100;

/// Requests to one broker at once, where each is about one group.
const SINGLES_AT_ONCE: usize = 32;

/// The most groups whose kind is remembered.
const MOST_KINDS: usize = 10_000;

/// The requests that describe groups, each of one kind, in the order in which they are tried.
const KINDS: [GroupType; 4] = [
    GroupType::Consumer,
    GroupType::Classic,
    GroupType::Streams,
    GroupType::Share,
];

/// What was found out about groups and brokers, so that it is not asked again.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    /// The kinds of groups that are not listed.
    groups: Mutex<HashMap<GroupId, GroupType>>,
    /// Brokers that fetch the offsets of one group a request: those before Kafka 3.0.
    unbatched: Mutex<HashSet<BrokerId>>,
}

impl Kinds {
    fn kind(&self, group: &GroupId) -> Option<GroupType> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.get(group).copied()
    }

    fn remember(&self, group: &GroupId, kind: GroupType) {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.get(group) == Some(&kind) {
            return;
        }
        if groups.len() >= MOST_KINDS {
            groups.clear();
        }
        groups.insert(group.clone(), kind);
    }

    fn is_unbatched(&self, broker: BrokerId) -> bool {
        let unbatched = self
            .unbatched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unbatched.contains(&broker)
    }

    /// Forgets which brokers are old: another one may answer under the id of one that was.
    pub(super) fn forget_unbatched(&self) {
        let mut unbatched = self
            .unbatched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unbatched.clear();
    }

    fn set_unbatched(&self, broker: BrokerId) {
        let mut unbatched = self
            .unbatched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unbatched.insert(broker);
    }
}

/// Describes groups by the request for their kind; where that is not known, tries one kind after the other.
pub(super) async fn describe(
    admin: &KafkaAdmin,
    groups: &[GroupQuery],
    deadline: Instant,
) -> Answers<GroupDescription> {
    let groups = groups.iter().map(|query| {
        let likely = likely_kind(admin, query);
        (query.id.clone(), likely)
    });
    let (known, unknown): (Vec<_>, Vec<_>) = groups.partition(|(_, likely)| likely.is_some());
    // Apart, so that the broker of one group does not take the time of another.
    let (mut answers, others) = tokio::join!(
        describe_in_turn(admin, known, |_| deadline.into()),
        describe_in_turn(admin, unknown, |kinds_left| {
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

/// Tries the requests for one kind after the other, the likely one first. `time` tells what a round has, by the kinds that are
/// left.
async fn describe_in_turn(
    admin: &KafkaAdmin,
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
        let mut by_kind: HashMap<GroupType, Vec<GroupId>> = HashMap::new();
        for (group, kinds) in &open {
            if let Some(kind) = kinds.first() {
                by_kind.entry(*kind).or_default().push(group.clone());
            }
        }
        let mut described = Answers::new();
        let asking = by_kind
            .into_iter()
            .map(|(kind, groups)| async move { describe_as(admin, kind, groups, time).await });
        for answer in futures_util::future::join_all(asking).await {
            described.extend(answer);
        }
        open.retain_mut(|(group, kinds)| {
            kinds.remove(0);
            let answer = described
                .remove(group)
                .unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)))
                // The word of the older versions for a group that does not exist.
                .and_then(|described| match described.state {
                    GroupState::Dead => Err(KafkaError::of(ErrorCode::GROUP_ID_NOT_FOUND)),
                    _ => Ok(described),
                });
            let is_elsewhere = answer.as_ref().is_err_and(|error| {
                error.code == ErrorCode::GROUP_ID_NOT_FOUND || error.code.is_unsupported()
            });
            if let Ok(described) = &answer {
                admin.kinds.remember(group, described.group_type);
            }
            // "No such group" says more than that a kind is not supported.
            let is_news = answers
                .get(group)
                .and_then(|known: &Result<GroupDescription, KafkaError>| known.as_ref().err())
                .is_none_or(|error| error.code.is_unsupported());
            if is_news || !is_elsewhere {
                answers.insert(group.clone(), answer);
            }
            is_elsewhere && !kinds.is_empty()
        });
    }
    answers
}

/// Returns the kind that a group was listed or last described as; nothing where it was neither.
fn likely_kind(admin: &KafkaAdmin, query: &GroupQuery) -> Option<GroupType> {
    match query.group_type {
        GroupType::Unknown => admin.kinds.kind(&query.id),
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
    admin: &KafkaAdmin,
    kind: GroupType,
    groups: Vec<GroupId>,
    time: Time,
) -> Answers<GroupDescription> {
    let described = match kind {
        GroupType::Consumer => {
            let request = |groups| ConsumerGroupDescribe {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, time, request).await
        }
        GroupType::Streams => {
            let request = |groups| StreamsGroupDescribe {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, time, request).await
        }
        GroupType::Share => {
            let request = |groups| ShareGroupDescribe {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, time, request).await
        }
        GroupType::Classic | GroupType::Unknown => {
            let request = |groups| DescribeGroups {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, time, request).await
        }
    };
    let described = described.into_iter();
    described
        .map(|(group, answer)| (group, answer.map(|answer| answer.description)))
        .collect()
}

/// Returns what the credentials may do with a group, as a set of bits; nothing where the broker is too old to say.
pub(super) async fn authorized_operations(
    admin: &KafkaAdmin,
    group: &GroupId,
    deadline: Instant,
) -> Result<Option<i32>, KafkaError> {
    let request = |groups| DescribeGroups {
        groups,
        authorized_operations: AuthorizedOperations::Asked,
    };
    let mut answers = describe_by(admin, vec![group.clone()], deadline.into(), request).await;
    let answer = answers.remove(group);
    let answer = answer.unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)))?;
    Ok(answer.authorized_operations)
}

/// Describes groups by one kind of request.
async fn describe_by<R>(
    admin: &KafkaAdmin,
    groups: Vec<GroupId>,
    time: Time,
    request: impl Fn(Vec<GroupId>) -> R + Copy + Send + Sync,
) -> Answers<DescribedGroup>
where
    R: Request<Response = Vec<(GroupId, Result<DescribedGroup, KafkaError>)>>,
{
    at_coordinators(admin, groups, time, |broker, groups, deadline| async move {
        let mut answers = in_batches(groups, BATCH, |groups| {
            let request = Arc::new(request(groups));
            admin.cluster.ask(broker, Use::Groups, request, deadline)
        })
        .await;
        for described in answers.values_mut().flatten() {
            described.description.coordinator = Some(broker);
        }
        answers
    })
    .await
}

/// Fetches what groups have committed.
pub(super) async fn committed_offsets(
    admin: &KafkaAdmin,
    groups: &[GroupId],
    partitions: Option<&[TopicPartition]>,
    deadline: Instant,
) -> Answers<CommittedOffsets> {
    let partitions: Option<Arc<[TopicPartition]>> = partitions.map(Into::into);
    let partitions = &partitions;
    at_coordinators(
        admin,
        groups.to_vec(),
        deadline.into(),
        |broker, groups, deadline| async move {
            let fetch = |groups| {
                let request = Arc::new(OffsetFetch {
                    groups,
                    partitions: partitions.clone(),
                });
                admin.cluster.ask(broker, Use::Groups, request, deadline)
            };
            if admin.kinds.is_unbatched(broker) {
                return one_by_one(groups, fetch).await;
            }
            let answers = in_batches(groups.clone(), BATCH, fetch).await;
            let is_refused = |answer: &Result<CommittedOffsets, KafkaError>| {
                answer
                    .as_ref()
                    .is_err_and(|error| error.code.is_unsupported())
            };
            if groups.len() > 1 && answers.values().any(is_refused) {
                admin.kinds.set_unbatched(broker);
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
        match answer {
            Ok(answered) => {
                let asked: HashSet<&GroupId> = groups.iter().collect();
                for (group, answer) in answered {
                    if asked.contains(&group) {
                        answers.entry(group).or_insert(answer);
                    }
                }
            }
            Err(error) if error.code == ErrorCode::BAD_MSG && groups.len() > 1 => {
                let (one, other) = groups.split_at(groups.len() / 2);
                running.push(batch(one.to_vec()));
                running.push(batch(other.to_vec()));
                continue;
            }
            Err(error) => {
                let failed = groups.iter();
                answers.extend(failed.map(|group| (group.clone(), Err(error.clone()))));
            }
        }
        for group in groups {
            answers.entry(group).or_insert_with(|| {
                Err(KafkaError {
                    code: ErrorCode::BAD_MSG,
                    message: "the broker left the group out of its response".to_owned(),
                })
            });
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
