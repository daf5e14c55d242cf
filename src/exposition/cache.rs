//! The bytes of the newest snapshots, made once and shared by all scrapers.
//!
//! A rendering is kept for as long as nothing is published and nothing in it has become too old to be shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::JoinError;

use super::families::{Rendering, render};
use super::output::{Encoding, body};
use super::own::render_own;
use super::writer::Format;
use crate::lag::ClusterName;
use crate::metrics::OwnMetrics;
use crate::snapshot::{SnapshotStore, World};

/// Answers scrapes of everything this process knows.
#[derive(Clone, Debug)]
pub struct Scrapes {
    store: Arc<SnapshotStore>,
    own: OwnMetrics,
    cache: Arc<Mutex<Cache>>,
}

/// A rendering that everybody who asks for it waits for together.
type Pending = Shared<BoxFuture<'static, Result<Arc<Rendering>, Arc<JoinError>>>>;

#[derive(Debug, Default)]
struct Cache {
    generation: u64,
    entries: Vec<(Format, Encoding, Pending)>,
    /// For each cluster, the end of the cycle whose dropped series have been counted. A reload may move clusters about.
    counted: HashMap<Option<ClusterName>, Instant>,
}

impl Scrapes {
    /// Returns scrapes of `store` and of `own`.
    pub fn new(store: Arc<SnapshotStore>, own: OwnMetrics) -> Self {
        Self {
            store,
            own,
            cache: Arc::default(),
        }
    }

    /// Returns the chunks of a scrape's body.
    ///
    /// All that comes from a cluster comes from one snapshot. Nothing is rendered on the caller's thread.
    ///
    /// # Errors
    ///
    /// Where rendering panicked, or the runtime is shutting down.
    ///
    /// # Cancel safety
    ///
    /// A rendering that was begun is finished for those who wait for it too.
    pub async fn scrape(
        &self,
        format: Format,
        encoding: Encoding,
    ) -> Result<Vec<Bytes>, Arc<JoinError>> {
        let world = self.rendering(format, encoding, Instant::now()).await?;
        let registry = self.own.registry().clone();
        // `process_*` is read from files.
        tokio::task::spawn_blocking(move || {
            body(&world.part, &render_own(&registry, format, encoding))
        })
        .await
        .map_err(Arc::new)
    }

    /// Returns the newest rendering, or joins those who wait for it; the first to ask starts it.
    fn rendering(&self, format: Format, encoding: Encoding, now: Instant) -> Pending {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        // Loaded under the lock, so that the cache never goes back to an older world.
        let world = self.store.load();
        if cache.generation < world.generation {
            cache.generation = world.generation;
            // Also what other formats had: a large world should not be held in memory four times.
            cache.entries.clear();
        }
        cache
            .entries
            .retain(|(.., pending)| is_usable(pending, now));
        let known = cache.entries.iter().find(|(its_format, its_encoding, _)| {
            (*its_format, *its_encoding) == (format, encoding)
        });
        if let Some((.., pending)) = known {
            return pending.clone();
        }
        let pending = self.start(world, now, format, encoding);
        cache.entries.push((format, encoding, pending.clone()));
        pending
    }

    fn start(&self, world: World, now: Instant, format: Format, encoding: Encoding) -> Pending {
        let scrapes = self.clone();
        let rendering = tokio::task::spawn_blocking(move || {
            let rendering = render(&world, now, format, encoding);
            scrapes.count_dropped(&world, &rendering.dropped);
            Arc::new(rendering)
        });
        rendering
            .map(|done| done.map_err(Arc::new))
            .boxed()
            .shared()
    }

    /// Counts the series that a snapshot lost to the limit, once however often it is rendered.
    fn count_dropped(&self, world: &World, dropped: &[u64]) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .counted
            .retain(|counted, _| world.clusters.iter().any(|(name, _)| name == counted));
        for ((name, snapshot), dropped) in world.clusters.iter().zip(dropped) {
            let Some(snapshot) = snapshot else { continue };
            let counted = cache.counted.get(name);
            if counted.is_none_or(|counted| *counted < snapshot.taken) {
                cache.counted.insert(name.clone(), snapshot.taken);
                let series_dropped = self.own.cluster(name.as_ref()).series_dropped();
                series_dropped.inc_by(*dropped);
            }
        }
    }
}

/// Tells whether a rendering is still being made or is still true.
fn is_usable(pending: &Pending, now: Instant) -> bool {
    match pending.peek() {
        None => true,
        Some(Ok(rendering)) => rendering.valid_until.is_none_or(|until| now <= until),
        Some(Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::lag::UncommittedPolicy;
    use crate::snapshot::{ClusterSnapshot, CollectMode, CycleOutcome, Exposure};

    fn snapshot(stale_after: Duration) -> Arc<ClusterSnapshot> {
        let taken = Instant::now();
        Arc::new(ClusterSnapshot {
            cluster: None,
            outcome: CycleOutcome::Complete,
            mode: CollectMode::Poll,
            shard_partitions: None,
            taken_at: SystemTime::UNIX_EPOCH,
            taken,
            last_complete: None,
            last_up: Some(taken),
            stale_after,
            uncommitted: UncommittedPolicy::Absent,
            exposure: Exposure::default(),
            brokers_measured: Some(taken),
            brokers: Arc::default(),
            topics: Vec::new(),
            groups: Vec::new(),
        })
    }

    fn scrapes() -> Scrapes {
        let store = Arc::new(SnapshotStore::new([None]));
        Scrapes::new(store, OwnMetrics::new("2.0.0"))
    }

    async fn rendering(scrapes: &Scrapes, encoding: Encoding) -> Arc<Rendering> {
        rendering_at(scrapes, encoding, Instant::now()).await
    }

    async fn rendering_at(scrapes: &Scrapes, encoding: Encoding, now: Instant) -> Arc<Rendering> {
        let pending = scrapes.rendering(Format::Text, encoding, now);
        pending.await.expect("rendering does not panic")
    }

    #[tokio::test]
    async fn scrapes_share_one_rendering_until_something_is_published() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        // Both ask before the first rendering is done: it cannot begin on this thread.
        let now = Instant::now();
        let first = scrapes.rendering(Format::Text, Encoding::Identity, now);
        let second = scrapes.rendering(Format::Text, Encoding::Identity, now);
        let first = first.await.expect("rendering does not panic");
        let second = second.await.expect("rendering does not panic");
        assert!(Arc::ptr_eq(&first, &second));
        let third = rendering(&scrapes, Encoding::Identity).await;
        assert!(Arc::ptr_eq(&first, &third));

        slot.publish(snapshot(Duration::from_secs(3600)));
        let fourth = rendering(&scrapes, Encoding::Identity).await;
        assert!(!Arc::ptr_eq(&first, &fourth));
        drop((first, second, third));
        let compressed = rendering(&scrapes, Encoding::Gzip).await;
        assert!(!Arc::ptr_eq(&fourth, &compressed));
    }

    #[tokio::test]
    async fn a_rendering_is_made_again_once_something_in_it_is_stale() {
        let scrapes = scrapes();
        let stale_after = Duration::from_secs(30);
        let snapshot = snapshot(stale_after);
        let until = snapshot.taken + stale_after;
        scrapes.store.slots()[0].publish(snapshot);
        let at = |now| rendering_at(&scrapes, Encoding::Identity, now);
        let first = at(until).await;
        assert!(Arc::ptr_eq(&first, &at(until).await));
        let stale = at(until + Duration::from_nanos(1)).await;
        assert!(!Arc::ptr_eq(&first, &stale));
        let later = at(until + Duration::from_secs(1)).await;
        assert!(Arc::ptr_eq(&stale, &later), "nothing is left that ages");
    }

    #[tokio::test]
    async fn renderings_of_what_was_published_before_are_not_kept() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        let old = Arc::downgrade(&rendering(&scrapes, Encoding::Identity).await);
        slot.publish(snapshot(Duration::from_secs(3600)));
        rendering(&scrapes, Encoding::Gzip).await;
        assert!(old.upgrade().is_none());
    }

    #[tokio::test]
    async fn a_snapshot_is_counted_once_whatever_clusters_come_before_it() {
        let store = Arc::new(SnapshotStore::new([Some("b".into())]));
        let scrapes = Scrapes::new(Arc::clone(&store), OwnMetrics::new("2.0.0"));
        let mut dropping = Arc::unwrap_or_clone(snapshot(Duration::from_secs(3600)));
        dropping.exposure.max_series = 0;
        store.slots()[0].publish(Arc::new(dropping));
        let cluster = scrapes.own.cluster(Some(&"b".into()));
        rendering(&scrapes, Encoding::Identity).await;
        let dropped = cluster.series_dropped().get();
        assert!(dropped > 0, "a limit of 0 leaves nothing");

        store.set_clusters([Some("a".into()), Some("b".into())]);
        rendering(&scrapes, Encoding::Identity).await;
        assert_eq!(cluster.series_dropped().get(), dropped);
    }
}
