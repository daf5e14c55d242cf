//! Publishing and reading snapshots without a lock: one slot a cluster, written by its collector alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::ClusterSnapshot;
use crate::lag::ClusterName;

/// The newest snapshot of every cluster.
#[derive(Debug, Default)]
pub struct SnapshotStore {
    slots: Vec<Arc<SnapshotSlot>>,
    generation: Arc<AtomicU64>,
}

/// Where one cluster's collector publishes.
#[derive(Debug)]
pub struct SnapshotSlot {
    cluster: Option<ClusterName>,
    newest: ArcSwapOption<ClusterSnapshot>,
    generation: Arc<AtomicU64>,
}

/// The newest snapshot of every cluster at one instant, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct World {
    /// Grows with every publication: bytes rendered from a world may be served while the store's generation is the same.
    pub generation: u64,
    /// A cluster and its newest snapshot; nothing before its first cycle.
    pub clusters: Vec<(Option<ClusterName>, Option<Arc<ClusterSnapshot>>)>,
}

impl SnapshotStore {
    /// Returns a store with one empty slot for each of `clusters`.
    pub fn new(clusters: impl IntoIterator<Item = Option<ClusterName>>) -> Self {
        let generation = Arc::new(AtomicU64::new(0));
        let slots = clusters
            .into_iter()
            .map(|cluster| {
                Arc::new(SnapshotSlot {
                    cluster,
                    newest: ArcSwapOption::empty(),
                    generation: Arc::clone(&generation),
                })
            })
            .collect();
        Self { slots, generation }
    }

    /// Returns the slots, in the order of the configuration.
    pub fn slots(&self) -> &[Arc<SnapshotSlot>] {
        &self.slots
    }

    /// Returns the newest snapshot of every cluster.
    pub fn load(&self) -> World {
        // Read before the slots: a publication in between makes the world newer than its number, never older.
        let generation = self.generation.load(Ordering::Acquire);
        let clusters = self
            .slots
            .iter()
            .map(|slot| (slot.cluster.clone(), slot.newest.load_full()))
            .collect();
        World {
            generation,
            clusters,
        }
    }
}

impl SnapshotSlot {
    /// Returns the cluster's configured name.
    pub fn cluster(&self) -> Option<&ClusterName> {
        self.cluster.as_ref()
    }

    /// Makes `snapshot` the newest. Readers that hold an older one keep it.
    pub fn publish(&self, snapshot: Arc<ClusterSnapshot>) {
        self.newest.store(Some(snapshot));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns the newest snapshot; nothing before the first.
    pub fn load(&self) -> Option<Arc<ClusterSnapshot>> {
        self.newest.load_full()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::*;
    use crate::lag::UncommittedPolicy;
    use crate::snapshot::{CycleOutcome, Exposure};

    fn snapshot(outcome: CycleOutcome) -> Arc<ClusterSnapshot> {
        Arc::new(ClusterSnapshot {
            cluster: None,
            outcome,
            taken_at: SystemTime::UNIX_EPOCH,
            taken: Instant::now(),
            last_complete: None,
            last_up: None,
            stale_after: Duration::from_secs(30),
            uncommitted: UncommittedPolicy::Absent,
            exposure: Exposure::default(),
            brokers_measured: None,
            brokers: Arc::from([]),
            topics: Vec::new(),
            groups: Vec::new(),
        })
    }

    #[test]
    fn a_world_holds_the_newest_snapshot_of_each_cluster_in_order() {
        let store = SnapshotStore::new([Some("a".into()), Some("b".into())]);
        store.slots()[1].publish(snapshot(CycleOutcome::Failed));
        store.slots()[1].publish(snapshot(CycleOutcome::Complete));
        let world = store.load();
        let outcomes: Vec<_> = world
            .clusters
            .iter()
            .map(|(cluster, newest)| {
                let name = cluster.as_ref().map(ClusterName::as_str);
                (name, newest.as_ref().map(|snapshot| snapshot.outcome))
            })
            .collect();
        let expected = [(Some("a"), None), (Some("b"), Some(CycleOutcome::Complete))];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn every_publication_makes_a_new_generation() {
        let store = SnapshotStore::new([None, Some("b".into())]);
        let before = store.load().generation;
        assert_eq!(store.load().generation, before, "reading changes nothing");
        for slot in store.slots() {
            slot.publish(snapshot(CycleOutcome::Complete));
        }
        assert_eq!(store.load().generation, before + 2);
    }

    #[test]
    fn a_reader_keeps_the_world_it_loaded() {
        let store = SnapshotStore::new([None]);
        store.slots()[0].publish(snapshot(CycleOutcome::Complete));
        let world = store.load();
        store.slots()[0].publish(snapshot(CycleOutcome::Failed));
        let kept = world.clusters[0].1.as_ref().map(|kept| kept.outcome);
        assert_eq!(kept, Some(CycleOutcome::Complete));
    }
}
