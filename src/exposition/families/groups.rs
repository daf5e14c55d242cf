//! What a group shows once a topic.

use std::time::Duration;

use crate::exposition::view::Sums;
use crate::lag::group::TopicTotals;
use crate::lag::{Drain, TopicName};
use crate::snapshot::Commits;

/// A group's partitions of one topic, added up.
pub(in crate::exposition) struct GroupTopicView {
    pub(super) totals: TopicTotals,
    pub(super) lag_seconds: Option<Duration>,
    pub(super) headroom: Option<Duration>,
    pub(super) drain: Option<Drain>,
    pub(super) abandoned: u64,
    pub(super) commits: Option<Commits>,
}

impl GroupTopicView {
    /// Returns what the partitions of a group on one topic add up to.
    pub(in crate::exposition) fn new(topic: &TopicName, sums: Sums<'_>) -> Self {
        Self {
            totals: sums.totals(),
            lag_seconds: sums.lag_seconds(),
            headroom: sums.headroom(),
            drain: sums.drain(),
            abandoned: sums.abandoned(),
            commits: sums.commits(topic),
        }
    }
}
