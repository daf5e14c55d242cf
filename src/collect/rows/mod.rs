//! The rows of the next snapshot, from the newest one and what was learned since: pure, so that every rule of keeping and
//! dropping can be tested.
//!
//! A row's figures come from one and the same cycle. Where a cycle could not read them, the last good ones are kept
//! until they are `stale_after` old, then they are absent. Rows are removed only by evidence: a group that its coordinator
//! does not know and that has no commits, a topic that whole metadata do not name.

mod evidence;
mod group;
mod partitions;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::evidence::Evidence;
use super::clock::Now;
use super::config::PollConfig;
use super::failure;
use super::fetch::groups::GroupAnswer;
use super::fetch::topology::Topology;
use super::kinds::SkippedGroups;
use super::memory::Ages;
use super::rebuild::Rebuilds;
use super::update::{Cycle, Scope, Update};
use crate::lag::{GroupId, Share, TopicPartition};
use crate::snapshot::{BrokerRow, ClusterSnapshot, CycleOutcome, GroupRow, SkippedGroup};

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

/// Returns the snapshot that follows `previous` by an update. Its rows are not judged yet. Takes the groups out of `update`.
///
/// `now` is when the update was complete. It becomes the age of every figure read by it; a figure cannot be older than its
/// cycle, and cycles are short against `stale_after`.
pub(super) fn next(
    previous: &ClusterSnapshot,
    update: &mut Update,
    config: &PollConfig,
    ages: &Ages,
    now: Now,
) -> ClusterSnapshot {
    let groups = std::mem::take(&mut update.groups);
    let evidence = Evidence::new(update, config, ages, now);
    match &update.scope {
        Scope::Whole(cycle) => {
            let groups = cycle_rows(previous, groups, cycle, &update.rebuilds, evidence);
            ClusterSnapshot {
                mode: update.mode,
                topics: topic::rows(
                    previous,
                    evidence.topology,
                    &update.marks,
                    config,
                    now.instant,
                ),
                groups,
                ..of_cycle(previous, cycle, evidence.topology, config, now)
            }
        }
        Scope::Part(changed) => ClusterSnapshot {
            mode: update.mode,
            topics: topic::patched(previous, &update.marks, now.instant),
            groups: changed_rows(previous, groups, changed, &update.rebuilds, evidence),
            ..previous.clone()
        },
    }
}

/// Returns what a cycle says of the cluster as a whole, without topics and groups.
fn of_cycle(
    previous: &ClusterSnapshot,
    cycle: &Cycle,
    topology: Option<&Topology>,
    config: &PollConfig,
    now: Now,
) -> ClusterSnapshot {
    let outcome = failure::outcome(cycle.contact, &cycle.failures);
    let (brokers_measured, brokers) = topology.map_or_else(
        || (previous.brokers_measured, Arc::clone(&previous.brokers)),
        |topology| (Some(topology.measured), brokers(topology)),
    );
    ClusterSnapshot {
        outcome,
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
        skipped: skipped_groups(&cycle.skipped),
        ..blank(config, now)
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
fn cycle_rows(
    previous: &ClusterSnapshot,
    answers: BTreeMap<GroupId, GroupAnswer>,
    cycle: &Cycle,
    rebuilds: &Rebuilds,
    evidence: Evidence<'_>,
) -> Vec<Arc<GroupRow>> {
    // A group has no answer if the cycle ended before groups were described.
    let aged = |before: &Arc<GroupRow>| {
        let is_shown =
            evidence.config.watches_group(&before.id) && !cycle.skipped.contains_key(&before.id);
        is_shown.then(|| Arc::new(group::aged(before, evidence)))
    };
    let mut known = previous.groups.iter().peekable();
    let mut rows = Vec::with_capacity(answers.len());
    for (id, answer) in answers {
        while let Some(before) = known.next_if(|row| row.id < id) {
            rows.extend(aged(before));
        }
        let before = known.next_if(|row| row.id == id).map(AsRef::as_ref);
        let rebuild = rebuilds.of(&id);
        rows.extend(group::row(id, before, answer, rebuild, evidence).map(Arc::new));
    }
    rows.extend(known.filter_map(aged));
    rows
}

/// Returns the rows of before, with those of the groups that changed since.
fn changed_rows(
    previous: &ClusterSnapshot,
    answers: BTreeMap<GroupId, GroupAnswer>,
    changed: &BTreeMap<GroupId, BTreeSet<TopicPartition>>,
    rebuilds: &Rebuilds,
    evidence: Evidence<'_>,
) -> Vec<Arc<GroupRow>> {
    let none = BTreeSet::new();
    let mut groups = previous.groups.clone();
    for (id, answer) in answers {
        let place = groups.binary_search_by(|row| row.id.cmp(&id));
        let before = place.ok().map(|index| groups[index].as_ref());
        let rebuild = rebuilds.of(&id);
        let changed = changed.get(&id).unwrap_or(&none);
        let row = group::changed_row(id, before, answer, changed, rebuild, evidence);
        match (place, row.map(Arc::new)) {
            (Ok(index), Some(row)) => groups[index] = row,
            (Ok(index), None) => drop(groups.remove(index)),
            (Err(index), Some(row)) => groups.insert(index, row),
            (Err(_), None) => {}
        }
    }
    groups
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
