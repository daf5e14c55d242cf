//! The members of a classic group: one record holds all of them. It is written when the leader has sent the assignment.
//!
//! The generation counts the rebalances.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::comparison::{Comparison, MemberIds};
use crate::collect::news::News;
use crate::kafka::{GroupDescription, MalformedMembers};
use crate::offsets_topic::protocol::sorted_partitions;
use crate::offsets_topic::{ClassicMember, GroupMetadata};
use crate::snapshot::{GroupState, GroupType, Member, MemberShare, Rebalance};

/// The members of a classic group.
#[derive(Debug, Default)]
pub(super) struct Classic {
    /// Nothing before the first record.
    generation: Option<i32>,
    /// What the members agree on: `consumer`, `connect`; empty for a group without members ever.
    protocol_type: String,
    assignor: String,
    members: Vec<Member>,
    malformed: Option<MalformedMembers>,
    /// Every member, with the number of its partitions where that is known.
    shares: BTreeMap<Arc<str>, Option<u32>>,
}

impl Classic {
    /// Returns the members of a record.
    pub(super) fn from_record(metadata: &GroupMetadata<'_>) -> Self {
        let mut malformed = None;
        let members = metadata.members.iter();
        let members = members.map(|of_group| member(of_group, &mut malformed));
        let members = members.collect();
        Self {
            protocol_type: metadata.protocol_type.to_owned(),
            assignor: metadata.protocol.unwrap_or_default().to_owned(),
            malformed,
            ..Self::new(Some(metadata.generation), members)
        }
    }

    /// Returns the members of the coordinator's answer. `generation` is the newest one that a record had.
    pub(super) fn from_answer(
        members: &[Member],
        description: Option<&GroupDescription>,
        generation: Option<i32>,
    ) -> Self {
        let mut answered = Self::new(generation, members.to_vec());
        if let Some(description) = description {
            answered
                .protocol_type
                .clone_from(&description.protocol_type);
            answered.assignor.clone_from(&description.assignor);
            answered.malformed.clone_from(&description.malformed);
        }
        answered
    }

    /// Returns a group of which only the members are known.
    pub(super) fn of(members: &MemberIds) -> Self {
        Self {
            shares: members.iter().map(|id| (Arc::clone(id), None)).collect(),
            ..Self::default()
        }
    }

    fn new(generation: Option<i32>, members: Vec<Member>) -> Self {
        let share = |member: &Member| {
            let partitions = u32::try_from(member.assignment.len()).unwrap_or(u32::MAX);
            (Arc::clone(&member.id), Some(partitions))
        };
        Self {
            generation,
            shares: members.iter().map(share).collect(),
            members,
            ..Self::default()
        }
    }

    pub(super) fn generation(&self) -> Option<i32> {
        self.generation
    }

    pub(super) fn ids(&self) -> MemberIds {
        self.shares.keys().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    pub(super) fn description(&self) -> GroupDescription {
        GroupDescription {
            state: if self.members.is_empty() {
                GroupState::Empty
            } else {
                GroupState::Stable
            },
            group_type: GroupType::Classic,
            protocol_type: self.protocol_type.clone(),
            malformed: self.malformed.clone(),
            assignor: self.assignor.clone(),
            coordinator: None,
            members: self.members.clone(),
        }
    }

    /// Counts the joins and leaves since `before`, if they can be compared, and returns the rebalance if there was one.
    pub(super) fn rebalance_since(
        &self,
        before: &Self,
        comparison: Comparison,
        news: &mut News,
    ) -> Option<Rebalance> {
        let unknown = BTreeMap::new();
        let new = &self.shares;
        let (old, joined, left) = match comparison {
            Comparison::Possible => {
                let old = &before.shares;
                (old, only_in(new, old), only_in(old, new))
            }
            Comparison::Impossible => (&unknown, Vec::new(), Vec::new()),
        };
        news.members(joined.len(), left.len());
        // Without members the record is the end of a generation, not a rebalance.
        if self.is_empty() || before.generation == self.generation {
            return None;
        }
        let all: MemberIds = old.keys().chain(new.keys()).cloned().collect();
        let share = |id: Arc<str>| MemberShare {
            before: old.get(&id).copied().flatten(),
            after: new.get(&id).copied().flatten(),
            id,
        };
        Some(Rebalance {
            group_type: GroupType::Classic,
            generation: self.generation.unwrap_or_default(),
            assignor: self.assignor.as_str().into(),
            members: all.into_iter().map(share).collect(),
            joined,
            left,
        })
    }
}

fn only_in(
    one: &BTreeMap<Arc<str>, Option<u32>>,
    other: &BTreeMap<Arc<str>, Option<u32>>,
) -> Vec<Arc<str>> {
    let ids = one.keys().filter(|id| !other.contains_key(*id));
    ids.cloned().collect()
}

/// Returns a member. One whose assignment cannot be read has none and is counted in `malformed`.
fn member(member: &ClassicMember<'_>, malformed: &mut Option<MalformedMembers>) -> Member {
    let assignment = match &member.assignment {
        Ok(assignment) => sorted_partitions(assignment),
        Err(problem) => {
            MalformedMembers::add(malformed, problem);
            Vec::new()
        }
    };
    Member {
        id: member.id.into(),
        client_id: member.client_id.into(),
        host: member.client_host.into(),
        instance_id: member.instance_id.map(Into::into),
        assignment,
    }
}
