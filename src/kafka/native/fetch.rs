//! Fetching partitions of one topic from given offsets, without a group: librdkafka's simple consumer.
//!
//! Everything that is fetched, and everything that the client reports by itself, arrives on one queue.

use std::ptr::NonNull;
use std::slice;
use std::time::Duration;

use rdkafka_sys as sys;

use super::codes::{self, NativeError};
use super::conf::Conf;
use super::event::{ClientReport, NativeEvent};
use super::handle::{ClientType, Handle, Queue};
use super::text;
use crate::lag::{Offset, PartitionId};

/// librdkafka's code of an argument that is not valid.
const INVALID_ARGUMENT: i32 = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__INVALID_ARG as i32;

/// librdkafka's code of the end of a partition.
const PARTITION_EOF: i32 = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32;

/// A client that fetches. Fields drop in order: the topic and the queue before the handle they belong to.
///
/// Its partitions are to be stopped before it is dropped; see [`Fetcher::stop`].
pub(in crate::kafka) struct Fetcher {
    topic: Topic,
    queue: Queue,
    _handle: Handle,
}

/// Something that came out of the queue.
pub(in crate::kafka) enum Arrival {
    /// The next record of a partition.
    Record(PartitionId, LogRecord),
    /// The end of a partition: the offset that will be read next.
    End(PartitionId, Offset),
    /// An error of one partition, or of the client as a whole.
    Error(Option<PartitionId>, NativeError),
    /// What the client reports by itself.
    Client(ClientReport),
}

/// A record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its offset.
    pub offset: Offset,
    /// When it was written, in milliseconds since the epoch, if the producer or the broker said so.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; nothing for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Fetcher {
    /// Starts a client. Nothing is fetched yet.
    pub(in crate::kafka) fn new(conf: Conf, topic: &str) -> Result<Self, String> {
        let events = sys::RD_KAFKA_EVENT_LOG
            | sys::RD_KAFKA_EVENT_ERROR
            | sys::RD_KAFKA_EVENT_STATS
            | sys::RD_KAFKA_EVENT_FETCH;
        // SAFETY: the configuration is live and no client uses it yet.
        unsafe { sys::rd_kafka_conf_set_events(conf.as_ptr(), events) };
        let handle = Handle::new(conf, ClientType::Consumer)?;
        Ok(Self {
            topic: Topic::new(&handle, topic)?,
            queue: Queue::for_everything_of(&handle),
            _handle: handle,
        })
    }

    /// Begins to fetch a partition that is not being fetched.
    pub(in crate::kafka) fn start(
        &self,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), NativeError> {
        let offset =
            i64::try_from(offset.value()).map_err(|_| NativeError::of(INVALID_ARGUMENT))?;
        // SAFETY: topic and queue are live; the queue is referenced by librdkafka until the partition is stopped.
        let outcome = unsafe {
            sys::rd_kafka_consume_start_queue(
                self.topic.0.as_ptr(),
                partition.0,
                offset,
                self.queue.as_ptr(),
            )
        };
        if outcome == 0 {
            Ok(())
        } else {
            Err(codes::last())
        }
    }

    /// Ends the fetching of a partition; what was fetched and not taken out of the queue is gone.
    ///
    /// Blocks until the broker's thread has done so, which waits for nothing.
    pub(in crate::kafka) fn stop(&self, partition: PartitionId) {
        // SAFETY: the topic is live. Fails only for a partition that is not being fetched.
        unsafe { sys::rd_kafka_consume_stop(self.topic.0.as_ptr(), partition.0) };
    }

    /// Returns what arrives within `timeout`.
    pub(in crate::kafka) fn poll(&self, timeout: Duration) -> Option<Arrival> {
        let event = self.queue.poll(timeout)?;
        // SAFETY: the event is live.
        let kind = unsafe { sys::rd_kafka_event_type(event.as_ptr()) };
        Some(match kind {
            sys::RD_KAFKA_EVENT_FETCH => {
                record(&event).unwrap_or(Arrival::Client(ClientReport::Other))
            }
            sys::RD_KAFKA_EVENT_ERROR => failure(&event),
            _ => Arrival::Client(event.report()),
        })
    }

    /// Makes a poll that is under way return.
    pub(in crate::kafka) fn wake(&self) {
        self.queue.wake();
    }
}

/// A topic of a client. Must be dropped before its [`Handle`].
struct Topic(NonNull<sys::rd_kafka_topic_t>);

// SAFETY: a topic object may be used and destroyed by any thread.
unsafe impl Send for Topic {}
// SAFETY: a topic object locks itself.
unsafe impl Sync for Topic {}

impl Topic {
    fn new(handle: &Handle, name: &str) -> Result<Self, String> {
        let name = text::c_string(name);
        // SAFETY: the client is live, the name is copied, and no configuration means the client's own.
        let topic = unsafe {
            sys::rd_kafka_topic_new(handle.as_ptr(), name.as_ptr(), std::ptr::null_mut())
        };
        NonNull::new(topic)
            .map(Self)
            .ok_or_else(|| codes::last().message)
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) };
    }
}

/// Copies the record of a fetch event.
fn record(event: &NativeEvent) -> Option<Arrival> {
    // SAFETY: the event is live; the message is owned by it.
    let message = unsafe { sys::rd_kafka_event_message_next(event.as_ptr()) };
    let message = NonNull::new(message.cast_mut())?;
    // SAFETY: not null, and live while its event is. Its error field is not read: it may be no valid enum.
    let fields = unsafe { &*message.as_ptr().cast::<MessageFields>() };
    let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is live; the kind is written.
    let timestamp = unsafe { sys::rd_kafka_message_timestamp(message.as_ptr(), &raw mut kind) };
    let record = LogRecord {
        offset: Offset::new(fields.offset)?,
        timestamp_ms: (timestamp >= 0).then_some(timestamp),
        // SAFETY: null or so many bytes, owned by the message.
        key: unsafe { bytes(fields.key, fields.key_len) },
        // SAFETY: as above.
        value: unsafe { bytes(fields.payload, fields.len) },
    };
    Some(Arrival::Record(PartitionId(fields.partition), record))
}

/// `rd_kafka_message_t` with its error as a number.
#[repr(C)]
struct MessageFields {
    err: std::ffi::c_int,
    topic: *mut sys::rd_kafka_topic_t,
    partition: i32,
    payload: *const u8,
    len: usize,
    key: *const u8,
    key_len: usize,
    offset: i64,
}

/// Copies bytes; nothing for null.
///
/// # Safety
///
/// `first` is null or points to `length` valid bytes.
unsafe fn bytes(first: *const u8, length: usize) -> Option<Vec<u8>> {
    if first.is_null() {
        return None;
    }
    // SAFETY: not null, so valid by the caller's promise.
    Some(unsafe { slice::from_raw_parts(first, length) }.to_vec())
}

/// Returns what an error event says: of one partition, or of the client as a whole.
fn failure(event: &NativeEvent) -> Arrival {
    let error = match event.error() {
        Ok(()) => NativeError::of(0),
        Err(error) => error,
    };
    // SAFETY: the event is live; the object returned is ours.
    let place = unsafe { sys::rd_kafka_event_topic_partition(event.as_ptr()) };
    let Some(place) = NonNull::new(place) else {
        return Arrival::Error(None, error);
    };
    // SAFETY: not null, and live until destroyed below.
    let partition = unsafe { (*place.as_ptr()).partition };
    // SAFETY: as above.
    let offset = unsafe { (*place.as_ptr()).offset };
    // SAFETY: owned, and destroyed once.
    unsafe { sys::rd_kafka_topic_partition_destroy(place.as_ptr()) };
    let partition = PartitionId(partition);
    match (error.code, Offset::new(offset)) {
        (PARTITION_EOF, Some(offset)) => Arrival::End(partition, offset),
        _ => Arrival::Error(Some(partition), error),
    }
}
