//! What the figures of one partition mean.

use std::cell::LazyCell;

use super::context::GroupContext;
use super::past::{Neighbours, Past};
use super::policies::Policies;
use crate::collect::places::Map;
use crate::lag::{
    Drain, Headroom, Lag, LogStart, Members, Ownership, RuleInput, Timestamp, TopicPartition,
    Unavailable, Unread, Wait, Window, headroom, judge,
};
use crate::snapshot::{Judgement, PartitionRow, Reading};

/// Judges the partitions of one group, after what was read of them was observed.
pub(super) struct PartitionJudge<'a, F> {
    pub(super) past: &'a Past,
    pub(super) policies: &'a Policies,
    pub(super) log_starts: &'a Map<TopicPartition, LogStart>,
    /// When the reader of each partition was last seen to commit anything; needed for few partitions.
    pub(super) neighbours: LazyCell<Neighbours<'a>, F>,
    pub(super) context: GroupContext<'a>,
}

impl<'a, F: FnOnce() -> Neighbours<'a>> PartitionJudge<'a, F> {
    /// Judges the partition at a place of the group's row.
    pub(super) fn judge(&self, place: usize) -> Judgement {
        let partition = &self.context.group.partitions[place];
        let window = self.past.window(&partition.id, place);
        let ownership = self.ownership(partition);
        let input = RuleInput {
            now: self.context.at,
            lag: lag(partition),
            window,
            members: self.context.members,
            ownership,
        };
        let finding = judge(&input, || self.neighbours.newest(partition));
        let (drain, headroom) = match (window, &partition.reading) {
            (Some(window), Some(_)) if window.newest().lag() == 0 => {
                (Drain::CaughtUp, Headroom::NothingUnread)
            }
            (Some(window), Some(reading)) => (
                Drain::of_partition(window),
                self.headroom(&partition.id, window, reading),
            ),
            _ => (Drain::Unknown, Headroom::Unknown),
        };
        Judgement {
            finding,
            drain,
            headroom,
            ownership,
        }
    }

    fn ownership(&self, partition: &PartitionRow) -> Ownership {
        let GroupContext { members, group, .. } = &self.context;
        let abandoned = &self.past.abandoned;
        if abandoned.contains(&partition.id.topic, self.context.at) {
            return Ownership::Abandoned;
        }
        let membership = group.membership.as_ref();
        let owner = membership.and_then(|membership| membership.owner(partition));
        match (owner, members) {
            (Some(_), _) => Ownership::Owned,
            (None, Members::Settled) => Ownership::Unowned,
            (None, Members::Unknown | Members::Absent | Members::Rebalancing) => Ownership::Unknown,
        }
    }

    /// Returns how long the first unread record of a partition is safe from deletion.
    fn headroom(&self, id: &TopicPartition, window: &Window, reading: &Reading) -> Headroom {
        let Some(policy) = self.policies.of(&id.topic) else {
            return Headroom::Unknown;
        };
        let log_start = || self.log_starts.get(id);
        let unread = Unread {
            committed: window.newest().committed,
            lag: reading.lag(),
            earliest: earliest(reading),
            log_start: policy.limits_size().then(log_start).flatten(),
        };
        headroom(policy, unread, self.context.at)
    }
}

/// Returns the lag that is shown, or why there is none.
fn lag(row: &PartitionRow) -> Lag {
    match (&row.reading, row.latest()) {
        (Some(reading), _) => reading.lag(),
        (None, Lag::Unavailable(reason)) => Lag::Unavailable(reason),
        (None, Lag::Known(_) | Lag::NoCommit { .. }) => Lag::Unavailable(Unavailable::Committed),
    }
}

/// Returns the earliest instant that the first record that waits may have come in at.
fn earliest(reading: &Reading) -> Option<Timestamp> {
    match reading.wait()? {
        Wait::Over => None,
        Wait::Since { earliest, .. } => earliest,
    }
}
