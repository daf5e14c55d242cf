//! Following `__consumer_offsets`: every commit and every rebalance of every group, as it happens.
//!
//! The ends of the topic's partitions are noted first, then coordinators are asked about every group, then the topic is
//! read from the noted ends on. A group is told by its records once everything was read that had been written when
//! its coordinator answered; until then, and whenever its partition cannot be followed, its coordinator goes on being
//! asked.

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

pub(in crate::collect) use self::follower::{Follower, Pending};
pub(in crate::collect) use self::topic::partition_count;

use self::progress::Progress;
use self::topic::{Partitions, TopicTrouble};
use super::config::{Mode, PollConfig};
use super::fetch::Budget;
use crate::kafka::{Admin, ConnectionError, Log};
use crate::lag::{Isolation, Offset, PartitionId};
use crate::metrics::ClusterMetrics;
use crate::snapshot::{CollectMode, EventWriter};

/// The topic.
pub const TOPIC: &str = "__consumer_offsets";

/// How long after the topic was refused it is tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(300);

/// How long it takes at least from showing changes to showing more of them.
const PAUSE: Duration = Duration::from_millis(100);

/// Within which time arrives what was fetched together.
const SETTLING: Duration = Duration::from_millis(5);

/// Opens the topic's log.
#[derive(Clone)]
pub struct LogSource(Arc<dyn Fn() -> Result<Box<dyn Log>, ConnectionError> + Send + Sync>);

/// The following of one cluster's topic, as far as the mode wants it and the cluster lets it.
#[derive(Debug)]
pub(in crate::collect) struct Stream {
    source: Option<LogSource>,
    follower: Option<Follower>,
    partitions: Partitions,
    refused_at: Option<Instant>,
    told: Option<String>,
    reconciled: Option<Instant>,
    /// When changes were told last.
    changed: Option<Instant>,
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
            partitions: Partitions::default(),
            refused_at: None,
            told: None,
            reconciled: None,
            changed: None,
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
                let (live, behind) = follower.progress().standings(now);
                CollectMode::Stream { live, behind }
            }
        }
    }

    /// Begins to follow what is not followed, at the beginning of a cycle: nothing of what follows is missed.
    pub(in crate::collect) async fn begin(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
    ) {
        if self.source.is_none() || !config.follows() {
            return;
        }
        if let Some(refusal) = self.follower.as_ref().and_then(Follower::refusal) {
            let verb = if refusal.code.is_authorization() {
                "may not be read"
            } else {
                "cannot be followed"
            };
            let reason = format!("`{TOPIC}` {verb}: {refusal}");
            self.refuse(config, reason);
        }
        let now = Instant::now();
        if self.refused_at.is_some_and(|at| now < at + AFTER_REFUSAL) {
            return;
        }
        match topic::partitions(admin, budget).await {
            Ok(partitions) => self.partitions = partitions,
            Err(TopicTrouble::Refused(error)) => {
                return self.refuse(config, format!("`{TOPIC}` may not be read: {error}"));
            }
            Err(TopicTrouble::Missing) => {
                return self.tell(config, format!("there is no `{TOPIC}` yet"));
            }
            // The partitions of before are as good as any.
            Err(TopicTrouble::Unknown) => {}
        }
        let count = self.partitions.len();
        let follows = |follower: &Follower| follower.progress().len();
        if self.follower.as_ref().map(follows) != Some(count) {
            self.follower = None;
            if count > 0 {
                self.open(config);
            }
        }
        let Some(follower) = &mut self.follower else {
            return;
        };
        for (id, leader) in (0..).map(PartitionId).zip(&mut self.partitions) {
            if !follower.progress().wants(id) {
                *leader = None;
            }
        }
        let unread = follower.progress().unread();
        if unread.is_empty() {
            return;
        }
        // What a transaction holds open lies behind the stable end, and is read once it is over.
        let ends = topic::ends(admin, budget, &self.partitions, Isolation::ReadCommitted).await;
        for partition in unread {
            if let Some(end) = ends.get(&partition) {
                follower.begin(partition, *end);
            }
        }
    }

    fn open(&mut self, config: &PollConfig) {
        let Some(LogSource(open)) = &self.source else {
            return;
        };
        match open() {
            Ok(log) => {
                let progress = Progress::new(self.partitions.len());
                let follower = Follower::new(log, progress, self.metrics.clone());
                self.follower = Some(follower.reporting_to(self.events.clone()));
                self.restrict(config);
                self.reconciled = Some(Instant::now());
                self.told = None;
                info!(cluster = config.cluster_label(), "following `{TOPIC}`");
            }
            Err(error) => self.refuse(config, error.to_string()),
        }
    }

    /// Follows from now on only what may hold groups that are watched.
    pub(in crate::collect) fn restrict(&mut self, config: &PollConfig) {
        if let Some(follower) = &mut self.follower {
            follower.restrict(config);
        }
    }

    fn refuse(&mut self, config: &PollConfig, reason: String) {
        self.follower = None;
        self.refused_at = Some(Instant::now());
        self.tell(config, reason);
    }

    /// Tells once why the topic is not followed.
    fn tell(&mut self, config: &PollConfig, reason: String) {
        if self.told.as_ref() == Some(&reason) {
            return;
        }
        let cluster = config.cluster_label();
        match config.mode {
            Mode::Stream => warn!(cluster, "polling, although the mode is `stream`: {reason}"),
            Mode::Auto | Mode::Poll => info!(cluster, "polling: {reason}"),
        }
        self.told = Some(reason);
    }

    /// Returns where the partitions end, behind everything that was answered before.
    pub(in crate::collect) async fn see_ends(
        &mut self,
        admin: &dyn Admin,
        budget: Budget,
    ) -> BTreeMap<PartitionId, Offset> {
        let Some(follower) = &mut self.follower else {
            return BTreeMap::new();
        };
        let ends = topic::ends(admin, budget, &self.partitions, Isolation::ReadUncommitted).await;
        follower.see_ends(&ends, Instant::now().into_std());
        ends
    }

    /// Tells whether it is time to ask every coordinator, and compare.
    pub(in crate::collect) fn is_due_for_reconciliation(&self, config: &PollConfig) -> bool {
        let due = self.reconciled.map(|last| last + config.reconcile_interval);
        self.follower.is_some() && due.is_some_and(|due| Instant::now() >= due)
    }

    /// Notes that every coordinator was asked.
    pub(in crate::collect) fn note_reconciliation(&mut self) {
        self.reconciled = Some(Instant::now());
    }

    /// Waits until something changed, and a little longer for what comes with it; for ever where nothing is followed. Ends
    /// at most ten times a second.
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
            follower.take_in(found, config);
        }
        let settled = Instant::now() + SETTLING;
        let due = self
            .changed
            .map_or(settled, |last| settled.max(last + PAUSE));
        while let Ok(found) = tokio::time::timeout_at(due, follower.next()).await {
            follower.take_in(found, config);
            // There may always be more.
            if Instant::now() > due {
                break;
            }
        }
        self.changed = Some(Instant::now());
    }
}
