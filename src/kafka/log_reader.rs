//! Reading the log of one topic from given offsets, outside any group: in order, as far as it is stable.
//!
//! A partition is read until it is stopped. librdkafka follows its leaders and goes on after an outage by itself;
//! what it cannot mend, such as an offset that was deleted, is reported and left to the caller.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc as orders;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::connection::Connection;
use super::connection_error::ConnectionError;
use super::error::{ErrorCode, KafkaError};
use super::log::ClientLog;
use super::native::event::ClientReport;
use super::native::fetch::{Arrival, Fetcher, LogRecord};
use super::requests::{RequestObserver, RequestTotals};
use crate::lag::{Offset, PartitionId};

/// Batches on their way to the caller. While all of them wait, nothing more is fetched than librdkafka's own queue holds.
const BATCHES: usize = 8;

/// The most of one batch.
const BATCH: usize = 2_000;

/// How long the thread waits before it looks around; an order or a drop wakes it at once.
const POLL_TIMEOUT: Duration = Duration::from_secs(1);

/// Properties of this client, unless the connection sets them.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "lagwatch-reader"),
    ("enable.metrics.push", "false"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
    ("log.thread.name", "false"),
    // The default is half a second without fetching after an error, and a second after each time the queue was full.
    ("fetch.error.backoff.ms", "100"),
    ("fetch.queue.backoff.ms", "20"),
    // A broker gathers what is written within a tenth of a second and answers once, or sooner where that is much: what
    // fetching costs does not depend on how many write.
    ("fetch.min.bytes", "65536"),
    ("fetch.wait.max.ms", "100"),
    ("queued.max.messages.kbytes", "16384"),
    // How soon a new leader is found.
    ("topic.metadata.refresh.interval.ms", "5000"),
];

/// A reader. Its thread ends when it is dropped.
pub struct LogReader {
    /// Present until dropped.
    fetcher: Option<Arc<Fetcher>>,
    orders: orders::Sender<Order>,
    batches: mpsc::Receiver<Vec<LogEvent>>,
}

/// A log that is being read: [`LogReader`] in production, a fake in tests.
#[async_trait]
pub trait Log: Send + Sync + std::fmt::Debug {
    /// Reads a partition from `offset` on, wherever it was read before. What is on its way may still arrive.
    fn read(&self, partition: PartitionId, offset: Offset);

    /// Stops reading a partition. What is on its way may still arrive.
    fn stop(&self, partition: PartitionId);

    /// Returns what was found next, at least one thing; waits for ever where nothing is, and ends with the reader.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    async fn next(&mut self) -> Option<Vec<LogEvent>>;
}

/// Something that is in the log, in the order of each partition, or that happened to the reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The next record of a partition.
    Record(PartitionId, LogRecord),
    /// There is nothing more to read for now: this is the offset that will be read next.
    ///
    /// It is beyond what transactions have written that were aborted, and their markers.
    End(PartitionId, Offset),
    /// The reading of a partition, or of all, is in trouble. It goes on by itself but for [`is_lost`].
    Error(Option<PartitionId>, KafkaError),
}

enum Order {
    Read(PartitionId, Offset),
    Stop(PartitionId),
    /// Comes with the caller's reference, so that the caller's thread never destroys the client.
    Close(Arc<Fetcher>),
}

/// Returns whether an error says that the offset to be read does not exist, or no longer: nothing of the partition is read
/// until it is read from another offset.
pub fn is_lost(error: &KafkaError) -> bool {
    matches!(
        error.code,
        ErrorCode::AUTO_OFFSET_RESET | ErrorCode::OFFSET_OUT_OF_RANGE | ErrorCode::LOG_TRUNCATION
    )
}

impl LogReader {
    /// Starts a reader of `topic` that has no partition yet. Connects in the background.
    ///
    /// Of transactions it reads what was committed (`read_committed`). What it sends is counted by `requests`.
    ///
    /// # Errors
    ///
    /// Properties that contradict each other, or that librdkafka refuses; [`Connection::validate`] finds more.
    pub fn start(
        connection: &Connection,
        topic: &str,
        requests: impl RequestObserver,
    ) -> Result<Self, ConnectionError> {
        let mut conf = connection.native_conf()?;
        let servers = connection.bootstrap_servers.join(",");
        for (name, value) in DEFAULTS {
            if !connection.properties.contains_key(*name) {
                conf.set(name, value).expect("a property of librdkafka");
            }
        }
        // What is not for the connection to decide.
        for (name, value) in [
            ("bootstrap.servers", servers.as_str()),
            ("allow.auto.create.topics", "false"),
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("log.queue", "true"),
            ("statistics.interval.ms", "5000"),
        ] {
            conf.set(name, value).expect("a property of librdkafka");
        }
        let refused = |reason| ConnectionError::Client { reason };
        let fetcher = Arc::new(Fetcher::new(conf, topic).map_err(refused)?);
        let (order, ordered) = orders::channel();
        let (sender, batches) = mpsc::channel(BATCHES);
        let thread = ReaderThread {
            fetcher: Arc::clone(&fetcher),
            orders: ordered,
            batches: sender,
            started: BTreeSet::new(),
            log: ClientLog::default(),
            requests: Box::new(requests),
            totals: RequestTotals::default(),
        };
        thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| refused(format!("starting the reader's thread: {error}")))?;
        Ok(Self {
            fetcher: Some(fetcher),
            orders: order,
            batches,
        })
    }

    fn order(&self, order: Order) {
        // Fails only if the thread died, which ends `next`.
        let _ = self.orders.send(order);
        if let Some(fetcher) = &self.fetcher {
            fetcher.wake();
        }
    }
}

#[async_trait]
impl Log for LogReader {
    fn read(&self, partition: PartitionId, offset: Offset) {
        self.order(Order::Read(partition, offset));
    }

    fn stop(&self, partition: PartitionId) {
        self.order(Order::Stop(partition));
    }

    async fn next(&mut self) -> Option<Vec<LogEvent>> {
        self.batches.recv().await
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        // A thread that waits for room sees that nobody will make it.
        self.batches.close();
        if let Some(fetcher) = self.fetcher.take() {
            fetcher.wake();
            self.order(Order::Close(fetcher));
        }
    }
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader").finish_non_exhaustive()
    }
}

/// The thread's state.
struct ReaderThread {
    fetcher: Arc<Fetcher>,
    orders: orders::Receiver<Order>,
    batches: mpsc::Sender<Vec<LogEvent>>,
    started: BTreeSet<PartitionId>,
    log: ClientLog,
    requests: Box<dyn RequestObserver>,
    totals: RequestTotals,
}

impl ReaderThread {
    fn run(mut self) {
        let mut batch = Vec::new();
        let last = loop {
            match self.orders.try_recv() {
                Ok(Order::Close(last)) => break Some(last),
                Ok(order) => {
                    batch.extend(self.follow(&order));
                    continue;
                }
                Err(orders::TryRecvError::Disconnected) => break None,
                Err(orders::TryRecvError::Empty) => {}
            }
            self.fill(&mut batch);
            // Waiting here for the caller is what bounds the memory.
            let is_wanted =
                batch.is_empty() || self.batches.blocking_send(mem::take(&mut batch)).is_ok();
            if !is_wanted {
                break self.wait_for_close();
            }
        };
        for partition in &self.started {
            self.fetcher.stop(*partition);
        }
        drop(last);
    }

    /// Takes out what has arrived, or waits for something to arrive.
    fn fill(&mut self, batch: &mut Vec<LogEvent>) {
        let mut patience = if batch.is_empty() {
            POLL_TIMEOUT
        } else {
            Duration::ZERO
        };
        while batch.len() < BATCH
            && let Some(arrival) = self.fetcher.poll(patience)
        {
            batch.push(match arrival {
                Arrival::Record(partition, record) => LogEvent::Record(partition, record),
                Arrival::End(partition, offset) => LogEvent::End(partition, offset),
                Arrival::Error(partition, error) => LogEvent::Error(partition, error.into()),
                Arrival::Client(ClientReport::Log {
                    level,
                    facility,
                    line,
                }) => {
                    self.log.line(level, &facility, &line, Instant::now());
                    continue;
                }
                Arrival::Client(ClientReport::Statistics(json)) => {
                    self.totals.read(&json, &*self.requests);
                    continue;
                }
                Arrival::Client(ClientReport::Other) => return,
            });
            // What is there already goes along.
            patience = Duration::ZERO;
        }
    }

    /// Does what was ordered, and returns why it could not be done.
    fn follow(&mut self, order: &Order) -> Option<LogEvent> {
        let (&Order::Read(partition, _) | &Order::Stop(partition)) = order else {
            return None;
        };
        if self.started.remove(&partition) {
            self.fetcher.stop(partition);
        }
        if let Order::Read(_, offset) = order {
            if let Err(error) = self.fetcher.start(partition, *offset) {
                return Some(LogEvent::Error(Some(partition), error.into()));
            }
            self.started.insert(partition);
        }
        None
    }

    fn wait_for_close(&self) -> Option<Arc<Fetcher>> {
        self.orders.iter().find_map(|order| match order {
            Order::Close(last) => Some(last),
            Order::Read(..) | Order::Stop(_) => None,
        })
    }
}
