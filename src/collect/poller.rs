//! The poller of one cluster: a cycle, then waiting for the next tick.
//!
//! A cycle asks in phases: metadata, groups, then members and commits, and log ends last, so that a commit is never
//! compared with an end that is older than it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::build::{self, Fetched, Now};
use super::config::PollConfig;
use super::failure::Contact;
use super::fetch::groups::{self, Described, GroupPhase};
use super::fetch::listing::{self, Coverage, Listing};
use super::fetch::topology::{self, Topology, TopologyAnswer};
use super::fetch::{Budget, marks};
use super::reporter::Reporter;
use super::schedule::{self, Tick};
use crate::kafka::Admin;
use crate::lag::GroupId;
use crate::metrics::ClusterMetrics;
use crate::snapshot::{ClusterSnapshot, CycleOutcome, SnapshotSlot};

/// Collects one cluster and publishes a snapshot after every cycle.
///
/// Pollers share nothing: what happens to one cluster does not touch another.
pub struct Poller {
    config: PollConfig,
    admin: Arc<dyn Admin>,
    slot: Arc<SnapshotSlot>,
    metrics: ClusterMetrics,
    previous: Arc<ClusterSnapshot>,
    topology: Option<Arc<Topology>>,
    undescribable: BTreeSet<GroupId>,
    reporter: Reporter,
}

impl Poller {
    /// Returns a poller that goes on from what `slot` already holds, as after a reload.
    pub fn new(
        config: PollConfig,
        admin: Arc<dyn Admin>,
        slot: Arc<SnapshotSlot>,
        metrics: ClusterMetrics,
    ) -> Self {
        for outcome in CycleOutcome::ALL {
            metrics.polls(outcome.as_str());
        }
        metrics.polls(schedule::SKIPPED);
        let previous = slot
            .load()
            .unwrap_or_else(|| Arc::new(build::blank(&config, now())));
        Self {
            reporter: Reporter::new(&config),
            config,
            admin,
            slot,
            metrics,
            previous,
            topology: None,
            undescribable: BTreeSet::new(),
        }
    }

    /// Polls until `shutdown`, also in the middle of a cycle.
    ///
    /// Cycles start a poll interval apart and never overlap: one that takes longer skips ticks. Until a broker has
    /// answered for the first time, the next cycle follows within a second.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let polling = async {
            loop {
                let started = Instant::now();
                self.poll_once().await;
                let Tick { due, skipped } = self.next_tick(started);
                self.metrics.polls(schedule::SKIPPED).inc_by(skipped);
                sleep_until(due).await;
            }
        };
        let _ended: Option<()> = shutdown.run_until_cancelled(polling).await;
    }

    /// Runs one cycle and publishes its snapshot, whatever came of it.
    ///
    /// # Cancel safety
    ///
    /// A cycle that is dropped has published nothing and changed nothing.
    pub async fn poll_once(&mut self) -> CycleOutcome {
        let started = Instant::now();
        let fetched = self.fetch().await;
        self.metrics
            .poll_duration("total")
            .observe(started.elapsed().as_secs_f64());
        self.count(&fetched);
        self.remember(&fetched);
        let failures = fetched.failures.clone();
        let snapshot = build::build(&self.previous, fetched, &self.config, now());
        let outcome = snapshot.outcome;
        self.count_rows(&snapshot);
        self.previous = Arc::new(snapshot);
        self.slot.publish(Arc::clone(&self.previous));
        self.metrics.polls(outcome.as_str()).inc();
        self.reporter
            .tell(&self.previous, &failures, started.elapsed());
        outcome
    }

    /// Keeps what the next cycle asks by.
    fn remember(&mut self, fetched: &Fetched) {
        self.topology.clone_from(&fetched.topology);
        if fetched.groups.is_empty() {
            return;
        }
        let undescribable = fetched
            .groups
            .iter()
            .filter(|(_, answer)| matches!(answer.description, Described::Unsupported));
        self.undescribable = undescribable.map(|(id, _)| id.clone()).collect();
        self.reporter.tell_undescribable(&self.undescribable);
    }

    /// Asks everything a cycle asks; ends early where nobody answers, so that this is told at once.
    async fn fetch(&self) -> Fetched {
        let (admin, config) = (self.admin.as_ref(), &self.config);
        let budget = Budget {
            end: Instant::now() + config.cycle_limit(),
            request_timeout: config.request_timeout,
        };
        let TopologyAnswer {
            topology,
            currency,
            failures,
        } = self
            .timed(
                "metadata",
                topology::fetch(admin, config, budget, self.topology.as_ref()),
            )
            .await;
        let mut fetched = Fetched::begin(topology, currency, failures);
        let Some(topology) = fetched.topology.clone() else {
            return fetched;
        };
        let listing = self
            .timed(
                "list_groups",
                listing::fetch(admin, config, budget, &topology, currency),
            )
            .await;
        let targets = listing.targets(config, &self.previous);
        let Listing {
            coverage,
            contact,
            failures,
            ..
        } = listing;
        fetched.coverage = coverage;
        fetched.note(contact, failures);
        if fetched.contact == Contact::None && coverage != Coverage::Named {
            return fetched;
        }
        let named_partitions = groups::named_partitions(config, &topology);
        let phase = GroupPhase {
            admin,
            config,
            budget,
            undescribable: &self.undescribable,
            named_partitions: named_partitions.as_deref(),
        };
        let answer = phase.fetch(targets).await;
        self.observe("describe_groups", answer.describing);
        self.observe("committed_offsets", answer.reading_commits);
        fetched.note(answer.contact(), answer.failures);
        fetched.groups = answer.groups;
        if fetched.contact == Contact::None {
            return fetched;
        }
        let leaders = marks::leaders(config.logs, &topology, &fetched.groups, &self.previous);
        let answer = self
            .timed("list_offsets", marks::fetch(admin, config, budget, leaders))
            .await;
        fetched.marks = answer.marks;
        fetched.note(Contact::None, answer.failures);
        fetched
    }

    fn next_tick(&self, started: Instant) -> Tick {
        if self.topology.is_some() {
            schedule::next_tick(started, Instant::now(), self.config.poll_interval)
        } else {
            schedule::soon(Instant::now(), self.config.poll_interval)
        }
    }

    async fn timed<T>(&self, phase: &str, call: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let answer = call.await;
        self.observe(phase, started.elapsed());
        answer
    }

    fn observe(&self, phase: &str, duration: Duration) {
        self.metrics
            .poll_duration(phase)
            .observe(duration.as_secs_f64());
    }

    fn count(&self, fetched: &Fetched) {
        for failure in &fetched.failures {
            self.metrics
                .errors(failure.operation.as_str(), failure.error)
                .inc();
        }
    }

    fn count_rows(&self, snapshot: &ClusterSnapshot) {
        let unread = snapshot.groups.iter().filter(|row| !row.is_read_in_full());
        let count = u64::try_from(unread.count()).expect("a count of rows fits in 64 bits");
        self.metrics.group_collection_errors().inc_by(count);
    }
}

/// Reads both clocks; the instant is tokio's, which tests can pause.
fn now() -> Now {
    Now {
        instant: Instant::now().into_std(),
        time: SystemTime::now(),
    }
}
