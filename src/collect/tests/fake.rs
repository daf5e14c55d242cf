//! A scripted cluster behind [`Admin`], and what it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::world::{Fault, Pace, World, partitions};
use crate::kafka::{
    Admin, Broker, CommittedOffsets, ErrorCode, GroupDescription, GroupQuery, KafkaError,
    ListedGroup, ListedOffset, Metadata, OffsetQuery, OffsetSpec, TopicSelection,
};
use crate::lag::{
    BrokerId, Committed, GroupId, Isolation, Offset, TopicId, TopicName, TopicPartition,
};
use crate::snapshot::GroupType;

/// The cluster; the test changes its [`World`] between cycles, or while one runs.
#[derive(Default)]
pub(super) struct FakeCluster {
    world: Mutex<World>,
    calls: Mutex<Vec<Call>>,
    groups_in_flight: Gauge,
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

    async fn describe(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<GroupDescription, KafkaError> {
        let id = group.to_string();
        let world = self.ask(Call::Describe(id.clone()));
        sleep(world.group_latency).await;
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
            protocol_type: "consumer".to_owned(),
            malformed: None,
            assignor: "range".to_owned(),
            coordinator: Some(BrokerId(group.coordinator)),
            members: group.members.clone(),
        })
    }

    async fn commits(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> Result<CommittedOffsets, KafkaError> {
        let id = group.to_string();
        let world = self.ask(Call::Commits(id.clone(), partitions.map(<[_]>::to_vec)));
        sleep(world.group_latency).await;
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
        let known = names.iter().filter(|name| {
            let name = name.as_str();
            world.topics.contains_key(name) && !world.faults.no_topic_ids
        });
        let topic_ids = known.filter_map(|name| {
            let renewals = world.renewals.get(name.as_str()).copied();
            let id = TopicId::from_bytes([renewals.unwrap_or_default() + 1; 16]);
            Some((name.clone(), id?))
        });
        let topic_ids = topic_ids.collect();
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
            topic_ids,
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
                None => Ok(world.listed(broker)),
            };
            answers.insert(broker, answer);
        }
        answers
    }

    async fn describe_groups(
        &self,
        groups: &[GroupQuery],
        timeout: Duration,
    ) -> BTreeMap<GroupId, Result<GroupDescription, KafkaError>> {
        let _guard = self.groups_in_flight.enter();
        let answers = groups.iter().map(async |query| {
            let answer = self.describe(&query.id, timeout).await;
            (query.id.clone(), answer)
        });
        join_all(answers).await.into_iter().collect()
    }

    async fn committed_offsets(
        &self,
        groups: &[GroupId],
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> BTreeMap<GroupId, Result<CommittedOffsets, KafkaError>> {
        let _guard = self.groups_in_flight.enter();
        let answers = groups.iter().map(async |group| {
            let answer = self.commits(group, partitions, timeout).await;
            (group.clone(), answer)
        });
        join_all(answers).await.into_iter().collect()
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
        let mut leaders = world.faults.leaders.values();
        let is_index = matches!(spec, OffsetSpec::Timestamp(_));
        if leaders.any(|fault| *fault == Fault::Silence) || is_index && world.faults.silent_index {
            sleep(timeout).await;
        }
        let answers = queries.into_iter().map(|query| {
            let answer = world.offset(&query, isolation);
            (query.partition, answer)
        });
        answers.collect()
    }

    async fn topic_configs(
        &self,
        topics: &[TopicName],
        _timeout: Duration,
    ) -> Result<BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>, KafkaError> {
        let world = self.world();
        match world.faults.configs {
            Some(code) => Err(KafkaError::of(code)),
            None => Ok(topics
                .iter()
                .map(|topic| (topic.clone(), Ok(world.configs.clone())))
                .collect()),
        }
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
