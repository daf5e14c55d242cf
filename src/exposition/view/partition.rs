//! A partition of a group at an instant.

use std::time::Duration;

use super::{Absence, GroupView};
use crate::lag::{
    Age, Committed, Distance, Drain, Finding, Lag, Limit, Method, Offset, Unavailable,
    UncommittedPolicy,
};
use crate::snapshot::{Judgement, Member, Moment, PartitionRow, Reading};

/// A partition of a group as it is to be seen.
pub(in crate::exposition) struct PartitionView<'a> {
    pub(in crate::exposition) group: GroupView<'a>,
    pub(in crate::exposition) row: &'a PartitionRow,
    reading: Option<(&'a Reading, Moment)>,
    lag: Option<Lag>,
}

impl<'a> PartitionView<'a> {
    pub(super) fn new(group: GroupView<'a>, row: &'a PartitionRow) -> Self {
        let scene = group.scene;
        let reading = scene.snapshot.fresh_reading(group.row, row, scene.now);
        Self {
            group,
            row,
            reading,
            lag: reading.map(|(reading, _)| reading.lag()),
        }
    }

    /// Returns the pair that is shown, where one is fresh.
    pub(in crate::exposition) fn reading(&self) -> Option<&'a Reading> {
        self.reading.map(|(reading, _)| reading)
    }

    /// Returns when that was read.
    pub(in crate::exposition) fn measured(&self) -> Option<Moment> {
        self.reading.map(|(_, measured)| measured)
    }

    /// Returns the records behind, a partition without a commit as the policy counts it.
    pub(in crate::exposition) fn lag(&self) -> Option<u64> {
        self.lag?.records(self.group.scene.snapshot.uncommitted)
    }

    /// Returns how far the commit is from the ends of the log; nothing without a commit.
    pub(in crate::exposition) fn distance(&self) -> Option<Distance> {
        match self.lag? {
            Lag::Known(distance) => Some(distance),
            Lag::NoCommit { .. } | Lag::Unavailable(_) => None,
        }
    }

    /// Returns the committed offset.
    pub(in crate::exposition) fn committed(&self) -> Option<Offset> {
        match self.reading()?.committed {
            Committed::At(offset) => Some(offset),
            Committed::Never => None,
        }
    }

    /// Returns the age of the first record that the group has not consumed, with its bounds.
    pub(in crate::exposition) fn age(&self) -> Option<Age> {
        self.reading()?.age(self.group.row.measured)
    }

    /// Returns the same as one figure; nothing where only a lower bound is known: it begins at 0, which would look like a group
    /// that is caught up.
    pub(in crate::exposition) fn lag_seconds(&self) -> Option<Duration> {
        let age = self.age().filter(|age| age.method != Method::Bound);
        age.map(|age| age.estimate)
    }

    /// Returns what the rules say of it; nothing where that is too old. What they say of a pair that has become too old since, is
    /// as old as that: the partition is unknown.
    pub(in crate::exposition) fn judgement(&self) -> Option<Judgement> {
        let is_outdated = self.row.reading.is_some() && self.reading.is_none();
        let reason = self.row.failure.unwrap_or(Unavailable::Committed);
        self.group.is_judged.then(|| match is_outdated {
            true => Judgement {
                finding: Finding::Unknown(reason),
                ..Judgement::default()
            },
            false => self.row.judgement(),
        })
    }

    /// Returns how long until the group is caught up; nothing without a commit, and where nobody reads any more.
    pub(in crate::exposition) fn drain(&self) -> Option<Drain> {
        self.row.drain()?;
        Some(self.judgement()?.drain)
    }

    /// Returns how long the first unread record is safe from deletion, and from which limit.
    pub(in crate::exposition) fn headroom(&self) -> Option<(Duration, Limit)> {
        self.judgement()?.headroom.left(self.group.row.judged_at)
    }

    /// Returns the records that wait behind an open transaction. A pair that is kept tells of it too, as long as what the rules
    /// say is fresh.
    pub(in crate::exposition) fn blocked(&self) -> Option<u64> {
        self.group.is_judged.then(|| self.row.blocked()).flatten()
    }

    /// Returns the member that owns it.
    pub(in crate::exposition) fn owner(&self) -> Option<&'a Member> {
        self.group.membership?.owner(self.row)
    }

    /// Returns why there is no lag; nothing where there is one.
    pub(in crate::exposition) fn absence(&self) -> Option<Absence> {
        if self.lag().is_some() {
            return None;
        }
        let policy = self.group.scene.snapshot.uncommitted;
        Some(match (self.reading, self.row.latest(), policy) {
            (Some(_), _, UncommittedPolicy::LogStart) => Absence::LogStartOffsetUnknown,
            (Some(_), _, UncommittedPolicy::Absent | UncommittedPolicy::LogEnd) => {
                Absence::NoCommit
            }
            (None, Lag::Unavailable(Unavailable::Committed), _) => Absence::CommittedOffsetUnknown,
            (None, Lag::Unavailable(Unavailable::EndOffset), _) => Absence::LogEndOffsetUnknown,
            (None, Lag::Unavailable(Unavailable::NoLeader), _) => Absence::NoLeader,
            (None, Lag::Known(_) | Lag::NoCommit { .. }, _) => Absence::Stale,
        })
    }
}
