//! The members of a group as far as records say who they are, and the rebalances, joins and leaves between records.
//!
//! The members come from whichever knows most, a record or the coordinator. Joins and leaves are counted between
//! records alone: an answer may be older or newer than the record that is read next.

mod classic;
mod comparison;
mod consumer;
#[cfg(test)]
mod tests;

use self::classic::Classic;
use self::comparison::{Basis, Comparison, MemberIds};
use self::consumer::ConsumerMembers;
use crate::collect::fetch::groups::Described;
use crate::collect::fetch::listing::Listed;
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::Offset;
use crate::offsets_topic::{GroupMetadata, Record};
use crate::snapshot::{GroupState, GroupType, Rebalance};

/// What is known of a group's members.
#[derive(Debug, Default)]
pub(super) struct GroupMembers {
    protocol: GroupProtocol,
    basis: Basis,
}

/// The protocol by which the members share the partitions.
#[derive(Debug, Default)]
enum GroupProtocol {
    /// There are no members, or they are not known.
    #[default]
    None,
    /// The members agree on the assignment (JoinGroup, SyncGroup).
    Classic(Classic),
    /// The coordinator decides the assignment (KIP-848).
    Consumer(ConsumerMembers),
    /// The group is being converted from one protocol to the other, with these members.
    Changing(MemberIds),
}

/// The offset and timestamp of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordPosition {
    pub(super) offset: Offset,
    /// In milliseconds since the epoch.
    pub(super) timestamp_ms: Option<i64>,
}

/// What a record says of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberUpdate {
    pub(super) change: MemberChange,
    /// The rebalance that the record completes, or that its member is the first to complete.
    pub(super) rebalance: Option<Rebalance>,
}

/// How a record changed the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberChange {
    /// It did not.
    None,
    /// The members after it are known.
    Known,
    /// The coordinator has to be asked for the members after it.
    ToBeAsked,
}

impl GroupMembers {
    /// Returns the members of a group that had none before its first record.
    pub(super) fn of_new_group() -> Self {
        Self {
            protocol: GroupProtocol::None,
            basis: Basis::Records,
        }
    }

    /// Applies the coordinator's answer, unless the members are known from records. Records before `until` may be older
    /// than the answer.
    pub(super) fn apply_answer(&mut self, described: &Described, until: Offset) {
        if self.basis == Basis::Records {
            return self.renew(described);
        }
        let (group_type, members, description) = match described {
            Described::Answered(answer) => (answer.group_type, &answer.members[..], Some(answer)),
            Described::Memberless(listed) => (listed.group_type, &[][..], None),
            Described::NotFound => (GroupType::Unknown, &[][..], None),
            Described::Unsupported | Described::Failed(_) => return,
        };
        self.basis = Basis::Answer { until };
        let (mut generation, mut reached) = (None, None);
        match &self.protocol {
            GroupProtocol::Classic(classic) => generation = classic.generation(),
            GroupProtocol::Consumer(consumer) => reached = consumer.reached(),
            GroupProtocol::None | GroupProtocol::Changing(_) => {}
        }
        self.protocol = match (group_type, described) {
            (GroupType::Consumer, _) => {
                GroupProtocol::Consumer(ConsumerMembers::from_answer(members, description, reached))
            }
            (_, Described::NotFound) => GroupProtocol::None,
            _ => GroupProtocol::Classic(Classic::from_answer(members, description, generation)),
        };
    }

    /// Applies the part of an answer that records do not say.
    pub(super) fn renew(&mut self, described: &Described) {
        if let Described::Answered(description) = described {
            self.describe(description);
        }
    }

    /// Applies the coordinator's description, which was asked for because the members changed.
    pub(super) fn describe(&mut self, description: &GroupDescription) {
        if let GroupProtocol::Consumer(consumer) = &mut self.protocol {
            consumer.describe(description);
        }
    }

    /// Notes that records may have been missed.
    pub(super) fn note_gap(&mut self) {
        self.basis = Basis::Nothing;
    }

    /// Applies a record about members, and counts joins, leaves and rebalances in `news`.
    pub(super) fn apply(
        &mut self,
        record: &Record<'_>,
        at: RecordPosition,
        news: &mut News,
    ) -> MemberUpdate {
        let comparison = self.basis.comparison(at.offset);
        let (change, rebalance) = match record {
            Record::GroupMetadata { metadata, .. } => {
                self.apply_classic(metadata.as_ref(), comparison, news)
            }
            _ => self.apply_consumer(record, comparison, news),
        };
        if rebalance.is_some() {
            news.rebalance(at.timestamp_ms);
        }
        MemberUpdate { change, rebalance }
    }

    /// Applies the record of a classic group, or its deletion.
    fn apply_classic(
        &mut self,
        metadata: Option<&GroupMetadata<'_>>,
        comparison: Comparison,
        news: &mut News,
    ) -> (MemberChange, Option<Rebalance>) {
        // The record holds all members.
        self.basis = Basis::Records;
        let Some(metadata) = metadata else {
            self.end_classic();
            return (MemberChange::Known, None);
        };
        let before = match std::mem::take(&mut self.protocol) {
            GroupProtocol::Classic(before) => before,
            GroupProtocol::Changing(members) => Classic::of(&members),
            GroupProtocol::None | GroupProtocol::Consumer(_) => Classic::default(),
        };
        let after = Classic::from_record(metadata);
        let rebalance = after.rebalance_since(&before, comparison, news);
        self.protocol = GroupProtocol::Classic(after);
        (MemberChange::Known, rebalance)
    }

    /// Applies one of the records of a KIP-848 group.
    fn apply_consumer(
        &mut self,
        record: &Record<'_>,
        comparison: Comparison,
        news: &mut News,
    ) -> (MemberChange, Option<Rebalance>) {
        match record {
            Record::ConsumerGroupEpoch { epoch, .. } => (self.apply_epoch(*epoch, news), None),
            Record::ConsumerGroupMember {
                member, is_deleted, ..
            } => {
                if *is_deleted {
                    self.consumer().leave(member, comparison);
                } else {
                    self.consumer().join(member, comparison, news);
                }
                (MemberChange::ToBeAsked, None)
            }
            Record::TargetAssignment {
                member, partitions, ..
            } => {
                self.consumer().set_target(member, *partitions);
                (MemberChange::None, None)
            }
            Record::CurrentAssignment {
                member,
                current: Some(current),
                ..
            } => {
                let rebalance = self.consumer().set_current(member, *current, news);
                (MemberChange::ToBeAsked, rebalance)
            }
            _ => (MemberChange::None, None),
        }
    }

    /// Applies the epoch of a KIP-848 group, or its deletion, which ends the group.
    fn apply_epoch(&mut self, epoch: Option<i32>, news: &mut News) -> MemberChange {
        let Some(epoch) = epoch else {
            return self.end_consumer();
        };
        self.consumer().start_epoch(epoch, news);
        MemberChange::None
    }

    /// Returns what the coordinator would answer about a group with this listing; nothing where it has to be asked.
    pub(super) fn described(&self, listed: Option<Listed>) -> Option<Described> {
        match (self.description(), listed) {
            (Some(description), None) => Some(Described::Answered(description)),
            (Some(description), Some(listed)) => {
                Some(Described::Answered(with_listing(description, listed)))
            }
            (None, _) if self.is_to_be_asked() => None,
            (None, Some(listed)) => Some(Described::Memberless(listed)),
            (None, None) => Some(Described::NotFound),
        }
    }

    /// Returns the members as the coordinator would describe them; nothing where it has to be asked.
    ///
    /// State and coordinator are what the records imply: `Stable` with members, else `Empty`.
    fn description(&self) -> Option<GroupDescription> {
        match &self.protocol {
            GroupProtocol::None | GroupProtocol::Changing(_) => None,
            GroupProtocol::Classic(classic) => Some(classic.description()),
            GroupProtocol::Consumer(consumer) => consumer.description().cloned(),
        }
    }

    /// Returns whether only the coordinator can say who the members are.
    fn is_to_be_asked(&self) -> bool {
        match &self.protocol {
            GroupProtocol::None | GroupProtocol::Classic(_) => false,
            GroupProtocol::Consumer(consumer) => {
                consumer.description().is_none() && !consumer.is_empty()
            }
            GroupProtocol::Changing(members) => !members.is_empty(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.protocol {
            GroupProtocol::None => true,
            GroupProtocol::Classic(classic) => classic.is_empty(),
            GroupProtocol::Consumer(consumer) => consumer.is_empty(),
            GroupProtocol::Changing(members) => members.is_empty(),
        }
    }

    fn consumer(&mut self) -> &mut ConsumerMembers {
        if !matches!(self.protocol, GroupProtocol::Consumer(_)) {
            self.protocol = GroupProtocol::Consumer(match std::mem::take(&mut self.protocol) {
                GroupProtocol::Changing(members) => ConsumerMembers::of(members),
                _ => ConsumerMembers::default(),
            });
        }
        match &mut self.protocol {
            GroupProtocol::Consumer(consumer) => consumer,
            _ => unreachable!("set just before"),
        }
    }

    /// Applies the deletion of a classic group, or the conversion of one with members to a KIP-848 group.
    fn end_classic(&mut self) {
        self.protocol = match std::mem::take(&mut self.protocol) {
            GroupProtocol::Classic(classic) if !classic.is_empty() => {
                GroupProtocol::Changing(classic.ids())
            }
            _ => GroupProtocol::None,
        };
    }

    /// Applies the deletion of a KIP-848 group, or its conversion to a classic group. The members whose records were
    /// deleted just before stay.
    fn end_consumer(&mut self) -> MemberChange {
        let GroupProtocol::Consumer(consumer) = &mut self.protocol else {
            return MemberChange::None;
        };
        let members = consumer.end();
        self.protocol = if members.is_empty() {
            GroupProtocol::None
        } else {
            GroupProtocol::Changing(members)
        };
        // All later members have records.
        self.basis = Basis::Records;
        MemberChange::Known
    }
}

/// Returns the description by records, with the state and the coordinator of the listing.
///
/// A rebalance has no record until it is complete; the listing shows it.
fn with_listing(description: GroupDescription, listed: Listed) -> GroupDescription {
    let is_outdated = (listed.state == GroupState::Empty) != description.members.is_empty();
    GroupDescription {
        state: if is_outdated {
            description.state
        } else {
            listed.state
        },
        coordinator: Some(listed.coordinator),
        ..description
    }
}
