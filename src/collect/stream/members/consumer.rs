//! The members of a KIP-848 group: many records, some for each member.
//!
//! The members move to the group's epoch one by one, and the first one to reach an epoch is a rebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use super::{Comparison, Ids};
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::offsets_topic::{Assigned, CurrentAssignment};
use crate::snapshot::{GroupType, Member, MemberShare, Rebalance};

/// The members of a KIP-848 group.
#[derive(Debug, Default)]
pub(super) struct Consumer {
    /// The highest epoch that a member has reached; nothing where no record has told it yet.
    reached: Option<i32>,
    members: Ids,
    /// Members whose records were taken back: they have left, unless the whole group goes over to the other protocol.
    leaving: Ids,
    /// Members that joined and left since the last rebalance.
    joined: Ids,
    left: Ids,
    /// How many partitions each member has, and is to have, as far as records told.
    owned: BTreeMap<Arc<str>, u32>,
    target: BTreeMap<Arc<str>, u32>,
    /// What its coordinator said last; its assignments are told by topic ids, so that it is asked when they change.
    described: Option<GroupDescription>,
}

impl Consumer {
    /// Returns the members as the coordinator answered; `reached` is the newest epoch that a record told.
    pub(super) fn answered(
        members: &[Member],
        description: Option<&GroupDescription>,
        reached: Option<i32>,
    ) -> Self {
        Self {
            reached,
            members: members
                .iter()
                .map(|member| Arc::clone(&member.id))
                .collect(),
            described: description.cloned(),
            ..Self::default()
        }
    }

    /// Returns a group of which no more is known than who is in it.
    pub(super) fn of(members: Ids) -> Self {
        Self {
            members,
            ..Self::default()
        }
    }

    pub(super) fn reached(&self) -> Option<i32> {
        self.reached
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Returns what the coordinator said of the members of now; nothing where it has to be asked.
    pub(super) fn description(&self) -> Option<&GroupDescription> {
        self.described.as_ref()
    }

    pub(super) fn describe(&mut self, description: &GroupDescription) {
        self.described = Some(description.clone());
    }

    /// Notes that the group has a new epoch, which nobody has reached yet.
    pub(super) fn begin_epoch(&mut self, epoch: i32, news: &mut News) {
        self.count_leaving(news);
        self.reached.get_or_insert(epoch - 1);
    }

    /// Notes a member's record, which is written when it joins and when its subscription changes.
    pub(super) fn join(&mut self, member: &str, comparison: Comparison, news: &mut News) {
        self.count_leaving(news);
        let id = Arc::from(member);
        if self.members.insert(Arc::clone(&id)) && comparison == Comparison::Firm {
            news.members(1, 0);
            self.joined.insert(id);
        }
        self.described = None;
    }

    pub(super) fn leave(&mut self, member: &str, comparison: Comparison) {
        if let Some(id) = self.members.take(member)
            && comparison == Comparison::Firm
        {
            self.joined.remove(member);
            self.leaving.insert(id);
        }
        self.owned.remove(member);
        self.described = None;
    }

    /// Notes what a member is to have.
    pub(super) fn aim(&mut self, member: &str, target: Option<&Assigned<'_>>) {
        match target {
            Some(target) => {
                self.target.insert(Arc::from(member), partitions(target));
            }
            None => {
                self.target.remove(member);
            }
        }
    }

    /// Notes what a member has; the first one in an epoch is a rebalance.
    pub(super) fn reach(
        &mut self,
        member: &str,
        current: &CurrentAssignment<'_>,
        news: &mut News,
    ) -> Option<Rebalance> {
        self.count_leaving(news);
        self.described = None;
        let epoch = current.member_epoch;
        let before = self
            .reached
            .replace(self.reached.map_or(epoch, |before| before.max(epoch)));
        // Without one before, it moves to an epoch that began before anybody listened.
        let is_new = before.is_some_and(|before| epoch > before);
        let rebalance = is_new.then(|| self.rebalance(epoch));
        self.owned
            .insert(Arc::from(member), partitions(&current.assigned));
        rebalance
    }

    /// Ends the group, and returns those who go over to the other protocol, if that is why it ends.
    pub(super) fn end(&mut self) -> Ids {
        let mut members = mem::take(&mut self.members);
        members.append(&mut self.leaving);
        members
    }

    /// Counts as left whose records were taken back: what was read next is no end of the group.
    fn count_leaving(&mut self, news: &mut News) {
        news.members(0, self.leaving.len());
        self.left.append(&mut self.leaving);
    }

    fn rebalance(&mut self, epoch: i32) -> Rebalance {
        let joined: Vec<_> = mem::take(&mut self.joined).into_iter().collect();
        let left: Vec<_> = mem::take(&mut self.left).into_iter().collect();
        let all: BTreeSet<&Arc<str>> = self.members.iter().chain(&left).collect();
        let share = |id: &Arc<str>| MemberShare {
            id: Arc::clone(id),
            before: self.owned.get(id).copied(),
            after: self.target.get(id).copied(),
        };
        Rebalance {
            group_type: GroupType::Consumer,
            generation: epoch,
            assignor: Arc::default(),
            members: all.into_iter().map(share).collect(),
            joined,
            left,
        }
    }
}

/// Returns how many partitions a member has or is to have.
fn partitions(assigned: &Assigned<'_>) -> u32 {
    match assigned {
        Assigned::Partitions(topics) => {
            let partitions = topics.iter().map(|topic| topic.partitions.len());
            u32::try_from(partitions.sum::<usize>()).unwrap_or(u32::MAX)
        }
        Assigned::Tasks(_) => 0,
    }
}
