//! A snapshot as it is seen at an instant: what is fresh enough to be shown.

use std::time::{Duration, Instant};

use crate::lag::UncommittedPolicy;
use crate::snapshot::{
    AbandonedPolicy, ClusterSnapshot, Granularity, GroupRow, Membership, OwnerInfo, PartitionRow,
    Reading, TopicRow,
};

/// A snapshot and the instant at which it is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) snapshot: &'a ClusterSnapshot,
    pub(crate) now: Instant,
}

/// What is the same for every row of a scene and decides on how it looks: rows look the same only under the same terms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    stale_after: Duration,
    uncommitted: UncommittedPolicy,
    granularity: Granularity,
    owner_info: OwnerInfo,
    abandoned: AbandonedPolicy,
    is_judged: bool,
}

/// The earliest of some instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oldest(pub(crate) Option<Instant>);

impl Oldest {
    /// Counts one more.
    pub(crate) fn see(&mut self, instant: Instant) {
        if self.0.is_none_or(|oldest| instant < oldest) {
            self.0 = Some(instant);
        }
    }
}

impl<'a> Scene<'a> {
    /// Returns what is the same for every row.
    pub(crate) fn terms(self) -> Terms {
        let exposure = self.snapshot.exposure;
        Terms {
            stale_after: self.snapshot.stale_after,
            uncommitted: self.snapshot.uncommitted,
            granularity: exposure.granularity,
            owner_info: exposure.owner_info,
            abandoned: exposure.abandoned,
            is_judged: self.is_judged(),
        }
    }

    /// Returns whether what was measured then may still be shown.
    pub(crate) fn is_fresh(self, measured: Instant) -> bool {
        self.snapshot.is_fresh(measured, self.now)
    }

    /// Returns whether what the figures mean may still be shown: it is of the newest cycle.
    pub(crate) fn is_judged(self) -> bool {
        self.is_fresh(self.snapshot.taken)
    }

    /// Returns the members and the state of a group, where they are fresh.
    pub(crate) fn membership(self, group: &'a GroupRow) -> Option<&'a Membership> {
        self.snapshot.fresh_membership(group, self.now)
    }

    /// Returns the pair of a partition, where it is fresh.
    pub(crate) fn reading(self, group: &GroupRow, row: &'a PartitionRow) -> Option<&'a Reading> {
        let fresh = self.snapshot.fresh_reading(group, row, self.now);
        fresh.map(|(reading, _)| reading)
    }

    /// Returns whether readings of partitions are shown, if only as sums.
    pub(crate) fn shows_readings(self) -> bool {
        self.snapshot.exposure.granularity != Granularity::Group
    }

    /// Counts what is shown of a group and was measured with all of it.
    pub(crate) fn see_group(self, group: &GroupRow, oldest: &mut Oldest) {
        let mut readings = group
            .partitions
            .iter()
            .filter_map(|row| row.reading.as_ref());
        if self.shows_readings()
            && self.is_fresh(group.measured.instant)
            && readings.any(Reading::is_of_its_group)
        {
            oldest.see(group.measured.instant);
        }
        if let Some(membership) = self.membership(group) {
            oldest.see(membership.measured);
        }
    }

    /// Returns the oldest of what is shown of the groups' partitions and was not read with the rest of its group.
    pub(crate) fn oldest_apart<'g>(self, groups: impl IntoIterator<Item = &'g GroupRow>) -> Oldest {
        let mut oldest = Oldest::default();
        if !self.shows_readings() {
            return oldest;
        }
        for group in groups {
            for row in group.partitions.iter() {
                let apart = row.reading.as_ref();
                let apart = apart.filter(|reading| !reading.is_of_its_group());
                let measured = apart.map(|reading| reading.measured(group.measured).instant);
                measured
                    .filter(|measured| self.is_fresh(*measured))
                    .into_iter()
                    .for_each(|measured| oldest.see(measured));
            }
        }
        oldest
    }

    /// Counts what is shown of a topic.
    pub(crate) fn see_topic(self, topic: &TopicRow, oldest: &mut Oldest) {
        let marks = topic.partitions.iter().filter_map(|row| row.marks.as_ref());
        let measured = marks.map(|(measured, _)| *measured);
        measured
            .chain([topic.measured])
            .filter(|measured| self.is_fresh(*measured))
            .for_each(|measured| oldest.see(measured));
    }

    /// Returns whether a group looks as `before` did in `then`, whose terms were the same; of readings that were made
    /// apart, only that they are the same.
    pub(crate) fn group_looks_like(
        self,
        group: &GroupRow,
        then: Scene<'_>,
        before: &GroupRow,
    ) -> bool {
        self.is_fresh(group.measured.instant) == then.is_fresh(before.measured.instant)
            && self.membership(group).is_some() == then.membership(before).is_some()
            && (std::ptr::eq(group, before) || group.shows_the_same_as(before))
    }

    /// Returns whether a topic looks as `before` did in `then`, whose terms were the same.
    pub(crate) fn topic_looks_like(
        self,
        topic: &TopicRow,
        then: Scene<'_>,
        before: &TopicRow,
    ) -> bool {
        let is_as_fresh = |(now, before): (Option<Instant>, Option<Instant>)| {
            now.is_some_and(|measured| self.is_fresh(measured))
                == before.is_some_and(|measured| then.is_fresh(measured))
        };
        let marks = |row: &TopicRow, at: usize| row.partitions[at].marks.map(|(at, _)| at);
        is_as_fresh((Some(topic.measured), Some(before.measured)))
            && (std::ptr::eq(topic, before) || topic.shows_the_same_as(before))
            && (0..topic.partitions.len())
                .all(|at| is_as_fresh((marks(topic, at), marks(before, at))))
    }
}
