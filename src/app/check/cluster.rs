//! The check of one cluster: its client, its configuration and the results so far.

use std::time::Duration;

use super::grant;
use super::result::{CheckResult, CheckStatus};
use crate::app::config::ClusterConfig;
use crate::kafka::{KafkaAdmin, KafkaError};

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
}
