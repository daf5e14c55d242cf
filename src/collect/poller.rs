//! The loop of one cluster: a cycle, then waiting for the next tick, for changes, or for another share of the cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::config::PollConfig;
use super::cycle::{Collector, run_whole, show_changes};
use super::memory::Memory;
use super::schedule::{self, Tick};
use super::shard::{ShardMembership, ShardSource, ShareChange};
use super::stream::LogSource;
use crate::kafka::Admin;
use crate::lag::Share;
use crate::metrics::ClusterMetrics;
use crate::snapshot::{CycleOutcome, EventWriter, SnapshotSlot};

/// Collects one cluster and publishes a snapshot after every cycle.
///
/// Pollers share nothing: what happens to one cluster does not touch another.
pub struct Poller {
    pub(super) collector: Collector,
    /// Present until it runs.
    membership: Option<ShardMembership>,
}

impl Poller {
    /// Returns a poller that goes on from what `slot` already holds, as after a reload.
    pub fn new(
        config: PollConfig,
        admin: Arc<dyn Admin>,
        slot: Arc<SnapshotSlot>,
        metrics: ClusterMetrics,
    ) -> Self {
        // They start at 0: `increase` does not see the first event of a counter that starts with it.
        for outcome in CycleOutcome::ALL {
            metrics.polls(outcome.as_str());
        }
        metrics.polls(schedule::SKIPPED);
        metrics.group_collection_errors();
        let membership = ShardMembership::new(config.cluster.clone(), metrics.clone());
        Self {
            membership: Some(membership),
            collector: Collector::new(config, admin, slot, metrics),
        }
    }

    /// Lets the poller go on from what a former one of the same cluster has observed over time, as after a reload.
    #[must_use]
    pub fn remembering(mut self, memory: Memory) -> Self {
        self.collector.memory = memory;
        self
    }

    /// Lets the poller follow `__consumer_offsets` by this log, where its mode wants that; without one it polls.
    #[must_use]
    pub fn following(mut self, log: LogSource) -> Self {
        self.collector.stream.set_source(log);
        self
    }

    /// Lets the poller write what groups were seen to do, where it follows `__consumer_offsets`.
    #[must_use]
    pub fn reporting_to(mut self, events: EventWriter) -> Self {
        self.collector.stream.report_to(events);
        self
    }

    /// Lets the poller collect what a group of replicas assigns to it, and nothing before that.
    #[must_use]
    pub fn sharing(mut self, group: ShardSource) -> Self {
        self.collector.config.share = Share::Part {
            owned: BTreeSet::new(),
            count: 0,
        };
        if let Some(membership) = &mut self.membership {
            membership.set_source(group);
        }
        self
    }

    /// Polls until `shutdown`, also in the middle of a cycle.
    ///
    /// Cycles start a poll interval apart and never overlap: one that takes longer skips ticks. Until a broker has
    /// answered for the first time, the next cycle follows within a second. Where the share of a replica changes, a
    /// cycle begins at once; at the end its groups are shown no more before another replica is given them.
    ///
    /// Returns what a poller that goes on has to know.
    pub async fn run(mut self, shutdown: CancellationToken) -> Memory {
        let membership = self.membership.take();
        let mut membership = membership.expect("it is there until the poller runs");
        let is_shared = membership.is_shared();
        let polling = async {
            if is_shared {
                // What a former poller has left is another replica's for now.
                self.collector.change_share(ShareChange::Lost);
                let first = membership.changed().await;
                self.collector.change_share(first);
            }
            loop {
                let started = Instant::now();
                let cycle = async {
                    self.poll_once().await;
                    self.collector.fetch_policies().await;
                };
                if let Err(change) = membership.unless_changed(cycle).await {
                    self.collector.change_share(change);
                    continue;
                }
                let Tick { due, skipped } = self.next_tick(started);
                self.collector
                    .metrics
                    .polls(schedule::SKIPPED)
                    .inc_by(skipped);
                if let Err(change) = membership.unless_changed(self.follow_until(due)).await {
                    self.collector.change_share(change);
                }
            }
        };
        let _ended: Option<()> = shutdown.run_until_cancelled(polling).await;
        if is_shared {
            self.collector.change_share(ShareChange::Lost);
            membership.close().await;
        }
        self.collector.memory.handed_over()
    }

    /// Shows what is followed as it changes, until a cycle is due.
    async fn follow_until(&mut self, due: Instant) {
        let collector = &mut self.collector;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due) => return,
                () = collector.stream.changed(&collector.config) => show_changes(collector).await,
            }
        }
    }

    /// Runs one cycle and publishes its snapshot, whatever came of it.
    ///
    /// # Cancel safety
    ///
    /// A cycle that is dropped has published nothing; the next one makes good what it has recorded.
    pub async fn poll_once(&mut self) -> CycleOutcome {
        run_whole(&mut self.collector).await
    }

    fn next_tick(&self, started: Instant) -> Tick {
        let interval = self.collector.config.poll_interval;
        if self.collector.topology.is_some() {
            schedule::next_tick(started, Instant::now(), interval)
        } else {
            schedule::soon(Instant::now(), interval)
        }
    }
}
