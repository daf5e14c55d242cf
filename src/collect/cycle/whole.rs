//! A whole cycle: everything is asked, in phases.
//!
//! Metadata first, then groups, their members and commits, and log ends last, so that a commit is never compared with an end
//! that is older than it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::collector::Collector;
use super::sources::GroupSources;
use crate::collect::config::PollConfig;
use crate::collect::failure::{Contact, Operation};
use crate::collect::fetch::Budget;
use crate::collect::fetch::groups::{self, Described, GroupAnswer, GroupPhase};
use crate::collect::fetch::listing::{self, Coverage, Listing, Target};
use crate::collect::fetch::marks::{self, Marks};
use crate::collect::fetch::members;
use crate::collect::fetch::topology::{self, Currency, Topology, TopologyAnswer};
use crate::collect::kinds::SkippedGroups;
use crate::collect::memory::RequestTimes;
use crate::collect::places::walk_to;
use crate::collect::rebuild::Rebuilds;
use crate::collect::stream::Follower;
use crate::collect::update::{Cycle, Scope, Update};
use crate::kafka::{Admin, MalformedMembers};
use crate::lag::{GroupId, Timestamp, TopicName};
use crate::snapshot::{ClusterSnapshot, CollectMode, CycleOutcome, GroupRow};

/// The value of the label `error` for a member whose assignment cannot be read.
const MALFORMED: &str = "MALFORMED_ASSIGNMENT";

/// What a cycle has fetched so far.
struct CycleFetch<'a> {
    collector: &'a mut Collector,
    admin: Arc<dyn Admin>,
    config: PollConfig,
    budget: Budget,
    cycle: Cycle,
    topology: Option<Arc<Topology>>,
    groups: BTreeMap<GroupId, GroupAnswer>,
    marks: Marks,
    rebuilds: Rebuilds,
    mode: CollectMode,
}

/// Runs one cycle and publishes its snapshot, whatever came of it.
///
/// # Cancel safety
///
/// A cycle that is dropped has published nothing; the next one makes good what it has recorded.
pub(in crate::collect) async fn run(collector: &mut Collector) -> CycleOutcome {
    let started = Instant::now();
    let budget = collector.budget();
    let unshared = collector.fetch_share_size(budget).await;
    let admin = Arc::clone(&collector.admin);
    let beginning = collector
        .stream
        .begin(admin.as_ref(), &collector.config, budget);
    beginning.await;
    let mut run = CycleFetch::of_topology(collector, budget).await;
    run.fetch_groups_and_logs().await;
    run.cycle.failures.extend(unshared);
    let update = run.into_update();
    collector.observe_duration("total", started.elapsed());
    publish(collector, update, started)
}

/// Makes the cycle's snapshot and publishes it; counts and logs what failed.
fn publish(collector: &mut Collector, update: Update, started: Instant) -> CycleOutcome {
    let failures = match &update.scope {
        Scope::Whole(cycle) => cycle.failures.clone(),
        Scope::Part(_) => Vec::new(),
    };
    collector.count(&failures);
    collector.topology.clone_from(&update.topology);
    report_members(collector, &update.groups);
    let commits = update.groups.iter();
    let commits = commits.filter_map(|(id, answer)| Some((id, answer.committed.as_ref().ok()?)));
    collector.known_commits.replace(commits);
    let mut snapshot = collector.next_snapshot(update);
    forget(collector, &mut snapshot);
    let outcome = snapshot.outcome;
    let unread = snapshot.groups.iter().filter(|row| !row.is_read_in_full());
    let unread = u64::try_from(unread.count()).expect("a count of rows fits in 64 bits");
    collector.metrics.group_collection_errors().inc_by(unread);
    collector.publish(snapshot);
    collector.memory.end_cycle();
    collector.metrics.polls(outcome.as_str()).inc();
    collector
        .reporter
        .report(&collector.newest, &failures, started.elapsed());
    outcome
}

/// Counts and logs the groups whose members cannot be described or read.
fn report_members(collector: &mut Collector, groups: &BTreeMap<GroupId, GroupAnswer>) {
    if !groups.is_empty() {
        let undescribable = groups
            .iter()
            .filter(|(_, answer)| matches!(answer.description, Described::Unsupported));
        let undescribable = undescribable.map(|(id, _)| id.clone()).collect();
        collector.reporter.report_undescribable(&undescribable);
    }
    let malformed = groups.iter().filter_map(|(id, answer)| {
        let Described::Answered(description) = &answer.description else {
            return None;
        };
        Some((id.clone(), description.malformed.as_ref()?))
    });
    let malformed: BTreeMap<GroupId, &MalformedMembers> = malformed.collect();
    for _ in &malformed {
        let operation = Operation::DescribeGroup.as_str();
        collector.metrics.errors(operation, MALFORMED).inc();
    }
    collector.reporter.report_malformed(&malformed);
}

/// Forgets what the next snapshot does not need.
fn forget(collector: &mut Collector, snapshot: &mut ClusterSnapshot) {
    let Collector {
        memory,
        newest,
        topology,
        stream,
        ..
    } = collector;
    let topology = topology.as_deref();
    memory.forget(newest, snapshot, topology);
    let Some(topology) = topology.filter(|_| memory.is_due_to_forget()) else {
        return;
    };
    if let Some(follower) = stream.follower_mut() {
        follower.forget_names(|topic| topology.topics.contains_key(topic));
    }
    for row in &mut snapshot.groups {
        forget_commits(row, topology, stream.follower_mut());
    }
}

/// Forgets the commits of a group on topics that neither exist nor are shown of it.
fn forget_commits(row: &mut Arc<GroupRow>, topology: &Topology, follower: Option<&mut Follower>) {
    let shown: BTreeSet<TopicName> = row
        .partitions
        .by_topic()
        .map(|(topic, _)| topic.clone())
        .collect();
    let is_left = |topic: &TopicName| topology.topics.contains_key(topic) || shown.contains(topic);
    if row.activity.commits.keys().all(is_left) {
        return;
    }
    if let Some(follower) = follower {
        follower.retain_topics(&row.id, is_left);
    }
    let row = Arc::make_mut(row);
    let activity = Arc::make_mut(&mut row.activity);
    activity.commits.retain(|topic, _| is_left(topic));
}

impl<'a> CycleFetch<'a> {
    /// Fetches brokers, topics and leaders, with which a cycle starts.
    async fn of_topology(collector: &'a mut Collector, budget: Budget) -> Self {
        let admin = Arc::clone(&collector.admin);
        let config = collector.config.clone();
        let started = Instant::now();
        let previous = collector.topology.as_ref();
        let fetching = topology::fetch(admin.as_ref(), &config, budget, previous);
        let TopologyAnswer {
            topology,
            currency,
            failures,
        } = fetching.await;
        collector.observe_duration("metadata", started.elapsed());
        Self {
            collector,
            admin,
            config,
            budget,
            cycle: Cycle::new(currency, failures),
            topology,
            groups: BTreeMap::new(),
            marks: Marks::default(),
            rebuilds: Rebuilds::default(),
            mode: CollectMode::Poll,
        }
    }

    /// Fetches everything else; ends early where nobody answers, so that this is shown at once.
    async fn fetch_groups_and_logs(&mut self) {
        let Some(topology) = self.topology.clone() else {
            return;
        };
        let has_same_partitions = self.has_same_partitions(&topology);
        if !has_same_partitions {
            // The same commits and members may make other rows.
            self.collector.known_commits.clear();
        }
        let Some(targets) = self.list_groups(&topology).await else {
            return;
        };
        self.fetch_groups(&topology, targets).await;
        if self.cycle.contact == Contact::Made {
            self.fetch_logs(&topology, has_same_partitions).await;
        }
    }

    fn into_update(self) -> Update {
        Update {
            scope: Scope::Whole(self.cycle),
            topology: self.topology,
            groups: self.groups,
            marks: self.marks,
            rebuilds: self.rebuilds,
            mode: self.mode,
        }
    }

    fn has_same_partitions(&self, topology: &Topology) -> bool {
        let before = self.collector.topology.as_ref();
        before.is_some_and(|before| before.has_same_partitions(topology))
    }

    /// Lists groups, and returns those to learn of; nothing where no broker answered.
    async fn list_groups(&mut self, topology: &Topology) -> Option<Vec<Target>> {
        let started = Instant::now();
        let currency = self.cycle.currency;
        let admin = self.admin.as_ref();
        let listing = listing::fetch(admin, &self.config, self.budget, topology, currency).await;
        self.collector
            .observe_duration("list_groups", started.elapsed());
        let targets = listing.targets(&self.config, &self.collector.newest);
        let Listing {
            coverage,
            contact,
            failures,
            groups,
            skipped,
        } = listing;
        self.collector.listed = groups;
        self.skip_listed(coverage, skipped);
        self.cycle.coverage = coverage;
        self.cycle.add(contact, failures);
        let has_answer = self.cycle.contact == Contact::Made || coverage == Coverage::Named;
        has_answer.then_some(targets)
    }

    /// Notes the groups that are listed and have no series of their own.
    fn skip_listed(&mut self, coverage: Coverage, newly_skipped: SkippedGroups) {
        let Collector {
            skipped,
            listed,
            config,
            ..
        } = &mut *self.collector;
        match coverage {
            Coverage::Whole => *skipped = newly_skipped,
            Coverage::InPart => {
                skipped.extend(newly_skipped);
                skipped.retain(|id, _| !listed.contains_key(id));
            }
            Coverage::Named => skipped.retain(|id, _| config.group_names.contains(id)),
        }
    }

    /// Learns of members and commits, from records and from coordinators.
    async fn fetch_groups(&mut self, topology: &Topology, targets: Vec<Target>) {
        let collector = &mut *self.collector;
        let (admin, config) = (self.admin.as_ref(), &self.config);
        let reconciles = collector.stream.is_due_for_reconciliation(config);
        let now = Instant::now().into_std();
        let follower = collector.stream.follower();
        let mut sources = GroupSources::split(follower, targets, reconciles, now);
        let named_partitions = groups::named_partitions(config, topology);
        let phase = GroupPhase {
            admin,
            config,
            budget: self.budget,
            named_partitions: named_partitions.as_deref(),
            known: &collector.known_commits,
        };
        let mut answer = phase.fetch(std::mem::take(&mut sources.to_ask)).await;
        collector.skip_others(&mut answer.groups);
        collector.observe_duration("describe_groups", answer.describing);
        collector.observe_duration("committed_offsets", answer.reading_commits);
        self.cycle.add(answer.contact(), answer.failures);
        if sources.has_records() {
            self.cycle.contact = Contact::Made;
        }
        let ends = collector.stream.see_ends(admin, self.budget).await;
        if reconciles {
            collector.stream.note_reconciliation();
        }
        collector.asked.clear();
        self.groups = match collector.stream.follower_mut() {
            Some(follower) => {
                let coverage = self.cycle.coverage;
                sources.join(answer.groups, &ends, coverage, &collector.newest, follower)
            }
            None => answer.groups,
        };
        if self.cycle.currency == Currency::Current {
            let suspects = &collector.suspects;
            collector.suspects = members::check_assignments(&mut self.groups, topology, suspects);
        }
        self.cycle.skipped = collector.skipped.clone();
        self.mode = collector.stream.mode();
    }

    /// Reads where logs begin and end, compares everything with the newest snapshot, and finds out the ages of pending records.
    async fn fetch_logs(&mut self, topology: &Topology, has_same_partitions: bool) {
        let collector = &mut *self.collector;
        let (admin, config, budget) = (self.admin.as_ref(), &self.config, self.budget);
        let previous = Arc::clone(&collector.newest);
        let leaders = marks::leaders(config, topology, &self.groups, &previous);
        collector.memory.forget_recreated_topics(topology);
        let (started, asked_at) = (Instant::now(), Timestamp::from(SystemTime::now()));
        let answer = marks::fetch(admin, config, budget, leaders).await;
        collector.observe_duration("list_offsets", started.elapsed());
        let times = RequestTimes {
            asked_at,
            answered_at: Timestamp::from(SystemTime::now()),
        };
        self.marks = answer.marks;
        self.cycle.add(Contact::None, answer.failures);
        let may_reuse_rows = collector.memory.observe_cycle(&self.marks, times);
        // Before the first cycle, what is shown is that of another configuration, if any.
        if has_same_partitions && may_reuse_rows {
            self.rebuilds = Rebuilds::of_cycle(&self.groups, &self.marks, &previous);
        }
        let mut rows = previous.groups.iter().peekable();
        for (id, answer) in &self.groups {
            let before = walk_to(&mut rows, id, |row| &row.id).map(AsRef::as_ref);
            let rebuild = self.rebuilds.of(id);
            let (group, rebuild) = ((before, answer), (rebuild, &self.marks));
            collector
                .memory
                .update_standings(id, group, rebuild, config);
        }
        let logs = (topology, &self.marks);
        collector
            .memory
            .search_ages(admin, config, budget, logs)
            .await;
    }
}
