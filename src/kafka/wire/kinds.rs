//! The kinds of groups and the versions of brokers that responses have shown, so that they are not asked for again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lag::{BrokerId, GroupId};
use crate::snapshot::GroupType;

/// The most groups whose kind is remembered.
const MOST_KINDS: usize = 10_000;

/// The kinds of groups, and the brokers that are too old for batches.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    /// The kinds of groups that are not listed.
    groups: Mutex<HashMap<GroupId, GroupType>>,
    /// Brokers that fetch the offsets of one group a request: those before Kafka 3.0.
    unbatched: Mutex<HashSet<BrokerId>>,
}

impl Kinds {
    /// Returns the kind that a group was last described as.
    pub(super) fn kind(&self, group: &GroupId) -> Option<GroupType> {
        lock(&self.groups).get(group).copied()
    }

    /// Remembers the kind of a group.
    pub(super) fn remember(&self, group: &GroupId, kind: GroupType) {
        let mut groups = lock(&self.groups);
        if groups.get(group) == Some(&kind) {
            return;
        }
        if groups.len() >= MOST_KINDS {
            groups.clear();
        }
        groups.insert(group.clone(), kind);
    }

    /// Returns whether a broker is known to fetch the offsets of one group a request.
    pub(super) fn is_unbatched(&self, broker: BrokerId) -> bool {
        lock(&self.unbatched).contains(&broker)
    }

    /// Remembers that a broker fetches the offsets of one group a request.
    pub(super) fn set_unbatched(&self, broker: BrokerId) {
        lock(&self.unbatched).insert(broker);
    }

    /// Forgets which brokers are old: another one may answer under the id of one that was.
    pub(super) fn forget_unbatched(&self) {
        lock(&self.unbatched).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held, and every entry is complete by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
