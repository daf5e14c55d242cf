//! The poller of one cluster: a cycle, then waiting for the next tick.
//!
//! A cycle asks in phases: metadata, groups, then members and commits, and log ends last, so that a commit is never
//! compared with an end that is older than it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ages::{Ages, Sight};
use super::build::{self, Fetched, Ground, Now};
use super::config::PollConfig;
use super::failure::{Contact, Failure, Operation};
use super::fetch::Budget;
use super::fetch::commits::KnownCommits;
use super::fetch::groups::{self, Described, GroupAnswer, GroupPhase};
use super::fetch::listing::{self, Coverage, Listed, Listing};
use super::fetch::marks::{self, Marks};
use super::fetch::members::{self, Suspects};
use super::fetch::topology::{self, Currency, Topology, TopologyAnswer};
use super::incarnations::Incarnations;
use super::judging::{Judged, Judging, Occasion};
use super::kinds::{SkippedGroups, skipped_as};
use super::live;
use super::memory::Remembered;
use super::places::walk_to;
use super::renewal::{Renewal, Renewals};
use super::reporter::Reporter;
use super::schedule::{self, Tick};
use super::sharing::{Change, Membership, ShardSource};
use super::stream::{LogSource, Stream};
use crate::kafka::{Admin, KafkaError, MalformedMembers};
use crate::lag::{GroupId, Share, Timestamp};
use crate::metrics::ClusterMetrics;
use crate::snapshot::{ClusterSnapshot, CycleOutcome, EventWriter, GroupRow, SnapshotSlot};

/// The value of the label `error` for a member whose assignment cannot be read.
const MALFORMED: &str = "MALFORMED_ASSIGNMENT";

/// Collects one cluster and publishes a snapshot after every cycle.
///
/// Pollers share nothing: what happens to one cluster does not touch another.
pub struct Poller {
    pub(super) config: PollConfig,
    pub(super) admin: Arc<dyn Admin>,
    pub(super) slot: Arc<SnapshotSlot>,
    metrics: ClusterMetrics,
    pub(super) previous: Arc<ClusterSnapshot>,
    pub(super) topology: Option<Arc<Topology>>,
    pub(super) stream: Stream,
    /// The newest listing.
    pub(super) listed: BTreeMap<GroupId, Listed>,
    /// Groups that have no series of their own.
    pub(super) skipped: SkippedGroups,
    /// What the newest rows were made of, where coordinators sent it.
    pub(super) known: KnownCommits,
    /// Groups whose members named partitions that their topics do not have.
    suspects: Suspects,
    /// Groups that were asked about between two cycles, each once.
    pub(super) asked: BTreeSet<GroupId>,
    reporter: Reporter,
    pub(super) ages: Ages,
    pub(super) judging: Judging,
    pub(super) incarnations: Incarnations,
    /// Cycles that have ended.
    pub(super) cycles: u32,
    /// Whether the next cycle must rebuild every row, because `ages` may differ from what the newest rows show: a cycle was
    /// dropped, a topic was recreated, or a log was truncated between two cycles.
    pub(super) must_rebuild_rows: bool,
    /// Present until it runs.
    membership: Option<Membership>,
    /// Whether it shares the cluster and has no place in the group of replicas.
    pub(super) is_cut_off: bool,
}

impl Poller {
    /// Returns a poller that goes on from what `slot` already holds, as after a reload.
    pub fn new(
        config: PollConfig,
        admin: Arc<dyn Admin>,
        slot: Arc<SnapshotSlot>,
        metrics: ClusterMetrics,
    ) -> Self {
        // They begin at 0: `increase` does not see the first event of a counter that begins with it.
        for outcome in CycleOutcome::ALL {
            metrics.polls(outcome.as_str());
        }
        metrics.polls(schedule::SKIPPED);
        metrics.group_collection_errors();
        let previous = slot
            .load()
            .unwrap_or_else(|| Arc::new(build::blank(&config, now())));
        let membership = Membership::new(config.cluster.clone(), metrics.clone());
        Self {
            membership: Some(membership),
            is_cut_off: false,
            reporter: Reporter::new(&config),
            ages: Ages::default(),
            judging: Judging::default(),
            incarnations: Incarnations::default(),
            cycles: 0,
            must_rebuild_rows: false,
            stream: Stream::new(metrics.clone()),
            listed: BTreeMap::new(),
            skipped: SkippedGroups::new(),
            known: KnownCommits::default(),
            suspects: Suspects::new(),
            asked: BTreeSet::new(),
            config,
            admin,
            slot,
            metrics,
            previous,
            topology: None,
        }
    }

    /// Lets the poller follow `__consumer_offsets` by this log, where its mode wants that; without one it polls.
    #[must_use]
    pub fn following(mut self, log: LogSource) -> Self {
        self.stream.set_source(log);
        self
    }

    /// Lets the poller write what groups were seen to do, where it follows `__consumer_offsets`.
    #[must_use]
    pub fn reporting_to(mut self, events: EventWriter) -> Self {
        self.stream.report_to(events);
        self
    }

    /// Lets the poller collect what a group of replicas assigns to it, and nothing before that.
    #[must_use]
    pub fn sharing(mut self, group: ShardSource) -> Self {
        self.config.share = Share::Part {
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
    pub async fn run(mut self, shutdown: CancellationToken) -> Remembered {
        let membership = self.membership.take();
        let mut membership = membership.expect("it is there until the poller runs");
        let is_shared = membership.is_shared();
        let polling = async {
            if is_shared {
                // What a former poller has left is another replica's for now.
                self.adopt(Change::Lost);
                let first = membership.changed().await;
                self.adopt(first);
            }
            loop {
                let started = Instant::now();
                let cycle = async {
                    self.poll_once().await;
                    self.learn().await;
                };
                if let Err(change) = membership.unless_changed(cycle).await {
                    self.adopt(change);
                    continue;
                }
                let Tick { due, skipped } = self.next_tick(started);
                self.metrics.polls(schedule::SKIPPED).inc_by(skipped);
                if let Err(change) = membership.unless_changed(self.follow_until(due)).await {
                    self.adopt(change);
                }
            }
        };
        let _ended: Option<()> = shutdown.run_until_cancelled(polling).await;
        if is_shared {
            self.adopt(Change::Lost);
            membership.close().await;
        }
        self.leave()
    }

    /// Shows what is followed as it changes, until a cycle is due.
    async fn follow_until(&mut self, due: Instant) {
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due) => return,
                () = self.stream.changed(&self.config) => self.show_changes().await,
            }
        }
    }

    /// Runs one cycle and publishes its snapshot, whatever came of it.
    ///
    /// # Cancel safety
    ///
    /// A cycle that is dropped has published nothing; the next one makes good what it has taken in.
    pub async fn poll_once(&mut self) -> CycleOutcome {
        let started = Instant::now();
        let budget = self.budget();
        let unshared = self.learn_shares(budget).await;
        let admin = Arc::clone(&self.admin);
        self.stream
            .begin(admin.as_ref(), &self.config, budget)
            .await;
        let mut fetched = self.fetch(budget).await;
        fetched.failures.extend(unshared);
        self.metrics
            .poll_duration("total")
            .observe(started.elapsed().as_secs_f64());
        self.count(&fetched.failures);
        self.remember(&fetched);
        let failures = fetched.failures.clone();
        self.report_malformed(&fetched.groups);
        let commits = fetched.groups.iter();
        self.known.replace(
            commits.filter_map(|(id, answer)| Some((id, answer.committed.as_ref().ok()?))),
        );
        let now = now();
        let renewals = std::mem::take(&mut fetched.renewals);
        let ground = Ground {
            config: &self.config,
            ages: &self.ages,
            renewals: &renewals,
            now,
        };
        self.judging.see(&fetched.marks, now);
        let mut snapshot = build::build(&self.previous, fetched, ground);
        let occasion = Occasion {
            judged: Judged::All,
            renewals: &renewals,
            previous: &self.previous,
            config: &self.config,
            now,
        };
        self.judging.judge(&mut snapshot, occasion);
        self.forget(&mut snapshot);
        let outcome = snapshot.outcome;
        self.count_rows(&snapshot);
        self.publish(snapshot);
        self.must_rebuild_rows = false;
        self.metrics.polls(outcome.as_str()).inc();
        self.reporter
            .tell(&self.previous, &failures, started.elapsed());
        outcome
    }

    pub(super) fn publish(&mut self, snapshot: ClusterSnapshot) {
        self.previous = Arc::new(snapshot);
        self.slot.publish(Arc::clone(&self.previous));
    }

    /// Returns the time that what begins now has.
    pub(super) fn budget(&self) -> Budget {
        Budget {
            end: Instant::now() + self.config.cycle_limit(),
            request_timeout: self.config.request_timeout,
        }
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
        let undescribable = undescribable.map(|(id, _)| id.clone()).collect();
        self.reporter.tell_undescribable(&undescribable);
    }

    /// Asks everything a cycle asks; ends early where nobody answers, so that this is told at once.
    async fn fetch(&mut self, budget: Budget) -> Fetched {
        let admin = Arc::clone(&self.admin);
        let admin = admin.as_ref();
        let config = self.config.clone();
        let config = &config;
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
        let is_same = |before: &Arc<Topology>| before.has_same_partitions(&topology);
        // Where they differ, the same commits and members may make other rows.
        let has_same_partitions = self.topology.as_ref().is_some_and(is_same);
        if !has_same_partitions {
            self.known.clear();
        }
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
            groups: listed,
            skipped,
        } = listing;
        self.listed = listed;
        match coverage {
            Coverage::Whole => self.skipped = skipped,
            Coverage::InPart => {
                self.skipped.extend(skipped);
                let listed = &self.listed;
                self.skipped.retain(|id, _| !listed.contains_key(id));
            }
            Coverage::Named => self.skipped.retain(|id, _| config.group_names.contains(id)),
        }
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
            named_partitions: named_partitions.as_deref(),
            known: &self.known,
        };
        let reconciles = self.stream.is_due_for_reconciliation(config);
        let mut told = live::told(self.stream.follower(), targets, reconciles);
        let mut answer = phase.fetch(std::mem::take(&mut told.to_ask)).await;
        self.skip_others(&mut answer.groups);
        self.observe("describe_groups", answer.describing);
        self.observe("committed_offsets", answer.reading_commits);
        fetched.note(answer.contact(), answer.failures);
        if !told.answers.is_empty() {
            fetched.contact = Contact::Made;
        }
        let ends = self.stream.see_ends(admin, budget).await;
        if reconciles {
            self.stream.note_reconciliation();
        }
        fetched.groups = self.taken_over(told, answer.groups, &ends, coverage);
        if currency == Currency::Current {
            self.suspects =
                members::check_assignments(&mut fetched.groups, &topology, &self.suspects);
        }
        fetched.skipped = self.skipped.clone();
        fetched.mode = self.stream.mode();
        if fetched.contact == Contact::None {
            return fetched;
        }
        let leaders = marks::leaders(config, &topology, &fetched.groups, &self.previous);
        self.forget_old_logs(budget, &leaders).await;
        let asked_at = Timestamp::from(SystemTime::now());
        let answer = self
            .timed("list_offsets", marks::fetch(admin, config, budget, leaders))
            .await;
        let sight = Sight {
            asked_at,
            answered_at: Timestamp::from(SystemTime::now()),
        };
        fetched.marks = answer.marks;
        fetched.note(Contact::None, answer.failures);
        self.ages.see(&fetched.marks, sight);
        let must_rebuild_rows = std::mem::replace(&mut self.must_rebuild_rows, true);
        // Before the first cycle, what is shown is that of another configuration, if any.
        if has_same_partitions && !must_rebuild_rows {
            fetched.renewals = Renewals::of_cycle(&fetched.groups, &fetched.marks, &self.previous);
        }
        let previous = Arc::clone(&self.previous);
        let mut rows = previous.groups.iter().peekable();
        for (id, answer) in &fetched.groups {
            let before = walk_to(&mut rows, id, |row| &row.id).map(AsRef::as_ref);
            let renewal = fetched.renewals.of(id);
            self.stand(id, (before, answer), renewal, &fetched.marks);
        }
        let logs = (topology.as_ref(), &fetched.marks);
        self.ages.search(admin, config, budget, logs).await;
        fetched
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

    /// Counts the groups with members whose assignment cannot be read, and logs each once.
    fn report_malformed(&mut self, groups: &BTreeMap<GroupId, GroupAnswer>) {
        let malformed: BTreeMap<GroupId, &MalformedMembers> = groups
            .iter()
            .filter_map(|(id, answer)| match &answer.description {
                Described::Answered(description) => {
                    Some((id.clone(), description.malformed.as_ref()?))
                }
                _ => None,
            })
            .collect();
        for _ in &malformed {
            self.metrics
                .errors(Operation::DescribeGroup.as_str(), MALFORMED)
                .inc();
        }
        self.reporter.report_malformed(&malformed);
    }

    /// Updates where a group stands from its newest row and from the answer, for the partitions that are rebuilt.
    pub(super) fn stand(
        &mut self,
        id: &GroupId,
        (before, answer): (Option<&GroupRow>, &GroupAnswer),
        renewal: &Renewal,
        marks: &Marks,
    ) {
        let (ages, config) = (&mut self.ages, &self.config);
        renewal.with_commits(before, answer, |commits| {
            ages.stand(id, commits, marks, config)
        });
    }

    /// Reads what is looked at seldom, after a cycle.
    async fn learn(&mut self) {
        let budget = self.budget();
        let admin = Arc::clone(&self.admin);
        let learning = self.judging.learn(admin.as_ref(), &self.config, budget);
        if let Some(error) = learning.await {
            self.count_failure(Operation::TopicConfigs, &error);
        }
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

    fn count_rows(&self, snapshot: &ClusterSnapshot) {
        let unread = snapshot.groups.iter().filter(|row| !row.is_read_in_full());
        let count = u64::try_from(unread.count()).expect("a count of rows fits in 64 bits");
        self.metrics.group_collection_errors().inc_by(count);
    }
}

/// Reads both clocks; the instant is tokio's, which tests can pause.
pub(super) fn now() -> Now {
    Now {
        instant: Instant::now().into_std(),
        time: SystemTime::now(),
    }
}
