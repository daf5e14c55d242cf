//! Phase 2: which groups there are, and which of them are to be asked about.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::super::config::PollConfig;
use super::super::failure::{Contact, Failure, Operation, Subject, is_answer};
use super::super::kinds::{SkippedGroups, skipped_as};
use super::super::places::walk_to;
use super::topology::{Currency, Topology};
use super::{Budget, within};
use crate::kafka::{Admin, ErrorCode, KafkaError, ListedGroup};
use crate::lag::{BrokerId, GroupId};
use crate::snapshot::{ClusterSnapshot, GroupRow, GroupState, GroupType};

/// How much of the cluster's groups a listing covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collect) enum Coverage {
    /// Nothing was listed: the configuration names the groups.
    Named,
    /// Every broker of this cycle's metadata answered.
    Whole,
    /// A broker did not answer, or the brokers themselves are not known for sure.
    InPart,
}

/// What phase 2 found.
#[derive(Debug)]
pub(in crate::collect) struct Listing {
    pub(in crate::collect) coverage: Coverage,
    /// Whether any broker answered.
    pub(in crate::collect) contact: Contact,
    /// The watched groups, each with its coordinator.
    pub(in crate::collect) groups: BTreeMap<GroupId, Listed>,
    /// Groups that would be watched if they consumed partitions.
    pub(in crate::collect) skipped: SkippedGroups,
    pub(in crate::collect) failures: Vec<Failure>,
}

/// A group as its coordinator lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collect) struct Listed {
    pub(in crate::collect) state: GroupState,
    pub(in crate::collect) group_type: GroupType,
    pub(in crate::collect) coordinator: BrokerId,
}

/// A group to be asked about.
#[derive(Clone, Debug)]
pub(in crate::collect) struct Target {
    pub(in crate::collect) id: GroupId,
    /// What the listing says of it; nothing where it was not listed.
    pub(in crate::collect) listed: Option<Listed>,
    pub(in crate::collect) prospect: Prospect,
}

/// How likely a group is to be answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collect) enum Prospect {
    /// Nothing speaks against it.
    Good,
    /// It failed the last time or was not listed, as when its coordinator is silent: asked last, so that it holds up nobody.
    Doubtful,
}

/// Lists the groups of every broker, unless the configuration names them.
pub(in crate::collect) async fn fetch(
    admin: &dyn Admin,
    config: &PollConfig,
    budget: Budget,
    topology: &Topology,
    currency: Currency,
) -> Listing {
    let mut listing = Listing {
        coverage: match currency {
            Currency::Current => Coverage::Whole,
            Currency::Kept => Coverage::InPart,
        },
        contact: Contact::None,
        groups: BTreeMap::new(),
        skipped: SkippedGroups::new(),
        failures: Vec::new(),
    };
    if !config.group_names.is_empty() {
        listing.coverage = Coverage::Named;
        return listing;
    }
    let brokers: Vec<BrokerId> = topology.brokers.iter().map(|broker| broker.id).collect();
    let limit = budget.request_timeout;
    let mut answers = match within(limit, admin.list_groups(&brokers, limit)).await {
        Ok(answers) => answers,
        Err(error) => brokers
            .iter()
            .map(|&broker| (broker, Err(error.clone())))
            .collect(),
    };
    for broker in brokers {
        let answer = answers
            .remove(&broker)
            .unwrap_or_else(|| Err(KafkaError::of(ErrorCode::TIMED_OUT)));
        match answer {
            Ok(groups) => {
                listing.contact = Contact::Made;
                listing.add(broker, groups, config);
            }
            Err(error) => {
                if is_answer(error.code) {
                    listing.contact = Contact::Made;
                }
                let subject = Subject::Broker(broker);
                let failure = Failure::new(Operation::ListGroups, subject, &error);
                listing.failures.push(failure);
                listing.coverage = Coverage::InPart;
            }
        }
    }
    listing
}

impl Listing {
    fn add(&mut self, coordinator: BrokerId, groups: Vec<ListedGroup>, config: &PollConfig) {
        for group in groups {
            if !config.watches_group(&group.id) {
                continue;
            }
            if let Some(word) = skipped_as(group.group_type, &group.protocol_type) {
                self.skipped.insert(group.id, (word, group.state));
                continue;
            }
            let listed = Listed {
                state: group.state,
                group_type: group.group_type,
                coordinator,
            };
            self.groups
                .entry(group.id)
                .and_modify(|known| *known = known.newer(listed))
                .or_insert(listed);
        }
    }

    /// Returns the groups to ask about: those named, or those listed and those known before that are not listed.
    ///
    /// A group that is missing from a listing is asked about before it is believed to be gone: while a coordinator
    /// moves, no broker lists its groups although all of them answer (librdkafka#1508 tells of empty listings).
    pub(in crate::collect) fn targets(
        &self,
        config: &PollConfig,
        previous: &ClusterSnapshot,
    ) -> Vec<Target> {
        let mut ids: Vec<&GroupId> = if self.coverage == Coverage::Named {
            let named = config.group_names.iter();
            named.filter(|id| config.watches_group(id)).collect()
        } else {
            let remembered = previous.groups.iter().map(|row| &row.id);
            let remembered =
                remembered.filter(|id| config.watches_group(id) && !self.skipped.contains_key(*id));
            remembered.chain(self.groups.keys()).collect()
        };
        ids.sort();
        ids.dedup();
        let mut rows = previous.groups.iter().peekable();
        let mut listed = self.groups.iter().peekable();
        ids.into_iter()
            .map(|id| {
                let row = walk_to(&mut rows, id, |row| &row.id);
                let listed = walk_to(&mut listed, id, |(id, _)| id);
                let listed = listed.map(|(_, listed)| *listed);
                Target {
                    // The row's own id, so that every snapshot shares one allocation.
                    id: row.map_or(id, |row| &row.id).clone(),
                    listed,
                    prospect: self.prospect(listed, row.map(AsRef::as_ref)),
                }
            })
            .collect()
    }

    fn prospect(&self, listed: Option<Listed>, row: Option<&GroupRow>) -> Prospect {
        let is_unlisted = self.coverage != Coverage::Named && listed.is_none();
        if is_unlisted || row.is_some_and(|row| !row.failures.is_empty()) {
            Prospect::Doubtful
        } else {
            Prospect::Good
        }
    }
}

impl Listed {
    /// Returns which of two listings of one group is the newer: a coordinator that moved leaves a remnant behind.
    ///
    /// The livelier state wins, then a known type, then the lower broker, so that every cycle chooses alike.
    fn newer(self, other: Self) -> Self {
        let rank = |listed: Self| {
            let life = match listed.state {
                GroupState::Stable => 4,
                GroupState::PreparingRebalance
                | GroupState::CompletingRebalance
                | GroupState::Assigning
                | GroupState::NotReady
                | GroupState::Reconciling => 3,
                GroupState::Empty => 2,
                GroupState::Unknown => 1,
                GroupState::Dead => 0,
            };
            let has_type = listed.group_type != GroupType::Unknown;
            (life, has_type, Reverse(listed.coordinator))
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}
