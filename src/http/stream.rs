//! Event streams: each reads the log at the pace of its own reader, and nothing waits for it.
//!
//! A stream is asked for its next frame when the last ones are on their way, so a reader that is slow holds a few
//! frames and no more. If events are gone when it comes back, it is told how many and goes on; if that happens again
//! before it has caught up, it is told so and dropped. If it takes nothing at all, its connection ends by the deadline
//! of `guard`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::body::{self, Payload};
use super::config::Limits;
use super::events::{EventFilter, Start};
use super::guard::{HttpExchange, StreamUnderWay};
use super::seat::{Seat, Seats};
use crate::exposition::sse::{self, Dropped};
use crate::metrics::HttpMetrics;
use crate::snapshot::{Event, EventLog, EventPage, EventPosition};

/// How many events are taken from the log at once.
const PAGE: usize = 256;

/// A frame ends with the event that makes it this long, in bytes.
const FRAME_BYTES: usize = 32 * 1024;

/// The events of a busy cluster are sent together, this far apart, rather than one by one.
const PACE: Duration = Duration::from_millis(20);

/// The label of readers that fell behind twice.
const TOO_SLOW: &str = "too_slow";

/// The label of readers that took nothing until the deadline.
pub(super) const STALLED: &str = "stalled";

/// What all event streams share: the log, and a limited number of seats.
#[derive(Debug)]
pub(super) struct Streams {
    log: EventLog,
    seats: Seats,
    heartbeat: Duration,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
}

/// One stream on its way through the log.
struct Feed {
    log: EventLog,
    filter: EventFilter,
    /// Up to here the log was read.
    position: EventPosition,
    /// What was read and is yet to be sent.
    pending: VecDeque<Arc<Event>>,
    frame: Vec<u8>,
    reader: ReaderState,
    /// When there was something new.
    read: Instant,
    /// When the last frame was made.
    sent: Instant,
    heartbeat: Duration,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
    _seat: Seat,
    _under_way: StreamUnderWay,
}

/// Whether a reader keeps up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReaderState {
    /// It has not fallen behind since it has last seen the newest event.
    KeepsUp,
    /// It has missed events, and has not caught up since.
    Behind,
    /// It was sent the reason why its stream ends.
    Dropped,
}

impl Streams {
    pub(super) fn new(
        log: EventLog,
        limits: &Limits,
        metrics: HttpMetrics,
        shutdown: CancellationToken,
    ) -> Self {
        // They begin at 0: `increase` does not see the first event of a counter that begins with it.
        for reason in [TOO_SLOW, STALLED] {
            metrics.event_streams_dropped.with_label_values(&[reason]);
        }
        Self {
            log,
            seats: Seats::new(limits.max_event_streams, metrics.event_streams.clone()),
            heartbeat: limits.event_heartbeat,
            metrics,
            shutdown,
        }
    }

    /// Returns the events that the streams are about.
    pub(super) fn log(&self) -> &EventLog {
        &self.log
    }

    /// Returns the body of a response to `exchange` that goes on until its reader, or this process, has enough; nothing
    /// where all seats are taken.
    pub(super) fn open(
        &self,
        start: Start,
        filter: EventFilter,
        exchange: &HttpExchange,
    ) -> Option<Payload> {
        let seat = self.seats.take()?;
        let Start { events, position } = start;
        let mut frame = Vec::new();
        let before = events.first().map_or(position, |event| event.id.before());
        sse::write_start(&mut frame, before);
        let feed = Feed {
            log: self.log.clone(),
            filter,
            position,
            pending: events.into(),
            frame,
            reader: ReaderState::KeepsUp,
            read: Instant::now(),
            sent: Instant::now(),
            heartbeat: self.heartbeat,
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
            _seat: seat,
            _under_way: exchange.stream(),
        };
        let frames = stream::unfold(feed, |mut feed| async move {
            let frame = feed.next().await?;
            Some((frame, feed))
        });
        Some(body::streamed(frames))
    }
}

impl Feed {
    /// Returns the next frame, waiting for something to tell; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.shutdown.is_cancelled() && self.reader != ReaderState::Dropped {
                self.drop_reader(Dropped::Shutdown);
            }
            self.write_pending();
            if self.frame.is_empty() && self.sent.elapsed() >= self.heartbeat {
                sse::write_heartbeat(&mut self.frame, self.position);
            }
            if !self.frame.is_empty() {
                self.sent = Instant::now();
                return Some(std::mem::take(&mut self.frame).into());
            }
            if self.reader == ReaderState::Dropped {
                return None;
            }
            let page = self.log.after(self.position, PAGE);
            if page.gap.is_none() && page.events.is_empty() {
                self.wait().await;
            } else {
                self.take(page);
                // A filter may let nothing through, and then nothing else here gives way to other tasks.
                tokio::task::consume_budget().await;
            }
        }
    }

    /// Takes over what follows in the log.
    fn take(&mut self, page: EventPage) {
        if let Some(gap) = page.gap {
            if self.reader == ReaderState::Behind {
                let dropped = &self.metrics.event_streams_dropped;
                dropped.with_label_values(&[TOO_SLOW]).inc();
                self.drop_reader(Dropped::TooSlow);
                return;
            }
            self.reader = ReaderState::Behind;
            let first = page.events.first();
            let before = first.map_or(page.last, |event| event.id.before());
            sse::write_gap(&mut self.frame, gap, before);
        }
        self.read = Instant::now();
        if page.left == 0 {
            self.reader = ReaderState::KeepsUp;
        }
        self.position = page.last;
        let events = page.events.into_iter();
        let filter = &self.filter;
        self.pending
            .extend(events.filter(|event| filter.lets_through(event)));
    }

    fn write_pending(&mut self) {
        while self.frame.len() < FRAME_BYTES
            && let Some(event) = self.pending.pop_front()
        {
            sse::write_event(&mut self.frame, &event);
        }
    }

    /// Waits for something new, for the end, or until the silence has to be broken.
    async fn wait(&self) {
        let something_new = async {
            sleep_until(self.read + PACE).await;
            self.log.changed(self.position).await;
        };
        tokio::select! {
            () = something_new => {}
            () = self.shutdown.cancelled() => {}
            () = sleep_until(self.sent + self.heartbeat) => {}
        }
    }

    /// Makes a word of farewell the last thing that is sent.
    fn drop_reader(&mut self, reason: Dropped) {
        // Without the events that are not sent, the reader's place is before them.
        let position = match self.pending.front() {
            Some(event) => event.id.before(),
            None => self.position,
        };
        self.pending.clear();
        sse::write_dropped(&mut self.frame, reason, position);
        self.reader = ReaderState::Dropped;
    }
}
