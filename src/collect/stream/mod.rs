//! Following `__consumer_offsets`: every commit and every rebalance of every group, as it happens.
//!
//! First the ends of the topic's partitions are listed, then coordinators are asked about every group, then the topic
//! is read from these ends on. The records of a group replace its coordinator once everything was read that had been
//! written when the coordinator answered. Until then, and whenever the partition cannot be followed, the coordinator is
//! asked.

mod check;
mod commits;
mod follower;
mod members;
mod progress;
mod state;
mod topic;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

pub(in crate::collect) use self::follower::{ChangedGroup, Follower};
pub use self::topic::TOPIC;
pub(in crate::collect) use self::topic::partition_count;

use self::progress::TopicProgress;
use self::topic::{PartitionLeaders, TopicTrouble};
use super::config::{Mode, PollConfig};
use super::fetch::Budget;
use crate::kafka::{Admin, ConnectionError, Log};
use crate::lag::{Isolation, Offset, PartitionId};
use crate::metrics::ClusterMetrics;
use crate::snapshot::{CollectMode, EventWriter};

/// How long to poll after the topic was refused, until following it is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(300);

/// The least time between two reports of changes.
const CHANGES_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait after a first change for the other records of the same fetch.
const FETCH_WINDOW: Duration = Duration::from_millis(5);

/// Opens the topic's log.
#[derive(Clone)]
pub struct LogSource(Arc<dyn Fn() -> Result<Box<dyn Log>, ConnectionError> + Send + Sync>);

/// Follows the topic of one cluster, if the mode asks for it and the cluster allows it.
#[derive(Debug)]
pub(in crate::collect) struct Stream {
    source: Option<LogSource>,
    follower: Option<Follower>,
    leaders: PartitionLeaders,
    refused_at: Option<Instant>,
    /// The reason for polling that was logged last.
    logged_reason: Option<String>,
    reconciled_at: Option<Instant>,
    /// When changes were last reported.
    changed_at: Option<Instant>,
    events: Option<EventWriter>,
    metrics: ClusterMetrics,
}

impl LogSource {
    /// Returns a source that calls `open` whenever the topic is to be followed.
    pub fn new(
        open: impl Fn() -> Result<Box<dyn Log>, ConnectionError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSource").finish_non_exhaustive()
    }
}

impl Stream {
    pub(in crate::collect) fn new(metrics: ClusterMetrics) -> Self {
        Self {
            source: None,
            follower: None,
            leaders: PartitionLeaders::default(),
            refused_at: None,
            logged_reason: None,
            reconciled_at: None,
            changed_at: None,
            events: None,
            metrics,
        }
    }

    pub(in crate::collect) fn set_source(&mut self, source: LogSource) {
        self.source = Some(source);
    }

    pub(in crate::collect) fn report_to(&mut self, events: EventWriter) {
        self.events = Some(events);
    }

    pub(in crate::collect) fn follower(&self) -> Option<&Follower> {
        self.follower.as_ref()
    }

    pub(in crate::collect) fn follower_mut(&mut self) -> Option<&mut Follower> {
        self.follower.as_mut()
    }

    /// Returns how the cluster is collected.
    pub(in crate::collect) fn mode(&self) -> CollectMode {
        match &self.follower {
            None => CollectMode::Poll,
            Some(follower) => {
                let now = Instant::now().into_std();
                let (live, behind) = follower.progress().live_and_behind(now);
                CollectMode::Stream { live, behind }
            }
        }
    }

    /// Starts to follow the partitions that are not followed yet. Called at the start of a cycle, so that the cycle's
    /// answers are newer than where the reading starts.
    pub(in crate::collect) async fn begin(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
    ) {
        if self.source.is_none() || !config.follows() {
            return;
        }
        self.drop_refused_follower(config);
        let now = Instant::now();
        if self.refused_at.is_some_and(|at| now < at + RETRY_INTERVAL) {
            return;
        }
        match topic::partitions(admin, budget).await {
            Ok(leaders) => self.leaders = leaders,
            Err(TopicTrouble::Refused(error)) => {
                return self.refuse(config, format!("`{TOPIC}` may not be read: {error}"));
            }
            Err(TopicTrouble::Missing) => {
                return self.log_polling(config, format!("there is no `{TOPIC}` yet"));
            }
            // The leaders of the last cycle are probably the same.
            Err(TopicTrouble::Unknown) => {}
        }
        self.follow_all_partitions(config);
        self.start_unread(admin, budget).await;
    }

    fn drop_refused_follower(&mut self, config: &PollConfig) {
        let Some(refusal) = self.follower.as_ref().and_then(Follower::refusal) else {
            return;
        };
        let verb = if refusal.code.is_authorization() {
            "may not be read"
        } else {
            "cannot be followed"
        };
        let reason = format!("`{TOPIC}` {verb}: {refusal}");
        self.refuse(config, reason);
    }

    /// Opens the log if there is no follower, or one with another number of partitions.
    fn follow_all_partitions(&mut self, config: &PollConfig) {
        let count = self.leaders.len();
        let followed = self.follower.as_ref().map(|old| old.progress().len());
        if followed == Some(count) {
            return;
        }
        self.follower = None;
        if count > 0 {
            self.open(config);
        }
    }

    /// Starts to read, from its end, each partition that is wanted and not being read.
    async fn start_unread(&mut self, admin: &dyn Admin, budget: Budget) {
        let Some(follower) = &mut self.follower else {
            return;
        };
        for (id, leader) in (0..).map(PartitionId).zip(&mut self.leaders) {
            if !follower.progress().is_wanted(id) {
                *leader = None;
            }
        }
        let unread = follower.progress().unread();
        if unread.is_empty() {
            return;
        }
        // Records of an open transaction are after the last stable offset: they are read once the transaction ends.
        let ends = topic::ends(admin, budget, &self.leaders, Isolation::ReadCommitted).await;
        for partition in unread {
            if let Some(end) = ends.get(&partition) {
                follower.start(partition, *end);
            }
        }
    }

    fn open(&mut self, config: &PollConfig) {
        let Some(LogSource(open)) = &self.source else {
            return;
        };
        match open() {
            Ok(log) => {
                let progress = TopicProgress::new(self.leaders.len());
                let follower = Follower::new(log, progress, self.metrics.clone());
                self.follower = Some(follower.reporting_to(self.events.clone()));
                self.restrict(config);
                self.reconciled_at = Some(Instant::now());
                self.logged_reason = None;
                info!(cluster = config.cluster_label(), "following `{TOPIC}`");
            }
            Err(error) => self.refuse(config, error.to_string()),
        }
    }

    /// Follows from now on only the partitions that may hold watched groups.
    pub(in crate::collect) fn restrict(&mut self, config: &PollConfig) {
        if let Some(follower) = &mut self.follower {
            follower.restrict(config);
        }
    }

    fn refuse(&mut self, config: &PollConfig, reason: String) {
        self.follower = None;
        self.refused_at = Some(Instant::now());
        self.log_polling(config, reason);
    }

    /// Logs once why the topic is not followed.
    fn log_polling(&mut self, config: &PollConfig, reason: String) {
        if self.logged_reason.as_ref() == Some(&reason) {
            return;
        }
        let cluster = config.cluster_label();
        match config.mode {
            Mode::Stream => warn!(cluster, "polling, although the mode is `stream`: {reason}"),
            Mode::Auto | Mode::Poll => info!(cluster, "polling: {reason}"),
        }
        self.logged_reason = Some(reason);
    }

    /// Lists the ends of the partitions: everything that was answered before is before them.
    pub(in crate::collect) async fn see_ends(
        &mut self,
        admin: &dyn Admin,
        budget: Budget,
    ) -> BTreeMap<PartitionId, Offset> {
        let Some(follower) = &mut self.follower else {
            return BTreeMap::new();
        };
        let ends = topic::ends(admin, budget, &self.leaders, Isolation::ReadUncommitted).await;
        follower.note_ends(&ends, Instant::now().into_std());
        ends
    }

    /// Returns whether it is time to ask every coordinator, and compare.
    pub(in crate::collect) fn is_due_for_reconciliation(&self, config: &PollConfig) -> bool {
        let due = self
            .reconciled_at
            .map(|last| last + config.reconcile_interval);
        self.follower.is_some() && due.is_some_and(|due| Instant::now() >= due)
    }

    /// Notes that every coordinator was asked.
    pub(in crate::collect) fn note_reconciliation(&mut self) {
        self.reconciled_at = Some(Instant::now());
    }

    /// Waits until a group has changed, and a little longer for the records of the same fetch. Waits for ever if the
    /// topic is not followed. Returns at most ten times a second.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(in crate::collect) async fn changed(&mut self, config: &PollConfig) {
        let Some(follower) = &mut self.follower else {
            return std::future::pending().await;
        };
        while !follower.has_changes() {
            let found = follower.next().await;
            follower.apply(found, config);
        }
        let fetched = Instant::now() + FETCH_WINDOW;
        let due = self
            .changed_at
            .map_or(fetched, |last| fetched.max(last + CHANGES_INTERVAL));
        while let Ok(found) = tokio::time::timeout_at(due, follower.next()).await {
            follower.apply(found, config);
            // On a busy topic there are always more.
            if Instant::now() > due {
                break;
            }
        }
        self.changed_at = Some(Instant::now());
    }
}
