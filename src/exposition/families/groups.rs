//! Samples of groups and of their topics.

use std::time::Duration;

use crate::exposition::view::{GroupView, Sums};
use crate::exposition::writer::{Labels, Value};
use crate::lag::group::TopicTotals;
use crate::lag::{Drain, TopicName};
use crate::snapshot::Commits;

/// A group's partitions of one topic, added up.
pub(in crate::exposition) struct GroupTopicView {
    totals: TopicTotals,
    lag_seconds: Option<Duration>,
    headroom: Option<Duration>,
    drain: Option<Drain>,
    abandoned: u64,
    commits: Option<Commits>,
}

impl GroupTopicView {
    /// Returns what the partitions of a group on one topic add up to.
    pub(in crate::exposition) fn new(topic: &TopicName, sums: Sums<'_>) -> Self {
        Self {
            totals: sums.totals(),
            lag_seconds: sums.lag_seconds(),
            headroom: sums.headroom(),
            drain: sums.drain(),
            abandoned: sums.abandoned(),
            commits: sums.commits(topic),
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
    labels.push("status", view.status()?.as_str());
    Some(1.into())
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

pub(super) fn rebalances(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(view.activity()?.rebalances.into())
}

pub(super) fn last_rebalance(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    view.activity()?.last_rebalance_ms.map(Value::timestamp)
}

pub(super) fn member_joins(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(view.activity()?.member_joins.into())
}

pub(super) fn member_leaves(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(view.activity()?.member_leaves.into())
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

pub(super) fn lag_seconds_max(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.lag_seconds.map(Value::seconds)
}

pub(super) fn headroom_min(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.headroom.map(Value::seconds)
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
    view.commits?.last_ms.map(Value::timestamp)
}
