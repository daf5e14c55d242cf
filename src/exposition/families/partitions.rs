//! Samples of the partitions of groups: figures, and what they mean.

use super::scene::Scene;
use super::seconds;
use crate::exposition::writer::{Labels, Value};
use crate::lag::{Committed, Lag, Method, Status, UncommittedPolicy};
use crate::snapshot::{GroupRow, Judgement, Member, OwnerInfo, PartitionRow, Reading};

/// A partition of a group as it is to be seen.
pub(in crate::exposition) struct GroupPartitionView<'a> {
    group: &'a GroupRow,
    row: &'a PartitionRow,
    /// The pair that is shown, with its lag.
    reading: Option<(&'a Reading, Lag)>,
    /// What the rules say; nothing where that is too old, and where it is caught up.
    judgement: Option<Judgement>,
    is_judged: bool,
    owner: Option<&'a Member>,
    uncommitted: UncommittedPolicy,
}

impl<'a> GroupPartitionView<'a> {
    /// Returns a partition of a group of a scene.
    pub(in crate::exposition) fn new(
        scene: Scene<'a>,
        group: &'a GroupRow,
        row: &'a PartitionRow,
    ) -> Self {
        let reading = scene.reading(group, row);
        let is_judged = scene.is_judged();
        let shows_owner = scene.snapshot.exposure.owner_info == OwnerInfo::Exposed;
        Self {
            group,
            row,
            reading: reading.map(|reading| (reading, reading.lag())),
            judgement: (is_judged && !row.is_quiet()).then(|| row.judgement()),
            is_judged,
            owner: shows_owner
                .then(|| scene.membership(group)?.owner(row))
                .flatten(),
            uncommitted: scene.snapshot.uncommitted,
        }
    }
}

pub(super) fn lag(view: &GroupPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let (_, lag) = view.reading?;
    lag.records(view.uncommitted).map(Value::from)
}

pub(super) fn lag_seconds(view: &GroupPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let (reading, _) = view.reading?;
    let age = reading.age(view.group.measured)?;
    // A lower bound that begins at 0 would look like a group that is caught up.
    (age.method != Method::Bound).then(|| seconds(age.estimate))
}

pub(super) fn committed(view: &GroupPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let (reading, _) = view.reading?;
    match reading.committed {
        Committed::At(offset) => Some(offset.value().into()),
        Committed::Never => None,
    }
}

pub(super) fn lost(view: &GroupPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    match view.reading? {
        (_, Lag::Known(distance)) => distance.lost.filter(|&lost| lost > 0).map(Value::from),
        (_, Lag::NoCommit { .. } | Lag::Unavailable(_)) => None,
    }
}

pub(super) fn status(view: &GroupPartitionView<'_>, labels: &mut Labels) -> Option<Value> {
    let status = view.judgement?.finding.status();
    labels.push("status", status.as_str());
    (status != Status::Ok).then(|| 1.into())
}

pub(super) fn headroom(view: &GroupPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let (left, _) = view.judgement?.headroom.left(view.group.judged_at)?;
    Some(seconds(left))
}

/// An old pair that is still kept tells of it too, as long as the newest cycle is fresh.
pub(super) fn blocked(view: &GroupPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let blocked = view.is_judged.then(|| view.row.blocked())?;
    blocked.map(Value::from)
}

pub(super) fn owner(view: &GroupPartitionView<'_>, labels: &mut Labels) -> Option<Value> {
    let member = view.owner?;
    labels.push("member_id", &member.id);
    labels.push("client_id", &member.client_id);
    labels.push("host", &member.host);
    Some(1.into())
}
