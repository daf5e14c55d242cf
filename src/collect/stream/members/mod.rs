//! The members of a group, as far as records tell them, and what their changes mean.
//!
//! Who the members are is shown by whatever tells it best, a record or the coordinator. Joins and leaves are counted
//! between records alone: an answer may be older or younger than the record that is read next.

mod classic;
mod consumer;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::classic::Classic;
use self::consumer::Consumer;
use crate::collect::fetch::groups::Described;
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::Offset;
use crate::offsets_topic::{GroupKind, Record};
use crate::snapshot::{GroupState, GroupType, Rebalance};

/// What is known of a group's members.
#[derive(Debug, Default)]
pub(super) struct Members {
    protocol: Protocol,
    basis: Basis,
}

/// By which protocol the members share the partitions.
#[derive(Debug, Default)]
enum Protocol {
    /// There are no members, or nobody knows.
    #[default]
    None,
    /// The members agree on it (JoinGroup, SyncGroup).
    Classic(Classic),
    /// The coordinator decides it (KIP-848).
    Consumer(Consumer),
    /// It is about to change: these members go over.
    Changing(Ids),
}

/// The ids of members.
type Ids = BTreeSet<Arc<str>>;

/// What the members of before a record are known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Basis {
    /// Nothing: who they were cannot be said.
    #[default]
    Nothing,
    /// A coordinator's answer, which records before `until` may be older than.
    Answer { until: Offset },
    /// Records alone.
    Records,
}

/// Whether who came and went can be told by comparing with what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Firm,
    Vague,
}

/// Where and when a record was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) offset: Offset,
    /// In milliseconds since the epoch.
    pub(super) at_ms: Option<i64>,
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

impl Basis {
    fn comparison(self, at: Offset) -> Comparison {
        match self {
            Self::Records => Comparison::Firm,
            Self::Answer { until } if until <= at => Comparison::Firm,
            Self::Answer { .. } | Self::Nothing => Comparison::Vague,
        }
    }
}

impl Members {
    /// Returns the members of a group that had none before its first record.
    pub(super) fn of_new_group() -> Self {
        Self {
            protocol: Protocol::None,
            basis: Basis::Records,
        }
    }

    /// Takes over what the coordinator has answered, unless records tell it. Records before `until` may be older.
    pub(super) fn seed(&mut self, described: &Described, until: Offset) {
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
        self.protocol = match (group_type, std::mem::take(&mut self.protocol)) {
            (GroupType::Consumer, before) => {
                Protocol::Consumer(Consumer::answered(members, description, before.reached()))
            }
            (
                GroupType::Classic | GroupType::Unknown | GroupType::Share | GroupType::Streams,
                before,
            ) => match described {
                Described::NotFound => Protocol::None,
                _ => {
                    Protocol::Classic(Classic::answered(members, description, before.generation()))
                }
            },
        };
    }

    /// Takes over from an answer what records do not tell.
    pub(super) fn renew(&mut self, described: &Described) {
        if let Described::Answered(description) = described {
            self.describe(description);
        }
    }

    /// Takes over what the coordinator has answered when it was asked about a change.
    pub(super) fn describe(&mut self, description: &GroupDescription) {
        if let Protocol::Consumer(consumer) = &mut self.protocol {
            consumer.describe(description);
        }
    }

    /// Notes that records may have been missed.
    pub(super) fn doubt(&mut self) {
        self.basis = Basis::Nothing;
    }

    /// Takes over a record about members; what it means is counted in `news`.
    pub(super) fn apply(&mut self, record: &Record<'_>, at: Place, news: &mut News) -> Said {
        let mut rebalance = None;
        let change = self.change(record, at, &mut rebalance, news);
        if rebalance.is_some() {
            news.rebalance(at.at_ms);
        }
        Said { change, rebalance }
    }

    fn change(
        &mut self,
        record: &Record<'_>,
        at: Place,
        rebalance: &mut Option<Rebalance>,
        news: &mut News,
    ) -> Change {
        let comparison = self.basis.comparison(at.offset);
        match record {
            Record::GroupMetadata { metadata, .. } => {
                match metadata {
                    Some(metadata) => {
                        let after = Classic::told(metadata);
                        *rebalance = match &self.protocol {
                            Protocol::Classic(before) => after.follow(before, comparison, news),
                            Protocol::Changing(before) => {
                                after.follow(&Classic::of(before), comparison, news)
                            }
                            Protocol::None | Protocol::Consumer(_) => {
                                after.follow(&Classic::default(), comparison, news)
                            }
                        };
                        self.protocol = Protocol::Classic(after);
                    }
                    None => self.end_classic(),
                }
                // Such a record tells all there is.
                self.basis = Basis::Records;
                Change::Told
            }
            Record::GroupEpoch {
                kind: GroupKind::Consumer,
                epoch,
                ..
            } => match epoch {
                Some(epoch) => {
                    self.consumer().begin_epoch(epoch.epoch, news);
                    Change::None
                }
                None => self.end_consumer(),
            },
            Record::Member {
                kind: GroupKind::Consumer,
                member,
                metadata,
                ..
            } => {
                match metadata {
                    Some(_) => self.consumer().join(member, comparison, news),
                    None => self.consumer().leave(member, comparison),
                }
                Change::ToBeAsked
            }
            Record::TargetAssignment {
                kind: GroupKind::Consumer,
                member,
                target,
                ..
            } => {
                self.consumer().aim(member, target.as_ref());
                Change::None
            }
            Record::CurrentAssignment {
                kind: GroupKind::Consumer,
                member,
                current: Some(current),
                ..
            } => {
                *rebalance = self.consumer().reach(member, current, news);
                Change::ToBeAsked
            }
            _ => Change::None,
        }
    }

    /// Returns the members as the coordinator would describe them; nothing where it has to be asked.
    ///
    /// State and coordinator are what the records imply: `Stable` with members, else `Empty`.
    pub(super) fn description(&self) -> Option<GroupDescription> {
        match &self.protocol {
            Protocol::None | Protocol::Changing(_) => None,
            Protocol::Classic(classic) => Some(classic.description()),
            Protocol::Consumer(consumer) => consumer.description().cloned(),
        }
    }

    /// Tells whether only the coordinator can say who the members are.
    pub(super) fn is_to_be_asked(&self) -> bool {
        match &self.protocol {
            Protocol::None | Protocol::Classic(_) => false,
            Protocol::Consumer(consumer) => {
                consumer.description().is_none() && !consumer.is_empty()
            }
            Protocol::Changing(members) => !members.is_empty(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.protocol {
            Protocol::None => true,
            Protocol::Classic(classic) => classic.is_empty(),
            Protocol::Consumer(consumer) => consumer.is_empty(),
            Protocol::Changing(members) => members.is_empty(),
        }
    }

    fn consumer(&mut self) -> &mut Consumer {
        if !matches!(self.protocol, Protocol::Consumer(_)) {
            self.protocol = match std::mem::take(&mut self.protocol) {
                Protocol::Changing(members) => Protocol::Consumer(Consumer::of(members)),
                Protocol::None | Protocol::Classic(_) | Protocol::Consumer(_) => {
                    Protocol::Consumer(Consumer::default())
                }
            };
        }
        match &mut self.protocol {
            Protocol::Consumer(consumer) => consumer,
            _ => unreachable!("made one just now"),
        }
    }

    /// The group was deleted, which takes that nobody is in it, or becomes a KIP-848 group with the same members.
    fn end_classic(&mut self) {
        self.protocol = match std::mem::take(&mut self.protocol) {
            Protocol::Classic(classic) if !classic.is_empty() => Protocol::Changing(classic.ids()),
            _ => Protocol::None,
        };
    }

    /// The group was deleted, or becomes a classic group with the members whose records were taken back just before.
    fn end_consumer(&mut self) -> Change {
        let Protocol::Consumer(consumer) = &mut self.protocol else {
            return Change::None;
        };
        let members = consumer.end();
        self.protocol = if members.is_empty() {
            Protocol::None
        } else {
            Protocol::Changing(members)
        };
        // Whoever is in it from now on is told by records.
        self.basis = Basis::Records;
        Change::Told
    }
}

impl Protocol {
    fn generation(&self) -> Option<i32> {
        match self {
            Self::Classic(classic) => classic.generation(),
            Self::None | Self::Consumer(_) | Self::Changing(_) => None,
        }
    }

    fn reached(&self) -> Option<i32> {
        match self {
            Self::Consumer(consumer) => consumer.reached(),
            Self::None | Self::Classic(_) | Self::Changing(_) => None,
        }
    }
}

/// Returns the state that a group with or without members is in while no rebalance is under way.
fn state_of(members: usize) -> GroupState {
    if members == 0 {
        GroupState::Empty
    } else {
        GroupState::Stable
    }
}
