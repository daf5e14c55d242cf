//! The members of a group, as far as records tell them, and what their changes mean.
//!
//! A classic group is one record, written when the leader's assignment has come in. Its generation counts the
//! rebalances. A KIP-848 group is many records; its members move to the group's epoch one by one, and the first one to
//! reach an epoch is a rebalance.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use crate::collect::fetch::groups::Described;
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::{TopicName, TopicPartition};
use crate::offsets_topic::{
    Assigned, ClassicMember, CurrentAssignment, Embedded, GroupKind, GroupMetadata, Record,
};
use crate::snapshot::{GroupState, GroupType, Member, MemberShare, Rebalance};

/// What is known of a group's members.
#[derive(Debug, Default)]
pub(super) enum Members {
    /// Nothing, or there never was one.
    #[default]
    Unknown,
    /// A group of the classic protocol.
    Classic(Classic),
    /// A group whose assignment the coordinator makes (KIP-848).
    Consumer(Consumer),
}

/// The members of a classic group.
#[derive(Debug, Default)]
pub(super) struct Classic {
    /// Nothing where no record has told it yet.
    generation: Option<i32>,
    assignor: String,
    members: Vec<Member>,
    source: Source,
}

/// The members of a KIP-848 group.
#[derive(Debug, Default)]
pub(super) struct Consumer {
    /// The highest epoch that a member has reached; nothing where no record has told it yet.
    reached: Option<i32>,
    members: BTreeSet<Arc<str>>,
    /// Members that joined and left since the last rebalance.
    joined: BTreeSet<Arc<str>>,
    left: BTreeSet<Arc<str>>,
    /// How many partitions each member has, and is to have, as far as records told.
    owned: BTreeMap<Arc<str>, u32>,
    target: BTreeMap<Arc<str>, u32>,
    /// What its coordinator said last; its assignments are told by topic ids, so that it is asked when they change.
    described: Option<GroupDescription>,
    source: Source,
}

/// Where the members are known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    /// A coordinator's answer.
    #[default]
    Answer,
    /// The records of the group, or of the time since an answer.
    Records,
}

/// What a record says of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) change: Change,
    /// The rebalance that it ends, or begins to end.
    pub(super) rebalance: Option<Rebalance>,
}

/// How a record changed the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Not at all.
    None,
    /// As known now.
    Told,
    /// Only the coordinator can say how.
    ToBeAsked,
}

impl Members {
    /// Takes over what the coordinator has answered, where no record tells it.
    ///
    /// Records come later than answers, and each of them has to be counted as what it is.
    pub(super) fn seed(&mut self, description: &Described) {
        let (group_type, members, description) = match description {
            Described::Answered(answer) => (answer.group_type, &answer.members[..], Some(answer)),
            Described::Memberless(listed) => (listed.group_type, &[][..], None),
            Described::NotFound => {
                *self = Self::Unknown;
                return;
            }
            Described::Unsupported | Described::Failed(_) => return,
        };
        match (group_type, &mut *self) {
            (GroupType::Consumer, Self::Consumer(consumer))
                if consumer.source == Source::Records =>
            {
                consumer.described = description.cloned();
            }
            (GroupType::Consumer, _) => {
                *self = Self::Consumer(Consumer {
                    reached: self.reached(),
                    members: members
                        .iter()
                        .map(|member| Arc::clone(&member.id))
                        .collect(),
                    described: description.cloned(),
                    source: Source::Answer,
                    ..Consumer::default()
                });
            }
            (_, Self::Classic(classic)) if classic.source == Source::Records => {}
            (GroupType::Classic | GroupType::Unknown, _) => {
                *self = Self::Classic(Classic {
                    generation: self.generation(),
                    assignor: description
                        .map(|answer| answer.assignor.clone())
                        .unwrap_or_default(),
                    members: members.to_vec(),
                    source: Source::Answer,
                });
            }
        }
    }

    /// Notes that records may have been missed.
    pub(super) fn doubt(&mut self) {
        match self {
            Self::Unknown => {}
            Self::Classic(classic) => classic.source = Source::Answer,
            Self::Consumer(consumer) => consumer.source = Source::Answer,
        }
    }

    /// Takes over a record about members, written at `at_ms`; what it means is counted in `news`.
    pub(super) fn apply(
        &mut self,
        record: &Record<'_>,
        at_ms: Option<i64>,
        news: &mut News,
    ) -> Said {
        let mut rebalance = None;
        let change = self.change(record, &mut rebalance, news);
        if rebalance.is_some() {
            news.rebalance(at_ms);
        }
        Said { change, rebalance }
    }

    fn change(
        &mut self,
        record: &Record<'_>,
        rebalance: &mut Option<Rebalance>,
        news: &mut News,
    ) -> Change {
        match record {
            Record::GroupMetadata { metadata, .. } => match metadata {
                Some(metadata) => {
                    *rebalance = self.classic(metadata, news);
                    Change::Told
                }
                // Deleted, or about to become a group of the other protocol.
                None => self.end_classic(news),
            },
            Record::GroupEpoch {
                kind: GroupKind::Consumer,
                epoch,
                ..
            } => match epoch {
                Some(epoch) => {
                    let consumer = self.consumer();
                    consumer.reached.get_or_insert(epoch.epoch - 1);
                    Change::None
                }
                None => self.end_consumer(news),
            },
            Record::Member {
                kind: GroupKind::Consumer,
                member,
                metadata,
                ..
            } => {
                match metadata {
                    Some(_) => self.consumer().join(member, news),
                    None => self.consumer().leave(member, news),
                }
                Change::ToBeAsked
            }
            Record::TargetAssignment {
                kind: GroupKind::Consumer,
                member,
                target,
                ..
            } => {
                let consumer = self.consumer();
                match target {
                    Some(target) => {
                        consumer
                            .target
                            .insert(Arc::from(*member), partitions(target));
                    }
                    None => {
                        consumer.target.remove(*member);
                    }
                }
                Change::None
            }
            Record::CurrentAssignment {
                kind: GroupKind::Consumer,
                member,
                current: Some(current),
                ..
            } => {
                *rebalance = self.consumer().reach(member, current);
                Change::ToBeAsked
            }
            _ => Change::None,
        }
    }

    /// Returns the members as the coordinator would describe them; nothing where it has to be asked.
    ///
    /// State and coordinator are what the records imply: `Stable` with members, else `Empty`.
    pub(super) fn description(&self) -> Option<GroupDescription> {
        match self {
            Self::Unknown => None,
            Self::Classic(Classic {
                assignor, members, ..
            }) => Some(GroupDescription {
                state: if members.is_empty() {
                    GroupState::Empty
                } else {
                    GroupState::Stable
                },
                group_type: GroupType::Classic,
                assignor: assignor.clone(),
                coordinator: None,
                members: members.clone(),
            }),
            Self::Consumer(Consumer { described, .. }) => described.clone(),
        }
    }

    /// Tells whether only the coordinator can say who the members are.
    pub(super) fn is_to_be_asked(&self) -> bool {
        matches!(self, Self::Consumer(Consumer { described: None, members, .. }) if !members.is_empty())
    }

    /// Takes over what the coordinator has answered when it was asked about a change.
    pub(super) fn describe(&mut self, description: &GroupDescription) {
        if let Self::Consumer(consumer) = self {
            consumer.described = Some(description.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Classic(classic) => classic.members.is_empty(),
            Self::Consumer(consumer) => consumer.members.is_empty(),
        }
    }

    fn generation(&self) -> Option<i32> {
        match self {
            Self::Classic(classic) => classic.generation,
            Self::Unknown | Self::Consumer(_) => None,
        }
    }

    fn reached(&self) -> Option<i32> {
        match self {
            Self::Consumer(consumer) => consumer.reached,
            Self::Unknown | Self::Classic(_) => None,
        }
    }

    fn consumer(&mut self) -> &mut Consumer {
        if !matches!(self, Self::Consumer(_)) {
            *self = Self::Consumer(Consumer::default());
        }
        match self {
            Self::Consumer(consumer) => {
                consumer.source = Source::Records;
                consumer
            }
            _ => unreachable!("made one just now"),
        }
    }

    fn classic(&mut self, metadata: &GroupMetadata<'_>, news: &mut News) -> Option<Rebalance> {
        let before = match self {
            Self::Classic(before) => std::mem::take(before),
            Self::Unknown | Self::Consumer(_) => Classic::default(),
        };
        let after = Classic {
            generation: Some(metadata.generation),
            assignor: metadata.protocol.unwrap_or_default().to_owned(),
            members: metadata.members.iter().map(member).collect(),
            source: Source::Records,
        };
        let rebalance = between(&before, &after, news);
        *self = Self::Classic(after);
        rebalance
    }

    fn end_classic(&mut self, news: &mut News) -> Change {
        let Self::Classic(before) = self else {
            return Change::None;
        };
        news.members(0, before.members.len());
        *self = Self::Unknown;
        Change::Told
    }

    fn end_consumer(&mut self, news: &mut News) -> Change {
        let Self::Consumer(before) = self else {
            return Change::None;
        };
        news.members(0, before.members.len());
        *self = Self::Unknown;
        Change::Told
    }
}

impl Consumer {
    fn join(&mut self, member: &str, news: &mut News) {
        let id = Arc::from(member);
        if self.members.insert(Arc::clone(&id)) {
            news.members(1, 0);
            self.joined.insert(id);
        }
        self.described = None;
    }

    fn leave(&mut self, member: &str, news: &mut News) {
        if let Some(id) = self.members.take(member) {
            news.members(0, 1);
            self.joined.remove(member);
            self.left.insert(id);
        }
        self.owned.remove(member);
        self.described = None;
    }

    /// Notes what a member has; the first one in an epoch is a rebalance.
    fn reach(&mut self, member: &str, current: &CurrentAssignment<'_>) -> Option<Rebalance> {
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

/// Counts what lies between two records of a classic group, and returns the rebalance if it was one.
fn between(before: &Classic, after: &Classic, news: &mut News) -> Option<Rebalance> {
    let shares = |classic: &Classic| -> BTreeMap<Arc<str>, u32> {
        let members = classic.members.iter();
        members
            .map(|member| (Arc::clone(&member.id), count(member.assignment.len())))
            .collect()
    };
    let (old, new) = (shares(before), shares(after));
    let only_in =
        |one: &BTreeMap<Arc<str>, u32>, other: &BTreeMap<Arc<str>, u32>| -> Vec<Arc<str>> {
            let ids = one.keys().filter(|id| !other.contains_key(*id));
            ids.cloned().collect()
        };
    let (joined, left) = (only_in(&new, &old), only_in(&old, &new));
    news.members(joined.len(), left.len());
    // Without members it is the end of a generation that nobody is in.
    if after.members.is_empty() || before.generation == after.generation {
        return None;
    }
    let all: BTreeSet<&Arc<str>> = old.keys().chain(new.keys()).collect();
    let share = |id: &Arc<str>| MemberShare {
        id: Arc::clone(id),
        before: old.get(id).copied(),
        after: new.get(id).copied(),
    };
    Some(Rebalance {
        group_type: GroupType::Classic,
        generation: after.generation.unwrap_or_default(),
        assignor: after.assignor.as_str().into(),
        members: all.into_iter().map(share).collect(),
        joined,
        left,
    })
}

/// Returns how many partitions a member has or is to have.
fn partitions(assigned: &Assigned<'_>) -> u32 {
    match assigned {
        Assigned::Partitions(topics) => {
            count(topics.iter().map(|topic| topic.partitions.len()).sum())
        }
        Assigned::Tasks(_) => 0,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offsets_topic::{GroupEpoch, MemberMetadata, MemberState};
    use crate::snapshot::Activity;

    fn classic<'a>(generation: i32, members: &[&'a str]) -> Record<'a> {
        let member = |id: &&'a str| ClassicMember {
            id,
            instance_id: None,
            client_id: "client",
            client_host: "/127.0.0.1",
            rebalance_timeout_ms: None,
            session_timeout_ms: 10_000,
            subscription: Embedded::Empty,
            assignment: Embedded::Empty,
        };
        Record::GroupMetadata {
            group: "g",
            metadata: Some(GroupMetadata {
                protocol_type: "consumer",
                generation,
                protocol: (!members.is_empty()).then_some("range"),
                leader: members.first().copied(),
                state_timestamp_ms: None,
                members: members.iter().map(member).collect(),
            }),
        }
    }

    fn epoch(epoch: i32) -> Record<'static> {
        Record::GroupEpoch {
            kind: GroupKind::Consumer,
            group: "g",
            epoch: Some(GroupEpoch {
                epoch,
                metadata_hash: None,
                creation_time_ms: None,
            }),
        }
    }

    fn joined(member: &str) -> Record<'_> {
        Record::Member {
            kind: GroupKind::Consumer,
            group: "g",
            member,
            metadata: Some(MemberMetadata {
                instance_id: None,
                rack_id: None,
                client_id: "client",
                client_host: "/127.0.0.1",
                subscribed_topics: vec!["t"],
                subscribed_regex: None,
                rebalance_timeout_ms: None,
                server_assignor: None,
                classic: None,
            }),
        }
    }

    fn left(member: &str) -> Record<'_> {
        Record::Member {
            kind: GroupKind::Consumer,
            group: "g",
            member,
            metadata: None,
        }
    }

    fn reached(member: &str, epoch: i32) -> Record<'_> {
        Record::CurrentAssignment {
            kind: GroupKind::Consumer,
            group: "g",
            member,
            current: Some(CurrentAssignment {
                member_epoch: epoch,
                previous_member_epoch: epoch - 1,
                state: MemberState::Stable,
                assigned: Assigned::Partitions(Vec::new()),
                pending_revocation: Assigned::Partitions(Vec::new()),
            }),
        }
    }

    /// Returns rebalances, joins and leaves.
    fn counted(members: &mut Members, records: &[Record<'_>]) -> (u64, u64, u64) {
        let mut news = News::default();
        for record in records {
            members.apply(record, Some(7), &mut news);
        }
        let mut activity = Activity::default();
        news.add_to(&mut activity);
        (
            activity.rebalances,
            activity.member_joins,
            activity.member_leaves,
        )
    }

    fn described(group_type: GroupType, ids: &[&str]) -> Described {
        let member = |id: &&str| Member {
            id: (*id).into(),
            client_id: "client".into(),
            host: "/127.0.0.1".into(),
            instance_id: None,
            assignment: Vec::new(),
        };
        Described::Answered(GroupDescription {
            state: GroupState::Stable,
            group_type,
            assignor: "range".to_owned(),
            coordinator: None,
            members: ids.iter().map(member).collect(),
        })
    }

    #[test]
    fn a_new_generation_with_members_is_a_rebalance_of_a_classic_group() {
        let mut members = Members::default();
        let records = [
            classic(0, &[]),
            classic(1, &["a"]),
            // Told again, as when a static member comes back.
            classic(1, &["a"]),
            classic(2, &["a", "b"]),
            classic(3, &["b"]),
            classic(4, &[]),
        ];
        assert_eq!(counted(&mut members, &records), (3, 2, 2));
        assert!(members.is_empty());
        let description = members.description().expect("known");
        assert_eq!(description.state, GroupState::Empty);
    }

    #[test]
    fn the_first_member_to_reach_an_epoch_is_a_rebalance_of_a_consumer_group() {
        let mut members = Members::default();
        let records = [
            joined("a"),
            epoch(1),
            reached("a", 1),
            joined("b"),
            epoch(2),
            reached("b", 2),
            reached("a", 2),
            // Nobody reaches the third epoch.
            epoch(3),
            left("b"),
            epoch(4),
            reached("a", 4),
            left("a"),
            epoch(5),
        ];
        assert_eq!(counted(&mut members, &records), (3, 2, 2));
    }

    #[test]
    fn a_rebalance_tells_who_came_and_went_and_what_each_had_and_has() {
        let mut members = Members::default();
        let mut news = News::default();
        members.apply(&classic(1, &["a", "b"]), None, &mut news);
        let said = members.apply(&classic(2, &["b", "c"]), None, &mut news);
        let rebalance = said.rebalance.expect("a new generation");
        assert_eq!(rebalance.generation, 2);
        assert_eq!(&*rebalance.assignor, "range");
        assert_eq!(rebalance.joined, ["c".into()]);
        assert_eq!(rebalance.left, ["a".into()]);
        let shares: Vec<_> = rebalance
            .members
            .iter()
            .map(|member| (&*member.id, member.before, member.after))
            .collect();
        let expected = [
            ("a", Some(0), None),
            ("b", Some(0), Some(0)),
            ("c", None, Some(0)),
        ];
        assert_eq!(shares, expected);
    }

    #[test]
    fn an_epoch_that_began_before_anybody_listened_is_no_rebalance() {
        let mut members = Members::default();
        members.seed(&described(GroupType::Consumer, &["a", "b"]));
        let records = [reached("a", 8), reached("b", 8)];
        assert_eq!(counted(&mut members, &records), (0, 0, 0));
        let records = [epoch(9), reached("a", 9), reached("b", 9), left("b")];
        assert_eq!(counted(&mut members, &records), (1, 0, 1));
    }

    #[test]
    fn an_answer_does_not_overtake_records_that_are_yet_to_come() {
        let mut members = Members::default();
        assert_eq!(counted(&mut members, &[classic(1, &["a"])]), (1, 1, 0));
        members.seed(&described(GroupType::Classic, &["a", "b"]));
        assert_eq!(counted(&mut members, &[classic(2, &["a", "b"])]), (1, 1, 0));
        // After a gap nothing is counted that nobody saw.
        members.doubt();
        members.seed(&described(GroupType::Classic, &["c"]));
        assert_eq!(counted(&mut members, &[classic(9, &["c"])]), (1, 0, 0));
    }

    #[test]
    fn who_the_members_of_a_consumer_group_are_is_asked_when_they_change() {
        let mut members = Members::default();
        members.seed(&described(GroupType::Consumer, &["a"]));
        assert!(!members.is_to_be_asked());
        counted(&mut members, &[joined("b")]);
        assert!(members.is_to_be_asked());
        let Described::Answered(answer) = described(GroupType::Consumer, &["a", "b"]) else {
            unreachable!("made so");
        };
        members.describe(&answer);
        assert_eq!(members.description(), Some(answer));
    }

    #[test]
    fn a_group_that_is_deleted_or_changes_its_protocol_loses_its_members() {
        let mut members = Members::default();
        counted(&mut members, &[classic(1, &["a", "b"])]);
        let gone = Record::GroupMetadata {
            group: "g",
            metadata: None,
        };
        assert_eq!(counted(&mut members, &[gone]), (0, 0, 2));
        assert_eq!(members.description(), None);
    }
}
