//! Comparing what the records say with what a group's coordinator says.

use std::time::Instant;

use super::progress::TopicProgress;
use super::state::State;
use crate::collect::fetch::groups::GroupAnswer;
use crate::lag::{GroupId, Offset, TopicPartition};

/// A coordinator's answer, to be compared once everything written before it was read.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) group: GroupId,
    pub(super) answer: GroupAnswer,
    /// Records from here on may be newer than the answer.
    pub(super) from: Offset,
    /// Records from here on are newer than the answer.
    pub(super) until: Offset,
}

impl Check {
    /// Returns whether everything written before the answer was read.
    pub(super) fn is_due(&self, progress: &TopicProgress, now: Instant) -> bool {
        let partition = progress.partition_of(self.group.as_str());
        progress
            .live_position(partition, now)
            .is_some_and(|position| position >= self.until)
    }

    /// Takes the coordinator's commits where they differ, and returns those partitions.
    pub(super) fn reconcile(&self, state: &mut State) -> Vec<TopicPartition> {
        let Ok(commits) = &self.answer.committed else {
            return Vec::new();
        };
        let differing = state.reconcile(&self.group, &commits.commits(), self.from);
        if let Some(first) = differing.first() {
            tracing::warn!(
                group = %self.group,
                "the followed offsets of group `{}` differ from its coordinator's on {} partitions, such as `{first}`; the coordinator's are taken over",
                self.group,
                differing.len(),
            );
        }
        differing
    }
}
