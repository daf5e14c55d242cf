//! Phase 1: brokers, topics and leaders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::super::config::PollConfig;
use super::super::failure::{Failure, Operation, Subject};
use super::{Budget, within};
use crate::kafka::{
    Admin, Broker, ErrorCode, KafkaError, Metadata, PartitionMetadata, TopicSelection,
};
use crate::lag::{PartitionId, TopicId, TopicName, TopicPartition};

/// Brokers and watched topics as one metadata answer names them.
#[derive(Debug)]
pub(in crate::collect) struct Topology {
    /// When it was read.
    pub(in crate::collect) measured: Instant,
    /// The brokers, by id.
    pub(in crate::collect) brokers: Vec<Broker>,
    /// The watched topics that exist; an error where one could not be read.
    pub(in crate::collect) topics: BTreeMap<TopicName, Result<Vec<PartitionMetadata>, KafkaError>>,
    /// The ids of watched topics, as far as they have one.
    pub(in crate::collect) topic_ids: BTreeMap<TopicName, TopicId>,
}

/// Whether a cycle has a topology of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collect) enum Currency {
    /// Read in this cycle, whole: a topic it does not name does not exist.
    Current,
    /// Of an earlier cycle, because this one's could not be read.
    Kept,
}

/// What phase 1 found.
#[derive(Debug)]
pub(in crate::collect) struct TopologyAnswer {
    /// The newest topology; nothing where none was ever read.
    pub(in crate::collect) topology: Option<Arc<Topology>>,
    pub(in crate::collect) currency: Currency,
    pub(in crate::collect) failures: Vec<Failure>,
}

/// Reads the topology; where that fails, the one before goes on being used.
///
/// One hung broker may cost the metadata call while all others answer, so a cycle goes on without it.
pub(in crate::collect) async fn fetch(
    admin: &dyn Admin,
    config: &PollConfig,
    budget: Budget,
    previous: Option<&Arc<Topology>>,
) -> TopologyAnswer {
    let selection = if config.topic_names.is_empty() {
        TopicSelection::All
    } else {
        TopicSelection::Named(&config.topic_names)
    };
    let limit = budget.request_timeout;
    let answer = within(limit, admin.metadata(selection, limit))
        .await
        .and_then(|answer| answer);
    let measured = tokio::time::Instant::now().into_std();
    let answer = answer.and_then(|metadata| doubt(metadata, config, measured, previous));
    match answer {
        Ok(metadata) => {
            let failures = topic_failures(&metadata, config);
            let topology = Topology::new(metadata, config, measured, previous.map(Arc::as_ref));
            TopologyAnswer {
                topology: Some(Arc::new(topology)),
                currency: Currency::Current,
                failures,
            }
        }
        Err(error) => TopologyAnswer {
            topology: previous.cloned(),
            currency: Currency::Kept,
            failures: vec![Failure::new(Operation::Metadata, Subject::Cluster, &error)],
        },
    }
}

/// Refuses an answer that is empty where it cannot well be.
///
/// A cluster without brokers gave no answer, and one whose topics are all gone at once is believed only when what
/// was known of them is too old to be shown anyway.
fn doubt(
    metadata: Metadata,
    config: &PollConfig,
    now: Instant,
    previous: Option<&Arc<Topology>>,
) -> Result<Metadata, KafkaError> {
    let forgets_all_topics = metadata.topics.is_empty()
        && previous.is_some_and(|previous| {
            !previous.topics.is_empty()
                && now.saturating_duration_since(previous.measured) <= config.stale_after
        });
    let (code, missing) = if metadata.brokers.is_empty() {
        (ErrorCode::ALL_BROKERS_DOWN, "broker")
    } else if forgets_all_topics {
        (ErrorCode::UNKNOWN_TOPIC_OR_PART, "topic")
    } else {
        return Ok(metadata);
    };
    Err(KafkaError {
        code,
        message: format!("the metadata names no {missing}"),
    })
}

/// Returns whether the error says that there is no such topic.
fn is_missing(error: &KafkaError) -> bool {
    matches!(
        error.code,
        ErrorCode::UNKNOWN_TOPIC_OR_PART | ErrorCode::UNKNOWN_TOPIC
    )
}

/// Returns a failure for each watched topic that exists but could not be read.
fn topic_failures(metadata: &Metadata, config: &PollConfig) -> Vec<Failure> {
    let unreadable = metadata.topics.iter().filter_map(|(topic, partitions)| {
        let error = partitions.as_ref().err()?;
        (config.watches_topic(topic.as_str()) && !is_missing(error)).then_some((topic, error))
    });
    unreadable
        .map(|(topic, error)| {
            Failure::new(Operation::Metadata, Subject::Topic(topic.clone()), error)
        })
        .collect()
}

/// Returns the partitions by number, each without a leader that is not among the live brokers and cannot be asked.
fn alive(mut partitions: Vec<PartitionMetadata>, brokers: &[Broker]) -> Vec<PartitionMetadata> {
    partitions.sort_by_key(|partition| partition.id);
    for partition in &mut partitions {
        partition.leader = partition.leader.filter(|leader| {
            let found = brokers.binary_search_by_key(leader, |broker| broker.id);
            found.is_ok()
        });
    }
    partitions
}

impl Topology {
    /// Keeps the watched topics that exist, under the names `previous` already holds.
    fn new(
        metadata: Metadata,
        config: &PollConfig,
        measured: Instant,
        previous: Option<&Self>,
    ) -> Self {
        let Metadata {
            mut brokers,
            topics,
            mut topic_ids,
        } = metadata;
        brokers.sort_by_key(|broker| broker.id);
        topic_ids.retain(|topic, _| config.watches_topic(topic.as_str()));
        let topics = topics
            .into_iter()
            .filter(|(topic, partitions)| {
                config.watches_topic(topic.as_str()) && !partitions.as_ref().is_err_and(is_missing)
            })
            .map(|(topic, partitions)| {
                let known = previous.and_then(|previous| previous.name(&topic).cloned());
                let partitions = partitions.map(|partitions| alive(partitions, &brokers));
                (known.unwrap_or(topic), partitions)
            })
            .collect();
        Self {
            measured,
            brokers,
            topics,
            topic_ids,
        }
    }

    /// Returns the allocation of the name that the topology holds, so that rows can share it.
    pub(in crate::collect) fn name(&self, topic: &TopicName) -> Option<&TopicName> {
        self.topics.get_key_value(topic).map(|(name, _)| name)
    }

    /// Returns the metadata of one partition, where its topic could be read and has it.
    pub(in crate::collect) fn partition(
        &self,
        topic: &TopicName,
        partition: PartitionId,
    ) -> Option<&PartitionMetadata> {
        let partitions = self.topics.get(topic)?.as_ref().ok()?;
        let index = partitions.binary_search_by_key(&partition, |known| known.id);
        index.ok().map(|index| &partitions[index])
    }

    /// Returns how many partitions a topic has; nothing where that is not known.
    pub(in crate::collect) fn partition_count(&self, topic: &TopicName) -> Option<usize> {
        Some(self.topics.get(topic)?.as_ref().ok()?.len())
    }

    /// Returns whether it has the same topics as `other`, each with as many partitions.
    pub(in crate::collect) fn has_same_partitions(&self, other: &Self) -> bool {
        let counts = |topology: &Self| {
            let topics = topology.topics.iter();
            let counts = topics
                .map(|(name, partitions)| (name.clone(), partitions.as_ref().ok().map(Vec::len)));
            counts.collect::<Vec<_>>()
        };
        counts(self) == counts(other)
    }

    /// Returns every partition of the topics that could be read, by topic and number.
    pub(in crate::collect) fn partitions(
        &self,
    ) -> impl Iterator<Item = (TopicPartition, &PartitionMetadata)> {
        let readable = self
            .topics
            .iter()
            .filter_map(|(topic, partitions)| Some((topic, partitions.as_ref().ok()?)));
        readable.flat_map(|(topic, partitions)| {
            partitions.iter().map(|partition| {
                let id = TopicPartition {
                    topic: topic.clone(),
                    partition: partition.id,
                };
                (id, partition)
            })
        })
    }
}
