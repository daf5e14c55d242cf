//! Samples of groups, of their topics and of their partitions.

use super::cluster::Cluster;
use super::seconds;
use crate::exposition::writer::{Family, Labels, Value};
use crate::lag::group::TopicTotals;
use crate::lag::{Committed, Lag, Method, UncommittedPolicy};
use crate::snapshot::{Activity, ClusterSnapshot, GroupRow, Membership, PartitionRow, Reading};

impl<'a> Cluster<'a> {
    pub(super) fn group(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        value: fn(&Membership, &mut Labels) -> u64,
    ) {
        let Some(membership) = snapshot.fresh_membership(group, self.now) else {
            return;
        };
        self.show(membership.measured);
        self.labels.push("consumergroup", group.id.as_str());
        let value = value(membership, &mut self.labels);
        self.series(family, value);
    }

    pub(super) fn activities(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&Activity) -> Option<Value>,
    ) {
        let start = self.labels.mark();
        for group in &snapshot.groups {
            // Where the members cannot be told, neither can what they did.
            if let Some(membership) = snapshot.fresh_membership(group, self.now)
                && let Some(value) = value(&group.activity)
            {
                self.show(membership.measured);
                self.labels.push("consumergroup", group.id.as_str());
                self.series(family, value);
                self.labels.cut(start);
            }
        }
    }

    /// Tells whether a commit of the topic was read lately enough: a count that stands still says that nothing happened.
    pub(super) fn shows_commits(
        &mut self,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        rows: &[PartitionRow],
    ) -> bool {
        let mut rows = rows.iter();
        let reading = rows.find_map(|row| snapshot.fresh_reading(group, row, self.now));
        reading
            .into_iter()
            .for_each(|(_, measured)| self.show(measured));
        reading.is_some()
    }

    /// Calls `write` for the partitions of each group on each topic, with the labels of both set.
    pub(super) fn each_group_topic(
        &mut self,
        snapshot: &'a ClusterSnapshot,
        mut write: impl FnMut(&mut Self, &'a GroupRow, &'a [PartitionRow]),
    ) {
        let start = self.labels.mark();
        for group in &snapshot.groups {
            self.labels.push("consumergroup", group.id.as_str());
            let mark = self.labels.mark();
            for rows in group
                .partitions
                .chunk_by(|one, next| one.id.topic == next.id.topic)
            {
                self.labels.push("topic", rows[0].id.topic.as_str());
                write(self, group, rows);
                self.labels.cut(mark);
            }
            self.labels.cut(start);
        }
    }

    pub(super) fn totals(
        &mut self,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        rows: &[PartitionRow],
    ) -> TopicTotals {
        let rows = rows.iter().filter(|row| snapshot.counts(row));
        let readings = rows.map(|row| {
            let (reading, measured) = snapshot.fresh_reading(group, row, self.now)?;
            self.show(measured);
            Some((reading.committed, reading.lag()))
        });
        TopicTotals::of(readings, snapshot.uncommitted)
    }

    pub(super) fn group_partitions(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        rows: &[PartitionRow],
        value: fn(&Reading, UncommittedPolicy) -> Option<Value>,
    ) {
        for row in rows {
            if let Some((reading, measured)) = snapshot.fresh_reading(group, row, self.now)
                && let Some(value) = value(reading, snapshot.uncommitted)
            {
                self.show(measured);
                self.partition(family, row.id.partition.0, value);
            }
        }
    }

    pub(super) fn owners(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        group: &GroupRow,
        rows: &[PartitionRow],
    ) {
        let Some(membership) = snapshot.fresh_membership(group, self.now) else {
            return;
        };
        let mark = self.labels.mark();
        for row in rows {
            let Some(member) = membership.owner(row) else {
                continue;
            };
            self.labels.push_number("partition", row.id.partition.0);
            self.labels.push("member_id", &member.id);
            self.labels.push("client_id", &member.client_id);
            self.labels.push("host", &member.host);
            self.series(family, 1);
            self.labels.cut(mark);
        }
    }
}

pub(super) fn members(membership: &Membership, _: &mut Labels) -> u64 {
    membership.members.len() as u64
}

pub(super) fn state(membership: &Membership, labels: &mut Labels) -> u64 {
    labels.push("state", membership.state.as_str());
    1
}

pub(super) fn info(membership: &Membership, labels: &mut Labels) -> u64 {
    labels.push("type", membership.group_type.as_str());
    labels.push("protocol", &membership.assignor);
    if let Some(coordinator) = membership.coordinator {
        labels.push_number("coordinator", coordinator.0);
    }
    1
}

pub(super) fn lag_seconds(reading: &Reading, _: UncommittedPolicy) -> Option<Value> {
    let age = reading.age()?;
    // A lower bound that begins at 0 would look like a group that is caught up.
    (age.method != Method::Bound).then(|| seconds(age.estimate))
}

pub(super) fn committed(reading: &Reading, _: UncommittedPolicy) -> Option<Value> {
    match reading.committed {
        Committed::At(offset) => Some(offset.value().into()),
        Committed::Never => None,
    }
}

pub(super) fn lost(reading: &Reading, _: UncommittedPolicy) -> Option<Value> {
    match reading.lag() {
        Lag::Known(distance) => distance.lost.filter(|&lost| lost > 0).map(Value::from),
        Lag::NoCommit { .. } | Lag::Unavailable(_) => None,
    }
}
