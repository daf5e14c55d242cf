//! What the client says of its own accord: its log, its statistics, and what is wrong with it as a whole.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::kafka::error::{ErrorCode, KafkaError};
use crate::kafka::log::ClientLog;
use crate::kafka::native::client::Observer;
use crate::kafka::requests::{RequestObserver, RequestTotals};

/// How long a client error is offered as the reason of a timeout.
const RECENT: Duration = Duration::from_secs(60);

/// The newest thing that went wrong with the client as a whole.
#[derive(Debug, Default)]
pub(super) struct LastError(Mutex<Option<(Instant, KafkaError)>>);

impl LastError {
    fn set(&self, error: KafkaError, now: Instant) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_reason = last
            .as_ref()
            .is_some_and(|(when, _)| now.saturating_duration_since(*when) < RECENT);
        // It follows every other error when there is but one broker, and says less.
        if error.code == ErrorCode::ALL_BROKERS_DOWN && has_reason {
            return;
        }
        *last = Some((now, error));
    }

    pub(super) fn recent(&self, now: Instant) -> Option<KafkaError> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, error) = last.as_ref()?;
        (now.saturating_duration_since(*when) < RECENT).then(|| error.clone())
    }
}

/// Hears the client on its own thread.
pub(super) struct ClientObserver {
    log: ClientLog,
    totals: RequestTotals,
    requests: Box<dyn RequestObserver>,
    last_error: Arc<LastError>,
}

impl ClientObserver {
    pub(super) fn new(requests: impl RequestObserver, last_error: Arc<LastError>) -> Self {
        Self {
            log: ClientLog::default(),
            totals: RequestTotals::default(),
            requests: Box::new(requests),
            last_error,
        }
    }
}

impl Observer for ClientObserver {
    fn log(&mut self, level: i32, facility: &str, line: &str) {
        if !is_said_elsewhere(level, facility, line) {
            self.log.line(level, facility, line, Instant::now());
        }
    }

    fn error(&mut self, error: KafkaError) {
        let now = Instant::now();
        self.log.line(4, error.code.name(), &error.message, now);
        self.last_error.set(error, now);
    }

    fn statistics(&mut self, json: &str) {
        self.totals.read(json, &*self.requests);
    }
}

/// Tells whether a line is no news: a broken connection is also told as an error, which has a code, and bootstrap servers
/// are added after the client has missed them.
fn is_said_elsewhere(level: i32, facility: &str, line: &str) -> bool {
    (facility == "FAIL" && level <= 3)
        || (facility == "CONFWARN" && line.contains("No `bootstrap.servers` configured"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_error_with_a_reason_is_kept_for_a_minute() {
        let last = LastError::default();
        let start = Instant::now();
        assert_eq!(last.recent(start), None);
        let down = KafkaError::of(ErrorCode::ALL_BROKERS_DOWN);
        last.set(down.clone(), start);
        assert_eq!(last.recent(start), Some(down.clone()));
        let resolve = KafkaError::of(ErrorCode::RESOLVE);
        last.set(resolve.clone(), start);
        last.set(down.clone(), start);
        assert_eq!(last.recent(start), Some(resolve));
        let later = start + RECENT;
        assert_eq!(last.recent(later), None);
        last.set(down.clone(), later);
        assert_eq!(last.recent(later), Some(down));
    }
}
