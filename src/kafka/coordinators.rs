//! Which broker coordinates which group, as far as answers have told.
//!
//! A group's requests go to its coordinator. A listing tells it for every group at no cost; for a group that was not
//! listed, brokers are asked in turn until one does not send us away. It is remembered, so a group costs one request, and
//! forgotten when the group was neither listed nor asked about for long: a reload may name others.
//!
//! librdkafka's own lookup is not used: it costs a request for nearly every call, because it remembers ten groups, and
//! a lookup that fails may end the process (librdkafka#4605, #5397).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lag::{BrokerId, GroupId};

/// An epoch is as many answers about the brokers: some minutes, as there are one or two a poll cycle.
const EPOCH: usize = 100;

/// What is known of groups' coordinators.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    coordinators: HashMap<GroupId, Place>,
    /// The brokers that were alive in the newest metadata.
    brokers: Vec<BrokerId>,
    /// Brokers that did not answer when they were last asked; they are asked last.
    silent: HashSet<BrokerId>,
    /// Whose turn it is to be asked first.
    turn: usize,
    /// Answers about the brokers, ever.
    answers: usize,
}

/// Where a group is coordinated.
#[derive(Clone, Copy, Debug)]
struct Place {
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
            .retain(|_, place| brokers.binary_search(&place.broker).is_ok());
        known
            .silent
            .retain(|broker| brokers.binary_search(broker).is_ok());
        known.brokers = brokers;
    }

    /// Takes over a complete listing of the groups that `broker` coordinates.
    pub(super) fn set_groups<'a>(
        &self,
        broker: BrokerId,
        groups: impl Iterator<Item = &'a GroupId>,
    ) {
        let mut known = self.lock();
        known.silent.remove(&broker);
        known.forget_all_of(broker);
        let place = known.place(broker);
        known
            .coordinators
            .extend(groups.map(|group| (group.clone(), place)));
    }

    /// Remembers a group's coordinator.
    pub(super) fn remember(&self, group: &GroupId, broker: BrokerId) {
        let mut known = self.lock();
        known.silent.remove(&broker);
        let place = known.place(broker);
        match known.coordinators.get_mut(group) {
            Some(former) => *former = place,
            None => {
                known.coordinators.insert(group.clone(), place);
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
        known.silent.insert(broker);
    }

    /// Returns the brokers to ask for a group, in order: its coordinator first, where it is known, then every other.
    pub(super) fn candidates(&self, group: &GroupId) -> Vec<BrokerId> {
        let mut known = self.lock();
        let coordinator = known.coordinator(group);
        let mut candidates: Vec<_> = coordinator.into_iter().collect();
        // Only a group that has to be found takes a turn: the order of the others hardly ever matters.
        let others = if coordinator.is_some() {
            known.brokers.clone()
        } else {
            known.next_turn()
        };
        candidates.extend(others.into_iter().filter(|id| Some(*id) != coordinator));
        candidates
    }

    /// Returns every live broker, beginning with another one each time, those that did not answer last; empty before the
    /// first metadata.
    pub(super) fn brokers_in_turn(&self) -> Vec<BrokerId> {
        self.lock().next_turn()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held, and every entry stands for itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn coordinator(&self, group: &GroupId) -> Option<BrokerId> {
        self.coordinators.get(group).map(|place| place.broker)
    }

    fn place(&self, broker: BrokerId) -> Place {
        let epoch = self.answers / EPOCH;
        Place { broker, epoch }
    }

    fn forget_all_of(&mut self, broker: BrokerId) {
        self.coordinators.retain(|_, place| place.broker != broker);
    }

    /// Begins an epoch where the time for it has come, without the groups that the one before did not need.
    fn count_answer(&mut self) {
        let before = self.answers / EPOCH;
        self.answers += 1;
        if self.answers / EPOCH > before {
            self.coordinators.retain(|_, place| place.epoch == before);
        }
    }

    fn next_turn(&mut self) -> Vec<BrokerId> {
        let mut brokers = self.brokers.clone();
        if !brokers.is_empty() {
            self.turn = (self.turn + 1) % brokers.len();
            brokers.rotate_left(self.turn);
        }
        brokers.sort_by_key(|broker| self.silent.contains(broker));
        brokers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(ids: impl IntoIterator<Item = i32>) -> Vec<BrokerId> {
        ids.into_iter().map(BrokerId).collect()
    }

    #[test]
    fn a_listing_tells_the_coordinator_of_every_group() {
        let coordinators = Coordinators::default();
        coordinators.set_brokers(brokers([3, 1, 2]));
        let groups = [GroupId::from("a"), GroupId::from("b")];
        coordinators.set_groups(BrokerId(2), groups.iter());
        assert_eq!(coordinators.candidates(&groups[0]), brokers([2, 1, 3]));
        coordinators.set_groups(BrokerId(2), groups[1..].iter());
        assert!(!coordinators.lock().coordinators.contains_key(&groups[0]));
        assert_eq!(coordinators.candidates(&groups[1]), brokers([2, 1, 3]));
    }

    #[test]
    fn an_unknown_group_is_asked_for_everywhere_and_begins_elsewhere_each_time() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        assert_eq!(coordinators.candidates(&group), brokers([]));
        coordinators.set_brokers(brokers([1, 2, 3]));
        assert_eq!(coordinators.candidates(&group), brokers([2, 3, 1]));
        assert_eq!(coordinators.candidates(&group), brokers([3, 1, 2]));
        assert_eq!(coordinators.brokers_in_turn(), brokers([1, 2, 3]));
    }

    #[test]
    fn a_broker_that_left_coordinates_nothing() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        coordinators.set_brokers(brokers([1, 2]));
        coordinators.remember(&group, BrokerId(2));
        coordinators.set_brokers(brokers([1]));
        assert_eq!(coordinators.candidates(&group), brokers([1]));
    }

    #[test]
    fn a_broker_that_did_not_answer_is_asked_last_until_it_does() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        coordinators.set_brokers(brokers([1, 2, 3]));
        coordinators.forget_broker(BrokerId(2));
        for _ in 0..3 {
            assert_eq!(coordinators.candidates(&group)[2], BrokerId(2));
        }
        coordinators.set_groups(BrokerId(2), [].into_iter());
        assert_eq!(coordinators.candidates(&group), brokers([2, 3, 1]));
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
        assert_eq!(coordinators.candidates(&group), brokers([2]));
        coordinators.forget_broker(BrokerId(2));
        assert_eq!(coordinators.candidates(&group), brokers([]));
    }
}
