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
