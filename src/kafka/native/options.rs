//! The options of one call: its deadline, the broker it goes to, what it asks for.

use std::ptr;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka_sys as sys;

use super::client::Client;
use super::codes;
use super::handle::Handle;
use super::text::ErrorText;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, Isolation};

/// The longest deadline librdkafka accepts.
const LONGEST: Duration = Duration::from_secs(3_600);

/// The shortest deadline librdkafka can count.
const SHORTEST: Duration = Duration::from_millis(1);

/// Options for one kind of call.
pub(super) struct Options {
    options: NonNull<sys::rd_kafka_AdminOptions_t>,
    timeout: Duration,
}

// SAFETY: a plain object of its own, which refers neither to a thread nor, once it is made, to a client.
unsafe impl Send for Options {}

impl Options {
    /// Returns options for calls of `kind` that librdkafka gives up after `timeout`.
    pub(super) fn new(
        client: &Client,
        kind: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        // At least a millisecond: without any time, a call would not even begin.
        let timeout = timeout.clamp(SHORTEST, LONGEST);
        Self::within(&client.live().handle, kind, timeout)
    }

    /// Returns options for a call, of a group's offsets, that ends before it begins.
    pub(super) fn expired(handle: &Handle) -> Result<Self, KafkaError> {
        let kind = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
        Self::within(handle, kind, Duration::ZERO)
    }

    fn within(
        handle: &Handle,
        kind: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        // SAFETY: the client is live; the options are owned by `Self`.
        let options = unsafe { sys::rd_kafka_AdminOptions_new(handle.as_ptr(), kind) };
        let options = Self {
            options: NonNull::new(options).ok_or_else(|| KafkaError::of(ErrorCode::INVALID_ARG))?,
            timeout,
        };
        let timeout_ms = i32::try_from(timeout.as_millis()).expect("an hour at most");
        let mut reason = ErrorText::new();
        // SAFETY: the options are live; the buffer has the size it says.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.options.as_ptr(),
                timeout_ms,
                reason.as_mut_ptr(),
                reason.size(),
            )
        };
        accepted(code, &reason)?;
        Ok(options)
    }

    /// Sends the call to this broker, whichever librdkafka would choose.
    pub(super) fn at_broker(self, BrokerId(broker): BrokerId) -> Result<Self, KafkaError> {
        let mut reason = ErrorText::new();
        // SAFETY: the options are live; the buffer has the size it says.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_broker(
                self.options.as_ptr(),
                broker,
                reason.as_mut_ptr(),
                reason.size(),
            )
        };
        accepted(code, &reason)?;
        Ok(self)
    }

    /// Asks for the ends of logs as a consumer of this isolation level sees them.
    pub(super) fn isolated(self, isolation: Isolation) -> Result<Self, KafkaError> {
        let level = match isolation {
            Isolation::ReadUncommitted => {
                sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
            }
            Isolation::ReadCommitted => {
                sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
            }
        };
        // SAFETY: the options are live.
        let error =
            unsafe { sys::rd_kafka_AdminOptions_set_isolation_level(self.options.as_ptr(), level) };
        consumed(error)?;
        Ok(self)
    }

    /// Has a described group tell what may be done with it.
    pub(super) fn telling_rights(self) -> Result<Self, KafkaError> {
        // SAFETY: the options are live.
        let error = unsafe {
            sys::rd_kafka_AdminOptions_set_include_authorized_operations(self.options.as_ptr(), 1)
        };
        consumed(error)?;
        Ok(self)
    }

    /// Lists only groups in these states; all where there are none.
    pub(super) fn in_states(
        self,
        states: &[sys::rd_kafka_consumer_group_state_t],
    ) -> Result<Self, KafkaError> {
        if states.is_empty() {
            return Ok(self);
        }
        // SAFETY: the options are live; the array is copied.
        let error = unsafe {
            sys::rd_kafka_AdminOptions_set_match_consumer_group_states(
                self.options.as_ptr(),
                states.as_ptr(),
                states.len(),
            )
        };
        consumed(error)?;
        Ok(self)
    }

    /// Lists only groups of these types; all where there are none.
    pub(super) fn of_types(
        self,
        types: &[sys::rd_kafka_consumer_group_type_t],
    ) -> Result<Self, KafkaError> {
        if types.is_empty() {
            return Ok(self);
        }
        // SAFETY: the options are live; the array is copied.
        let error = unsafe {
            sys::rd_kafka_AdminOptions_set_match_consumer_group_types(
                self.options.as_ptr(),
                types.as_ptr(),
                types.len(),
            )
        };
        consumed(error)?;
        Ok(self)
    }

    /// Returns when librdkafka gives up, from the moment the call is sent.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Marks the options with a call's number and returns them, valid while `self` lives; librdkafka copies them.
    pub(super) fn for_call(&self, call: usize) -> *const sys::rd_kafka_AdminOptions_t {
        // A number in a pointer's clothes: librdkafka hands it back and nobody follows it.
        let opaque = ptr::without_provenance_mut(call);
        // SAFETY: the options are live; librdkafka never reads what the opaque points to.
        unsafe { sys::rd_kafka_AdminOptions_set_opaque(self.options.as_ptr(), opaque) };
        self.as_ptr()
    }

    /// Returns the pointer, valid while `self` lives.
    pub(super) fn as_ptr(&self) -> *const sys::rd_kafka_AdminOptions_t {
        self.options.as_ptr()
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.options.as_ptr()) };
    }
}

fn accepted(code: sys::rd_kafka_resp_err_t, reason: &ErrorText) -> Result<(), KafkaError> {
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    Err(KafkaError {
        code: ErrorCode::new(code as i32),
        message: reason.to_string(),
    })
}

/// Copies an owned error object and destroys it; null is success.
fn consumed(error: *mut sys::rd_kafka_error_t) -> Result<(), KafkaError> {
    // SAFETY: null or a live error object that this function owns.
    let outcome = unsafe { codes::of_error(error) };
    if !error.is_null() {
        // SAFETY: owned, and destroyed once; `outcome` is a copy.
        unsafe { sys::rd_kafka_error_destroy(error) };
    }
    outcome
}
