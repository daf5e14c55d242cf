//! Turning what one cycle fetched into a snapshot: pure, so that every rule of keeping and dropping can be tested.
//!
//! A row's figures come from one and the same cycle. Where a cycle could not read them, the last good ones are kept
//! until they are `stale_after` old, then they are absent. Rows go only by evidence: a group that its coordinator
//! does not know and that has no commits, a topic that whole metadata do not name.

mod group;
mod partitions;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use self::group::Evidence;
use super::ages::Ages;
use super::config::PollConfig;
use super::failure::{self, Contact, Failure};
use super::fetch::groups::GroupAnswer;
use super::fetch::listing::Coverage;
use super::fetch::marks::Marks;
use super::fetch::topology::{Currency, Topology};
use super::kinds::SkippedGroups;
use super::renewal::{Renewal, Renewals};
use crate::lag::{GroupId, Share, Timestamp, TopicPartition};
use crate::snapshot::{
    BrokerRow, ClusterSnapshot, CollectMode, CycleOutcome, GroupRow, Moment, SkippedGroup,
};

/// Everything one cycle fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) contact: Contact,
    /// The newest topology; nothing where none was ever read.
    pub(super) topology: Option<Arc<Topology>>,
    pub(super) currency: Currency,
    pub(super) coverage: Coverage,
    /// One entry for each group that was to be asked about; none where the cycle never came to that.
    pub(super) groups: BTreeMap<GroupId, GroupAnswer>,
    /// One entry for each partition whose log was to be asked about.
    pub(super) marks: Marks,
    pub(super) renewals: Renewals,
    pub(super) failures: Vec<Failure>,
    /// Groups that have no series of their own.
    pub(super) skipped: SkippedGroups,
    pub(super) mode: CollectMode,
}

/// The instant of a snapshot, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

/// What a snapshot stands on besides what was fetched.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) config: &'a PollConfig,
    pub(super) ages: &'a Ages,
    pub(super) renewals: &'a Renewals,
    pub(super) now: Now,
}

impl Now {
    /// Returns the moment in milliseconds since the epoch.
    fn millis(self) -> i64 {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }

    /// Returns when what was read now was read.
    fn of(self, ages: &Ages) -> Moment {
        Moment {
            instant: self.instant,
            time: ages.now().unwrap_or_else(|| Timestamp::from(self.time)),
        }
    }
}

impl Fetched {
    /// Returns a cycle that has asked for its topology alone.
    pub(super) fn begin(
        topology: Option<Arc<Topology>>,
        currency: Currency,
        failures: Vec<Failure>,
    ) -> Self {
        Self {
            contact: match currency {
                Currency::Current => Contact::Made,
                Currency::Kept => Contact::None,
            },
            topology,
            currency,
            coverage: Coverage::InPart,
            groups: BTreeMap::new(),
            marks: Marks::default(),
            renewals: Renewals::default(),
            failures,
            skipped: SkippedGroups::new(),
            mode: CollectMode::Poll,
        }
    }

    /// Adds what another phase came to.
    pub(super) fn note(&mut self, contact: Contact, failures: Vec<Failure>) {
        if contact == Contact::Made {
            self.contact = contact;
        }
        self.failures.extend(failures);
    }
}

/// Returns the snapshot before the first cycle: nothing is known.
pub(super) fn blank(config: &PollConfig, now: Now) -> ClusterSnapshot {
    ClusterSnapshot {
        cluster: config.cluster.clone(),
        shard_partitions: shard_partitions(config),
        uncommitted: config.uncommitted,
        exposure: config.exposure,
        ..ClusterSnapshot::empty(now.instant, now.time, config.stale_after)
    }
}

/// Returns the snapshot that follows `previous` by what was fetched.
///
/// `now` is when the cycle ended. It becomes the age of every figure read in it; a figure cannot be older than its
/// cycle, and cycles are short against `stale_after`.
pub(super) fn build(
    previous: &ClusterSnapshot,
    fetched: Fetched,
    Ground {
        config,
        ages,
        renewals,
        now,
    }: Ground<'_>,
) -> ClusterSnapshot {
    let outcome = failure::outcome(fetched.contact, &fetched.failures);
    let topology = fetched.topology.as_deref();
    let (brokers_measured, brokers) = topology.map_or_else(
        || (previous.brokers_measured, Arc::clone(&previous.brokers)),
        |topology| (Some(topology.measured), brokers(topology)),
    );
    let topics = topic::rows(previous, topology, &fetched.marks, config, now.instant);
    let evidence = Evidence {
        topology,
        currency: fetched.currency,
        coverage: fetched.coverage,
        marks: &fetched.marks,
        ages,
        config,
        now: now.of(ages),
        now_ms: now.millis(),
    };
    let skipped = skipped_groups(&fetched.skipped);
    let groups = group_rows(
        previous,
        fetched.groups,
        &fetched.skipped,
        renewals,
        evidence,
    );
    ClusterSnapshot {
        outcome,
        mode: fetched.mode,
        last_complete: match outcome {
            CycleOutcome::Complete => Some(now.time),
            _ => previous.last_complete,
        },
        last_up: if outcome.is_up() {
            Some(now.instant)
        } else {
            previous.last_up
        },
        brokers_measured,
        brokers,
        topics,
        groups,
        skipped,
        ..blank(config, now)
    }
}

/// What changed since the newest cycle, with what was measured for it.
pub(super) struct Changes {
    pub(super) topology: Option<Arc<Topology>>,
    /// The groups that changed, each with the partitions whose commits did.
    pub(super) groups: BTreeMap<GroupId, (GroupAnswer, BTreeSet<TopicPartition>)>,
    /// One entry for each of those partitions whose leader was asked.
    pub(super) marks: Marks,
    pub(super) mode: CollectMode,
}

/// Returns the snapshot that follows `previous` by what changed since, without another cycle.
pub(super) fn patch(
    previous: &ClusterSnapshot,
    changes: Changes,
    Ground {
        config,
        ages,
        renewals,
        now,
    }: Ground<'_>,
) -> ClusterSnapshot {
    let Changes {
        topology,
        groups: answers,
        marks,
        mode,
    } = changes;
    let evidence = Evidence {
        topology: topology.as_deref(),
        // A topic may be younger than the topology.
        currency: Currency::Kept,
        coverage: Coverage::InPart,
        marks: &marks,
        ages,
        config,
        now: now.of(ages),
        now_ms: now.millis(),
    };
    let mut groups = previous.groups.clone();
    for (id, (answer, partitions)) in answers {
        let place = groups.binary_search_by(|row| row.id.cmp(&id));
        let before = place.ok().map(|index| groups[index].as_ref());
        let row = match (before, renewals.of(&id)) {
            (Some(before), Renewal::Only(touched)) => {
                Some(group::touched_apart(before, &answer, touched, evidence))
            }
            (before, _) => group::patched(id, before, answer, &partitions, evidence),
        };
        let row = row.map(Arc::new);
        match (place, row) {
            (Ok(index), Some(row)) => groups[index] = row,
            (Ok(index), None) => drop(groups.remove(index)),
            (Err(index), Some(row)) => groups.insert(index, row),
            (Err(_), None) => {}
        }
    }
    ClusterSnapshot {
        mode,
        topics: topic::patched(previous, &marks, now.instant),
        groups,
        ..previous.clone()
    }
}

/// Returns `previous` without what is no longer this replica's.
pub(super) fn without_others(previous: &ClusterSnapshot, config: &PollConfig) -> ClusterSnapshot {
    let groups = previous.groups.iter();
    let topics = previous.topics.iter().map(|row| {
        let mut row = Arc::clone(row);
        let series = topic::series(&row.name, config);
        if row.series != series {
            Arc::make_mut(&mut row).series = series;
        }
        row
    });
    ClusterSnapshot {
        shard_partitions: shard_partitions(config),
        topics: topics.collect(),
        groups: groups
            .filter(|row| config.watches_group(&row.id))
            .cloned()
            .collect(),
        ..previous.clone()
    }
}

fn shard_partitions(config: &PollConfig) -> Option<usize> {
    match &config.share {
        Share::Whole => None,
        Share::Part { owned, .. } => Some(owned.len()),
    }
}

/// Returns a row for each group asked about that exists, or the rows of before where none was asked about.
fn group_rows(
    previous: &ClusterSnapshot,
    answers: BTreeMap<GroupId, GroupAnswer>,
    skipped: &SkippedGroups,
    renewals: &Renewals,
    evidence: Evidence<'_>,
) -> Vec<Arc<GroupRow>> {
    // A group has no answer if the cycle ended before groups were described.
    let aged = |before: &Arc<GroupRow>| {
        let is_shown =
            evidence.config.watches_group(&before.id) && !skipped.contains_key(&before.id);
        is_shown.then(|| Arc::new(group::aged(before, evidence)))
    };
    let mut known = previous.groups.iter().peekable();
    let mut rows = Vec::with_capacity(answers.len());
    for (id, answer) in answers {
        while let Some(before) = known.next_if(|row| row.id < id) {
            rows.extend(aged(before));
        }
        let before = known.next_if(|row| row.id == id).map(AsRef::as_ref);
        let row = match (before, renewals.of(&id)) {
            (Some(before), Renewal::Only(touched)) => {
                Some(group::touched(before, &answer, touched, evidence))
            }
            (before, _) => group::row(id, before, answer, evidence),
        };
        rows.extend(row.map(Arc::new));
    }
    rows.extend(known.filter_map(aged));
    rows
}

fn skipped_groups(skipped: &SkippedGroups) -> Arc<[SkippedGroup]> {
    let skipped = skipped.iter();
    skipped
        .map(|(id, &(protocol_type, state))| SkippedGroup {
            id: id.clone(),
            protocol_type,
            state,
        })
        .collect()
}

fn brokers(topology: &Topology) -> Arc<[BrokerRow]> {
    let rows = topology.brokers.iter().map(|broker| BrokerRow {
        id: broker.id,
        address: format!("{}:{}", broker.host, broker.port),
    });
    rows.collect()
}

/// Tells whether something measured at `measured` may still be shown.
fn is_fresh(measured: Instant, config: &PollConfig, now: Instant) -> bool {
    now.saturating_duration_since(measured) <= config.stale_after
}
