//! The bytes of the newest snapshots, made once and shared by all scrapers.
//!
//! A rendering is kept for as long as nothing is published and nothing in it has become too old to be shown. The next one
//! takes over what looks the same, and is begun ahead of the next scrape where one is to be expected.

use std::collections::HashMap;
use std::convert::{Infallible, identity};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::JoinError;

use super::output::{Encoding, body};
use super::own::render_own;
use super::render::{Rendering, render};
use super::rhythm::Rhythm;
use super::writer::Format;
use crate::lag::ClusterName;
use crate::metrics::OwnMetrics;
use crate::snapshot::{SnapshotStore, World};

/// How long before a scrape its rendering may be begun: publications may follow each other faster than scrapes keep time.
const AHEAD: Duration = Duration::from_secs(1);

/// Rendering ahead rests this many times as long as it worked.
const REST: u32 = 10;

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
    entries: Vec<Entry>,
    /// For each cluster, the end of the cycle whose dropped series have been counted. A reload may move clusters about.
    counted: HashMap<Option<ClusterName>, Instant>,
}

/// Who asks for a rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    ByScrape,
    /// Nobody yet.
    Ahead,
}

/// The newest rendering of its kind.
#[derive(Clone, Debug)]
struct Entry {
    format: Format,
    encoding: Encoding,
    /// When it is scraped.
    rhythm: Rhythm,
    pending: Pending,
    /// The generation of its world; nothing before it was begun: it will be of the newest then.
    generation: Arc<OnceLock<u64>>,
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

    /// Renders what is published for the scrapes that are expected before the next publication, so that they find it done;
    /// a tenth of the time at most goes into it. What nobody scrapes any more is given up.
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
            for (format, encoding) in self.expected(begun, next) {
                let ahead = self.newest(format, encoding, begun, Asked::Ahead);
                // A failure is told to whoever scrapes: that begins another one.
                let _ = ahead.await;
            }
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
    }

    /// Forgets what was not scraped for a while, and returns what will be by `next`.
    fn expected(&self, now: Instant, next: Instant) -> Vec<(Format, Encoding)> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.entries.retain(|entry| !entry.rhythm.has_ended(now));
        let entries = cache.entries.iter();
        entries
            .filter(|entry| entry.rhythm.is_expected_by(next))
            .map(|entry| (entry.format, entry.encoding))
            .collect()
    }

    /// Returns the newest rendering for a scrape at `now`.
    fn rendering(&self, format: Format, encoding: Encoding, now: Instant) -> Pending {
        self.newest(format, encoding, now, Asked::ByScrape)
    }

    /// Returns the newest rendering, or joins those who wait for it; the first to ask starts it.
    fn newest(&self, format: Format, encoding: Encoding, now: Instant, asked: Asked) -> Pending {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = self.store.load().generation;
        let is_same = |entry: &Entry| (entry.format, entry.encoding) == (format, encoding);
        let known = cache.entries.iter().position(is_same);
        let known = known.map(|place| cache.entries.swap_remove(place));
        let mut rhythm = known
            .as_ref()
            .map_or_else(|| Rhythm::of_first(now), |known| known.rhythm);
        if asked == Asked::ByScrape {
            rhythm.note(now);
        }
        let usable = known
            .as_ref()
            .filter(|known| known.is_usable(generation, now));
        let (pending, generation) = match usable {
            Some(usable) => (usable.pending.clone(), Arc::clone(&usable.generation)),
            None => self.start(known.map(|known| known.pending), (format, encoding), now),
        };
        cache.entries.push(Entry {
            format,
            encoding,
            rhythm,
            pending: pending.clone(),
            generation,
        });
        pending
    }

    /// Starts the rendering that follows `before`, once that is done: at most one of a kind is made at a time.
    fn start(
        &self,
        before: Option<Pending>,
        (format, encoding): (Format, Encoding),
        now: Instant,
    ) -> (Pending, Arc<OnceLock<u64>>) {
        let generation = Arc::new(OnceLock::new());
        let (scrapes, begun) = (self.clone(), Arc::clone(&generation));
        // Ends by itself, with the rendering.
        let task = tokio::spawn(async move {
            // One that failed is nothing to go on from.
            let before = match before {
                Some(before) => before.await.ok(),
                None => None,
            };
            let world = scrapes.begin(&begun);
            tokio::task::spawn_blocking(move || {
                let now = now.max(Instant::now());
                let rendering = match before {
                    Some(before) => before.renew(&world, now),
                    None => render(&world, now, format, encoding),
                };
                scrapes.count_dropped(&world, &rendering.dropped);
                Arc::new(rendering)
            })
            .await
        });
        let pending = task.map(|done| done.and_then(identity).map_err(Arc::new));
        (pending.boxed().shared(), generation)
    }

    /// Returns the newest world for a rendering, from when on it is known by the world's generation.
    fn begin(&self, generation: &OnceLock<u64>) -> World {
        // Whoever asks later sees that it was begun: the world it would be of is not older than the question.
        let _cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let world = self.store.load();
        generation.get_or_init(|| world.generation);
        world
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

impl Entry {
    /// Returns whether a rendering is still to be made of the newest world, or is and is true.
    fn is_usable(&self, generation: u64, now: Instant) -> bool {
        let is_newest = self.generation.get().is_none_or(|own| *own >= generation);
        is_newest
            && match self.pending.peek() {
                None => true,
                Some(Ok(rendering)) => rendering.valid_until.is_none_or(|until| now <= until),
                Some(Err(_)) => false,
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
    async fn a_rendering_that_nobody_scrapes_any_more_is_given_up() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        let asked = Instant::now();
        let old = Arc::downgrade(&rendering(&scrapes, Encoding::Identity).await);
        let kind = (Format::Text, Encoding::Identity);
        let expected = |seconds| {
            let then = asked + Duration::from_secs(seconds);
            scrapes.expected(then, then)
        };
        assert_eq!(expected(5), []);
        assert_eq!(expected(20), [kind]);
        assert!(old.upgrade().is_some());
        assert_eq!(expected(120), []);
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
            let early = scrapes.rendering(Format::Text, Encoding::Gzip, Instant::now());
            tokio::task::yield_now().await;
            slot.publish(snapshot(Duration::from_secs(3600)));
            rendering(&scrapes, Encoding::Gzip).await;
            let generation = scrapes.store.load().generation;
            let cache = scrapes.cache.lock().expect("nothing panics");
            assert_eq!(cache.entries.len(), 1);
            assert_eq!(cache.entries[0].generation.get(), Some(&generation));
            assert!(
                early.peek().is_some(),
                "renderings of a kind follow each other"
            );
        }
    }

    #[tokio::test]
    async fn what_was_scraped_lately_is_rendered_ahead() {
        let scrapes = scrapes();
        let slot = &scrapes.store.slots()[0];
        slot.publish(snapshot(Duration::from_secs(3600)));
        // Lately, and long enough ago for the next scrape to be expected.
        let then = Instant::now() - Duration::from_secs(20);
        let old = rendering_at(&scrapes, Encoding::Gzip, then).await;
        let ahead = tokio::spawn({
            let scrapes = scrapes.clone();
            async move { scrapes.render_ahead().await }
        });
        // It looks at the store's generation first.
        tokio::task::yield_now().await;
        slot.publish(snapshot(Duration::from_secs(3600)));
        let deadline = Instant::now() + Duration::from_secs(30);
        let done = || {
            let cache = scrapes.cache.lock().expect("nothing panics");
            let [entry] = cache.entries.as_slice() else {
                panic!("nothing else is rendered: {cache:?}");
            };
            entry.pending.peek().cloned().and_then(Result::ok)
        };
        while done().is_none_or(|newest| Arc::ptr_eq(&newest, &old)) {
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
