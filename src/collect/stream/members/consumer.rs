//! The members of a KIP-848 group: many records, some for each member.
//!
//! The members move to the group's epoch one by one. A rebalance is counted when the first one reaches an epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use super::comparison::{Comparison, MemberIds};
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::offsets_topic::CurrentAssignment;
use crate::snapshot::{GroupType, Member, MemberShare, Rebalance};

/// The members of a KIP-848 group.
#[derive(Debug, Default)]
pub(super) struct ConsumerMembers {
    /// The highest epoch that a member has reached; nothing before the first record.
    reached: Option<i32>,
    members: MemberIds,
    /// Members whose records were deleted: they have left, unless the group is converted to the other protocol.
    leaving: MemberIds,
    /// Members that joined and left since the last rebalance.
    joined: MemberIds,
    left: MemberIds,
    /// How many partitions each member has in the current assignment, and in the target, as far as records say.
    current: BTreeMap<Arc<str>, u32>,
    target: BTreeMap<Arc<str>, u32>,
    /// The coordinator's newest description; nothing if the members have changed since. Records have only the ids of
    /// assigned topics, so the coordinator has to be asked for them.
    description: Option<GroupDescription>,
}

impl ConsumerMembers {
    /// Returns the members of the coordinator's answer. `reached` is the newest epoch that a record had.
    pub(super) fn from_answer(
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
            description: description.cloned(),
            ..Self::default()
        }
    }

    /// Returns a group of which only the members are known.
    pub(super) fn of(members: MemberIds) -> Self {
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

    /// Returns the coordinator's description of the members; nothing where it has to be asked.
    pub(super) fn description(&self) -> Option<&GroupDescription> {
        self.description.as_ref()
    }

    pub(super) fn describe(&mut self, description: &GroupDescription) {
        self.description = Some(description.clone());
    }

    /// Notes that the group has a new epoch, which no member has reached yet.
    pub(super) fn start_epoch(&mut self, epoch: i32, news: &mut News) {
        self.count_leaving(news);
        self.reached.get_or_insert(epoch - 1);
    }

    /// Notes a member's record, which is written when it joins and when its subscription changes.
    pub(super) fn join(&mut self, member: &str, comparison: Comparison, news: &mut News) {
        self.count_leaving(news);
        let id = Arc::from(member);
        if self.members.insert(Arc::clone(&id)) && comparison == Comparison::Possible {
            news.members(1, 0);
            self.joined.insert(id);
        }
        self.description = None;
    }

    pub(super) fn leave(&mut self, member: &str, comparison: Comparison) {
        if let Some(id) = self.members.take(member)
            && comparison == Comparison::Possible
        {
            self.joined.remove(member);
            self.leaving.insert(id);
        }
        self.current.remove(member);
        self.description = None;
    }

    /// Notes how many partitions a member's target assignment has, or its deletion.
    pub(super) fn set_target(&mut self, member: &str, partitions: Option<usize>) {
        match partitions {
            Some(partitions) => {
                self.target.insert(Arc::from(member), share_of(partitions));
            }
            None => {
                self.target.remove(member);
            }
        }
    }

    /// Notes a member's current assignment. Returns the rebalance if it is the first member to reach its epoch.
    pub(super) fn set_current(
        &mut self,
        member: &str,
        assignment: CurrentAssignment,
        news: &mut News,
    ) -> Option<Rebalance> {
        self.count_leaving(news);
        self.description = None;
        let epoch = assignment.member_epoch;
        let before = self
            .reached
            .replace(self.reached.map_or(epoch, |before| before.max(epoch)));
        // Without an epoch before, it moves to one that started before the topic was followed.
        let is_new = before.is_some_and(|before| epoch > before);
        let rebalance = is_new.then(|| self.rebalance(epoch));
        self.current
            .insert(Arc::from(member), share_of(assignment.partitions));
        rebalance
    }

    /// Ends the group. Returns the members that stay if it is converted to the other protocol.
    pub(super) fn end(&mut self) -> MemberIds {
        let mut members = mem::take(&mut self.members);
        members.append(&mut self.leaving);
        members
    }

    /// Counts the members whose records were deleted as left: the record that was read next does not end the group.
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
            before: self.current.get(id).copied(),
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

fn share_of(partitions: usize) -> u32 {
    u32::try_from(partitions).unwrap_or(u32::MAX)
}
