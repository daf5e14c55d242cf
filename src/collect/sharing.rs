//! How a replica comes to its share of a cluster: as a member of a group to which Kafka assigns the partitions of
//! `__consumer_offsets`.
//!
//! What is taken away is no longer shown before another replica may be given it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::build;
use super::config::PollConfig;
use super::failure::{Failure, Operation, Subject};
use super::fetch::Budget;
use super::poller::Poller;
use super::stream::partition_count;
use crate::kafka::{ConsumerError, ErrorCode, Hold, KafkaError, ShardEvent, ShardMember};
use crate::lag::{ClusterName, PartitionId, Share};
use crate::metrics::ClusterMetrics;
use crate::snapshot::CycleOutcome;

/// How long after a member was lost, or could not be made, another one joins.
const AFTER_LOSS: Duration = Duration::from_secs(10);

/// How long a member may take to leave its group.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Joins the group.
#[derive(Clone)]
pub struct ShardSource(Arc<dyn Fn() -> Result<Box<dyn ShardMember>, ConsumerError> + Send + Sync>);

/// This replica's place in the group, as far as it has one.
pub(super) struct Membership {
    source: Option<ShardSource>,
    member: Option<Box<dyn ShardMember>>,
    /// When to join, where there is no member.
    due: Instant,
    place: Place,
    /// The last trouble that was told.
    told: Option<&'static str>,
    cluster: Option<ClusterName>,
    metrics: ClusterMetrics,
}

/// Whether this replica has a place in the group, which it may have without any partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Held,
    None,
}

/// A change of this replica's share.
#[derive(Debug)]
pub(super) enum Change {
    /// These partitions belong to it as well.
    Given(Vec<PartitionId>),
    /// These do not, and another replica waits for them as long as the hold is kept.
    Taken(Vec<PartitionId>, Hold),
    /// None do, and it has no place in the group.
    Lost,
}

impl ShardSource {
    /// Returns a source that calls `join` at the start, and again whenever the member it returned is lost.
    pub fn new(
        join: impl Fn() -> Result<Box<dyn ShardMember>, ConsumerError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(join))
    }
}

impl fmt::Debug for ShardSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardSource").finish_non_exhaustive()
    }
}

impl Membership {
    /// Returns the membership of a replica that shares with nobody, whose share never changes.
    pub(super) fn new(cluster: Option<ClusterName>, metrics: ClusterMetrics) -> Self {
        Self {
            source: None,
            member: None,
            due: Instant::now(),
            place: Place::None,
            told: None,
            cluster,
            metrics,
        }
    }

    pub(super) fn set_source(&mut self, source: ShardSource) {
        self.source = Some(source);
    }

    /// Tells whether the share is what the group assigns.
    pub(super) fn is_shared(&self) -> bool {
        self.source.is_some()
    }

    /// Returns the next change of the share; waits for ever where nobody shares.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn changed(&mut self) -> Change {
        let Some(ShardSource(join)) = self.source.clone() else {
            return std::future::pending().await;
        };
        loop {
            let Some(member) = &mut self.member else {
                sleep_until(self.due).await;
                self.due = Instant::now() + AFTER_LOSS;
                match join() {
                    Ok(member) => self.member = Some(member),
                    Err(error) => self.tell("NOT_MADE", with_sources(&error)),
                }
                continue;
            };
            match member.next().await {
                Some(ShardEvent::Given(partitions)) => {
                    self.told = None;
                    let before = std::mem::replace(&mut self.place, Place::Held);
                    // A rebalance that leaves everything as it was.
                    if before == Place::Held && partitions.is_empty() {
                        continue;
                    }
                    return Change::Given(partitions);
                }
                Some(ShardEvent::CutOff) => {
                    self.place = Place::None;
                    return Change::Lost;
                }
                Some(ShardEvent::Taken { partitions, hold }) => {
                    return Change::Taken(partitions, hold);
                }
                Some(ShardEvent::Trouble(error)) => {
                    let code = error.code.name();
                    self.tell(code, error.to_string());
                }
                None => {
                    self.place = Place::None;
                    self.member = None;
                    self.due = Instant::now() + AFTER_LOSS;
                    return Change::Lost;
                }
            }
        }
    }

    /// Does `work` unless the share changes meanwhile: then it is dropped.
    pub(super) async fn unless_changed<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Change> {
        tokio::select! {
            biased;
            change = self.changed() => Err(change),
            done = work => Ok(done),
        }
    }

    /// Leaves the group: the others have its partitions at once.
    pub(super) async fn close(self) {
        if let Some(member) = self.member {
            member.close(CLOSE_LIMIT).await;
        }
    }

    /// Counts trouble, and tells it when it is another than before.
    fn tell(&mut self, code: &'static str, message: String) {
        let operation = Operation::JoinShardGroup.as_str();
        self.metrics.errors(operation, code).inc();
        if self.told.replace(code) != Some(code) {
            let cluster = self.cluster.as_ref().map_or("", ClusterName::as_str);
            warn!(cluster, "the shard group is in trouble: {message}");
        }
    }
}

impl Change {
    /// Applies the change to what is owned, and returns the hold that it comes with.
    pub(super) fn apply(self, owned: &mut BTreeSet<PartitionId>) -> Option<Hold> {
        match self {
            Self::Given(partitions) => {
                owned.extend(partitions);
                None
            }
            Self::Taken(partitions, hold) => {
                owned.retain(|partition| !partitions.contains(partition));
                Some(hold)
            }
            Self::Lost => {
                owned.clear();
                None
            }
        }
    }
}

impl Poller {
    /// Takes over another share; what is this replica's no longer is no longer shown when this returns.
    pub(super) fn adopt(&mut self, change: Change) {
        let Share::Part { owned, .. } = &mut self.config.share else {
            return;
        };
        self.is_cut_off = matches!(change, Change::Lost);
        // Dropped at the end: only then another replica is given it.
        let _hold = change.apply(owned);
        self.stream.restrict(&self.config);
        if self.slot.load().is_some() {
            let mut snapshot = build::without_others(&self.previous, &self.config);
            if self.is_cut_off {
                // Nobody may take it for a whole cluster without groups.
                snapshot.outcome = CycleOutcome::Degraded;
                snapshot.last_up = None;
            }
            self.publish(snapshot);
        }
        if !self.is_cut_off {
            tell_share(&self.config);
        }
    }

    /// Finds out how many partitions `__consumer_offsets` has, where the share is made of them and nobody has said yet.
    pub(super) async fn learn_shares(&mut self, budget: Budget) -> Option<Failure> {
        if self.is_cut_off {
            let error = KafkaError {
                code: ErrorCode::NOT_COORDINATOR,
                message: "this replica has no place in its shard group".to_owned(),
            };
            let failure = Failure::new(Operation::JoinShardGroup, Subject::Cluster, &error);
            return Some(failure);
        }
        let Share::Part { owned, count: 0 } = &self.config.share else {
            return None;
        };
        let owned = owned.clone();
        match partition_count(self.admin.as_ref(), budget).await {
            Ok(count) => {
                self.config.share = Share::Part { owned, count };
                self.stream.restrict(&self.config);
                None
            }
            Err(error) => Some(Failure::new(
                Operation::JoinShardGroup,
                Subject::Cluster,
                &error,
            )),
        }
    }
}

/// Returns an error and what it comes from in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = sources.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Tells what the share is now.
fn tell_share(config: &PollConfig) {
    if let Share::Part { owned, .. } = &config.share {
        info!(
            cluster = config.cluster_label(),
            partitions = owned.len(),
            "this replica collects the groups of {} partitions of `__consumer_offsets`",
            owned.len(),
        );
    }
}
