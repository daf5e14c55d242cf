//! The newest events of all clusters, in a ring: written by collectors, read from any place by any number of readers.
//!
//! Nobody waits for a reader. What a reader was too slow for is gone, and the next page tells how much that was.

use std::collections::VecDeque;
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::event::{Event, EventPosition, Happening};
use crate::lag::ClusterName;

/// The newest events. Clones are handles of the same log.
#[derive(Clone, Debug)]
pub struct EventLog(Arc<Shared>);

/// Where one cluster's collector writes.
#[derive(Clone, Debug)]
pub struct EventWriter {
    log: EventLog,
    cluster: Option<ClusterName>,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventBounds {
    /// At most so many events.
    pub events: usize,
    /// At most about so much memory, in bytes; the newest event is kept, however large it is.
    pub bytes: usize,
}

/// Some of the events after an id, oldest first.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// What lies between the id and the first event that is still kept; nothing where the page follows the id.
    pub gap: Option<Gap>,
    /// The events.
    pub events: Vec<Arc<Event>>,
    /// Where the next page begins: the id of the newest event that was looked at.
    pub last: EventPosition,
    /// How many events of the log come after `last`.
    pub left: usize,
}

/// Events, of whatever group, that are kept no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// So many.
    Events(u64),
    /// Nobody knows how many: the id is of another run of this program.
    Unknown,
}

#[derive(Debug)]
struct Shared {
    run: u64,
    bounds: EventBounds,
    ring: Mutex<Ring>,
    /// The sequence of the newest event.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// The sequence of the newest event; 0 before the first.
    newest: u64,
}

impl EventLog {
    /// Returns an empty log of the process that started at `started`.
    pub fn new(started: SystemTime, bounds: EventBounds) -> Self {
        let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Arc::new(Shared {
            // 0 stands for no process. The number has room until the year 2554.
            run: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).max(1),
            bounds,
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
        }))
    }

    /// Returns a handle that writes events of `cluster`.
    pub fn writer(&self, cluster: Option<ClusterName>) -> EventWriter {
        EventWriter {
            log: self.clone(),
            cluster,
        }
    }

    /// Returns the id of the newest event; before the first, the place where it will follow.
    pub fn newest(&self) -> EventPosition {
        self.id(self.ring().newest)
    }

    /// Returns the place before the oldest event that is kept.
    pub fn start(&self) -> EventPosition {
        self.id(self.ring().before_oldest())
    }

    /// Returns the events after `id`, `most` of them at most.
    ///
    /// After an id that this run has not given out, the page begins with the oldest event.
    pub fn after(&self, id: EventPosition, most: usize) -> EventPage {
        let ring = self.ring();
        let start = ring.before_oldest();
        let is_ours = id.run == self.0.run && id.sequence <= ring.newest;
        let (gap, from) = match is_ours {
            true if id.sequence >= start => (None, id.sequence),
            true => (Some(Gap::Events(start - id.sequence)), start),
            false => (Some(Gap::Unknown), start),
        };
        let skipped = usize::try_from(from - start).expect("no more than there are in the ring");
        let events: Vec<_> = ring.events.range(skipped..).take(most).cloned().collect();
        EventPage {
            gap,
            left: ring.events.len() - skipped - events.len(),
            last: events.last().map_or(self.id(from), |event| event.id),
            events,
        }
    }

    /// Waits until [`EventLog::after`] has something to tell about `id`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn changed(&self, id: EventPosition) {
        if id.run != self.0.run || id.sequence > self.ring().newest {
            return;
        }
        let mut newest = self.0.newest.subscribe();
        let changed = newest.wait_for(|newest| *newest > id.sequence).await;
        changed.expect("the sender lives as long as the log");
    }

    fn append(&self, cluster: Option<&ClusterName>, happenings: impl Iterator<Item = Happening>) {
        let newest = {
            let mut ring = self.ring();
            for Happening { group, at_ms, kind } in happenings {
                let id = self.id(ring.newest + 1);
                let event = Event {
                    id,
                    cluster: cluster.cloned(),
                    group,
                    at_ms,
                    kind,
                };
                ring.push(event, self.0.bounds);
            }
            ring.newest
        };
        self.0.newest.send_if_modified(|told| {
            let is_new = *told < newest;
            *told = newest.max(*told);
            is_new
        });
    }

    fn id(&self, sequence: u64) -> EventPosition {
        EventPosition {
            run: self.0.run,
            sequence,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        let ring = self.0.ring.lock();
        ring.expect("nothing that holds the lock can panic")
    }
}

impl EventWriter {
    /// Appends one event. Never waits for a reader.
    pub fn append(&self, happening: Happening) {
        self.append_all(iter::once(happening));
    }

    /// Appends events, which readers see all at once.
    pub fn append_all(&self, happenings: impl IntoIterator<Item = Happening>) {
        // Made before the lock is taken: whatever makes them is none of the readers' business.
        let happenings: Vec<_> = happenings.into_iter().collect();
        self.log
            .append(self.cluster.as_ref(), happenings.into_iter());
    }
}

impl Default for EventBounds {
    fn default() -> Self {
        Self {
            events: 10_000,
            bytes: 16 << 20,
        }
    }
}

impl Ring {
    fn before_oldest(&self) -> u64 {
        let oldest = self.events.front();
        oldest.map_or(self.newest, |event| event.id.sequence - 1)
    }

    fn push(&mut self, event: Event, bounds: EventBounds) {
        self.newest = event.id.sequence;
        self.bytes += event.size_bytes();
        self.events.push_back(Arc::new(event));
        while self.events.len() > bounds.events.max(1)
            || (self.bytes > bounds.bytes && self.events.len() > 1)
        {
            let oldest = self.events.pop_front().expect("there are some");
            self.bytes -= oldest.size_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::lag::{Offset, TopicPartition};
    use crate::snapshot::{EventKind, GroupType, Rebalance};

    fn log(events: usize, bytes: usize) -> EventLog {
        let started = UNIX_EPOCH + Duration::from_nanos(0xabc);
        EventLog::new(started, EventBounds { events, bytes })
    }

    fn commit(offset: u64) -> Happening {
        Happening {
            group: "g".into(),
            at_ms: Some(1_000),
            kind: EventKind::Commit {
                partition: TopicPartition::new("t", 0),
                offset: Offset::new(offset.try_into().expect("small")),
                previous: None,
            },
        }
    }

    fn id(sequence: u64) -> EventPosition {
        EventPosition {
            run: 0xabc,
            sequence,
        }
    }

    fn sequences(page: &EventPage) -> Vec<u64> {
        page.events.iter().map(|event| event.id.sequence).collect()
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let log = log(100, usize::MAX);
        log.writer(None).append_all((0..5).map(commit));
        let first = log.after(log.start(), 3);
        assert_eq!(
            (sequences(&first), first.gap, first.left),
            (vec![1, 2, 3], None, 2)
        );
        let second = log.after(first.last, 3);
        assert_eq!((sequences(&second), second.left), (vec![4, 5], 0));
        let end = log.after(second.last, 3);
        assert_eq!((sequences(&end), end.gap), (vec![], None));
        assert_eq!(end.last, log.newest());
    }

    #[test]
    fn the_oldest_give_way_and_their_number_is_told() {
        let log = log(3, usize::MAX);
        log.writer(None).append_all((0..10).map(commit));
        let page = log.after(id(2), 100);
        assert_eq!(page.gap, Some(Gap::Events(5)));
        assert_eq!(sequences(&page), [8, 9, 10]);
        assert_eq!(log.start(), id(7));
        assert_eq!(log.after(id(7), 100).gap, None, "nothing lies between");
    }

    #[test]
    fn long_lists_of_members_are_bounded_by_their_memory() {
        let log = log(100, 10_000);
        let writer = log.writer(None);
        let storm = |generation| Happening {
            group: "g".into(),
            at_ms: None,
            kind: EventKind::Rebalance(Rebalance {
                group_type: GroupType::Classic,
                generation,
                assignor: "range".into(),
                joined: vec!["m".repeat(1_000).into(); 4],
                left: Vec::new(),
                members: Vec::new(),
            }),
        };
        writer.append_all((0..10).map(storm));
        assert_eq!(sequences(&log.after(log.start(), 100)), [9, 10]);
        let mut huge = storm(11);
        huge.group = "g".repeat(1_000_000).into();
        writer.append(huge);
        assert_eq!(sequences(&log.after(log.start(), 100)), [11]);
        writer.append(storm(12));
        assert_eq!(
            sequences(&log.after(log.start(), 100)),
            [12],
            "its memory is given back"
        );
    }

    #[test]
    fn an_id_of_another_run_or_of_the_future_is_told_as_a_gap() {
        let log = log(3, usize::MAX);
        let empty = log.after(EventPosition::default(), 10);
        assert_eq!((empty.gap, empty.last), (Some(Gap::Unknown), id(0)));
        log.writer(None).append_all((0..2).map(commit));
        let other = EventPosition {
            run: 0xabb,
            sequence: 1,
        };
        for unknown in [other, EventPosition::default(), id(3)] {
            let page = log.after(unknown, 10);
            assert_eq!(page.gap, Some(Gap::Unknown), "{unknown}");
            assert_eq!(sequences(&page), [1, 2]);
        }
    }

    #[test]
    fn events_carry_the_cluster_of_their_writer_and_share_one_order() {
        let log = log(10, usize::MAX);
        let (a, b) = (log.writer(Some("a".into())), log.writer(Some("b".into())));
        a.append(commit(1));
        b.append(commit(2));
        a.append(commit(3));
        let page = log.after(log.start(), 10);
        let clusters: Vec<_> = page
            .events
            .iter()
            .map(|event| event.cluster.clone())
            .collect();
        assert_eq!(
            clusters,
            [Some("a".into()), Some("b".into()), Some("a".into())]
        );
        assert_eq!(sequences(&page), [1, 2, 3]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_waiting_reader_is_woken_by_what_comes_next() {
        let log = log(10, usize::MAX);
        let (waits, waiting) = oneshot::channel();
        let reader = tokio::spawn({
            let log = log.clone();
            async move {
                let seen = log.newest();
                waits.send(()).expect("the test waits for it");
                log.changed(seen).await;
                log.after(seen, 10)
            }
        });
        waiting.await.expect("the reader starts");
        log.writer(None).append(commit(1));
        let page = reader.await.expect("the reader does not panic");
        assert_eq!(sequences(&page), [1]);
    }

    #[tokio::test]
    async fn nobody_waits_where_there_is_something_to_tell() {
        let log = log(10, usize::MAX);
        log.changed(EventPosition::default()).await;
        log.writer(None).append(commit(1));
        log.changed(id(0)).await;
        log.changed(id(7)).await;
    }

    #[test]
    fn readers_beside_writers_account_for_every_event_in_order() {
        const EACH: u64 = 20_000;
        let log = log(64, usize::MAX);
        let read = |log: &EventLog| {
            let (mut seen, mut missed, mut last) = (0, 0, id(0));
            while last.sequence < 2 * EACH {
                let page = log.after(last, 16);
                if let Some(Gap::Events(events)) = page.gap {
                    missed += events;
                }
                let expected = last.sequence
                    + match page.gap {
                        Some(Gap::Events(events)) => events,
                        _ => 0,
                    };
                let follow = (expected + 1..).take(page.events.len());
                assert!(follow.eq(sequences(&page)), "nothing is skipped in silence");
                seen += page.events.len() as u64;
                last = page.last;
            }
            (seen, missed)
        };
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read(&log))).collect();
            for cluster in ["a", "b"] {
                let writer = log.writer(Some(cluster.into()));
                scope.spawn(move || (0..EACH).for_each(|offset| writer.append(commit(offset))));
            }
            for reader in readers {
                let (seen, missed) = reader.join().expect("a reader does not panic");
                assert_eq!(seen + missed, 2 * EACH);
                assert!(seen > 0);
            }
        });
    }
}
