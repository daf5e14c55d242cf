//! Error codes and their names.
//!
//! A broker may send a code that is younger than this librdkafka. The generated bindings type codes as a Rust enum,
//! for which such a number would be undefined behaviour; here they are read as plain numbers.

use std::collections::HashMap;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::LazyLock;

use rdkafka_sys as sys;

use super::text;
use crate::kafka::error::{ErrorCode, KafkaError};

unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
    fn rd_kafka_last_error() -> c_int;
    fn rd_kafka_err2str(code: c_int) -> *const c_char;
    fn rd_kafka_get_err_descs(descriptions: *mut *const Description, count: *mut usize);
}

/// `struct rd_kafka_err_desc` with the code as a number.
#[repr(C)]
struct Description {
    code: c_int,
    name: *const c_char,
    description: *const c_char,
}

/// Every code librdkafka knows, and Kafka's name of it.
static NAMES: LazyLock<HashMap<i32, &'static str>> = LazyLock::new(|| {
    let mut descriptions: *const Description = ptr::null();
    let mut count = 0;
    // SAFETY: writes a pointer to a table that lives as long as the process, and its length.
    unsafe { rd_kafka_get_err_descs(&raw mut descriptions, &raw mut count) };
    // SAFETY: the table and its length as just returned; it is constant data.
    let table = unsafe { std::slice::from_raw_parts(descriptions, count) };
    table
        .iter()
        .filter_map(|entry| {
            // SAFETY: names are string literals of librdkafka; gaps in the table have none.
            let name = unsafe { text::static_str(entry.name) }?;
            Some((entry.code, name))
        })
        .collect()
});

impl From<rdkafka::types::RDKafkaErrorCode> for ErrorCode {
    fn from(code: rdkafka::types::RDKafkaErrorCode) -> Self {
        Self::new(code as i32)
    }
}

impl From<&rdkafka::error::KafkaError> for KafkaError {
    fn from(error: &rdkafka::error::KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(code) => Self::of(ErrorCode::from(code)),
            None => Self {
                code: ErrorCode::INVALID_ARG,
                message: error.to_string(),
            },
        }
    }
}

/// Returns Kafka's name of a code, or nothing where this librdkafka does not know it.
pub(in crate::kafka) fn name(code: i32) -> Option<&'static str> {
    NAMES.get(&code).copied()
}

/// Returns librdkafka's sentence for a code: `Broker: Not coordinator`.
pub(in crate::kafka) fn describe(code: i32) -> String {
    // SAFETY: any number is allowed; the text is constant or thread-local and copied at once.
    let description = unsafe { rd_kafka_err2str(code) };
    // SAFETY: a valid C string as just returned.
    unsafe { text::lossy(description) }
}

/// Returns the error of the newest function of this thread that tells its error so.
pub(super) fn last() -> KafkaError {
    // SAFETY: takes no argument and reads a number of this thread.
    let code = unsafe { rd_kafka_last_error() };
    error(code, None)
}

/// Returns the error an event carries, if it carries one.
///
/// # Safety
///
/// `event` is a live event.
pub(super) unsafe fn of_event(event: *mut sys::rd_kafka_event_t) -> Result<(), KafkaError> {
    // SAFETY: a live event by the caller's promise.
    let code = unsafe { rd_kafka_event_error(event) };
    if code == 0 {
        return Ok(());
    }
    // SAFETY: as above.
    let message = unsafe { sys::rd_kafka_event_error_string(event) };
    // SAFETY: null or a string owned by the event, copied here.
    let message = unsafe { text::lossy_opt(message) };
    Err(error(code, message))
}

/// Returns the error that a field of a librdkafka struct holds.
///
/// # Safety
///
/// `field` points to a readable error code, whatever its number.
pub(super) unsafe fn of_field(field: *const sys::rd_kafka_resp_err_t) -> Result<(), KafkaError> {
    // SAFETY: readable by the caller's promise; read as a number because an unknown one is no valid enum.
    let code = unsafe { field.cast::<c_int>().read() };
    if code == 0 {
        return Ok(());
    }
    Err(error(code, None))
}

fn error(code: i32, message: Option<String>) -> KafkaError {
    KafkaError {
        code: ErrorCode::new(code),
        message: message
            .filter(|message| !message.is_empty())
            .unwrap_or_else(|| describe(code)),
    }
}
