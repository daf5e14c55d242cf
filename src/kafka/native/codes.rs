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

/// A failed call of librdkafka: its code, as a number, and one line for people.
#[derive(Debug)]
pub(in crate::kafka) struct NativeError {
    pub(in crate::kafka) code: i32,
    pub(in crate::kafka) message: String,
}

impl NativeError {
    /// Returns an error with librdkafka's own sentence for `code`.
    pub(super) fn of(code: i32) -> Self {
        Self {
            code,
            message: describe(code),
        }
    }
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

/// Returns the error of the last function of this thread that reports its error in this way.
pub(super) fn last() -> NativeError {
    // SAFETY: takes no argument and reads a number of this thread.
    let code = unsafe { rd_kafka_last_error() };
    NativeError::of(code)
}

/// Returns the error an event carries, if it carries one.
///
/// # Safety
///
/// `event` is a live event.
pub(super) unsafe fn of_event(event: *mut sys::rd_kafka_event_t) -> Result<(), NativeError> {
    // SAFETY: a live event by the caller's promise.
    let code = unsafe { rd_kafka_event_error(event) };
    if code == 0 {
        return Ok(());
    }
    // SAFETY: as above.
    let message = unsafe { sys::rd_kafka_event_error_string(event) };
    // SAFETY: null or a string owned by the event, copied here.
    let message = unsafe { text::lossy_opt(message) };
    Err(match message {
        Some(message) if !message.is_empty() => NativeError { code, message },
        _ => NativeError::of(code),
    })
}

/// Returns the error that a field of a librdkafka struct holds.
///
/// # Safety
///
/// `field` points to a readable error code, whatever its number.
pub(super) unsafe fn of_field(field: *const sys::rd_kafka_resp_err_t) -> Result<(), NativeError> {
    // SAFETY: readable by the caller's promise; read as a number because an unknown one is no valid enum.
    let code = unsafe { field.cast::<c_int>().read() };
    if code == 0 {
        return Ok(());
    }
    Err(NativeError::of(code))
}
