//! Groups, at their coordinators: many groups a request, each with an answer of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::{KafkaAdmin, is_unreachable};
use super::cluster::{PATIENCE, Use};
use super::message::{
    AuthorizedOperations, ConsumerGroupDescribe, DescribeGroups, DescribedGroup, OffsetFetch,
    Request, ShareGroupDescribe, StreamsGroupDescribe,
};
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

/// What each group answered, and what failed for it.
type Answers<T> = BTreeMap<GroupId, Result<T, KafkaError>>;

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

/// Describes groups, by the request for the kind that each is of; by one after the other where that is not known.
pub(super) async fn describe(
    admin: &KafkaAdmin,
    groups: &[GroupQuery],
    deadline: Instant,
) -> Answers<GroupDescription> {
    let mut answers = Answers::new();
    let mut open: Vec<(GroupId, Vec<GroupType>)> = groups
        .iter()
        .map(|query| (query.id.clone(), kinds_to_try(admin, query)))
        .collect();
    while !open.is_empty() {
        let mut by_kind: HashMap<GroupType, Vec<GroupId>> = HashMap::new();
        for (group, kinds) in &open {
            if let Some(kind) = kinds.first() {
                by_kind.entry(*kind).or_default().push(group.clone());
            }
        }
        let mut described = Answers::new();
        let asking = by_kind
            .into_iter()
            .map(|(kind, groups)| async move { describe_as(admin, kind, groups, deadline).await });
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

/// Returns the kinds in the order in which they are tried: the likely one first, as only that one costs a request where
/// it is right.
fn kinds_to_try(admin: &KafkaAdmin, query: &GroupQuery) -> Vec<GroupType> {
    let likely = match query.group_type {
        GroupType::Unknown => admin.kinds.kind(&query.id),
        listed => Some(listed),
    };
    let others = KINDS.into_iter().filter(|kind| Some(*kind) != likely);
    likely.into_iter().chain(others).collect()
}

async fn describe_as(
    admin: &KafkaAdmin,
    kind: GroupType,
    groups: Vec<GroupId>,
    deadline: Instant,
) -> Answers<GroupDescription> {
    let described = match kind {
        GroupType::Consumer => {
            let request = |groups| ConsumerGroupDescribe {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, deadline, request).await
        }
        GroupType::Streams => {
            let request = |groups| StreamsGroupDescribe {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, deadline, request).await
        }
        GroupType::Share => {
            let request = |groups| ShareGroupDescribe {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, deadline, request).await
        }
        GroupType::Classic | GroupType::Unknown => {
            let request = |groups| DescribeGroups {
                groups,
                authorized_operations: AuthorizedOperations::NotAsked,
            };
            describe_by(admin, groups, deadline, request).await
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
    let mut answers = describe_by(admin, vec![group.clone()], deadline, request).await;
    let answer = answers.remove(group);
    let answer = answer.unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)))?;
    Ok(answer.authorized_operations)
}

/// Describes groups by one kind of request.
async fn describe_by<R>(
    admin: &KafkaAdmin,
    groups: Vec<GroupId>,
    deadline: Instant,
    request: impl Fn(Vec<GroupId>) -> R + Copy + Send + Sync,
) -> Answers<DescribedGroup>
where
    R: Request<Response = Vec<(GroupId, Result<DescribedGroup, KafkaError>)>>,
{
    at_coordinators(
        admin,
        groups,
        deadline,
        |broker, groups, deadline| async move {
            let mut answers = in_batches(groups, BATCH, |groups| {
                let request = Arc::new(request(groups));
                admin.cluster.ask(broker, Use::Groups, request, deadline)
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
        deadline,
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

/// Asks about each group at its coordinator: the known one, or else every broker, another one first each time, until one
/// does not say that it is another.
///
/// A broker that turns out not to be the coordinator, or cannot be asked, is forgotten. Where a known one has not answered
/// after half of the time, the others are asked as well. Asks each broker once at most, however often coordinators move.
async fn at_coordinators<T, F>(
    admin: &KafkaAdmin,
    groups: Vec<GroupId>,
    deadline: Instant,
    ask: impl Fn(BrokerId, Vec<GroupId>, Instant) -> F,
) -> Answers<T>
where
    F: Future<Output = Answers<T>>,
{
    if groups.is_empty() {
        return Answers::new();
    }
    if let Err(error) = admin.learn_brokers(deadline).await {
        return groups
            .into_iter()
            .map(|group| (group, Err(error.clone())))
            .collect();
    }
    let mut search = Search {
        admin,
        answers: Answers::new(),
        asked: HashSet::new(),
        is_guessing: false,
    };
    let (by_broker, mut open) = admin.coordinators.sort(groups);
    let ask = |broker, groups| {
        let answers = ask(broker, groups, deadline);
        async move { (broker, answers.await) }
    };
    let mut running = FuturesUnordered::new();
    let mut asked = Vec::new();
    for (broker, groups) in by_broker {
        asked.extend(groups.iter().map(|group| (broker, group.clone())));
        running.push(ask(broker, groups));
    }
    let now = Instant::now();
    let half = now + deadline.saturating_duration_since(now) / 2;
    while let Ok(Some((broker, answers))) = timeout_at(half, running.next()).await {
        search.take(broker, answers);
    }
    // What a known coordinator says counts, also that it cannot answer.
    asked.retain(|(_, group)| search.is_open(group));
    open.extend(asked.iter().map(|(_, group)| group.clone()));
    search.asked.extend(asked);
    search.is_guessing = true;
    let mut others = admin.cluster.brokers_in_turn().into_iter();
    let mut next_at = Instant::now();
    let mut nobody = KafkaError::of(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    loop {
        open.retain(|group| search.is_open(group));
        // A silent broker holds up nobody whose coordinator has answered.
        if open.is_empty() {
            break;
        }
        if running.is_empty() || next_at <= Instant::now() {
            next_at = Instant::now() + PATIENCE;
            if let Some(broker) = others.next() {
                let left = search.not_asked(broker, &open);
                if !left.is_empty() {
                    let asked = left.iter().map(|group| (broker, group.clone()));
                    search.asked.extend(asked);
                    running.push(ask(broker, left));
                }
                continue;
            }
            if running.is_empty() {
                break;
            }
        }
        tokio::select! {
            // At the deadline, what has been answered counts.
            biased;
            answered = running.next() => {
                if let Some((broker, answers)) = answered {
                    search.take(broker, answers);
                }
            }
            () = sleep_until(next_at) => {}
            () = sleep_until(deadline) => {
                nobody = admin.cluster.common.journal.explain(KafkaError {
                    code: ErrorCode::TIMED_OUT,
                    message: "no broker answered for the group in time".to_owned(),
                });
                // The one that was silent may be the coordinator.
                search.forget_denials(&open.iter().collect());
                break;
            }
        }
    }
    for group in open {
        let entry = search.answers.entry(group);
        entry.or_insert_with(|| Err(nobody.clone()));
    }
    search.answers
}

/// Finding the coordinators of groups.
struct Search<'a, T> {
    admin: &'a KafkaAdmin,
    answers: Answers<T>,
    /// Which brokers were asked about groups that are open.
    asked: HashSet<(BrokerId, GroupId)>,
    /// Whether brokers are asked that are not known to coordinate the groups.
    is_guessing: bool,
}

impl<T> Search<'_, T> {
    /// Takes over what a broker answered.
    fn take(&mut self, broker: BrokerId, answers: Answers<T>) {
        let coordinators = &self.admin.coordinators;
        for (group, answer) in answers {
            let Err(error) = &answer else {
                coordinators.remember(&group, broker);
                self.answers.insert(group, answer);
                continue;
            };
            if self.leaves_open(error) {
                coordinators.forget(&group, broker);
            }
            let says_more = match self.answers.get(&group) {
                None => true,
                Some(Ok(_)) => false,
                Some(Err(known)) => self.leaves_open(known) && !error.code.is_not_coordinator(),
            };
            if says_more {
                self.answers.insert(group, answer);
            }
        }
    }

    /// Forgets what brokers answered that do not coordinate these groups.
    fn forget_denials(&mut self, groups: &HashSet<&GroupId>) {
        self.answers.retain(|group, answer| {
            let is_denial = matches!(answer, Err(error) if error.code.is_not_coordinator());
            !(is_denial && groups.contains(group))
        });
    }

    /// Returns the groups that a broker was not asked about.
    fn not_asked(&self, broker: BrokerId, groups: &[GroupId]) -> Vec<GroupId> {
        let groups = groups.iter();
        groups
            .filter(|group| !self.asked.contains(&(broker, (*group).clone())))
            .cloned()
            .collect()
    }

    /// Returns whether another broker may know better.
    fn leaves_open(&self, error: &KafkaError) -> bool {
        error.code.is_not_coordinator()
            || is_unreachable(error.code)
            || (self.is_guessing && error.code.is_unsupported())
    }

    /// Returns whether no coordinator has spoken for the group.
    fn is_open(&self, group: &GroupId) -> bool {
        match self.answers.get(group) {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(error)) => self.leaves_open(error),
        }
    }
}
