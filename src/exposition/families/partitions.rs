//! Samples of the partitions of groups: figures, and what they mean.

use crate::exposition::view::PartitionView;
use crate::exposition::writer::{Labels, Value};
use crate::lag::Status;
use crate::snapshot::OwnerInfo;

pub(super) fn lag(view: &PartitionView<'_>, _: &mut Labels) -> Option<Value> {
    view.lag().map(Value::from)
}

pub(super) fn lag_seconds(view: &PartitionView<'_>, _: &mut Labels) -> Option<Value> {
    view.lag_seconds().map(Value::seconds)
}

pub(super) fn committed(view: &PartitionView<'_>, _: &mut Labels) -> Option<Value> {
    Some(view.committed()?.value().into())
}

pub(super) fn lost(view: &PartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let lost = view.distance()?.lost;
    lost.filter(|&lost| lost > 0).map(Value::from)
}

pub(super) fn status(view: &PartitionView<'_>, labels: &mut Labels) -> Option<Value> {
    let status = view.judgement()?.finding.status();
    labels.push("status", status.as_str());
    (status != Status::Ok).then(|| 1.into())
}

pub(super) fn headroom(view: &PartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let (left, _) = view.headroom()?;
    Some(Value::seconds(left))
}

pub(super) fn blocked(view: &PartitionView<'_>, _: &mut Labels) -> Option<Value> {
    view.blocked().map(Value::from)
}

pub(super) fn owner(view: &PartitionView<'_>, labels: &mut Labels) -> Option<Value> {
    let exposure = view.group.scene.snapshot.exposure;
    if exposure.owner_info != OwnerInfo::Exposed {
        return None;
    }
    let member = view.owner()?;
    labels.push("member_id", &member.id);
    labels.push("client_id", &member.client_id);
    labels.push("host", &member.host);
    Some(1.into())
}
