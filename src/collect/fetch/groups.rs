//! Phase 3: members and committed offsets of groups, many groups a request and a bounded number of requests at a time.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::super::config::PollConfig;
use super::super::failure::{Contact, Failure, Operation, Subject, is_answer};
use super::super::places::Map;
use super::commits::{FetchedCommits, KnownCommits};
use super::listing::{Listed, Prospect, Target};
use super::topology::Topology;
use super::{Budget, within};
use crate::kafka::{Admin, ErrorCode, GroupDescription, GroupQuery, KafkaError};
use crate::lag::{BrokerId, Committed, GroupId, TopicPartition};
use crate::snapshot::{Activity, GroupRow, GroupState, GroupType};

/// The most groups of one call. The client sends them in as few requests as the brokers let it.
const MOST_GROUPS: usize = 100;

/// What a group's coordinator answered in one cycle.
#[derive(Debug)]
pub(in crate::collect) struct GroupAnswer {
    /// What the listing says of the group; nothing where it was not listed.
    pub(in crate::collect) listed: Option<Listed>,
    pub(in crate::collect) description: Described,
    pub(in crate::collect) committed: Result<FetchedCommits, KafkaError>,
    pub(in crate::collect) seen: Seen,
}

/// How it is known what a group did.
#[derive(Debug)]
pub(in crate::collect) enum Seen {
    /// By comparing what this cycle found with the one before: a lower bound.
    Compared,
    /// By its records: all that it did since it is watched.
    InRecords(Arc<Activity>),
}

/// What is known of a group's members.
#[derive(Debug)]
pub(in crate::collect) enum Described {
    /// The coordinator's description.
    Answered(GroupDescription),
    /// The listing says that it has no members; nobody was asked.
    Memberless(Listed),
    /// The coordinator knows no such group.
    NotFound,
    /// The cluster cannot describe groups, or not one of this kind.
    Unsupported,
    /// The call failed.
    Failed(KafkaError),
}

/// What phase 3 found.
#[derive(Debug, Default)]
pub(in crate::collect) struct GroupsAnswer {
    pub(in crate::collect) groups: BTreeMap<GroupId, GroupAnswer>,
    pub(in crate::collect) failures: Vec<Failure>,
    pub(in crate::collect) describing: Duration,
    pub(in crate::collect) reading_commits: Duration,
}

/// The questions of phase 3 and what they need.
#[derive(Clone, Copy)]
pub(in crate::collect) struct GroupPhase<'a> {
    pub(in crate::collect) admin: &'a dyn Admin,
    pub(in crate::collect) config: &'a PollConfig,
    pub(in crate::collect) budget: Budget,
    /// The partitions of the topics that the configuration names; nothing where it names none.
    pub(in crate::collect) named_partitions: Option<&'a [TopicPartition]>,
    /// What the groups' newest rows were made of.
    pub(in crate::collect) known: &'a KnownCommits,
}

/// Returns every partition of the topics that the configuration names; nothing where it names none.
pub(in crate::collect) fn named_partitions(
    config: &PollConfig,
    topology: &Topology,
) -> Option<Vec<TopicPartition>> {
    let is_named = !config.topic_names.is_empty();
    is_named.then(|| topology.partitions().map(|(id, _)| id).collect())
}

impl GroupPhase<'_> {
    /// Asks about every target: the doubtful last and within one request timeout altogether, so that the groups of a
    /// dead coordinator cost the others nothing.
    pub(in crate::collect) async fn fetch(self, targets: Vec<Target>) -> GroupsAnswer {
        let (good, doubtful): (Vec<_>, Vec<_>) = targets
            .into_iter()
            .partition(|target| target.prospect == Prospect::Good);
        let mut answer = GroupsAnswer::default();
        let end = self.budget.groups_end();
        self.wave(good, end, &mut answer).await;
        let doubtful_end = end.min(Instant::now() + self.budget.request_timeout);
        self.wave(doubtful, doubtful_end, &mut answer).await;
        answer
    }

    async fn wave(self, targets: Vec<Target>, end: Instant, answer: &mut GroupsAnswer) {
        let ((mut descriptions, describing), (mut commits, reading_commits)) = tokio::join!(
            timed(
                self.fan_out(self.to_describe(&targets), end, async |groups| {
                    self.describe(groups, end).await
                })
            ),
            timed(self.fan_out(batches(targets.iter()), end, async |groups| {
                self.read_commits(groups, end).await
            })),
        );
        answer.describing += describing;
        answer.reading_commits += reading_commits;
        for target in targets {
            let Target { id, listed, .. } = target;
            let group = GroupAnswer {
                listed,
                description: match memberless(listed) {
                    Some(listed) => Described::Memberless(listed),
                    None => descriptions
                        .remove(&id)
                        .unwrap_or_else(|| Described::Failed(out_of_time())),
                },
                committed: commits.remove(&id).unwrap_or_else(|| Err(out_of_time())),
                seen: Seen::Compared,
            };
            answer.failures.extend(group.failures(&id));
            answer.groups.insert(id, group);
        }
    }

    fn to_describe(self, targets: &[Target]) -> Vec<Vec<GroupQuery>> {
        let asked = targets
            .iter()
            .filter(|target| memberless(target.listed).is_none());
        batches(asked)
    }

    async fn describe(self, groups: Vec<GroupQuery>, end: Instant) -> Vec<(GroupId, Described)> {
        let ids: Vec<GroupId> = groups.iter().map(|group| group.id.clone()).collect();
        let Some(limit) = self.budget.request(end) else {
            return all(ids, || Described::Failed(out_of_time()));
        };
        match within(limit, self.admin.describe_groups(&groups, limit)).await {
            Err(error) => all(ids, || Described::Failed(error.clone())),
            Ok(mut answers) => {
                let answer = |id: GroupId| {
                    let answer = answers.remove(&id).unwrap_or_else(|| Err(out_of_time()));
                    (id, Described::new(answer))
                };
                ids.into_iter().map(answer).collect()
            }
        }
    }

    async fn read_commits(
        self,
        groups: Vec<GroupQuery>,
        end: Instant,
    ) -> Vec<(GroupId, Result<FetchedCommits, KafkaError>)> {
        let ids: Vec<GroupId> = groups.into_iter().map(|group| group.id).collect();
        if self.named_partitions.is_some_and(<[_]>::is_empty) {
            return all(ids, || Ok(FetchedCommits::default()));
        }
        let Some(limit) = self.budget.request(end) else {
            return all(ids, || Err(out_of_time()));
        };
        let call = self
            .admin
            .committed_offsets(&ids, self.named_partitions, limit);
        match within(limit, call).await {
            Err(error) => all(ids, || Err(error.clone())),
            Ok(mut answers) => {
                let answer = |id: GroupId| {
                    let answer = match answers.remove(&id) {
                        None => Err(out_of_time()),
                        Some(Ok(commits)) => Ok(self.known.compare(&id, commits)),
                        Some(Err(error)) if error.code == ErrorCode::GROUP_ID_NOT_FOUND => {
                            Ok(FetchedCommits::default())
                        }
                        Some(Err(error)) => Err(error),
                    };
                    (id, answer)
                };
                ids.into_iter().map(answer).collect()
            }
        }
    }

    /// Calls `ask` for each batch, at most `max_in_flight` at a time, until `end`. A group that is missing was not answered.
    async fn fan_out<T, F>(
        self,
        batches: Vec<Vec<GroupQuery>>,
        end: Instant,
        ask: impl Fn(Vec<GroupQuery>) -> F,
    ) -> Map<GroupId, T>
    where
        F: Future<Output = Vec<(GroupId, T)>>,
    {
        let mut answers = Map::default();
        answers.reserve(batches.iter().map(Vec::len).sum());
        let calls = stream::iter(batches).map(ask);
        let mut calls = std::pin::pin!(calls.buffer_unordered(self.config.max_in_flight.max(1)));
        // A call that began in time ends within the grace of `within`.
        let end = end + super::GRACE;
        while let Ok(Some(answered)) = timeout_at(end, calls.next()).await {
            answers.extend(answered);
        }
        answers
    }
}

impl Described {
    fn new(answer: Result<GroupDescription, KafkaError>) -> Self {
        match answer {
            Ok(description) if description.state == GroupState::Dead => Self::NotFound,
            Ok(description) => Self::Answered(description),
            Err(error) if error.code == ErrorCode::GROUP_ID_NOT_FOUND => Self::NotFound,
            Err(error) if error.code.is_unsupported() => Self::Unsupported,
            Err(error) => Self::Failed(error),
        }
    }
}

/// Returns the groups in batches, each of one coordinator where that is known, so that a batch is one request.
fn batches<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<Vec<GroupQuery>> {
    let mut by_coordinator: BTreeMap<Option<BrokerId>, Vec<GroupQuery>> = BTreeMap::new();
    for Target { id, listed, .. } in targets {
        let query = GroupQuery {
            id: id.clone(),
            group_type: listed.map_or(GroupType::Unknown, |listed| listed.group_type),
        };
        let coordinator = listed.map(|listed| listed.coordinator);
        by_coordinator.entry(coordinator).or_default().push(query);
    }
    let groups = by_coordinator.values();
    groups
        .flat_map(|groups| groups.chunks(MOST_GROUPS))
        .map(<[_]>::to_vec)
        .collect()
}

/// Returns the same answer for all groups.
fn all<T>(groups: Vec<GroupId>, answer: impl Fn() -> T) -> Vec<(GroupId, T)> {
    groups.into_iter().map(|id| (id, answer())).collect()
}

impl GroupsAnswer {
    /// Returns whether any broker said anything.
    pub(in crate::collect) fn contact(&self) -> Contact {
        if self.groups.values().any(GroupAnswer::is_answered) {
            Contact::Made
        } else {
            Contact::None
        }
    }
}

impl GroupAnswer {
    /// Returns whether a broker said anything about the group.
    fn is_answered(&self) -> bool {
        let is_described = match &self.description {
            Described::Answered(_) | Described::NotFound => true,
            Described::Memberless(_) | Described::Unsupported => false,
            Described::Failed(error) => is_answer(error.code),
        };
        let is_read = match &self.committed {
            Ok(_) => true,
            Err(error) => is_answer(error.code),
        };
        is_described || is_read
    }

    /// Hands out the partitions that may be the group's by what was answered: those with a commit, and those assigned; some
    /// of them twice. `before` is its newest row.
    pub(in crate::collect) fn each_partition(
        &self,
        before: Option<&GroupRow>,
        mut partition: impl FnMut(&TopicPartition),
    ) {
        // Where nobody tells the members, a partition that was asked for by name may be theirs without a commit.
        let may_be_assigned = matches!(self.description, Described::Unsupported);
        if let Ok(read) = &self.committed {
            let row = before.filter(|_| !may_be_assigned);
            let is_ours = |(_, commit): &&(TopicPartition, Result<Committed, KafkaError>)| {
                may_be_assigned || !matches!(commit, Ok(Committed::Never))
            };
            match (row, read.changes()) {
                // What did not change since the row was made need not be decoded, where the row has all of it.
                (Some(row), Some(changes)) => {
                    row.partitions.iter().for_each(|row| partition(&row.id));
                    let changes = changes.iter().filter(is_ours);
                    changes.for_each(|(id, _)| partition(id));
                }
                _ => {
                    let commits = read.commits();
                    let commits = commits.iter().filter(is_ours);
                    commits.for_each(|(id, _)| partition(id));
                }
            }
        }
        if let Described::Answered(description) = &self.description {
            let members = description.members.iter();
            let assigned = members.flat_map(|member| &member.assignment);
            assigned.for_each(partition);
        }
    }

    /// Returns the calls that failed, and one failure for the partitions that did.
    fn failures(&self, id: &GroupId) -> Vec<Failure> {
        let failure = |operation, error: &KafkaError| {
            Failure::new(operation, Subject::Group(id.clone()), error)
        };
        let mut failures = Vec::new();
        if let Described::Failed(error) = &self.description {
            failures.push(failure(Operation::DescribeGroup, error));
        }
        match &self.committed {
            Err(error) => failures.push(failure(Operation::CommittedOffsets, error)),
            Ok(commits) => {
                failures.extend(
                    commits
                        .failure()
                        .map(|error| failure(Operation::CommittedOffsets, &error)),
                );
            }
        }
        failures
    }
}

/// Returns the listing of a group that, by it, has no members to describe.
fn memberless(listed: Option<Listed>) -> Option<Listed> {
    listed.filter(|listed| matches!(listed.state, GroupState::Empty | GroupState::Dead))
}

fn out_of_time() -> KafkaError {
    KafkaError {
        code: ErrorCode::TIMED_OUT,
        message: "the poll cycle had no time left to ask".to_owned(),
    }
}

async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let answer = call.await;
    (answer, start.elapsed())
}
