//! How a replica comes to its share of a cluster: as a member of a group to which Kafka assigns the partitions of
//! `__consumer_offsets`.
//!
//! What is taken away is no longer shown before another replica may be given it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::failure::Operation;
use crate::diagnostics::one_line;
use crate::kafka::{ConsumerError, Hold, ShardEvent, ShardMember};
use crate::lag::{ClusterName, PartitionId};
use crate::metrics::ClusterMetrics;

/// How long after a member was lost, or could not be made, another one joins.
const AFTER_LOSS: Duration = Duration::from_secs(10);

/// How long a member may take to leave its group.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Joins the group.
#[derive(Clone)]
pub struct ShardSource(Arc<dyn Fn() -> Result<Box<dyn ShardMember>, ConsumerError> + Send + Sync>);

/// This replica's membership of the group.
pub(super) struct ShardMembership {
    source: Option<ShardSource>,
    member: Option<Box<dyn ShardMember>>,
    /// When to join, where there is no member.
    due: Instant,
    seat: ShardSeat,
    /// The code of the last trouble that was logged.
    logged: Option<&'static str>,
    cluster: Option<ClusterName>,
    metrics: ClusterMetrics,
}

/// Whether this replica is a member of the group, which it may be without any partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShardSeat {
    Held,
    None,
}

/// A change of this replica's share.
#[derive(Debug)]
pub(super) enum ShareChange {
    /// These partitions belong to it as well.
    Given(Vec<PartitionId>),
    /// These do not, and another replica waits for them as long as the hold is kept.
    Taken(Vec<PartitionId>, Hold),
    /// None do, and it is not a member of the group.
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

impl ShardMembership {
    /// Returns the membership of a replica that shares with nobody, whose share never changes.
    pub(super) fn new(cluster: Option<ClusterName>, metrics: ClusterMetrics) -> Self {
        Self {
            source: None,
            member: None,
            due: Instant::now(),
            seat: ShardSeat::None,
            logged: None,
            cluster,
            metrics,
        }
    }

    pub(super) fn set_source(&mut self, source: ShardSource) {
        self.source = Some(source);
    }

    /// Returns whether the share is what the group assigns.
    pub(super) fn is_shared(&self) -> bool {
        self.source.is_some()
    }

    /// Returns the next change of the share; waits for ever where nobody shares.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn changed(&mut self) -> ShareChange {
        let Some(ShardSource(join)) = self.source.clone() else {
            return std::future::pending().await;
        };
        loop {
            let Some(member) = &mut self.member else {
                sleep_until(self.due).await;
                self.due = Instant::now() + AFTER_LOSS;
                match join() {
                    Ok(member) => self.member = Some(member),
                    Err(error) => self.report("NOT_MADE", one_line(&error)),
                }
                continue;
            };
            match member.next().await {
                Some(ShardEvent::Given(partitions)) => {
                    self.logged = None;
                    let before = std::mem::replace(&mut self.seat, ShardSeat::Held);
                    // A rebalance that leaves everything as it was.
                    if before == ShardSeat::Held && partitions.is_empty() {
                        continue;
                    }
                    return ShareChange::Given(partitions);
                }
                Some(ShardEvent::CutOff) => {
                    self.seat = ShardSeat::None;
                    return ShareChange::Lost;
                }
                Some(ShardEvent::Taken { partitions, hold }) => {
                    return ShareChange::Taken(partitions, hold);
                }
                Some(ShardEvent::Trouble(error)) => {
                    let code = error.code.name();
                    self.report(code, error.to_string());
                }
                None => {
                    self.seat = ShardSeat::None;
                    self.member = None;
                    self.due = Instant::now() + AFTER_LOSS;
                    return ShareChange::Lost;
                }
            }
        }
    }

    /// Does `work` unless the share changes meanwhile: then it is dropped.
    pub(super) async fn unless_changed<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, ShareChange> {
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

    /// Counts trouble, and logs it when it is another than before.
    fn report(&mut self, code: &'static str, message: String) {
        let operation = Operation::JoinShardGroup.as_str();
        self.metrics.errors(operation, code).inc();
        if self.logged.replace(code) != Some(code) {
            let cluster = self.cluster.as_ref().map_or("", ClusterName::as_str);
            warn!(cluster, "the shard group is in trouble: {message}");
        }
    }
}

impl ShareChange {
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
