//! Samples of groups and of their topics.

use super::scene::Scene;
use super::timestamp;
use crate::exposition::writer::{Labels, Value};
use crate::lag::Drain;
use crate::lag::group::TopicTotals;
use crate::snapshot::{Activity, Commits, GroupRow, Membership, PartitionRow};

/// A group as it is to be seen.
pub(in crate::exposition) struct GroupView<'a> {
    row: &'a GroupRow,
    membership: Option<&'a Membership>,
    is_judged: bool,
}

/// A group's partitions of one topic, added up.
pub(in crate::exposition) struct GroupTopicView {
    totals: TopicTotals,
    drain: Option<Drain>,
    abandoned: u64,
    /// What was committed; nothing where no commit of the topic was read lately: a count that stands still says that
    /// nothing happened.
    commits: Option<Commits>,
}

impl<'a> GroupView<'a> {
    /// Returns a group of a scene.
    pub(in crate::exposition) fn new(scene: Scene<'a>, row: &'a GroupRow) -> Self {
        Self {
            row,
            membership: scene.membership(row),
            is_judged: scene.is_judged(),
        }
    }
}

impl GroupTopicView {
    /// Returns what the partitions of a group on one topic add up to.
    pub(in crate::exposition) fn new(
        scene: Scene<'_>,
        group: &GroupView<'_>,
        rows: &[PartitionRow],
    ) -> Self {
        let GroupView { row, is_judged, .. } = *group;
        let snapshot = scene.snapshot;
        let counted = rows.iter().filter(|partition| snapshot.counts(partition));
        let readings = counted.map(|partition| {
            let reading = scene.reading(row, partition)?;
            Some((reading.committed, reading.lag()))
        });
        let drain = || Drain::of_topic(rows.iter().filter_map(PartitionRow::drain));
        let topic = &rows[0].id.topic;
        let has_reading = |partition| scene.reading(row, partition).is_some();
        let commits = rows.iter().any(has_reading);
        let commits = commits.then(|| row.activity.commits.get(topic).copied());
        Self {
            totals: TopicTotals::of(readings, snapshot.uncommitted),
            drain: is_judged.then(drain).flatten(),
            abandoned: rows
                .iter()
                .filter(|partition| is_judged && partition.is_abandoned())
                .count() as u64,
            commits: commits.map(Option::unwrap_or_default),
        }
    }
}

pub(super) fn members(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some((view.membership?.members.len() as u64).into())
}

pub(super) fn state(view: &GroupView<'_>, labels: &mut Labels) -> Option<Value> {
    labels.push("state", view.membership?.state.as_str());
    Some(1.into())
}

pub(super) fn status(view: &GroupView<'_>, labels: &mut Labels) -> Option<Value> {
    labels.push("status", view.row.status().as_str());
    view.is_judged.then(|| 1.into())
}

pub(super) fn info(view: &GroupView<'_>, labels: &mut Labels) -> Option<Value> {
    let membership = view.membership?;
    labels.push("type", membership.group_type.as_str());
    labels.push("protocol", &membership.assignor);
    if let Some(coordinator) = membership.coordinator {
        labels.push_number("coordinator", coordinator.0);
    }
    Some(1.into())
}

/// Returns what a group was seen to do: where its members cannot be told, neither can what they did.
fn activity<'a>(view: &GroupView<'a>) -> Option<&'a Activity> {
    view.membership.map(|_| &*view.row.activity)
}

pub(super) fn rebalances(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(activity(view)?.rebalances.into())
}

pub(super) fn last_rebalance(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    activity(view)?.last_rebalance_ms.map(timestamp)
}

pub(super) fn member_joins(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(activity(view)?.member_joins.into())
}

pub(super) fn member_leaves(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(activity(view)?.member_leaves.into())
}

pub(super) fn lag_sum(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.totals.lag.map(Value::from)
}

pub(super) fn committed_sum(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.totals.committed.map(Value::from)
}

pub(super) fn uncommitted(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.totals.uncommitted_partitions.map(Value::from)
}

pub(super) fn drain(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.drain?.seconds().map(Value::Float)
}

pub(super) fn abandoned(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    (view.abandoned > 0).then(|| view.abandoned.into())
}

pub(super) fn commits(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    Some(view.commits?.count.into())
}

pub(super) fn last_commit(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.commits?.last_ms.map(timestamp)
}
