//! What a poller is told: which cluster, which groups and topics, how often and how patiently.

use std::time::{Duration, Instant};

use super::filter::{Filter, Patterns};
use crate::lag::{ClusterName, GroupId, Isolation, Share, TopicName, UncommittedPolicy};
use crate::snapshot::Exposure;

/// The settings of one cluster's poller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollConfig {
    /// The cluster's name, where it has one.
    pub cluster: Option<ClusterName>,
    /// From the start of one cycle to the start of the next. More than 0.
    pub poll_interval: Duration,
    /// The most one request may take; a whole cycle takes at most [`PollConfig::cycle_limit`]. More than 0.
    pub request_timeout: Duration,
    /// How long a last good figure may be shown after it was measured.
    pub stale_after: Duration,
    /// Which of the listed groups are watched.
    pub groups: Filter,
    /// Groups to watch without listing any; `groups` is not asked then. Empty: the cluster's groups are listed.
    pub group_names: Vec<GroupId>,
    /// Which of the cluster's topics are watched.
    pub topics: Filter,
    /// Topics to watch without asking for others; `topics` is not asked then, and every commit request names
    /// their partitions. Empty: the cluster's topics are read.
    pub topic_names: Vec<TopicName>,
    /// Which of the groups and topics that are watched are this replica's. Where a group of replicas shares them out,
    /// it is what the group has assigned.
    pub share: Share,
    /// Which logs are read.
    pub logs: LogScope,
    /// What counts as lag where a group never committed.
    pub uncommitted: UncommittedPolicy,
    /// Groups whose lag is measured to the last stable offset.
    pub read_committed: Patterns,
    /// The most describe requests, and the most commit requests, under way at once. 0 counts as 1.
    pub max_in_flight: usize,
    /// How often in one cycle brokers may be asked to search their time index, where a group stands at a record that is
    /// older than what was seen of its log. Each time costs up to four requests a broker.
    pub index_rounds: usize,
    /// How much of each snapshot becomes series.
    pub exposure: Exposure,
    /// Whether `__consumer_offsets` is followed.
    pub mode: Mode,
    /// How often what is followed is compared with what coordinators say. More than 0.
    pub reconcile_interval: Duration,
}

/// Whether `__consumer_offsets` is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Where it may be read, unless groups are named, for whom little has to be asked; else coordinators are polled.
    #[default]
    Auto,
    /// Coordinators are polled.
    Poll,
    /// It is followed; where it may not be read, that is a warning, and coordinators are polled meanwhile.
    Stream,
}

/// Whose logs are asked where they begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogScope {
    /// Every partition of every watched topic, read by a group or not: topics have series of their own.
    #[default]
    Topics,
    /// The partitions of the watched groups alone; the topics' rows have no watermarks besides.
    Groups,
}

impl Default for PollConfig {
    fn default() -> Self {
        let poll_interval = Duration::from_secs(10);
        Self {
            cluster: None,
            poll_interval,
            request_timeout: Duration::from_secs(5),
            stale_after: 3 * poll_interval,
            groups: Filter::default(),
            group_names: Vec::new(),
            topics: Filter::default(),
            topic_names: Vec::new(),
            share: Share::default(),
            logs: LogScope::default(),
            uncommitted: UncommittedPolicy::default(),
            read_committed: Patterns::default(),
            max_in_flight: 64,
            index_rounds: 8,
            exposure: Exposure::default(),
            mode: Mode::default(),
            reconcile_interval: Duration::from_secs(300),
        }
    }
}

impl PollConfig {
    /// Returns the most a whole cycle may take: four request timeouts, or the poll interval where that is longer.
    pub fn cycle_limit(&self) -> Duration {
        self.poll_interval.max(4 * self.request_timeout)
    }

    /// Returns whether something measured at `measured` may still be shown.
    pub(super) fn is_fresh(&self, measured: Instant, now: Instant) -> bool {
        now.saturating_duration_since(measured) <= self.stale_after
    }

    /// Returns whether `__consumer_offsets` is to be followed.
    pub(super) fn follows(&self) -> bool {
        match self.mode {
            Mode::Auto => self.group_names.is_empty(),
            Mode::Poll => false,
            Mode::Stream => true,
        }
    }

    /// Returns the cluster's name for log lines; empty where it has none.
    pub(super) fn cluster_label(&self) -> &str {
        self.cluster.as_ref().map_or("", ClusterName::as_str)
    }

    /// Returns whether a topic of this name is watched, by this replica or, for the groups of this one, by another.
    pub(super) fn watches_topic(&self, topic: &str) -> bool {
        if self.topic_names.is_empty() {
            self.topics.admits(topic)
        } else {
            self.topic_names.iter().any(|name| name.as_str() == topic)
        }
    }

    /// Returns whether a group of this id is watched, by this replica.
    pub(super) fn watches_group(&self, group: &GroupId) -> bool {
        let is_watched = if self.group_names.is_empty() {
            self.groups.admits(group.as_str())
        } else {
            self.group_names.contains(group)
        };
        is_watched && self.share.owns(group.as_str())
    }

    /// Returns how far the group's consumers read.
    pub(super) fn isolation(&self, group: &GroupId) -> Isolation {
        if self.read_committed.matches(group.as_str()) {
            Isolation::ReadCommitted
        } else {
            Isolation::ReadUncommitted
        }
    }
}
