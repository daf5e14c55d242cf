//! A snapshot as it is seen at an instant: what is fresh enough to be shown.

use std::time::Instant;

use crate::snapshot::{
    ClusterSnapshot, Granularity, GroupRow, Membership, PartitionRow, Reading, TopicRow,
    TopicSeries,
};

/// A snapshot and the instant at which it is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) snapshot: &'a ClusterSnapshot,
    pub(crate) now: Instant,
}

/// How fresh several figures are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// When the oldest of those that are fresh was measured; nothing where none is.
    pub(crate) oldest: Option<Instant>,
    /// Whether some are too old to be shown.
    pub(crate) has_stale: bool,
}

impl<'a> Scene<'a> {
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

    /// Returns how fresh a group's figures are.
    pub(crate) fn group_freshness(self, group: &GroupRow) -> Freshness {
        let mut readings = group
            .partitions
            .iter()
            .filter_map(|row| row.reading.as_ref());
        let read_together = readings.find(|reading| reading.is_of_its_group());
        let to_judge = group.to_judge.as_ref();
        let may_be_apart = to_judge.is_none_or(|to_judge| to_judge.has_apart);
        // Those that were read apart are among the rows to judge.
        let apart = may_be_apart.then(|| group.rows_to_judge());
        let apart = apart.into_iter().flatten();
        let apart = apart.filter_map(|row| row.reading.as_ref());
        let readings = read_together.into_iter().chain(apart);
        let measured = readings.map(|reading| reading.measured(group.measured).instant);
        let membership = group
            .membership
            .iter()
            .map(|membership| membership.measured);
        // The newest cycle decides whether a status is shown.
        self.freshness(measured.chain(membership).chain([self.snapshot.taken]))
    }

    /// Returns how fresh a topic's figures are, as far as they are shown.
    pub(crate) fn topic_freshness(self, topic: &TopicRow) -> Freshness {
        if topic.series == TopicSeries::Elsewhere {
            return Freshness::default();
        }
        let marks = topic.partitions.iter().filter_map(|row| row.marks.as_ref());
        let measured = marks.map(|(measured, _)| *measured);
        self.freshness(measured.chain([topic.measured]))
    }

    /// Returns how fresh figures are that were measured then.
    pub(crate) fn freshness(self, measured: impl IntoIterator<Item = Instant>) -> Freshness {
        let mut freshness = Freshness::default();
        for measured in measured {
            if self.is_fresh(measured) {
                let oldest = freshness.oldest.unwrap_or(measured);
                freshness.oldest = Some(oldest.min(measured));
            } else {
                freshness.has_stale = true;
            }
        }
        freshness
    }
}

impl Freshness {
    /// Returns the freshness of the figures of both.
    pub(crate) fn and(self, other: Self) -> Self {
        let oldest = self.oldest.into_iter().chain(other.oldest);
        Self {
            oldest: oldest.min(),
            has_stale: self.has_stale || other.has_stale,
        }
    }

    /// Returns whether all figures are fresh or none is.
    pub(crate) fn is_uniform(self) -> bool {
        self.oldest.is_none() || !self.has_stale
    }
}
