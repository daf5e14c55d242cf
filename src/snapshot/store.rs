//! Publishing and reading snapshots without a lock: one slot a cluster, written by its collector alone.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;

use super::ClusterSnapshot;
use crate::lag::ClusterName;

/// The newest snapshot of every cluster.
#[derive(Debug, Default)]
pub struct SnapshotStore {
    slots: ArcSwap<Vec<Arc<SnapshotSlot>>>,
    generation: Arc<Generation>,
}

/// How often something was published.
#[derive(Debug, Default)]
struct Generation {
    number: AtomicU64,
    grown: Notify,
}

/// Where one cluster's collector publishes.
#[derive(Debug)]
pub struct SnapshotSlot {
    cluster: Option<ClusterName>,
    newest: ArcSwapOption<ClusterSnapshot>,
    generation: Arc<Generation>,
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
        let store = Self::default();
        store.set_clusters(clusters);
        store
    }

    /// Makes `clusters` the clusters of this store: those that stay keep their slots, new ones get empty slots.
    ///
    /// For one caller at a time.
    pub fn set_clusters(&self, clusters: impl IntoIterator<Item = Option<ClusterName>>) {
        let before = self.slots.load();
        let slot = |cluster: Option<ClusterName>| {
            let kept = before.iter().find(|slot| slot.cluster == cluster);
            kept.map_or_else(|| Arc::new(self.empty_slot(cluster)), Arc::clone)
        };
        let slots = clusters.into_iter().map(slot).collect();
        self.slots.store(Arc::new(slots));
        self.generation.grow();
    }

    fn empty_slot(&self, cluster: Option<ClusterName>) -> SnapshotSlot {
        SnapshotSlot {
            cluster,
            newest: ArcSwapOption::empty(),
            generation: Arc::clone(&self.generation),
        }
    }

    /// Returns the slots, in the order of the configuration.
    pub fn slots(&self) -> Arc<Vec<Arc<SnapshotSlot>>> {
        self.slots.load_full()
    }

    /// Returns the newest snapshot of every cluster.
    pub fn load(&self) -> World {
        // Read before the slots: a publication in between makes the world newer than its number, never older.
        let generation = self.generation.number.load(Ordering::Acquire);
        let clusters = self
            .slots
            .load()
            .iter()
            .map(|slot| (slot.cluster.clone(), slot.newest.load_full()))
            .collect();
        World {
            generation,
            clusters,
        }
    }

    /// Waits until the generation is past `seen`, and returns it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn published_after(&self, seen: u64) -> u64 {
        loop {
            let mut grown = pin!(self.generation.grown.notified());
            // From here on no publication is missed.
            grown.as_mut().enable();
            let generation = self.generation.number.load(Ordering::Acquire);
            if generation > seen {
                return generation;
            }
            grown.await;
        }
    }
}

impl Generation {
    fn grow(&self) {
        self.number.fetch_add(1, Ordering::Release);
        self.grown.notify_waiters();
    }
}

impl SnapshotSlot {
    /// Returns the cluster's configured name.
    pub fn cluster(&self) -> Option<&ClusterName> {
        self.cluster.as_ref()
    }

    /// Makes `snapshot` the newest, and returns it. Its rows keep the revisions that they have in the snapshot before, or get
    /// new ones. Readers that hold an older one keep it.
    pub fn publish(&self, mut snapshot: ClusterSnapshot) -> Arc<ClusterSnapshot> {
        if let Some(previous) = self.load() {
            snapshot.revise(&previous);
        }
        let snapshot = Arc::new(snapshot);
        self.newest.store(Some(Arc::clone(&snapshot)));
        self.generation.grow();
        snapshot
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
    use crate::snapshot::{CycleOutcome, Granularity, Revision, TopicRow, TopicSeries};

    const STALE_AFTER: Duration = Duration::from_secs(30);

    fn snapshot(outcome: CycleOutcome) -> ClusterSnapshot {
        ClusterSnapshot {
            outcome,
            ..ClusterSnapshot::empty(Instant::now(), SystemTime::UNIX_EPOCH, STALE_AFTER)
        }
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
        for slot in store.slots().iter() {
            slot.publish(snapshot(CycleOutcome::Complete));
        }
        assert_eq!(store.load().generation, before + 2);
    }

    #[tokio::test]
    async fn who_waits_for_a_publication_misses_none() {
        let store = SnapshotStore::new([None]);
        let seen = store.load().generation;
        let mut waiting = pin!(store.published_after(seen));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        store.slots()[0].publish(snapshot(CycleOutcome::Complete));
        assert_eq!(waiting.await, seen + 1);
        assert_eq!(store.published_after(seen).await, seen + 1, "it has passed");
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

    #[test]
    fn clusters_that_stay_keep_their_slots_and_readers_see_that_something_changed() {
        let store = SnapshotStore::new([Some("a".into()), Some("b".into())]);
        let (before, kept) = (store.load().generation, Arc::clone(&store.slots()[1]));
        store.set_clusters([Some("c".into()), Some("b".into())]);
        let world = store.load();
        let names: Vec<_> = world.clusters.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [Some("c".into()), Some("b".into())]);
        assert!(Arc::ptr_eq(&kept, &store.slots()[1]));
        assert!(world.generation > before);
    }

    #[test]
    fn a_row_keeps_its_revision_while_it_shows_the_same() {
        let store = SnapshotStore::new([None]);
        let mut next = snapshot(CycleOutcome::Complete);
        next.topics = vec![Arc::new(TopicRow {
            revision: Revision::next(),
            name: "orders".into(),
            series: TopicSeries::Here,
            measured: next.taken,
            partitions: Vec::new(),
        })];
        let mut publish = |change: fn(&mut ClusterSnapshot)| {
            change(&mut next);
            store.slots()[0].publish(next.clone()).topics[0].revision
        };
        let first = publish(|_| {});
        assert_eq!(publish(|_| {}), first);
        let measured = publish(|next| {
            Arc::make_mut(&mut next.topics[0]).measured += Duration::from_secs(10);
        });
        assert_eq!(measured, first);
        let moved = publish(|next| {
            Arc::make_mut(&mut next.topics[0]).series = TopicSeries::Elsewhere;
        });
        assert_ne!(moved, first);
        let reloaded = publish(|next| next.exposure.granularity = Granularity::Group);
        assert_ne!(reloaded, moved);
    }
}
