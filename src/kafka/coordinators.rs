//! Which broker coordinates which group, as far as answers have told.
//!
//! A group's requests go to its coordinator. librdkafka looks it up with a request of its own and remembers ten or so;
//! a listing tells it for every group at no cost, so it is remembered here, and every group costs one request.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lag::{BrokerId, GroupId};

/// Up to how many brokers are asked in turn for a group of unknown coordinator, rather than looking it up.
const FEW_BROKERS: usize = 5;

/// What is known of groups' coordinators.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    coordinators: HashMap<GroupId, BrokerId>,
    /// The brokers that were alive in the newest metadata.
    brokers: Vec<BrokerId>,
}

impl Coordinators {
    /// Takes over the brokers that are alive; groups of others have to be found again.
    pub(super) fn set_brokers(&self, mut brokers: Vec<BrokerId>) {
        brokers.sort_unstable();
        let mut known = self.lock();
        if known.brokers == brokers {
            return;
        }
        known
            .coordinators
            .retain(|_, broker| brokers.binary_search(broker).is_ok());
        known.brokers = brokers;
    }

    /// Returns the brokers that were alive in the newest metadata, by id.
    pub(super) fn brokers(&self) -> Vec<BrokerId> {
        self.lock().brokers.clone()
    }

    /// Takes over a complete listing of the groups that `broker` coordinates.
    pub(super) fn set_groups<'a>(
        &self,
        broker: BrokerId,
        groups: impl Iterator<Item = &'a GroupId>,
    ) {
        let mut known = self.lock();
        known.coordinators.retain(|_, other| *other != broker);
        known
            .coordinators
            .extend(groups.map(|group| (group.clone(), broker)));
    }

    /// Remembers a group's coordinator.
    pub(super) fn remember(&self, group: &GroupId, broker: BrokerId) {
        let mut known = self.lock();
        if known.coordinators.get(group) != Some(&broker) {
            known.coordinators.insert(group.clone(), broker);
        }
    }

    /// Forgets a group's coordinator, if it still is `broker`.
    pub(super) fn forget(&self, group: &GroupId, broker: BrokerId) {
        let mut known = self.lock();
        if known.coordinators.get(group) == Some(&broker) {
            known.coordinators.remove(group);
        }
    }

    /// Forgets every group of a broker that does not answer.
    pub(super) fn forget_broker(&self, broker: BrokerId) {
        self.lock().coordinators.retain(|_, other| *other != broker);
    }

    /// Returns the brokers to ask for a group, in order; empty where librdkafka has to look its coordinator up.
    pub(super) fn candidates(&self, group: &GroupId) -> Vec<BrokerId> {
        let known = self.lock();
        if let Some(&coordinator) = known.coordinators.get(group) {
            return vec![coordinator];
        }
        if known.brokers.len() > FEW_BROKERS {
            return Vec::new();
        }
        let mut brokers = known.brokers.clone();
        if !brokers.is_empty() {
            // Not every unknown group begins at the same broker.
            let first = hash(group) % brokers.len() as u64;
            brokers.rotate_left(usize::try_from(first).expect("less than the number of brokers"));
        }
        brokers
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held, and every entry stands for itself.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(group: &GroupId) -> u64 {
    let mut hasher = DefaultHasher::new();
    group.hash(&mut hasher);
    hasher.finish()
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
        coordinators.set_brokers(brokers(1..=9));
        let groups = [GroupId::from("a"), GroupId::from("b")];
        coordinators.set_groups(BrokerId(4), groups.iter());
        assert_eq!(coordinators.candidates(&groups[0]), brokers([4]));
        coordinators.set_groups(BrokerId(4), groups[1..].iter());
        assert_eq!(coordinators.candidates(&groups[0]), brokers([]));
        assert_eq!(coordinators.candidates(&groups[1]), brokers([4]));
    }

    #[test]
    fn an_unknown_group_is_asked_for_at_every_one_of_few_brokers() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        assert_eq!(coordinators.candidates(&group), brokers([]));
        coordinators.set_brokers(brokers(1..=5));
        let mut candidates = coordinators.candidates(&group);
        candidates.sort();
        assert_eq!(candidates, brokers(1..=5));
        coordinators.set_brokers(brokers(1..=6));
        assert_eq!(coordinators.candidates(&group), brokers([]));
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
    fn only_what_turned_out_wrong_is_forgotten() {
        let coordinators = Coordinators::default();
        let group = GroupId::from("a");
        coordinators.set_brokers(brokers(1..=9));
        coordinators.remember(&group, BrokerId(2));
        coordinators.forget(&group, BrokerId(1));
        coordinators.forget_broker(BrokerId(3));
        assert_eq!(coordinators.candidates(&group), brokers([2]));
        coordinators.forget_broker(BrokerId(2));
        assert_eq!(coordinators.candidates(&group), brokers([]));
    }
}
