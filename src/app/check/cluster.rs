//! The check of one cluster: its client, its configuration and the results so far.

use std::time::Duration;

use super::grant;
use super::result::{CheckResult, CheckStatus};
use crate::app::config::ClusterConfig;
use crate::kafka::{Admin, KafkaAdmin, KafkaError, OffsetQuery, OffsetSpec, PartitionMetadata};
use crate::lag::{Isolation, Offset, TopicName, TopicPartition};

/// A cluster that is checked, and what was found.
pub(super) struct ClusterCheck<'a> {
    pub(super) admin: &'a KafkaAdmin,
    pub(super) cluster: &'a ClusterConfig,
    /// The deadline of each call.
    pub(super) limit: Duration,
    results: Vec<CheckResult>,
}

impl<'a> ClusterCheck<'a> {
    pub(super) fn new(admin: &'a KafkaAdmin, cluster: &'a ClusterConfig, limit: Duration) -> Self {
        Self {
            admin,
            cluster,
            limit,
            results: Vec::new(),
        }
    }

    /// Returns what was found, in the order of the checks.
    pub(super) fn into_results(self) -> Vec<CheckResult> {
        self.results
    }

    /// Adds a result.
    pub(super) fn add(&mut self, status: CheckStatus, text: String) {
        let text = match self.cluster.name() {
            Some(name) => format!("cluster `{name}`: {text}"),
            None => text,
        };
        self.results.push(CheckResult { status, text });
    }

    /// Adds that something is as it should be.
    pub(super) fn add_good(&mut self, text: String) {
        self.add(CheckStatus::Good, text);
    }

    /// Adds something worth knowing.
    pub(super) fn add_note(&mut self, text: String) {
        self.add(CheckStatus::Note, text);
    }

    /// Adds that there is no group, or no topic, to check.
    pub(super) fn add_nothing_seen(&mut self, noun: &str) {
        let text = format!(
            "no {noun} can be seen: there is none, the filter admits none, or Describe on the {noun}s is not granted"
        );
        self.add(CheckStatus::Missing, text);
    }

    /// Adds that something is missing, and where it is not granted, the command that grants `right`.
    pub(super) fn add_failure(&mut self, what: &str, error: &KafkaError, right: &str) {
        let hint = self.hint(error, right);
        self.add(CheckStatus::Missing, format!("{what}: {error}{hint}"));
    }

    /// Returns the command that grants `right`, where that is what is wrong.
    pub(super) fn hint(&self, error: &KafkaError, right: &str) -> String {
        if error.code.is_authorization() {
            format!("; grant it with {}", self.grant(right))
        } else {
            String::new()
        }
    }

    /// Returns the command that grants `right`.
    pub(super) fn grant(&self, right: &str) -> String {
        grant::command(&self.cluster.connection, right)
    }

    /// Asks for the end of one log; absent where the broker names none.
    pub(super) async fn log_end(
        &self,
        query: OffsetQuery,
        isolation: Isolation,
    ) -> Result<Option<Offset>, KafkaError> {
        let answers = self.admin.list_offsets(vec![query], isolation, self.limit);
        match answers.await.into_iter().next() {
            Some((_, listed)) => Ok(listed?.offset),
            None => Ok(None),
        }
    }
}

/// Returns the question for the log end of a topic's first partition that has a leader.
pub(super) fn log_end_query(
    topic: &TopicName,
    partitions: &[PartitionMetadata],
) -> Option<OffsetQuery> {
    partitions.iter().find_map(|partition| {
        Some(OffsetQuery {
            partition: TopicPartition {
                topic: topic.clone(),
                partition: partition.id,
            },
            leader: partition.leader?,
            spec: OffsetSpec::Latest,
        })
    })
}
