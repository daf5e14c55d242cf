//! What groups are judged by, besides their partitions.

use std::time::Duration;

use crate::collect::clock::Now;
use crate::collect::config::PollConfig;
use crate::collect::rebuild::Rebuilds;
use crate::lag::{Members, Timestamp};
use crate::snapshot::{ClusterSnapshot, GroupRow, GroupState, Membership, Reading};

/// Which groups of a snapshot are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collect) enum JudgedGroups {
    /// All of them, by a whole cycle.
    All,
    /// Those that changed since, which are those with an entry in `rebuilds`.
    Changed,
}

/// What the groups of a snapshot are judged by.
#[derive(Clone, Copy)]
pub(in crate::collect) struct JudgingInput<'a> {
    pub(in crate::collect) judged: JudgedGroups,
    /// How much of each group's row was rebuilt.
    pub(in crate::collect) rebuilds: &'a Rebuilds,
    /// The snapshot before.
    pub(in crate::collect) previous: &'a ClusterSnapshot,
    pub(in crate::collect) config: &'a PollConfig,
    /// When the snapshot was taken; it is published after that.
    pub(in crate::collect) now: Now,
}

/// What the partitions of one group are judged by.
#[derive(Clone, Copy)]
pub(super) struct GroupContext<'a> {
    now: Now,
    pub(super) at: Timestamp,
    pub(super) judged: JudgedGroups,
    pub(super) poll_interval: Duration,
    pub(super) members: Members,
    pub(super) group: &'a GroupRow,
}

impl<'a> GroupContext<'a> {
    pub(super) fn new(group: &'a GroupRow, input: JudgingInput<'_>) -> Self {
        Self {
            now: input.now,
            at: input.now.timestamp(),
            judged: input.judged,
            poll_interval: input.config.poll_interval,
            members: members(group.membership.as_deref()),
            group,
        }
    }

    /// Returns whether a pair was read by this update.
    pub(super) fn is_new(&self, reading: &Reading) -> bool {
        reading.measured(self.group.measured).instant == self.now.instant
    }
}

fn members(membership: Option<&Membership>) -> Members {
    let Some(membership) = membership else {
        return Members::Unknown;
    };
    match membership.state {
        GroupState::Empty | GroupState::Dead => Members::Absent,
        GroupState::PreparingRebalance
        | GroupState::CompletingRebalance
        | GroupState::Assigning
        | GroupState::Reconciling
        | GroupState::NotReady => Members::Rebalancing,
        GroupState::Stable => Members::Settled,
        GroupState::Unknown => Members::Unknown,
    }
}
