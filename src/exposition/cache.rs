//! The bytes of the newest snapshots, rendered once and shared by all scrapers.
//!
//! A rendering is kept for as long as nothing is published and nothing in it has become too old to be shown. The next one
//! reuses what has not changed. A publication is rendered at once for each kind of scrape whose next one is due before the
//! next publication, so that a regular scraper finds it done.

use std::collections::HashMap;
use std::convert::{Infallible, identity};
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinError;

use super::output::{Encoding, body};
use super::own::render_own;
use super::render::{Rendering, render};
use super::rhythm::Rhythm;
use super::writer::Format;
use crate::lag::ClusterName;
use crate::metrics::OwnMetrics;
use crate::snapshot::{SnapshotStore, World};

/// The least time that a publication is taken to last: some follow each other faster than scrapers keep time.
const AHEAD: Duration = Duration::from_secs(1);

/// Rendering ahead rests this many times as long as it worked.
const REST: u32 = 10;

/// Answers scrapes of everything this process knows.
#[derive(Clone, Debug)]
pub struct Scrapes {
    store: Arc<SnapshotStore>,
    own: OwnMetrics,
    kinds: Arc<std::sync::Mutex<HashMap<ScrapeKind, Scraped>>>,
    /// For each cluster, the end of the cycle whose dropped series have been counted. A reload may move clusters about.
    counted: Arc<std::sync::Mutex<HashMap<Option<ClusterName>, Instant>>>,
}

/// Scrapes of one kind get the same bytes.
type ScrapeKind = (Format, Encoding);

/// A kind of which there were scrapes lately.
#[derive(Debug)]
struct Scraped {
    rhythm: Rhythm,
    newest: NewestRendering,
}

/// The newest rendering of a kind, with the generation of its world. Locked while the next one is made, so that scrapes wait for
/// it together.
type NewestRendering = Arc<Mutex<Option<(u64, Arc<Rendering>)>>>;

impl Scrapes {
    /// Returns scrapes of `store` and of `own`.
    pub fn new(store: Arc<SnapshotStore>, own: OwnMetrics) -> Self {
        Self {
            store,
            own,
            kinds: Arc::default(),
            counted: Arc::default(),
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
    ) -> Result<Vec<Bytes>, JoinError> {
        let world = self.rendering((format, encoding), Instant::now()).await?;
        let registry = self.own.registry().clone();
        // `process_*` is read from files.
        tokio::task::spawn_blocking(move || {
            body(&world.part, &render_own(&registry, format, encoding))
        })
        .await
    }

    /// Renders each publication for the scrapes that are due before the next one; a tenth of the time at most goes into it. Kinds
    /// that nobody scrapes any more are dropped.
    ///
    /// # Cancel safety
    ///
    /// A rendering that was begun is finished, and kept for the next scrape.
    pub async fn render_ahead(&self) -> Infallible {
        let mut seen = self.store.load().generation;
        let mut published = Instant::now();
        loop {
            seen = self.store.published_after(seen).await;
            let begun = Instant::now();
            let next = begun + begun.duration_since(published).max(AHEAD);
            published = begun;
            for (kind, newest) in self.due(begun, next) {
                // After a failure, the next scrape renders again.
                let _ = self.current(kind, newest, begun).await;
            }
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
    }

    /// Drops the kinds that were not scraped for a while, and returns those whose next scrape is due by `next`.
    fn due(&self, now: Instant, next: Instant) -> Vec<(ScrapeKind, NewestRendering)> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.retain(|_, scraped| !scraped.rhythm.has_ended(now));
        let due = kinds
            .iter()
            .filter(|(_, scraped)| scraped.rhythm.is_due_by(next));
        due.map(|(kind, scraped)| (*kind, Arc::clone(&scraped.newest)))
            .collect()
    }

    /// Returns the rendering for a scrape at `now`.
    fn rendering(
        &self,
        kind: ScrapeKind,
        now: Instant,
    ) -> impl Future<Output = Result<Arc<Rendering>, JoinError>> + use<> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let scraped = kinds.entry(kind).or_insert_with(|| Scraped {
            rhythm: Rhythm::of_first(now),
            newest: NewestRendering::default(),
        });
        scraped.rhythm.note(now);
        self.current(kind, Arc::clone(&scraped.newest), now)
    }

    /// Returns a rendering of a world that is no older than the newest one of now. It is finished also if nobody waits for it.
    fn current(
        &self,
        (format, encoding): ScrapeKind,
        newest: NewestRendering,
        now: Instant,
    ) -> impl Future<Output = Result<Arc<Rendering>, JoinError>> + use<> {
        let generation = self.store.load().generation;
        let scrapes = self.clone();
        // Ends by itself, with the rendering.
        let task = tokio::spawn(async move {
            let mut newest = newest.lock().await;
            if let Some((known, rendering)) = newest.as_ref()
                && *known >= generation
                && rendering.valid_until.is_none_or(|until| now <= until)
            {
                return Ok(Arc::clone(rendering));
            }
            let before = newest.take();
            let world = scrapes.store.load();
            let generation = world.generation;
            let made = tokio::task::spawn_blocking(move || {
                let now = now.max(Instant::now());
                let rendering = match before {
                    Some((_, before)) => before.renew(&world, now),
                    None => render(&world, now, format, encoding),
                };
                scrapes.count_dropped(&world, &rendering.dropped);
                Arc::new(rendering)
            });
            let rendering = made.await?;
            *newest = Some((generation, Arc::clone(&rendering)));
            Ok(rendering)
        });
        async { task.await.and_then(identity) }
    }

    /// Counts the series that a snapshot lost to the limit, once however often it is rendered.
    fn count_dropped(&self, world: &World, dropped: &[u64]) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.retain(|counted, _| world.clusters.iter().any(|(name, _)| name == counted));
        for ((name, snapshot), dropped) in world.clusters.iter().zip(dropped) {
            let Some(snapshot) = snapshot else { continue };
            let last = counted.get(name);
            if last.is_none_or(|last| *last < snapshot.taken) {
                counted.insert(name.clone(), snapshot.taken);
                let series_dropped = self.own.cluster(name.as_ref()).series_dropped();
                series_dropped.inc_by(*dropped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::snapshot::{ClusterSnapshot, CycleOutcome, Revision, TopicRow, TopicSeries};

    fn snapshot(stale_after: Duration) -> ClusterSnapshot {
        let taken = Instant::now();
        ClusterSnapshot {
            outcome: CycleOutcome::Complete,
            last_up: Some(taken),
            brokers_measured: Some(taken),
            ..ClusterSnapshot::empty(taken, SystemTime::UNIX_EPOCH, stale_after)
        }
    }

    fn scrapes() -> Scrapes {
        let store = Arc::new(SnapshotStore::new([None]));
        Scrapes::new(store, OwnMetrics::new("2.0.0"))
    }

    async fn rendering(scrapes: &Scrapes, encoding: Encoding) -> Arc<Rendering> {
        rendering_at(scrapes, encoding, Instant::now()).await
    }

    async fn rendering_at(scrapes: &Scrapes, encoding: Encoding, now: Instant) -> Arc<Rendering> {
        let pending = scrapes.rendering((Format::Text, encoding), now);
        pending.await.expect("rendering does not panic")
    }

    #[tokio::test]
    async fn scrapes_share_one_rendering_until_something_is_published() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        // Both ask before the first rendering is done: it cannot begin on this thread.
        let now = Instant::now();
        let kind = (Format::Text, Encoding::Identity);
        let [first, second] = [(); 2].map(|()| scrapes.rendering(kind, now));
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
    async fn a_rendering_that_nobody_scrapes_any_more_is_given_up() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        let asked = Instant::now();
        let old = Arc::downgrade(&rendering_at(&scrapes, Encoding::Identity, asked).await);
        let due = |seconds| {
            let then = asked + Duration::from_secs(seconds);
            let kinds = scrapes.due(then, then).into_iter();
            kinds.map(|(kind, _)| kind).collect::<Vec<_>>()
        };
        assert_eq!(due(20), [], "nothing says yet when it is scraped again");
        let again = asked + Duration::from_secs(20);
        rendering_at(&scrapes, Encoding::Identity, again).await;
        assert_eq!(due(39), []);
        assert_eq!(due(40), [(Format::Text, Encoding::Identity)]);
        assert!(old.upgrade().is_some());
        assert_eq!(due(120), []);
        assert!(old.upgrade().is_none());
    }

    #[tokio::test]
    async fn a_rendering_goes_on_from_the_one_before_it_and_replaces_it() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        let mut first = snapshot(Duration::from_secs(3600));
        first.topics = vec![Arc::new(topic("a"))];
        slot.publish(first.clone());
        let old = rendering(&scrapes, Encoding::Gzip).await;
        assert_eq!((old.runs_made, old.runs_kept), (1, 0));
        slot.publish(first);
        let new = rendering(&scrapes, Encoding::Gzip).await;
        assert_eq!((new.runs_made, new.runs_kept), (0, 1));
        let weak = Arc::downgrade(&old);
        drop(old);
        assert!(weak.upgrade().is_none());
    }

    /// Returns the newest rendering of the only kind; nothing while the next one is made.
    fn newest(scrapes: &Scrapes) -> Option<(u64, Arc<Rendering>)> {
        let kinds = scrapes.kinds.lock().expect("nothing panics");
        assert_eq!(kinds.len(), 1);
        let newest = kinds.values().next()?.newest.try_lock().ok()?;
        newest.clone()
    }

    fn topic(name: &str) -> TopicRow {
        TopicRow {
            revision: Revision::next(),
            name: name.into(),
            series: TopicSeries::Here,
            measured: Instant::now(),
            partitions: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_scrape_never_waits_for_less_than_the_newest_world() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        for _ in 0..20 {
            slot.publish(snapshot(Duration::from_secs(3600)));
            let kind = (Format::Text, Encoding::Gzip);
            let early = scrapes.rendering(kind, Instant::now());
            tokio::task::yield_now().await;
            slot.publish(snapshot(Duration::from_secs(3600)));
            let late = rendering(&scrapes, Encoding::Gzip).await;
            let generation = scrapes.store.load().generation;
            let (known, newest) = newest(&scrapes).expect("nothing is being rendered");
            assert_eq!(known, generation);
            assert!(Arc::ptr_eq(&newest, &late));
            early.await.expect("rendering does not panic");
        }
    }

    #[tokio::test]
    async fn what_was_scraped_lately_is_rendered_ahead() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        // Twice, and long enough ago for the next scrape to be due.
        let ago = |seconds| Instant::now() - Duration::from_secs(seconds);
        rendering_at(&scrapes, Encoding::Gzip, ago(40)).await;
        let old = rendering_at(&scrapes, Encoding::Gzip, ago(20)).await;
        let ahead = tokio::spawn({
            let scrapes = scrapes.clone();
            async move { scrapes.render_ahead().await }
        });
        // It looks at the store's generation first.
        tokio::task::yield_now().await;
        slot.publish(snapshot(Duration::from_secs(3600)));
        let deadline = Instant::now() + Duration::from_secs(30);
        while newest(&scrapes).is_none_or(|(_, newest)| Arc::ptr_eq(&newest, &old)) {
            assert!(Instant::now() < deadline, "nothing is rendered ahead");
            tokio::task::yield_now().await;
        }
        ahead.abort();
        let ended = ahead.await.map(|never| match never {});
        assert!(ended.is_err_and(|reason| reason.is_cancelled()));
    }

    #[tokio::test]
    async fn a_snapshot_is_counted_once_whatever_clusters_come_before_it() {
        let store = Arc::new(SnapshotStore::new([Some("b".into())]));
        let scrapes = Scrapes::new(Arc::clone(&store), OwnMetrics::new("2.0.0"));
        let mut dropping = snapshot(Duration::from_secs(3600));
        dropping.exposure.max_series = 0;
        store.slots()[0].publish(dropping);
        let cluster = scrapes.own.cluster(Some(&"b".into()));
        rendering(&scrapes, Encoding::Identity).await;
        let dropped = cluster.series_dropped().get();
        assert!(dropped > 0, "a limit of 0 leaves nothing");

        store.set_clusters([Some("a".into()), Some("b".into())]);
        rendering(&scrapes, Encoding::Identity).await;
        assert_eq!(cluster.series_dropped().get(), dropped);
    }
}
