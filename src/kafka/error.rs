//! Errors of Kafka and of its client, by Kafka's own names.

use std::fmt;

use thiserror::Error;

/// A failed Kafka call: its code and one line for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} (`{code}`)")]
pub struct KafkaError {
    /// What went wrong, in a form that can be compared and counted.
    pub code: ErrorCode,
    /// What librdkafka or the broker says of it. Never holds a credential.
    pub message: String,
}

/// An error code of the Kafka protocol (0 or more) or of librdkafka (below 0).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(i32);

impl ErrorCode {
    /// The deadline passed, at the broker (7) or here (librdkafka's -185).
    pub const TIMED_OUT: Self = Self(-185);
    /// The broker does not know this request (librdkafka's -165).
    pub const UNSUPPORTED_FEATURE: Self = Self(-165);

    /// Returns the code's number.
    pub fn value(self) -> i32 {
        self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
