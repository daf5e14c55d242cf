//! Which broker coordinates which group, as far as answers have shown.
//!
//! A group's requests go to its coordinator. A listing names it for every group at no cost; for a group that was not
//! listed, brokers are asked in turn until one does not answer that it does not coordinate it. It is remembered, so that a
//! group costs nothing more, and forgotten when the group was neither listed nor asked about for long: a reload may name
//! others.
//!
//! FindCoordinator is not used: it makes a cluster without groups create `__consumer_offsets`, and lagwatch changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lag::{BrokerId, GroupId};

/// An epoch is as many answers about the brokers: some minutes, as there are one or two a poll cycle.
const EPOCH: usize = 100;

/// What is known of groups' coordinators.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    known: Mutex<KnownCoordinators>,
}

#[derive(Debug, Default)]
struct KnownCoordinators {
    coordinators: HashMap<GroupId, Coordinator>,
    /// The brokers that were alive in the newest metadata.
    brokers: Vec<BrokerId>,
    /// Answers about the brokers, ever.
    answers: usize,
}

/// The broker that coordinates a group.
#[derive(Clone, Copy, Debug)]
struct Coordinator {
    broker: BrokerId,
    /// The epoch in which the group was last listed or asked about.
    epoch: usize,
}

impl Coordinators {
    /// Takes over the brokers that are alive; groups of others have to be found again, and so have groups that were neither
    /// listed nor asked about for a whole epoch.
    pub(super) fn set_brokers(&self, mut brokers: Vec<BrokerId>) {
        brokers.sort_unstable();
        let mut known = self.lock();
        known.count_answer();
        if known.brokers == brokers {
            return;
        }
        known
            .coordinators
            .retain(|_, coordinator| brokers.binary_search(&coordinator.broker).is_ok());
        known.brokers = brokers;
    }

    /// Takes over a complete listing of the groups that `broker` coordinates.
    pub(super) fn set_groups<'a>(
        &self,
        broker: BrokerId,
        groups: impl Iterator<Item = &'a GroupId>,
    ) {
        let mut known = self.lock();
        known.forget_all_of(broker);
        let coordinator = known.new_coordinator(broker);
        known
            .coordinators
            .extend(groups.map(|group| (group.clone(), coordinator)));
    }

    /// Remembers a group's coordinator.
    pub(super) fn remember(&self, group: &GroupId, broker: BrokerId) {
        let mut known = self.lock();
        let coordinator = known.new_coordinator(broker);
        match known.coordinators.get_mut(group) {
            Some(former) => *former = coordinator,
            None => {
                known.coordinators.insert(group.clone(), coordinator);
            }
        }
    }

    /// Forgets a group's coordinator, if it still is `broker`.
    pub(super) fn forget(&self, group: &GroupId, broker: BrokerId) {
        let mut known = self.lock();
        if known.coordinator(group) == Some(broker) {
            known.coordinators.remove(group);
        }
    }

    /// Forgets every group of a broker that does not answer.
    pub(super) fn forget_broker(&self, broker: BrokerId) {
        let mut known = self.lock();
        known.forget_all_of(broker);
    }

    /// Returns the groups by their coordinators, and those whose coordinator is not known.
    pub(super) fn sort(
        &self,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> (BTreeMap<BrokerId, Vec<GroupId>>, Vec<GroupId>) {
        let known = self.lock();
        let mut by_broker: BTreeMap<BrokerId, Vec<GroupId>> = BTreeMap::new();
        let mut unknown = Vec::new();
        for group in groups {
            match known.coordinator(&group) {
                Some(broker) => by_broker.entry(broker).or_default().push(group),
                None => unknown.push(group),
            }
        }
        (by_broker, unknown)
    }

    fn lock(&self) -> MutexGuard<'_, KnownCoordinators> {
        // Nothing panics while it is held, and every entry is complete by itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownCoordinators {
    fn coordinator(&self, group: &GroupId) -> Option<BrokerId> {
        self.coordinators
            .get(group)
            .map(|coordinator| coordinator.broker)
    }

    fn new_coordinator(&self, broker: BrokerId) -> Coordinator {
        let epoch = self.answers / EPOCH;
        Coordinator { broker, epoch }
    }

    fn forget_all_of(&mut self, broker: BrokerId) {
        self.coordinators
            .retain(|_, coordinator| coordinator.broker != broker);
    }

    /// Begins an epoch where the time for it has come, without the groups that the one before did not need.
    fn count_answer(&mut self) {
        let before = self.answers / EPOCH;
        self.answers += 1;
        if self.answers / EPOCH > before {
            self.coordinators
                .retain(|_, coordinator| coordinator.epoch == before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(ids: impl IntoIterator<Item = i32>) -> Vec<BrokerId> {
        ids.into_iter().map(BrokerId).collect()
    }

    /// Returns the coordinator of a group, if it is known.
    fn coordinator(coordinators: &Coordinators, group: &GroupId) -> Option<BrokerId> {
        let (by_broker, unknown) = coordinators.sort([group.clone()]);
        assert_eq!(by_broker.len() + unknown.len(), 1);
        by_broker.into_keys().next()
    }

    #[test]
    fn a_listing_names_the_coordinator_of_every_group() {
        let coordinators = Coordinators::default();
        coordinators.set_brokers(brokers([3, 1, 2]));
        let groups = [GroupId::from("a"), GroupId::from("b")];
        coordinators.set_groups(BrokerId(2), groups.iter());
        assert_eq!(coordinator(&coordinators, &groups[0]), Some(BrokerId(2)));
        coordinators.set_groups(BrokerId(2), groups[1..].iter());
        assert_eq!(coordinator(&coordinators, &groups[0]), None);
        assert_eq!(coordinator(&coordinators, &groups[1]), Some(BrokerId(2)));
    }

    #[test]
    fn a_broker_that_left_coordinates_nothing() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        coordinators.set_brokers(brokers([1, 2]));
        coordinators.remember(&group, BrokerId(2));
        coordinators.set_brokers(brokers([1]));
        assert_eq!(coordinator(&coordinators, &group), None);
    }

    #[test]
    fn a_group_that_is_neither_listed_nor_asked_about_is_forgotten_after_an_epoch() {
        let coordinators = Coordinators::default();
        let [asked, listed, former] = ["asked", "listed", "former"].map(GroupId::from);
        coordinators.set_brokers(brokers([1, 2]));
        for group in [&asked, &former] {
            coordinators.remember(group, BrokerId(2));
        }
        for _ in 0..2 * EPOCH {
            coordinators.set_brokers(brokers([1, 2]));
            coordinators.set_groups(BrokerId(1), [&listed].into_iter());
            coordinators.remember(&asked, BrokerId(2));
        }
        let known = coordinators.lock();
        assert_eq!(known.coordinator(&asked), Some(BrokerId(2)));
        assert_eq!(known.coordinator(&listed), Some(BrokerId(1)));
        assert_eq!(known.coordinator(&former), None);
    }

    #[test]
    fn only_what_turned_out_wrong_is_forgotten() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        coordinators.remember(&group, BrokerId(2));
        coordinators.forget(&group, BrokerId(1));
        coordinators.forget_broker(BrokerId(3));
        assert_eq!(coordinator(&coordinators, &group), Some(BrokerId(2)));
        coordinators.forget_broker(BrokerId(2));
        assert_eq!(coordinator(&coordinators, &group), None);
    }
}
