//! How the server behaves, and the limits that keep clients from using it up.

use std::time::Duration;

use super::web_config::WebConfig;

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where metrics are scraped: a path that no other route has.
    pub telemetry_path: String,
    /// TLS, users and headers; nothing: plain HTTP for everybody.
    pub web_config: Option<WebConfig>,
    /// What clients may take up.
    pub limits: Limits,
}

/// Bounds on what clients may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections; one more is closed at once.
    pub max_connections: usize,
    /// Size of a request's line and headers together, in bytes.
    pub max_header_bytes: usize,
    /// From the first byte of a request, or from the connection's start, to the end of its headers. A TLS handshake
    /// comes before, and has as long.
    pub header_timeout: Duration,
    /// From the end of an answer to the next request on the same connection.
    pub idle_timeout: Duration,
    /// From the moment a client reads slower than it is written to, to the end of the answer; on an event stream, until
    /// it has read what was written.
    pub write_timeout: Duration,
    /// Event streams at once; one more is answered 503.
    pub max_event_streams: usize,
    /// After how much silence an event stream says that it is still there.
    pub event_heartbeat: Duration,
    /// From the shutdown to the end of the last answer.
    pub drain_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            web_config: None,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            max_header_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            // Longer than the usual scrape interval, so that a scraper keeps its connection.
            idle_timeout: Duration::from_secs(150),
            write_timeout: Duration::from_secs(30),
            max_event_streams: 64,
            event_heartbeat: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
