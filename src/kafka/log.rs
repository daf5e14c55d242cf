//! librdkafka's own log lines, through tracing with the target `librdkafka`.
//!
//! A client that cannot connect says so several times a second; here every line is logged at most once a minute.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;

use super::connection::Connection;

/// How long a line is not repeated.
const QUIET: Duration = Duration::from_secs(60);

/// How many lines are remembered; beyond that, everything is forgotten and may be said again.
const MOST_LINES: usize = 256;

/// Returns how much a client of rdkafka's shall say; by itself rdkafka asks the `log` crate, which is not used here.
pub(super) fn log_level(connection: &Connection) -> RDKafkaLogLevel {
    if connection.properties.contains_key("debug") {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Info
    }
}

/// Decides which lines are news, and logs them.
#[derive(Debug, Default)]
pub(super) struct ClientLog {
    said: HashMap<u64, Instant>,
}

impl ClientLog {
    /// Logs a line unless the same was logged within the last minute. `level` is syslog's, 0 to 7.
    pub(super) fn line(&mut self, level: i32, facility: &str, line: &str, now: Instant) {
        // Debugging is asked for explicitly, and then every line counts.
        if level < 7 && !self.is_news(facility, line, now) {
            return;
        }
        match level {
            // An error of one connection is no error of this process: it is retried, and callers are told.
            ..=4 => tracing::warn!(target: "librdkafka", facility, "{line}"),
            5 | 6 => tracing::info!(target: "librdkafka", facility, "{line}"),
            _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    pub(super) fn is_news(&mut self, facility: &str, line: &str, now: Instant) -> bool {
        let key = fingerprint(facility, line);
        if let Some(said) = self.said.get(&key)
            && now.saturating_duration_since(*said) < QUIET
        {
            return false;
        }
        if self.said.len() >= MOST_LINES {
            self.said.clear();
        }
        self.said.insert(key, now);
        true
    }
}

/// Hashes a line without its figures: durations, ports and counts make the same news look different.
fn fingerprint(facility: &str, line: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    facility.hash(&mut hasher);
    // What comes before the first parenthesis is the news; behind it are durations and repetitions.
    let news = line.split_once(" (").map_or(line, |(news, _)| news);
    news.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_line_is_news_once_a_minute() {
        let mut log = ClientLog::default();
        let start = Instant::now();
        let refused = |ms: u32| {
            format!(
                "localhost:1/1: Connect to 127.0.0.1:1 failed: Connection refused (after {ms}ms in state CONNECT)"
            )
        };
        assert!(log.is_news("FAIL", &refused(0), start));
        assert!(!log.is_news("FAIL", &refused(7), start + Duration::from_secs(59)));
        assert!(log.is_news("FAIL", &refused(3), start + Duration::from_secs(60)));
    }

    #[test]
    fn different_lines_do_not_silence_each_other() {
        let mut log = ClientLog::default();
        let now = Instant::now();
        assert!(log.is_news("FAIL", "localhost:1/1: Disconnected", now));
        assert!(log.is_news("FAIL", "localhost:2/2: Disconnected", now));
        assert!(log.is_news("ERROR", "localhost:1/1: Disconnected", now));
    }

    #[test]
    fn the_memory_of_lines_is_bounded() {
        let mut log = ClientLog::default();
        let now = Instant::now();
        for line in 0..10_000 {
            log.is_news("FAIL", &format!("line {line}"), now);
        }
        assert!(log.said.len() <= MOST_LINES);
    }
}
