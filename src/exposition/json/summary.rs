//! The groups, one row each.

use std::time::Instant;

use serde::Serialize;

use super::time::{age_seconds, seconds, timestamp_of};
use crate::exposition::view::{Absence, GroupView, Scene, Sums};
use crate::lag::{BrokerId, ClusterName, GroupId, Status};
use crate::snapshot::{GroupFailure, World};

/// The answer of `/api/v1/groups`.
#[derive(Debug, Serialize)]
pub struct GroupSummaries<'a> {
    total: usize,
    offset: usize,
    next_offset: Option<usize>,
    groups: Vec<GroupSummary<'a>>,
}

/// Which of the groups are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many groups to leave out first.
    pub offset: usize,
    /// How many groups to return at most.
    pub limit: usize,
}

/// What a group has once.
#[derive(Debug, Serialize)]
pub(super) struct GroupSummary<'a> {
    cluster: Option<&'a ClusterName>,
    group: &'a GroupId,
    state: Option<&'static str>,
    #[serde(rename = "type")]
    group_type: Option<&'static str>,
    protocol: Option<&'a str>,
    coordinator: Option<BrokerId>,
    members: Option<usize>,
    topics: usize,
    partitions: usize,
    uncommitted_partitions: Option<u64>,
    lag: Option<u64>,
    lag_reason: Option<Absence>,
    lag_seconds: Option<f64>,
    status: Option<&'static str>,
    status_reason: Option<String>,
    age_seconds: Option<f64>,
    rebalances: Option<u64>,
    last_rebalance_at: Option<String>,
    member_joins: Option<u64>,
    member_leaves: Option<u64>,
    failures: &'a [GroupFailure],
}

/// Returns one page of the groups of `cluster`, or of all clusters, as they are to be seen at `now`.
pub fn group_summaries<'a>(
    world: &'a World,
    cluster: Option<&str>,
    page: Page,
    now: Instant,
) -> GroupSummaries<'a> {
    let Page { offset, limit } = page;
    let selected = || {
        let clusters = world.clusters.iter();
        let clusters = clusters.filter(move |(name, _)| {
            cluster.is_none_or(|wanted| name.as_ref().is_some_and(|name| name.as_str() == wanted))
        });
        clusters.filter_map(|(name, snapshot)| Some((name.as_ref(), snapshot.as_deref()?)))
    };
    let total = selected().map(|(_, snapshot)| snapshot.groups.len()).sum();
    let rows = selected().flat_map(|(name, snapshot)| {
        let groups = snapshot.groups.iter();
        let scene = Scene { snapshot, now };
        groups.map(move |group| (name, GroupView::new(scene, group)))
    });
    let groups: Vec<_> = rows
        .skip(offset)
        .take(limit)
        .map(|(name, group)| group_summary(name, group))
        .collect();
    let next = offset.saturating_add(groups.len());
    GroupSummaries {
        total,
        offset,
        next_offset: (next < total && !groups.is_empty()).then_some(next),
        groups,
    }
}

pub(super) fn group_summary<'a>(
    cluster: Option<&'a ClusterName>,
    group: GroupView<'a>,
) -> GroupSummary<'a> {
    let (row, membership) = (group.row, group.membership);
    let sums = Sums::new(group, row.partitions.all());
    let totals = sums.totals();
    let activity = group.activity();
    GroupSummary {
        cluster,
        group: &row.id,
        state: membership.map(|membership| membership.state.as_str()),
        group_type: membership.map(|membership| membership.group_type.as_str()),
        protocol: membership.map(|membership| membership.assignor.as_str()),
        coordinator: membership.and_then(|membership| membership.coordinator),
        members: membership.map(|membership| membership.members.len()),
        topics: row.partitions.by_topic().count(),
        partitions: row.partitions.len(),
        uncommitted_partitions: totals.uncommitted_partitions,
        lag: totals.lag,
        lag_reason: totals.lag.is_none().then(|| sums.absence()),
        lag_seconds: sums.lag_seconds().map(seconds),
        status: group.status().map(Status::as_str),
        status_reason: group.status_reason(),
        age_seconds: sums
            .measured()
            .map(|oldest| age_seconds(oldest, group.scene.now)),
        rebalances: activity.map(|activity| activity.rebalances),
        last_rebalance_at: activity
            .and_then(|activity| activity.last_rebalance_ms)
            .and_then(timestamp_of),
        member_joins: activity.map(|activity| activity.member_joins),
        member_leaves: activity.map(|activity| activity.member_leaves),
        failures: &row.failures,
    }
}
