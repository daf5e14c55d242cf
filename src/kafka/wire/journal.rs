//! What goes wrong with connections: logged once, and kept as the reason of a timeout.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::kafka::error::{ErrorCode, KafkaError};
use crate::kafka::log::ClientLog;

/// How long a failure is offered as the reason of a timeout.
const RECENT: Duration = Duration::from_secs(60);

/// What goes wrong with the connections to a cluster.
#[derive(Debug, Default)]
pub(super) struct ConnectionJournal {
    log: Mutex<ClientLog>,
    last: Mutex<Option<(Instant, KafkaError)>>,
}

impl ConnectionJournal {
    /// Notes that a connection could not be made, or broke. The same failure is logged once a minute.
    pub(super) fn failed(&self, error: &KafkaError) {
        if self.is_news(error.code.name(), &error.message) {
            warn!(target: "kafka", error = error.code.name(), "{}; trying again", error.message);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), error.clone()));
    }

    /// Keeps the error of a request that timed out as the reason for later failures, unless a connection's failure explains more.
    /// It is not logged here: the link logs the end of its connection.
    pub(super) fn late(&self, error: &KafkaError) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last
            .as_ref()
            .is_none_or(|(when, _)| when.elapsed() >= RECENT)
        {
            *last = Some((Instant::now(), error.clone()));
        }
    }

    /// Notes that a connection is there again after failures.
    pub(super) fn recovered(&self, broker: &str) {
        let line = format!("connected to broker `{broker}` again");
        if self.is_news("recovered", &line) {
            info!(target: "kafka", "{line}");
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns whether a line was not logged within the last minute, and remembers it.
    fn is_news(&self, facility: &str, line: &str) -> bool {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.is_news(facility, line, Instant::now())
    }

    /// Returns the newest failure, if that was less than a minute ago.
    pub(super) fn recent(&self) -> Option<KafkaError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, error) = last.as_ref()?;
        (when.elapsed() < RECENT).then(|| error.clone())
    }

    /// Adds the newest failure to an error that only says that nobody answered.
    pub(super) fn explain(&self, error: KafkaError) -> KafkaError {
        if error.code != ErrorCode::TIMED_OUT && error.code != ErrorCode::ALL_BROKERS_DOWN {
            return error;
        }
        match self.recent() {
            Some(cause) if !error.message.contains(&cause.message) => KafkaError {
                message: format!("{}; {}", error.message, cause.message),
                ..error
            },
            _ => error,
        }
    }
}
