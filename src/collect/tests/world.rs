//! What a scripted cluster holds, how it misbehaves, and what it would answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::sleep;

use crate::kafka::{
    ErrorCode, KafkaError, ListedGroup, ListedOffset, OffsetQuery, OffsetSpec, PartitionMetadata,
};
use crate::lag::{BrokerId, Isolation, Offset, PartitionId, TopicPartition};
use crate::snapshot::{GroupState, GroupType, Member};

/// What the cluster holds and how it misbehaves.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) brokers: BTreeSet<i32>,
    pub(super) topics: BTreeMap<&'static str, Vec<Log>>,
    pub(super) groups: BTreeMap<String, Group>,
    /// The configs of every topic.
    pub(super) configs: BTreeMap<String, String>,
    /// Topics by how often they were made anew; the others never were.
    pub(super) renewals: BTreeMap<&'static str, u8>,
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
    /// Whether brokers leave ListOffsets for a timestamp without an answer.
    pub(super) silent_index: bool,
    pub(super) configs: Option<ErrorCode>,
    /// Whether topics have no ids, as before Kafka 2.8.
    pub(super) no_topic_ids: bool,
    pub(super) stable: Option<ErrorCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Answers at once with this error.
    Error(ErrorCode),
    /// Never answers; the call ends by its deadline.
    Silence,
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

    /// Moves all logs and commits on.
    pub(super) fn advance(&mut self) {
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

    fn log_of(&self, id: &TopicPartition) -> Option<&Log> {
        let partition = usize::try_from(id.partition.0).ok()?;
        self.topics.get(id.topic.as_str())?.get(partition)
    }

    /// Returns what the broker lists: the groups it coordinates, and remnants.
    pub(super) fn listed(&self, broker: BrokerId) -> Vec<ListedGroup> {
        let entry = |id: &String, state| ListedGroup {
            id: id.as_str().into(),
            state,
            group_type: GroupType::Classic,
            protocol_type: "consumer".to_owned(),
        };
        let own = self
            .groups
            .iter()
            .filter(|(id, group)| {
                group.coordinator == broker.0 && !self.faults.unlisted.contains(*id)
            })
            .map(|(id, group)| entry(id, group.state));
        let remnants = self
            .faults
            .remnants
            .iter()
            .filter(|(_, (at, _))| *at == broker.0)
            .map(|(id, (_, state))| entry(id, *state));
        own.chain(remnants).collect()
    }

    /// Returns the answer of the partition's leader.
    pub(super) fn offset(
        &self,
        query: &OffsetQuery,
        isolation: Isolation,
    ) -> Result<ListedOffset, KafkaError> {
        let faults = &self.faults;
        let log = self
            .log_of(&query.partition)
            .ok_or_else(|| KafkaError::of(ErrorCode::UNKNOWN_TOPIC_OR_PART))?;
        match faults.leaders.get(&query.leader.0) {
            Some(Fault::Silence) => return Err(KafkaError::of(ErrorCode::TIMED_OUT)),
            Some(Fault::Error(code)) => return Err(KafkaError::of(*code)),
            None => {}
        }
        let (raw, fault) = match (query.spec, isolation) {
            (OffsetSpec::Earliest, _) => (log.start, faults.starts),
            // Its records have no timestamps.
            (OffsetSpec::Timestamp(_), _) => (-1, None),
            (_, Isolation::ReadCommitted) => (log.stable, faults.stable),
            (_, Isolation::ReadUncommitted) => {
                (log.end, faults.end_of.get(&query.partition).copied())
            }
        };
        match fault {
            Some(code) => Err(KafkaError::of(code)),
            None => Ok(ListedOffset {
                offset: Offset::new(raw),
                timestamp_ms: None,
            }),
        }
    }
}

impl Fault {
    /// Returns the error, when it would come.
    pub(super) async fn strike(self, timeout: Duration) -> KafkaError {
        match self {
            Self::Error(code) => KafkaError::of(code),
            Self::Silence => {
                sleep(timeout).await;
                KafkaError::of(ErrorCode::TIMED_OUT)
            }
        }
    }
}

/// Returns the metadata of a topic of these logs.
pub(super) fn partitions(logs: &[Log]) -> Vec<PartitionMetadata> {
    let partition = |(log, number): (&Log, i32)| PartitionMetadata {
        id: PartitionId(number),
        leader: log.leader.map(BrokerId),
        replicas: log.leader.map(BrokerId).into_iter().collect(),
        in_sync: log.leader.map(BrokerId).into_iter().collect(),
    };
    logs.iter().zip(0..).map(partition).collect()
}
