//! The members of a classic group: one record tells all of them, written when the leader's assignment has come in.
//!
//! Its generation counts the rebalances.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Comparison, Ids, state_of};
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::{TopicName, TopicPartition};
use crate::offsets_topic::{ClassicMember, Embedded, GroupMetadata};
use crate::snapshot::{GroupType, Member, MemberShare, Rebalance};

/// The members of a classic group.
#[derive(Debug, Default)]
pub(super) struct Classic {
    /// Nothing where no record has told it yet.
    generation: Option<i32>,
    assignor: String,
    members: Vec<Member>,
    /// Every member, with the number of its partitions where that is known.
    shares: BTreeMap<Arc<str>, Option<u32>>,
}

impl Classic {
    /// Returns the members as a record tells them.
    pub(super) fn told(metadata: &GroupMetadata<'_>) -> Self {
        let members = metadata.members.iter().map(member).collect();
        let assignor = metadata.protocol.unwrap_or_default().to_owned();
        Self::new(Some(metadata.generation), assignor, members)
    }

    /// Returns the members as the coordinator answered, in the newest generation that a record told.
    pub(super) fn answered(
        members: &[Member],
        description: Option<&GroupDescription>,
        generation: Option<i32>,
    ) -> Self {
        let assignor = description.map(|answer| answer.assignor.clone());
        Self::new(generation, assignor.unwrap_or_default(), members.to_vec())
    }

    /// Returns a group of which no more is known than who is in it.
    pub(super) fn of(members: &Ids) -> Self {
        Self {
            shares: members.iter().map(|id| (Arc::clone(id), None)).collect(),
            ..Self::default()
        }
    }

    fn new(generation: Option<i32>, assignor: String, members: Vec<Member>) -> Self {
        let share = |member: &Member| {
            let partitions = u32::try_from(member.assignment.len()).unwrap_or(u32::MAX);
            (Arc::clone(&member.id), Some(partitions))
        };
        Self {
            generation,
            assignor,
            shares: members.iter().map(share).collect(),
            members,
        }
    }

    pub(super) fn generation(&self) -> Option<i32> {
        self.generation
    }

    pub(super) fn ids(&self) -> Ids {
        self.shares.keys().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    pub(super) fn description(&self) -> GroupDescription {
        GroupDescription {
            state: state_of(self.members.len()),
            group_type: GroupType::Classic,
            protocol_type: "consumer".to_owned(),
            malformed: None,
            assignor: self.assignor.clone(),
            coordinator: None,
            members: self.members.clone(),
        }
    }

    /// Counts what lies between `before` and this, as far as they can be compared, and returns the rebalance if it was
    /// one.
    pub(super) fn follow(
        &self,
        before: &Self,
        comparison: Comparison,
        news: &mut News,
    ) -> Option<Rebalance> {
        let unknown = BTreeMap::new();
        let (old, new) = match comparison {
            Comparison::Firm => (&before.shares, &self.shares),
            Comparison::Vague => (&unknown, &self.shares),
        };
        let (joined, left) = match comparison {
            Comparison::Firm => (only_in(new, old), only_in(old, new)),
            Comparison::Vague => (Vec::new(), Vec::new()),
        };
        news.members(joined.len(), left.len());
        // Without members it is the end of a generation that nobody is in.
        if self.is_empty() || before.generation == self.generation {
            return None;
        }
        let all: Ids = old.keys().chain(new.keys()).cloned().collect();
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

fn member(member: &ClassicMember<'_>) -> Member {
    let mut assignment: Vec<TopicPartition> = match &member.assignment {
        Embedded::Consumer(assignment) => assignment
            .partitions
            .iter()
            .flat_map(|of_topic| {
                let topic = TopicName::from(of_topic.topic);
                of_topic
                    .partitions
                    .iter()
                    .map(move |partition| TopicPartition {
                        topic: topic.clone(),
                        partition: *partition,
                    })
            })
            .collect(),
        Embedded::Empty | Embedded::Foreign(_) | Embedded::Malformed(_) => Vec::new(),
    };
    assignment.sort_unstable();
    Member {
        id: member.id.into(),
        client_id: member.client_id.into(),
        host: member.client_host.into(),
        instance_id: member.instance_id.map(Into::into),
        assignment,
    }
}
