//! The view of a partition of a group.

use std::time::Duration;

use super::{Absence, GroupView};
use crate::lag::{
    Age, Committed, Distance, Drain, Finding, Lag, Limit, Method, Offset, Unavailable,
    UncommittedPolicy,
};
use crate::snapshot::{Judgement, Member, Moment, PartitionRow, Reading};

/// A partition of a group at an instant.
pub(crate) struct PartitionView<'a> {
    pub(crate) group: GroupView<'a>,
    pub(crate) row: &'a PartitionRow,
    reading: Option<(&'a Reading, Moment)>,
    lag: Option<Lag>,
}

impl<'a> PartitionView<'a> {
    /// Returns a partition of a group.
    pub(crate) fn new(group: GroupView<'a>, row: &'a PartitionRow) -> Self {
        let scene = group.scene;
        let reading = scene.snapshot.fresh_reading(group.row, row, scene.now);
        Self {
            group,
            row,
            reading,
            lag: reading.map(|(reading, _)| reading.lag()),
        }
    }

    /// Returns whether the newest cycle itself has fetched the offsets; those of an earlier cycle are shown until they
    /// expire.
    pub(crate) fn is_current(&self) -> bool {
        !matches!(self.row.latest(), Lag::Unavailable(_))
    }

    /// Returns the offsets to show; nothing where they have expired.
    pub(crate) fn reading(&self) -> Option<&'a Reading> {
        self.reading.map(|(reading, _)| reading)
    }

    /// Returns when these offsets were fetched.
    pub(crate) fn measured(&self) -> Option<Moment> {
        self.reading.map(|(_, measured)| measured)
    }

    /// Returns the lag in records; a partition without a commit is counted as the policy says.
    pub(crate) fn lag(&self) -> Option<u64> {
        self.lag?.records(self.group.scene.snapshot.uncommitted)
    }

    /// Returns how far the commit is from the ends of the log; nothing without a commit.
    pub(crate) fn distance(&self) -> Option<Distance> {
        match self.lag? {
            Lag::Known(distance) => Some(distance),
            Lag::NoCommit { .. } | Lag::Unavailable(_) => None,
        }
    }

    /// Returns the records in the log of a partition without a commit; nothing with a commit, or where the log start is
    /// unknown.
    pub(crate) fn backlog(&self) -> Option<u64> {
        match self.lag? {
            Lag::NoCommit { backlog } => backlog,
            Lag::Known(_) | Lag::Unavailable(_) => None,
        }
    }

    /// Returns the committed offset.
    pub(crate) fn committed(&self) -> Option<Offset> {
        match self.reading()?.committed {
            Committed::At(offset) => Some(offset),
            Committed::Never => None,
        }
    }

    /// Returns the age of the first unconsumed record, with its bounds.
    pub(crate) fn age(&self) -> Option<Age> {
        self.reading()?.age(self.group.row.measured)
    }

    /// Returns the age as one number; nothing where only a lower bound is known, as that starts at 0 and would look like a group
    /// that is caught up.
    pub(crate) fn lag_seconds(&self) -> Option<Duration> {
        let age = self.age().filter(|age| age.method != Method::Bound);
        age.map(|age| age.estimate)
    }

    /// Returns the status of the partition and what belongs to it; nothing where the newest cycle is too old. The status is
    /// unknown where the offsets that it was derived from have expired since that cycle.
    pub(crate) fn judgement(&self) -> Option<Judgement> {
        if !self.group.is_judged {
            return None;
        }
        let has_expired = self.row.reading.is_some() && self.reading.is_none();
        if !has_expired {
            return Some(self.row.judgement());
        }
        let reason = self.row.failure.unwrap_or(Unavailable::Committed);
        Some(Judgement {
            finding: Finding::Unknown(reason),
            ..Judgement::default()
        })
    }

    /// Returns how long until the group is caught up; nothing without a commit, and where nobody reads any more.
    pub(crate) fn drain(&self) -> Option<Drain> {
        self.row.drain()?;
        Some(self.judgement()?.drain)
    }

    /// Returns how long the first unread record is safe from deletion, and from which limit.
    pub(crate) fn headroom(&self) -> Option<(Duration, Limit)> {
        self.judgement()?.headroom.left(self.group.row.judged_at)
    }

    /// Returns the records behind an open transaction that the group has to wait for.
    pub(crate) fn blocked(&self) -> Option<u64> {
        self.reading.and_then(|_| self.row.blocked())
    }

    /// Returns the member that owns it.
    pub(crate) fn owner(&self) -> Option<&'a Member> {
        self.group.membership?.owner(self.row)
    }

    /// Returns why there is no lag; nothing where there is one.
    pub(crate) fn absence(&self) -> Option<Absence> {
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
