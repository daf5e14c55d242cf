//! An owned event: something that was fetched, or that the client reports by itself.

use std::ptr::{self, NonNull};

use rdkafka_sys as sys;

use super::codes::{self, NativeError};
use super::text;

/// An event taken from a queue; destroyed when dropped, with everything that points into it.
pub(super) struct NativeEvent(NonNull<sys::rd_kafka_event_t>);

/// What the client reports by itself.
pub(in crate::kafka) enum ClientReport {
    /// A line of librdkafka's log, with syslog's level, 0 to 7.
    Log {
        level: i32,
        facility: String,
        line: String,
    },
    /// The client's own statistics, as JSON.
    Statistics(String),
    /// Something that is not needed here.
    Other,
}

impl NativeEvent {
    /// Takes ownership of an event; nothing for null.
    pub(super) fn from_ptr(event: *mut sys::rd_kafka_event_t) -> Option<Self> {
        NonNull::new(event).map(Self)
    }

    /// Returns the pointer, valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// Returns the error of the event as a whole, where it carries one.
    pub(super) fn error(&self) -> Result<(), NativeError> {
        // SAFETY: the event is live.
        unsafe { codes::of_event(self.as_ptr()) }
    }

    /// Returns what the client reports by the event; its texts are copied.
    pub(super) fn report(&self) -> ClientReport {
        // SAFETY: the event is live.
        let kind = unsafe { sys::rd_kafka_event_type(self.as_ptr()) };
        match kind {
            sys::RD_KAFKA_EVENT_LOG => self.log(),
            sys::RD_KAFKA_EVENT_STATS => {
                // SAFETY: the event is live and of this type.
                let json = unsafe { sys::rd_kafka_event_stats(self.as_ptr()) };
                // SAFETY: a string owned by the event, copied here.
                ClientReport::Statistics(unsafe { text::lossy(json) })
            }
            _ => ClientReport::Other,
        }
    }

    fn log(&self) -> ClientReport {
        let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event is live; the pointers written are owned by it.
        let outcome = unsafe {
            sys::rd_kafka_event_log(
                self.as_ptr(),
                &raw mut facility,
                &raw mut line,
                &raw mut level,
            )
        };
        if outcome != 0 {
            return ClientReport::Other;
        }
        // SAFETY: written by the call above, owned by the event, copied here.
        let facility = unsafe { text::lossy(facility) };
        // SAFETY: as above.
        let line = unsafe { text::lossy(line) };
        ClientReport::Log {
            level,
            facility,
            line,
        }
    }
}

impl Drop for NativeEvent {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}
