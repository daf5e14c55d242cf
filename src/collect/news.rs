//! What a group was seen to do since it was last shown: told by its records, or found by comparing two polls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::lag::{Committed, TopicName};
use crate::snapshot::{Activity, GroupRow, Membership, PartitionRow};

/// What a group was seen to do since it was last shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::collect) struct News {
    commits: BTreeMap<TopicName, TopicCommits>,
    rebalances: u64,
    last_rebalance_ms: Option<i64>,
    joins: u64,
    leaves: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TopicCommits {
    count: u64,
    last_ms: i64,
}

impl News {
    /// Returns what must have happened between two rows of a group, the later of which was polled at `at_ms`.
    ///
    /// Several commits, or rebalances, between two polls look like one.
    pub(in crate::collect) fn between(before: &GroupRow, after: &GroupRow, at_ms: i64) -> Self {
        let rows = after.partitions.iter();
        let pairs = rows.map(|row| (before.partitions.get(&row.id), row));
        Self::of(pairs, (before, after), at_ms)
    }

    /// Returns the same of two rows that differ at some places alone, and have the same partitions.
    pub(in crate::collect) fn at(
        places: impl Iterator<Item = usize>,
        before: &GroupRow,
        after: &GroupRow,
        at_ms: i64,
    ) -> Self {
        let pairs = places.map(|place| (Some(&before.partitions[place]), &after.partitions[place]));
        Self::of(pairs, (before, after), at_ms)
    }

    fn of<'a>(
        pairs: impl Iterator<Item = (Option<&'a PartitionRow>, &'a PartitionRow)>,
        (before, after): (&GroupRow, &GroupRow),
        at_ms: i64,
    ) -> Self {
        let mut news = Self::default();
        for (known, row) in pairs {
            let Some(Committed::At(offset)) = committed(row) else {
                continue;
            };
            // One that could not be read before may have stood there all along.
            let is_known = known.is_none_or(|known| known.reading.is_some());
            if is_known && known.and_then(committed) != Some(Committed::At(offset)) {
                news.commit(&row.id.topic, at_ms);
            }
        }
        if let (Some(old), Some(new)) = (&before.membership, &after.membership)
            && !Arc::ptr_eq(&old.members, &new.members)
        {
            news.memberships(old, new, at_ms);
        }
        news
    }

    fn memberships(&mut self, old: &Membership, new: &Membership, at_ms: i64) {
        let ids = |membership: &Membership| -> BTreeSet<Arc<str>> {
            let members = membership.members.iter();
            members.map(|member| Arc::clone(&member.id)).collect()
        };
        let (before, after) = (ids(old), ids(new));
        self.members(
            after.difference(&before).count(),
            before.difference(&after).count(),
        );
        if !after.is_empty() && !same_assignments(old, new) {
            self.rebalance(Some(at_ms));
        }
    }

    /// Counts a commit on one partition of a topic.
    pub(in crate::collect) fn commit(&mut self, topic: &TopicName, at_ms: i64) {
        match self.commits.get_mut(topic) {
            Some(commits) => {
                commits.count += 1;
                commits.last_ms = commits.last_ms.max(at_ms);
            }
            None => {
                let first = TopicCommits {
                    count: 1,
                    last_ms: at_ms,
                };
                self.commits.insert(topic.clone(), first);
            }
        }
    }

    /// Counts a rebalance.
    pub(in crate::collect) fn rebalance(&mut self, at_ms: Option<i64>) {
        self.rebalances += 1;
        self.last_rebalance_ms = self.last_rebalance_ms.max(at_ms);
    }

    /// Counts members that joined and left.
    pub(in crate::collect) fn members(&mut self, joined: usize, left: usize) {
        self.joins += u64::try_from(joined).unwrap_or(u64::MAX);
        self.leaves += u64::try_from(left).unwrap_or(u64::MAX);
    }

    pub(in crate::collect) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds it to what was seen before.
    pub(in crate::collect) fn add_to(&self, activity: &mut Activity) {
        for (topic, commits) in &self.commits {
            let topic = activity.commits.entry(topic.clone()).or_default();
            topic.count += commits.count;
            topic.last_ms = topic.last_ms.max(Some(commits.last_ms));
        }
        activity.rebalances += self.rebalances;
        activity.last_rebalance_ms = activity.last_rebalance_ms.max(self.last_rebalance_ms);
        activity.member_joins += self.joins;
        activity.member_leaves += self.leaves;
    }
}

fn committed(row: &PartitionRow) -> Option<Committed> {
    row.reading.as_ref().map(|reading| reading.committed)
}

/// Returns whether two descriptions name the same members with the same partitions, in any order.
fn same_assignments(one: &Membership, other: &Membership) -> bool {
    let sorted = |membership: &Membership| {
        let mut members: Vec<_> = membership.members.to_vec();
        members.sort_unstable();
        members
    };
    sorted(one) == sorted(other)
}
