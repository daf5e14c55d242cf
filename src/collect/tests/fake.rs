//! A scripted cluster behind [`Admin`]: what it holds, what fails, and what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use crate::kafka::{
    Admin, Broker, ErrorCode, GroupDescription, KafkaError, ListedGroup, ListedOffset, Metadata,
    OffsetQuery, OffsetSpec, PartitionMetadata, TopicSelection,
};
use crate::lag::{BrokerId, Committed, GroupId, Isolation, Offset, TopicName, TopicPartition};
use crate::snapshot::{GroupState, GroupType, Member};

/// The cluster; the test changes its [`World`] between cycles, or while one runs.
#[derive(Default)]
pub(super) struct FakeCluster {
    world: Mutex<World>,
    calls: Mutex<Vec<Call>>,
    groups_in_flight: Gauge,
}

/// What the cluster holds and how it misbehaves.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) brokers: BTreeSet<i32>,
    pub(super) topics: BTreeMap<&'static str, Vec<Log>>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) faults: Faults,
    /// How long each describe and commit request takes.
    pub(super) group_latency: Duration,
    /// Whether every question moves all logs and commits on, as a busy consumer that keeps up does.
    pub(super) pace: Pace,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pace {
    #[default]
    Still,
    Busy,
}

/// One partition's log.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) leader: Option<i32>,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) stable: i64,
}

#[derive(Clone)]
pub(super) struct Group {
    pub(super) coordinator: i32,
    pub(super) state: GroupState,
    pub(super) members: Vec<Member>,
    pub(super) commits: BTreeMap<TopicPartition, i64>,
}

#[derive(Clone, Default)]
pub(super) struct Faults {
    pub(super) metadata: Option<Fault>,
    pub(super) topics: BTreeMap<&'static str, ErrorCode>,
    pub(super) listing: BTreeMap<i32, Fault>,
    /// Groups that no listing names although their coordinator knows them.
    pub(super) unlisted: BTreeSet<String>,
    /// A group that one more broker lists, in this state.
    pub(super) remnants: BTreeMap<String, (i32, GroupState)>,
    pub(super) describe: BTreeMap<String, Fault>,
    pub(super) describe_all: Option<Fault>,
    pub(super) commits: BTreeMap<String, Fault>,
    pub(super) commit_of: BTreeMap<TopicPartition, ErrorCode>,
    pub(super) leaders: BTreeMap<i32, Fault>,
    pub(super) end_of: BTreeMap<TopicPartition, ErrorCode>,
    pub(super) starts: Option<ErrorCode>,
    pub(super) stable: Option<ErrorCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Answers at once with this error.
    Error(ErrorCode),
    /// Never answers; the call ends by its deadline.
    Silence,
}

/// A question the cluster was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Metadata,
    ListGroups(Vec<i32>),
    Describe(String),
    Commits(String, Option<Vec<TopicPartition>>),
    Offsets(OffsetSpec, Isolation, Vec<TopicPartition>),
}

/// The most of something at once.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl FakeCluster {
    /// Returns a cluster of the brokers 1, 2 and 3 without topics.
    pub(super) fn new() -> Self {
        let cluster = Self::default();
        cluster.world().brokers = BTreeSet::from([1, 2, 3]);
        cluster
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world
            .lock()
            .expect("no test panics while it holds this")
    }

    /// Returns what was asked since the last time, in order.
    pub(super) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(
            &mut *self
                .calls
                .lock()
                .expect("no test panics while it holds this"),
        )
    }

    /// Returns the most describe and commit requests that were under way at once.
    pub(super) fn most_groups_in_flight(&self) -> usize {
        self.groups_in_flight.most.load(Ordering::SeqCst)
    }

    fn ask(&self, call: Call) -> World {
        self.calls
            .lock()
            .expect("no test panics while it holds this")
            .push(call);
        let mut world = self.world();
        if world.pace == Pace::Busy {
            world.advance();
        }
        world.clone()
    }

    async fn group_answer(&self, world: &World) {
        let _guard = self.groups_in_flight.enter();
        sleep(world.group_latency).await;
    }
}

impl World {
    /// Adds a topic whose partitions are led by the brokers 1, 2, 3, 1 and so on, each log from 0 to `end`.
    pub(super) fn topic(&mut self, name: &'static str, partitions: usize, end: i64) {
        let log = |leader| Log {
            leader: Some(leader),
            start: 0,
            end,
            stable: end,
        };
        let leaders = [1, 2, 3].into_iter().cycle();
        self.topics
            .insert(name, leaders.take(partitions).map(log).collect());
    }

    pub(super) fn log(&mut self, topic: &str, partition: usize) -> &mut Log {
        &mut self.topics.get_mut(topic).expect("the topic was added")[partition]
    }

    /// Adds a stable group with these commits and no members, coordinated by `coordinator`.
    pub(super) fn group(&mut self, id: &str, coordinator: i32, commits: &[(&str, i32, i64)]) {
        let commits = commits
            .iter()
            .map(|&(topic, partition, at)| (TopicPartition::new(topic, partition), at));
        let group = Group {
            coordinator,
            state: GroupState::Stable,
            members: Vec::new(),
            commits: commits.collect(),
        };
        self.groups.insert(id.to_owned(), group);
    }

    pub(super) fn group_mut(&mut self, id: &str) -> &mut Group {
        self.groups.get_mut(id).expect("the group was added")
    }

    /// Gives the group one member more, which owns these partitions.
    pub(super) fn member(&mut self, group: &str, member: &str, owns: &[(&str, i32)]) {
        let assignment = owns
            .iter()
            .map(|&(topic, partition)| TopicPartition::new(topic, partition));
        let member = Member {
            id: member.into(),
            client_id: "client".into(),
            host: "/127.0.0.1".into(),
            instance_id: None,
            assignment: assignment.collect(),
        };
        self.group_mut(group).members.push(member);
    }

    fn advance(&mut self) {
        for log in self.topics.values_mut().flatten() {
            log.end += 100;
            log.stable = log.end;
        }
        for group in self.groups.values_mut() {
            for at in group.commits.values_mut() {
                *at += 100;
            }
        }
    }

    fn leader(&self, id: &TopicPartition) -> Option<&Log> {
        let partition = usize::try_from(id.partition.0).ok()?;
        self.topics.get(id.topic.as_str())?.get(partition)
    }
}

impl Fault {
    async fn strike(self, timeout: Duration) -> KafkaError {
        match self {
            Self::Error(code) => KafkaError::of(code),
            Self::Silence => {
                sleep(timeout).await;
                KafkaError::of(ErrorCode::TIMED_OUT)
            }
        }
    }
}

#[async_trait]
impl Admin for FakeCluster {
    async fn metadata(
        &self,
        topics: TopicSelection<'_>,
        timeout: Duration,
    ) -> Result<Metadata, KafkaError> {
        let world = self.ask(Call::Metadata);
        if let Some(fault) = world.faults.metadata {
            return Err(fault.strike(timeout).await);
        }
        let brokers = world.brokers.iter().map(|&id| Broker {
            id: BrokerId(id),
            host: format!("kafka-{id}"),
            port: 9092,
        });
        let names: Vec<TopicName> = match topics {
            TopicSelection::All => world.topics.keys().map(|&name| name.into()).collect(),
            TopicSelection::Named(names) => names.to_vec(),
        };
        let topics = names.into_iter().map(|name| {
            let fault = world.faults.topics.get(name.as_str()).copied();
            let logs = world.topics.get(name.as_str());
            let partitions = match (fault, logs) {
                (Some(code), _) => Err(KafkaError::of(code)),
                (None, None) => Err(KafkaError::of(ErrorCode::UNKNOWN_TOPIC_OR_PART)),
                (None, Some(logs)) => Ok(partitions(logs)),
            };
            (name, partitions)
        });
        Ok(Metadata {
            topics: topics.collect(),
            brokers: brokers.collect(),
        })
    }

    async fn list_groups(
        &self,
        brokers: &[BrokerId],
        timeout: Duration,
    ) -> BTreeMap<BrokerId, Result<Vec<ListedGroup>, KafkaError>> {
        let world = self.ask(Call::ListGroups(
            brokers.iter().map(|broker| broker.0).collect(),
        ));
        let mut answers = BTreeMap::new();
        for &broker in brokers {
            let answer = match world.faults.listing.get(&broker.0) {
                Some(fault) => Err(fault.strike(timeout).await),
                None => Ok(listed(&world, broker)),
            };
            answers.insert(broker, answer);
        }
        answers
    }

    async fn describe_group(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<GroupDescription, KafkaError> {
        let id = group.to_string();
        let world = self.ask(Call::Describe(id.clone()));
        self.group_answer(&world).await;
        let fault = world.faults.describe.get(&id).copied();
        if let Some(fault) = fault.or(world.faults.describe_all) {
            return Err(fault.strike(timeout).await);
        }
        let Some(group) = world.groups.get(&id) else {
            return Err(KafkaError::of(ErrorCode::GROUP_ID_NOT_FOUND));
        };
        Ok(GroupDescription {
            state: group.state,
            group_type: GroupType::Classic,
            assignor: "range".to_owned(),
            coordinator: Some(BrokerId(group.coordinator)),
            members: group.members.clone(),
        })
    }

    async fn committed_offsets(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> Result<Vec<(TopicPartition, Result<Committed, KafkaError>)>, KafkaError> {
        let id = group.to_string();
        let world = self.ask(Call::Commits(id.clone(), partitions.map(<[_]>::to_vec)));
        self.group_answer(&world).await;
        if let Some(fault) = world.faults.commits.get(&id) {
            return Err(fault.strike(timeout).await);
        }
        let commits = world
            .groups
            .get(&id)
            .map(|group| group.commits.clone())
            .unwrap_or_default();
        let answer = |id: TopicPartition| {
            let committed = commits.get(&id).and_then(|&at| Offset::new(at));
            let answer = match world.faults.commit_of.get(&id) {
                Some(&code) => Err(KafkaError::of(code)),
                None => Ok(committed.map_or(Committed::Never, Committed::At)),
            };
            (id, answer)
        };
        let asked = partitions.map_or_else(|| commits.keys().cloned().collect(), <[_]>::to_vec);
        Ok(asked.into_iter().map(answer).collect())
    }

    async fn list_offsets(
        &self,
        queries: Vec<OffsetQuery>,
        isolation: Isolation,
        timeout: Duration,
    ) -> Vec<(TopicPartition, Result<ListedOffset, KafkaError>)> {
        let spec = queries[0].spec;
        let mut asked: Vec<_> = queries
            .iter()
            .map(|query| query.partition.clone())
            .collect();
        asked.sort();
        let world = self.ask(Call::Offsets(spec, isolation, asked));
        if world
            .faults
            .leaders
            .values()
            .any(|fault| *fault == Fault::Silence)
        {
            sleep(timeout).await;
        }
        let answers = queries.into_iter().map(|query| {
            let answer = offset(&world, &query, isolation);
            (query.partition, answer)
        });
        answers.collect()
    }

    async fn topic_configs(
        &self,
        _topics: &[TopicName],
        _timeout: Duration,
    ) -> Result<BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>, KafkaError> {
        Ok(BTreeMap::new())
    }
}

fn partitions(logs: &[Log]) -> Vec<PartitionMetadata> {
    let partition = |(log, number): (&Log, i32)| PartitionMetadata {
        id: crate::lag::PartitionId(number),
        leader: log.leader.map(BrokerId),
        replicas: log.leader.map(BrokerId).into_iter().collect(),
        in_sync: log.leader.map(BrokerId).into_iter().collect(),
    };
    logs.iter().zip(0..).map(partition).collect()
}

fn listed(world: &World, broker: BrokerId) -> Vec<ListedGroup> {
    let entry = |id: &String, state| ListedGroup {
        id: id.as_str().into(),
        state,
        group_type: GroupType::Classic,
        is_simple: false,
    };
    let own = world
        .groups
        .iter()
        .filter(|(id, group)| group.coordinator == broker.0 && !world.faults.unlisted.contains(*id))
        .map(|(id, group)| entry(id, group.state));
    let remnants = world
        .faults
        .remnants
        .iter()
        .filter(|(_, (at, _))| *at == broker.0)
        .map(|(id, (_, state))| entry(id, *state));
    own.chain(remnants).collect()
}

fn offset(
    world: &World,
    query: &OffsetQuery,
    isolation: Isolation,
) -> Result<ListedOffset, KafkaError> {
    let faults = &world.faults;
    let log = world
        .leader(&query.partition)
        .ok_or_else(|| KafkaError::of(ErrorCode::UNKNOWN_TOPIC_OR_PART))?;
    match faults.leaders.get(&query.leader.0) {
        Some(Fault::Silence) => return Err(KafkaError::of(ErrorCode::TIMED_OUT)),
        Some(Fault::Error(code)) => return Err(KafkaError::of(*code)),
        None => {}
    }
    let (raw, fault) = match (query.spec, isolation) {
        (OffsetSpec::Earliest, _) => (log.start, faults.starts),
        (_, Isolation::ReadCommitted) => (log.stable, faults.stable),
        (_, Isolation::ReadUncommitted) => (log.end, faults.end_of.get(&query.partition).copied()),
    };
    match fault {
        Some(code) => Err(KafkaError::of(code)),
        None => Ok(ListedOffset {
            offset: Offset::new(raw),
            timestamp_ms: None,
        }),
    }
}

impl Gauge {
    fn enter(&self) -> InFlight<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        InFlight(self)
    }
}

struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}
