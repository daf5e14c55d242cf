//! What the SASL mechanisms have in common: the next step of a client, and the errors of a log-in.

use std::fmt;

use crate::kafka::error::{ErrorCode, KafkaError};

/// How much of a broker's own words an error quotes, in characters.
const QUOTED: usize = 200;

/// What the client does next.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::kafka) enum SaslStep {
    /// It sends these bytes, and waits for the broker's.
    Send(Vec<u8>),
    /// It is logged in, unless the broker says otherwise.
    Done,
}

impl fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The bytes may be a password.
            Self::Send(bytes) => write!(f, "Send([{} bytes redacted])", bytes.len()),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// Returns the error of a log-in that has failed.
pub(super) fn failed(mechanism: &str, reason: impl fmt::Display) -> KafkaError {
    KafkaError {
        code: ErrorCode::AUTHENTICATION,
        message: format!("SASL {mechanism} authentication failed: {reason}"),
    }
}

/// Returns the error of a log-in that the broker refuses in its own words.
pub(super) fn refused(mechanism: &str, answer: &[u8]) -> KafkaError {
    let answer = String::from_utf8_lossy(answer);
    let words: String = answer
        .chars()
        .take(QUOTED)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    failed(mechanism, format!("broker responded with `{words}`"))
}
