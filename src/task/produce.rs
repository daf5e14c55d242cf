//! The task producer: generates `task-created` events, or passes JSON lines on.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::error::TaskError;
use super::event::{EventId, TaskCreated};
use crate::diagnostics::one_line;
use crate::kafka::{Connection, KafkaError, OutgoingRecord, Producer, ProducerConfig, WriteOrder};
use crate::lag::{PartitionId, TopicName};

/// The longest line that is taken; Kafka's own default limit for a record.
const LINE_BYTES: u64 = 1_000_000;

/// How long the last records may take at the end.
const FLUSH: Duration = Duration::from_secs(10);

/// How long the connection may take to end.
const CLOSE: Duration = Duration::from_secs(5);

/// A value that no consumer of events can read.
const POISON: &[u8] = b"{\"id\": \"poison\", \"title\": ";

/// What to produce, and where.
#[derive(Clone, Debug)]
pub struct ProduceConfig {
    /// The topic.
    pub topic: TopicName,
    /// The partition; `None`: by the hash of the key, which is the event's id.
    pub partition: Option<PartitionId>,
    /// The name Kafka shows for this client.
    pub client_id: String,
    /// How many records may be in flight at once.
    pub max_in_flight: NonZeroU32,
    /// Gets the state of the production after each delivery.
    pub progress: Option<watch::Sender<ProduceSummary>>,
}

/// Where the records come from.
pub enum RecordSource {
    /// Generated, each with an id of its own.
    Generated(Pace),
    /// One event a line, as JSON. A line that is not an event is logged and left out.
    Lines(Box<dyn AsyncBufRead + Send + Unpin>),
}

/// How many records are made, and how fast.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Records a second; `None`: as fast as Kafka takes them.
    pub rate: Option<NonZeroU32>,
    /// How many; `None`: until the shutdown.
    pub count: Option<u64>,
    /// Every nth record is one that cannot be read.
    pub poison_every: Option<NonZeroU64>,
}

/// What was produced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProduceSummary {
    /// Records that Kafka has.
    pub delivered: u64,
    /// Records that could not be delivered in time.
    pub failed: u64,
    /// Lines that were not events.
    pub rejected: u64,
}

impl Default for ProduceConfig {
    fn default() -> Self {
        Self {
            topic: "task-created".into(),
            partition: None,
            client_id: "lagwatch-producer".to_owned(),
            max_in_flight: NonZeroU32::new(1_000).expect("1000 is not zero"),
            progress: None,
        }
    }
}

/// Sends what `source` has until it ends or `shutdown` is cancelled, and waits for the deliveries.
///
/// # Errors
///
/// When a property is refused or the input cannot be read. Failed deliveries are counted and logged.
pub async fn produce(
    config: ProduceConfig,
    connection: Connection,
    source: RecordSource,
    shutdown: CancellationToken,
) -> Result<ProduceSummary, TaskError> {
    let producer = Producer::connect(
        &connection,
        &ProducerConfig {
            client_id: config.client_id.clone(),
            delivery_timeout: Duration::from_secs(60),
            order: WriteOrder::Kept,
        },
    )?;
    let mut producing = Producing {
        config,
        producer,
        in_flight: FuturesUnordered::new(),
        last_error: None,
        summary: ProduceSummary::default(),
    };
    let sent = match source {
        RecordSource::Generated(pace) => {
            producing.generate(pace, &shutdown).await;
            Ok(())
        }
        RecordSource::Lines(lines) => producing.pass_on(lines, &shutdown).await,
    };
    let summary = producing.finish().await;
    sent.map(|()| summary)
}

struct Producing {
    config: ProduceConfig,
    producer: Producer,
    in_flight: FuturesUnordered<BoxFuture<'static, Result<(), KafkaError>>>,
    last_error: Option<KafkaError>,
    summary: ProduceSummary,
}

impl Producing {
    async fn generate(&mut self, pace: Pace, shutdown: &CancellationToken) {
        let ids = EventIdSequence::new();
        let started = Instant::now();
        let numbers = 0..pace.count.unwrap_or(u64::MAX);
        for number in numbers {
            if let Some(rate) = pace.rate {
                let due =
                    started + Duration::from_secs(1).mul_f64(number as f64 / f64::from(rate.get()));
                if !self.serve_until(due, shutdown).await {
                    return;
                }
            }
            let is_poison = pace
                .poison_every
                .is_some_and(|every| (number + 1) % every == 0);
            let id = ids.number(number);
            let key = id.as_str().as_bytes().to_vec();
            let value = if is_poison {
                POISON.to_vec()
            } else {
                let title = format!("task {number}");
                TaskCreated { id, title }.encode()
            };
            if !self.send(key, value, shutdown).await {
                return;
            }
        }
    }

    async fn pass_on(
        &mut self,
        mut lines: Box<dyn AsyncBufRead + Send + Unpin>,
        shutdown: &CancellationToken,
    ) -> Result<(), TaskError> {
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            line.clear();
            let mut limited = (&mut lines).take(LINE_BYTES);
            let read = tokio::select! {
                read = limited.read_until(b'\n', &mut line) => read,
                () = shutdown.cancelled() => return Ok(()),
            };
            if read.map_err(|source| TaskError::Input { source })? == 0 {
                return Ok(());
            }
            number += 1;
            let value = line.trim_ascii();
            if value.is_empty() {
                continue;
            }
            match TaskCreated::decode(Some(value)) {
                Ok(event) => {
                    let key = event.id.as_str().as_bytes().to_vec();
                    if !self.send(key, value.to_vec(), shutdown).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    self.summary.rejected += 1;
                    let reason = one_line(&error);
                    warn!(line = number, "line {number} is left out: {reason}");
                }
            }
        }
    }

    /// Notes deliveries until `due`; returns false when the shutdown came first.
    async fn serve_until(&mut self, due: Instant, shutdown: &CancellationToken) -> bool {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return false,
                Some(delivery) = self.in_flight.next() => self.note(delivery),
                () = sleep_until(due) => return true,
            }
        }
    }

    /// Sends a record once there is room for it; returns false when the shutdown came first.
    async fn send(&mut self, key: Vec<u8>, value: Vec<u8>, shutdown: &CancellationToken) -> bool {
        while self.in_flight.len() >= self.config.max_in_flight.get() as usize {
            tokio::select! {
                () = shutdown.cancelled() => return false,
                Some(delivery) = self.in_flight.next() => self.note(delivery),
            }
        }
        let record = OutgoingRecord {
            topic: self.config.topic.clone(),
            partition: self.config.partition,
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
        };
        match self.producer.enqueue(record) {
            Ok(delivery) => self.in_flight.push(Box::pin(delivery)),
            Err(error) => self.note(Err(error)),
        }
        !shutdown.is_cancelled()
    }

    fn note(&mut self, delivery: Result<(), KafkaError>) {
        match delivery {
            Ok(_) => {
                self.summary.delivered += 1;
                self.last_error = None;
            }
            Err(error) => {
                self.summary.failed += 1;
                if self.last_error.as_ref() != Some(&error) {
                    warn!(%error, "a record could not be delivered: {error}");
                    self.last_error = Some(error);
                }
            }
        }
        if let Some(progress) = &self.config.progress {
            progress.send_replace(self.summary);
        }
    }

    async fn finish(mut self) -> ProduceSummary {
        let deadline = Instant::now() + FLUSH;
        while let Ok(Some(delivery)) = timeout_at(deadline, self.in_flight.next()).await {
            self.note(delivery);
        }
        self.summary.failed += self.in_flight.len() as u64;
        self.producer.close(CLOSE).await;
        let ProduceSummary {
            delivered,
            failed,
            rejected,
        } = self.summary;
        info!(
            delivered,
            failed,
            rejected,
            "producer closed: {delivered} delivered, {failed} failed, {rejected} lines left out"
        );
        self.summary
    }
}

/// Ids that no other run makes, in the order they sort.
struct EventIdSequence {
    run: u64,
}

impl EventIdSequence {
    fn new() -> Self {
        // Seeded by the system's random numbers.
        Self {
            run: RandomState::new().build_hasher().finish(),
        }
    }

    fn number(&self, number: u64) -> EventId {
        EventId::from(format!("{:016x}-{number:010}", self.run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_across_runs_and_within_one() {
        let (one, other) = (EventIdSequence::new(), EventIdSequence::new());
        assert_ne!(one.number(0), other.number(0));
        assert_ne!(one.number(0), one.number(1));
        assert!(one.number(9) < one.number(10));
    }

    #[test]
    fn poison_is_no_event() {
        assert!(TaskCreated::decode(Some(POISON)).is_err());
    }
}
