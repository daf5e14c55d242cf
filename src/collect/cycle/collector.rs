//! What is known of a cluster, and how the next snapshot is made and published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::collect::clock::Now;
use crate::collect::config::PollConfig;
use crate::collect::failure::{Failure, Operation, Subject};
use crate::collect::fetch::Budget;
use crate::collect::fetch::commits::KnownCommits;
use crate::collect::fetch::groups::{Described, GroupAnswer};
use crate::collect::fetch::listing::Listed;
use crate::collect::fetch::members::Suspects;
use crate::collect::fetch::topology::Topology;
use crate::collect::kinds::{SkippedGroups, skipped_as};
use crate::collect::memory::{JudgedGroups, JudgingInput, Memory};
use crate::collect::reporter::Reporter;
use crate::collect::rows;
use crate::collect::shard::ShareChange;
use crate::collect::stream::{Stream, partition_count};
use crate::collect::update::{Scope, Update};
use crate::kafka::{Admin, ErrorCode, KafkaError};
use crate::lag::{GroupId, Share};
use crate::metrics::ClusterMetrics;
use crate::snapshot::{ClusterSnapshot, CycleOutcome, SnapshotSlot};

/// One cluster: its newest snapshot, and what the next one is made from.
pub(in crate::collect) struct Collector {
    pub(in crate::collect) config: PollConfig,
    pub(super) admin: Arc<dyn Admin>,
    slot: Arc<SnapshotSlot>,
    pub(in crate::collect) metrics: ClusterMetrics,
    pub(super) newest: Arc<ClusterSnapshot>,
    pub(in crate::collect) memory: Memory,
    pub(in crate::collect) stream: Stream,
    pub(in crate::collect) topology: Option<Arc<Topology>>,
    /// The newest listing.
    pub(super) listed: BTreeMap<GroupId, Listed>,
    /// Groups that have no series of their own.
    pub(super) skipped: SkippedGroups,
    /// The committed offsets that the newest rows were made from, where coordinators sent them.
    pub(super) known_commits: KnownCommits,
    /// Groups whose members named partitions that their topics do not have.
    pub(super) suspects: Suspects,
    /// Groups that were asked about between two cycles, each once.
    pub(super) asked: BTreeSet<GroupId>,
    pub(super) reporter: Reporter,
    /// Whether the cluster is shared, and this replica is not a member of the group of replicas.
    is_cut_off: bool,
}

impl Collector {
    /// Returns a collector that goes on from what `slot` already holds, as after a reload.
    pub(in crate::collect) fn new(
        config: PollConfig,
        admin: Arc<dyn Admin>,
        slot: Arc<SnapshotSlot>,
        metrics: ClusterMetrics,
    ) -> Self {
        let newest = slot
            .load()
            .unwrap_or_else(|| Arc::new(rows::blank(&config, Now::read())));
        Self {
            admin,
            slot,
            newest,
            memory: Memory::default(),
            stream: Stream::new(metrics.clone()),
            topology: None,
            listed: BTreeMap::new(),
            skipped: SkippedGroups::new(),
            known_commits: KnownCommits::default(),
            suspects: Suspects::new(),
            asked: BTreeSet::new(),
            reporter: Reporter::new(&config),
            is_cut_off: false,
            config,
            metrics,
        }
    }

    /// Returns the snapshot that follows the newest one by what was learned, judged.
    pub(super) fn next_snapshot(&mut self, mut update: Update) -> ClusterSnapshot {
        let now = Now::read();
        let judged = match &update.scope {
            Scope::Whole(_) => {
                self.memory.observe_log_starts(&update.marks, now);
                JudgedGroups::All
            }
            Scope::Part(_) => JudgedGroups::Changed,
        };
        let ages = self.memory.ages();
        let mut snapshot = rows::next(&self.newest, &mut update, &self.config, ages, now);
        let input = JudgingInput {
            judged,
            rebuilds: &update.rebuilds,
            previous: &self.newest,
            config: &self.config,
            now,
        };
        self.memory.judge(&mut snapshot, input);
        snapshot
    }

    pub(super) fn publish(&mut self, snapshot: ClusterSnapshot) {
        self.newest = self.slot.publish(snapshot);
    }

    /// Returns the time that a cycle, or a request between two cycles, has if it starts now.
    pub(super) fn budget(&self) -> Budget {
        Budget {
            end: Instant::now() + self.config.cycle_limit(),
            request_timeout: self.config.request_timeout,
        }
    }

    /// Takes the groups that have no series of their own out of what was answered.
    pub(super) fn skip_others(&mut self, answers: &mut BTreeMap<GroupId, GroupAnswer>) {
        let skipped = &mut self.skipped;
        answers.retain(|id, answer| {
            let Described::Answered(description) = &answer.description else {
                return true;
            };
            let word = skipped_as(description.group_type, &description.protocol_type);
            match word {
                Some(word) => skipped.insert(id.clone(), (word, description.state)),
                None => skipped.remove(id),
            };
            word.is_none()
        });
    }

    /// Reads what is needed seldom, after a cycle.
    pub(in crate::collect) async fn fetch_policies(&mut self) {
        let budget = self.budget();
        let fetching = self
            .memory
            .fetch_policies(self.admin.as_ref(), &self.config, budget);
        if let Some(error) = fetching.await {
            self.count_failure(Operation::TopicConfigs, &error);
        }
    }

    pub(super) fn observe_duration(&self, phase: &str, duration: Duration) {
        self.metrics
            .poll_duration(phase)
            .observe(duration.as_secs_f64());
    }

    pub(super) fn count(&self, failures: &[Failure]) {
        for failure in failures {
            self.metrics
                .errors(failure.operation.as_str(), failure.error)
                .inc();
        }
    }

    pub(super) fn count_failure(&self, operation: Operation, error: &KafkaError) {
        self.metrics
            .errors(operation.as_str(), error.code.name())
            .inc();
    }

    /// Applies a change of this replica's share. What is no longer its own is no longer shown when this returns.
    pub(in crate::collect) fn change_share(&mut self, change: ShareChange) {
        let Share::Part { owned, .. } = &mut self.config.share else {
            return;
        };
        self.is_cut_off = matches!(change, ShareChange::Lost);
        // Dropped at the end: only then another replica is given it.
        let _hold = change.apply(owned);
        self.stream.restrict(&self.config);
        if self.slot.load().is_some() {
            let mut snapshot = rows::without_others(&self.newest, &self.config);
            if self.is_cut_off {
                // Nobody may take it for a whole cluster without groups.
                snapshot.outcome = CycleOutcome::Degraded;
                snapshot.last_up = None;
            }
            self.publish(snapshot);
        }
        if !self.is_cut_off {
            log_share(&self.config);
        }
    }

    /// Reads how many partitions `__consumer_offsets` has, where the share is made of them and that is not known yet.
    pub(super) async fn fetch_share_size(&mut self, budget: Budget) -> Option<Failure> {
        let failure =
            |error: &KafkaError| Failure::new(Operation::JoinShardGroup, Subject::Cluster, error);
        if self.is_cut_off {
            return Some(failure(&KafkaError {
                code: ErrorCode::NOT_COORDINATOR,
                message: "this replica has no place in its shard group".to_owned(),
            }));
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
            Err(error) => Some(failure(&error)),
        }
    }
}

fn log_share(config: &PollConfig) {
    if let Share::Part { owned, .. } = &config.share {
        info!(
            cluster = config.cluster_label(),
            partitions = owned.len(),
            "this replica collects the groups of {} partitions of `__consumer_offsets`",
            owned.len(),
        );
    }
}
