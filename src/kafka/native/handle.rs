//! An owned librdkafka client and its queue.

use std::mem;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka_sys as sys;

use super::conf::Conf;
use super::event::NativeEvent;
use super::text::ErrorText;

/// `RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE`: no client here is a member of a group when it is destroyed.
const NO_CONSUMER_CLOSE: i32 = 0x8;

/// What a client is for. It decides only which requests librdkafka sends of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    /// Asks; never creates a topic by mentioning it.
    Consumer,
    /// Is the home of a mock cluster.
    Producer,
}

/// A librdkafka client. Destroying it may block for as long as its threads need to end.
pub(in crate::kafka) struct Handle(NonNull<sys::rd_kafka_t>);

// SAFETY: librdkafka's client may be used and destroyed by any thread.
unsafe impl Send for Handle {}
// SAFETY: every function that takes a client synchronises by itself ("completely thread-safe", INTRODUCTION.md).
unsafe impl Sync for Handle {}

impl Handle {
    /// Starts a client: its threads run, and connect where bootstrap servers are set.
    pub(super) fn new(conf: Conf, client_type: ClientType) -> Result<Self, String> {
        let client_type = match client_type {
            ClientType::Consumer => sys::rd_kafka_type_t::RD_KAFKA_CONSUMER,
            ClientType::Producer => sys::rd_kafka_type_t::RD_KAFKA_PRODUCER,
        };
        let mut reason = ErrorText::new();
        // SAFETY: the configuration is live; the buffer has the size it says.
        let handle = unsafe {
            sys::rd_kafka_new(
                client_type,
                conf.as_ptr(),
                reason.as_mut_ptr(),
                reason.size(),
            )
        };
        let handle = NonNull::new(handle).ok_or_else(|| reason.to_string())?;
        // A client that was made owns its configuration.
        mem::forget(conf);
        Ok(Self(handle))
    }

    /// Checks that a client can be made of `conf`; it connects to nobody.
    ///
    /// # Errors
    ///
    /// librdkafka's words where properties contradict each other or a file they name cannot be used.
    pub(in crate::kafka) fn check(mut conf: Conf) -> Result<(), String> {
        // What it logs goes to a queue that nobody reads, not to standard error.
        conf.set("log.queue", "true")
            .expect("a property of librdkafka");
        Self::new(conf, ClientType::Consumer).map(drop)
    }

    /// Returns the pointer, valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_t {
        self.0.as_ptr()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once; queues and events of it are gone by the field order of their owners.
        unsafe { sys::rd_kafka_destroy_flags(self.0.as_ptr(), NO_CONSUMER_CLOSE) };
    }
}

/// A queue of a client's events. Must be dropped before its [`Handle`].
pub(super) struct Queue(NonNull<sys::rd_kafka_queue_t>);

// SAFETY: a queue may be used and destroyed by any thread.
unsafe impl Send for Queue {}
// SAFETY: a queue locks itself.
unsafe impl Sync for Queue {}

impl Queue {
    /// Returns a new queue.
    pub(super) fn new(handle: &Handle) -> Self {
        // SAFETY: the client is live; the queue is owned by `Self`.
        let queue = unsafe { sys::rd_kafka_queue_new(handle.as_ptr()) };
        Self(NonNull::new(queue).expect("librdkafka aborts when it is out of memory"))
    }

    /// Returns a new queue that also gets what would go to the client's main queue: logs, errors and statistics.
    pub(super) fn for_everything_of(handle: &Handle) -> Self {
        let queue = Self::new(handle);
        // SAFETY: the client is live; the reference is given back below.
        let main = unsafe { sys::rd_kafka_queue_get_main(handle.as_ptr()) };
        // SAFETY: both queues are live; the main queue keeps its own reference to the other one.
        unsafe { sys::rd_kafka_queue_forward(main, queue.as_ptr()) };
        // SAFETY: gives back the reference taken above.
        unsafe { sys::rd_kafka_queue_destroy(main) };
        // SAFETY: client and queue are live. Fails only without `log.queue`, and then logs go nowhere.
        unsafe { sys::rd_kafka_set_log_queue(handle.as_ptr(), queue.as_ptr()) };
        queue
    }

    /// Waits for the next event.
    pub(super) fn poll(&self, timeout: Duration) -> Option<NativeEvent> {
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is live; the event is owned by the value made of it.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0.as_ptr(), timeout_ms) };
        NativeEvent::from_ptr(event)
    }

    /// Makes a thread that waits in [`Self::poll`] return at once.
    pub(super) fn wake(&self) {
        // SAFETY: the queue is live.
        unsafe { sys::rd_kafka_queue_yield(self.0.as_ptr()) };
    }

    /// Returns the pointer, valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.0.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once, before its client.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}
