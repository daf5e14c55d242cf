//! A partition's row in its group: what was read of it, and what that means.
//!
//! A large cluster has a million of them, so a row is small: what can be computed is not kept, and what only partitions
//! with waiting records have lies apart.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::Moment;
use crate::lag::{
    Age, Committed, Drain, Finding, Headroom, Isolation, Lag, Ownership, TopicPartition,
    Unavailable, Wait, Watermarks, partition_lag,
};

/// One partition of a group: a commit and watermarks of one and the same cycle. 88 bytes while nothing waits on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRow {
    /// The partition.
    pub id: TopicPartition,
    /// The newest good pair; nothing before the first, and once it is older than the cluster's `stale_after`.
    pub reading: Option<Reading>,
    /// Why the newest cycle has no pair, even while `reading` is still shown; nothing where `reading` is of that cycle.
    pub failure: Option<Unavailable>,
    /// The member that owns it.
    pub owner: Option<MemberIndex>,
    ownership: Ownership,
    /// Nothing where there is no more to say than that it is caught up.
    judgement: Option<Arc<Judgement>>,
}

/// The place of a member in [`Membership::members`](super::Membership::members), from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberIndex(NonZeroU32);

/// A commit, and the watermarks read after it in the same cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the group has committed.
    pub committed: Committed,
    /// Where the log begins and ends.
    pub marks: Watermarks,
    /// How far the group's consumers read.
    pub isolation: Isolation,
    /// Since when the first record that waits has been waiting, where one does and that is known.
    waiting: Option<Arc<Wait>>,
    /// When the pair was read, where that was not with the group's others.
    apart: Option<Arc<Moment>>,
}

/// What the figures of a group on one partition mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its status, with the figures that it rests on.
    pub finding: Finding,
    /// How long until it is caught up.
    pub drain: Drain,
    /// How long its first unread record is safe from deletion.
    pub headroom: Headroom,
    /// Whose the partition is.
    pub ownership: Ownership,
}

impl MemberIndex {
    /// Returns the place of the member `index`; nothing beyond four billion.
    pub fn new(index: usize) -> Option<Self> {
        let after = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(after).map(Self)
    }

    /// Returns the index, from 0.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Reading {
    /// Returns a pair that was read with the others of its group. `wait` is that of the first record that waits, and counts
    /// only where one does.
    pub fn new(
        committed: Committed,
        marks: Watermarks,
        isolation: Isolation,
        wait: Option<Wait>,
    ) -> Self {
        let mut reading = Self {
            committed,
            marks,
            isolation,
            waiting: None,
            apart: None,
        };
        if reading.waits() {
            reading.waiting = wait.map(Arc::new);
        }
        reading
    }

    /// Returns the lag between the two; `Unavailable` only for a `read_committed` group without a last stable offset.
    pub fn lag(&self) -> Lag {
        partition_lag(Ok(self.committed), Ok(self.marks), self.isolation)
    }

    /// Returns since when the first record that the group has not consumed has been waiting; nothing where it never committed
    /// or that is unknown.
    pub fn wait(&self) -> Option<Wait> {
        match self.committed {
            Committed::Never => None,
            Committed::At(_) if self.waits() => self.waiting.as_deref().copied(),
            Committed::At(_) => Some(Wait::Over),
        }
    }

    /// Returns how long that record had been waiting when the pair was read: zero where none does, nothing where
    /// [`Reading::wait`] tells nothing. `measured` is when the others of its group were read.
    pub fn age(&self, measured: Moment) -> Option<Age> {
        let wait = self.wait()?;
        Some(wait.age(self.measured(measured).time))
    }

    /// Returns when the pair was read; `measured` is when the others of its group were.
    pub fn measured(&self, measured: Moment) -> Moment {
        self.apart.as_deref().copied().unwrap_or(measured)
    }

    /// Returns the pair as one that was read at `measured`, and not with the others of its group.
    #[must_use]
    pub fn read_apart(mut self, measured: Moment) -> Self {
        self.apart = Some(Arc::new(measured));
        self
    }

    /// Returns whether the pair was read with the others of its group.
    pub fn is_of_its_group(&self) -> bool {
        self.apart.is_none()
    }

    fn waits(&self) -> bool {
        matches!(self.lag(), Lag::Known(distance) if distance.lag > 0)
    }
}

impl Default for Judgement {
    /// Nothing was judged.
    fn default() -> Self {
        Self {
            finding: Finding::Unknown(Unavailable::Committed),
            drain: Drain::Unknown,
            headroom: Headroom::Unknown,
            ownership: Ownership::Unknown,
        }
    }
}

impl Judgement {
    /// Returns what is said of a partition that is caught up.
    pub fn caught_up(ownership: Ownership) -> Self {
        Self {
            finding: Finding::Ok,
            drain: Drain::CaughtUp,
            headroom: Headroom::NothingUnread,
            ownership,
        }
    }
}

impl PartitionRow {
    /// Returns a row of what the newest cycle has read, not judged yet.
    pub fn new(
        id: TopicPartition,
        reading: Result<Reading, (Unavailable, Option<Reading>)>,
        owner: Option<MemberIndex>,
    ) -> Self {
        let (reading, failure) = match reading {
            Ok(reading) => (Some(reading), None),
            Err((failure, kept)) => (kept, Some(failure)),
        };
        Self {
            id,
            reading,
            failure,
            owner,
            ownership: Ownership::Unknown,
            judgement: None,
        }
    }

    /// Returns the row with what the rules say of it.
    #[must_use]
    pub fn judged(mut self, judgement: Judgement) -> Self {
        self.judge(judgement);
        self
    }

    /// Takes over what the rules say of it.
    pub fn judge(&mut self, judgement: Judgement) {
        self.ownership = judgement.ownership;
        let has_more = judgement != Judgement::caught_up(judgement.ownership);
        self.judgement = has_more.then(|| Arc::new(judgement));
    }

    /// Returns what the rules say of it.
    pub fn judgement(&self) -> Judgement {
        let judgement = self.judgement.as_deref().copied();
        judgement.unwrap_or_else(|| Judgement::caught_up(self.ownership))
    }

    /// Returns whether the rules say nothing but that it is caught up.
    pub fn is_quiet(&self) -> bool {
        self.judgement.is_none() && self.failure.is_none()
    }

    /// Returns whether what is shown of it changes with time alone.
    pub(super) fn changes_with_time(&self) -> bool {
        let wait = self.reading.as_ref().and_then(Reading::wait);
        matches!(wait, Some(Wait::Since { .. }))
            || matches!(self.judgement().headroom, Headroom::Until { .. })
    }

    /// Returns whether there is nothing to judge while nothing moves: the rules say no more, and it was read with the others of
    /// its group.
    pub fn stands_still(&self) -> bool {
        self.is_quiet() && self.reading.is_some() && !self.is_apart()
    }

    /// Returns whether it has a pair that was not read with the others of its group.
    pub fn is_apart(&self) -> bool {
        let reading = self.reading.as_ref();
        reading.is_some_and(|reading| !reading.is_of_its_group())
    }

    /// Returns the lag of the newest cycle's own fetches; `Unavailable` where one of them failed, even while an older pair
    /// is still shown.
    pub fn latest(&self) -> Lag {
        match (self.failure, &self.reading) {
            (Some(reason), _) => Lag::Unavailable(reason),
            (None, Some(reading)) => reading.lag(),
            (None, None) => Lag::Unavailable(Unavailable::Committed),
        }
    }

    /// Returns whether the same was read of it as of `other`.
    pub fn reads_the_same_as(&self, other: &Self) -> bool {
        self.reading == other.reading && self.failure == other.failure
    }

    /// Returns whether no member of the group reads the topic any more.
    pub fn is_abandoned(&self) -> bool {
        self.ownership == Ownership::Abandoned
    }

    /// Returns how long until the group is caught up; nothing without a commit, and where nobody reads any more.
    pub fn drain(&self) -> Option<Drain> {
        let is_read = !self.is_abandoned() && !matches!(self.latest(), Lag::NoCommit { .. });
        is_read.then(|| self.judgement().drain)
    }

    /// Returns the records that wait behind an open transaction, where the group has read everything before: a
    /// `read_committed` consumer cannot go on.
    pub fn blocked(&self) -> Option<u64> {
        let reading = self.reading.as_ref()?;
        let (Isolation::ReadCommitted, Committed::At(committed)) =
            (reading.isolation, reading.committed)
        else {
            return None;
        };
        let stable = reading.marks.last_stable?;
        let blocked = reading.marks.log_end.records_since(stable);
        (committed >= stable && blocked > 0).then_some(blocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_the_bytes_it_is_said_to() {
        assert_eq!(size_of::<PartitionRow>(), 88);
    }
}
