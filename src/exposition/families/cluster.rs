//! Samples that a cluster has once, and its brokers.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use crate::exposition::lines::Lines;
use crate::exposition::writer::{Labels, Value};
use crate::snapshot::{ClusterSnapshot, CollectMode};

/// A cluster, before its first snapshot too.
pub(in crate::exposition) struct ClusterView<'a> {
    pub(in crate::exposition) snapshot: Option<&'a ClusterSnapshot>,
    pub(in crate::exposition) now: Instant,
    /// How many series were written so far.
    pub(in crate::exposition) written: u64,
}

pub(super) fn up(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let is_up = view
        .snapshot
        .is_some_and(|snapshot| snapshot.is_up(view.now));
    lines.sample(labels, u64::from(is_up));
}

pub(super) fn last_success(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let ended = view.snapshot.and_then(|snapshot| snapshot.last_complete);
    let since_epoch = ended.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    if let Some(since_epoch) = since_epoch {
        lines.sample(labels, Value::Float(since_epoch.as_secs_f64()));
    }
}

pub(super) fn brokers(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let fresh = view
        .snapshot
        .and_then(|snapshot| snapshot.fresh_brokers(view.now));
    if let Some(brokers) = fresh {
        lines.sample(labels, brokers.len() as u64);
    }
}

pub(super) fn broker_info(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let fresh = view
        .snapshot
        .and_then(|snapshot| snapshot.fresh_brokers(view.now));
    let mark = labels.mark();
    for broker in fresh.unwrap_or_default() {
        labels.push_number("id", broker.id.0);
        labels.push("address", &broker.address);
        lines.sample(labels, 1);
        labels.cut(mark);
    }
}

pub(super) fn mode(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    if let Some(snapshot) = view.snapshot {
        labels.push("mode", snapshot.mode.as_str());
        lines.sample(labels, 1);
    }
}

pub(super) fn stream_partitions(
    view: &ClusterView<'_>,
    labels: &mut Labels,
    lines: &mut Lines<'_>,
) {
    let mode = view.snapshot.map(|snapshot| snapshot.mode);
    let Some(CollectMode::Stream { live, behind }) = mode else {
        return;
    };
    let mark = labels.mark();
    for (state, count) in [("live", live), ("behind", behind)] {
        labels.push("state", state);
        lines.sample(labels, count as u64);
        labels.cut(mark);
    }
}

pub(super) fn shard_partitions(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let share = view.snapshot.and_then(|snapshot| snapshot.shard_partitions);
    if let Some(partitions) = share {
        lines.sample(labels, partitions as u64);
    }
}

pub(super) fn shard_groups(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let sharing = view.snapshot.filter(|one| one.shard_partitions.is_some());
    if let Some(snapshot) = sharing {
        lines.sample(labels, snapshot.groups.len() as u64);
    }
}

pub(super) fn groups_skipped(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    let Some(snapshot) = view.snapshot else {
        return;
    };
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for group in snapshot.skipped.iter() {
        *counts.entry(group.protocol_type).or_default() += 1;
    }
    let mark = labels.mark();
    for (protocol_type, count) in counts {
        labels.push("protocol_type", protocol_type);
        lines.sample(labels, count);
        labels.cut(mark);
    }
}

pub(super) fn series(view: &ClusterView<'_>, labels: &mut Labels, lines: &mut Lines<'_>) {
    if view.snapshot.is_some() {
        lines.sample(labels, view.written);
    }
}
