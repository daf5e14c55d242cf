//! Groups that stand still: nothing of what was read of them differs from the newest snapshot, and nothing waits, so that
//! the rows of their partitions are shared instead of made and judged anew.
//!
//! Most groups of a large cluster are such, most of the time: a cycle costs what has changed.

use std::collections::BTreeMap;

use super::fetch::groups::{Described, GroupAnswer};
use super::fetch::marks::Marks;
use crate::lag::{Committed, GroupId};
use crate::snapshot::{ClusterSnapshot, GroupRow, Membership, PartitionRow};

/// Marks the answers of groups that stand still.
pub(super) fn mark(
    groups: &mut BTreeMap<GroupId, GroupAnswer>,
    marks: &Marks,
    previous: &ClusterSnapshot,
) {
    for (id, answer) in groups {
        let before = previous.group(id);
        answer.stands_still = before.is_some_and(|before| stands_still(before, answer, marks));
    }
}

fn stands_still(before: &GroupRow, answer: &GroupAnswer, marks: &Marks) -> bool {
    before.is_quiet
        && before.failures.is_empty()
        && is_same_membership(before.membership.as_deref(), &answer.description)
        && has_same_partitions(before, answer, marks)
}

/// Tells whether the group is described as it was.
fn is_same_membership(before: Option<&Membership>, description: &Described) -> bool {
    match (before, description) {
        (None, Described::Unsupported) => true,
        (Some(before), Described::Answered(now)) => {
            before.state == now.state
                && before.group_type == now.group_type
                && before.assignor == now.assignor
                // Records do not tell it.
                && (now.coordinator.is_none() || before.coordinator == now.coordinator)
                && *before.members == *now.members
        }
        (Some(before), Described::Memberless(now)) => {
            before.state == now.state
                && before.group_type == now.group_type
                && before.assignor.is_empty()
                && before.coordinator == Some(now.coordinator)
                && before.members.is_empty()
        }
        (Some(_) | None, _) => false,
    }
}

/// Tells whether the group has the partitions that it had, with the same commits, in logs that have not moved.
fn has_same_partitions(before: &GroupRow, answer: &GroupAnswer, marks: &Marks) -> bool {
    let Ok(commits) = &answer.committed else {
        return false;
    };
    let mut commits = commits.iter().peekable();
    let is_same = |row: &PartitionRow| {
        let Some(reading) = &row.reading else {
            return false;
        };
        let committed = match commits.next_if(|(id, _)| *id == row.id) {
            Some((_, Ok(committed))) => *committed,
            Some((_, Err(_))) => return false,
            // It is the group's by assignment.
            None => Committed::Never,
        };
        committed == reading.committed && marks.get(&row.id) == Some(&Ok(reading.marks))
    };
    before.partitions.iter().all(is_same) && commits.next().is_none()
}
