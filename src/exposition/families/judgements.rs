//! Samples of what the figures mean: status, drain, headroom.
//!
//! They are of the newest cycle, and absent once that is too old.

use super::cluster::Cluster;
use super::seconds;
use crate::exposition::writer::{Family, Labels, Value};
use crate::lag::{Drain, Headroom, Status};
use crate::snapshot::{ClusterSnapshot, GroupRow, PartitionRow};

impl<'a> Cluster<'a> {
    pub(super) fn statuses(&mut self, family: &mut Family<'_>, snapshot: &ClusterSnapshot) {
        if !self.shows_judgements(snapshot) {
            return;
        }
        let start = self.labels.mark();
        for group in &snapshot.groups {
            self.labels.push("consumergroup", group.id.as_str());
            self.labels.push("status", group.status().as_str());
            self.series(family, 1);
            self.labels.cut(start);
        }
    }

    pub(super) fn judged_topics(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &'a ClusterSnapshot,
        value: fn(&GroupRow, &[PartitionRow]) -> Option<Value>,
    ) {
        if !self.shows_judgements(snapshot) {
            return;
        }
        self.each_group_topic(snapshot, |cluster, group, rows| {
            if let Some(value) = value(group, rows) {
                cluster.series(family, value);
            }
        });
    }

    pub(super) fn judged_partitions(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &'a ClusterSnapshot,
        value: fn(&GroupRow, &PartitionRow, &mut Labels) -> Option<Value>,
    ) {
        if !self.shows_judgements(snapshot) {
            return;
        }
        self.each_group_topic(snapshot, |cluster, group, rows| {
            let mark = cluster.labels.mark();
            for row in rows {
                cluster.labels.push_number("partition", row.id.partition.0);
                if let Some(value) = value(group, row, &mut cluster.labels) {
                    cluster.series(family, value);
                }
                cluster.labels.cut(mark);
            }
        });
    }

    fn shows_judgements(&mut self, snapshot: &ClusterSnapshot) -> bool {
        let is_fresh = snapshot.is_fresh(snapshot.taken, self.now);
        if is_fresh {
            self.show(snapshot.taken);
        }
        is_fresh
    }
}

pub(super) fn drain(_: &GroupRow, rows: &[PartitionRow]) -> Option<Value> {
    let drain = Drain::of_topic(rows.iter().filter_map(PartitionRow::drain))?;
    drain.seconds().map(Value::Float)
}

pub(super) fn abandoned(_: &GroupRow, rows: &[PartitionRow]) -> Option<Value> {
    let count = rows.iter().filter(|row| row.is_abandoned()).count();
    (count > 0).then(|| Value::from(count as u64))
}

pub(super) fn partition_status(
    _: &GroupRow,
    row: &PartitionRow,
    labels: &mut Labels,
) -> Option<Value> {
    let status = row.judgement().finding.status();
    if status == Status::Ok {
        return None;
    }
    labels.push("status", status.as_str());
    Some(1.into())
}

pub(super) fn headroom(_: &GroupRow, row: &PartitionRow, _: &mut Labels) -> Option<Value> {
    match row.judgement().headroom {
        Headroom::Left { time, limit: _ } => Some(seconds(time)),
        Headroom::NothingUnread | Headroom::Unlimited | Headroom::Unknown => None,
    }
}

pub(super) fn blocked(_: &GroupRow, row: &PartitionRow, _: &mut Labels) -> Option<Value> {
    row.blocked().map(Value::from)
}
