//! The server: what this process knows, over HTTP. No route changes anything.
//!
//! | route | answers |
//! | --- | --- |
//! | `/` | the state of every cluster and this table, as a page |
//! | `/metrics` (or as configured) | everything, as Prometheus text 0.0.4 or OpenMetrics 1.0, plain, gzip or zstd |
//! | `/healthz` | 200 for as long as the process serves, whatever Kafka does |
//! | `/readyz` | 200, or 503 and why: a cluster was not read yet, or not for too long |
//! | `/api/v1/clusters` | the clusters, as JSON |
//! | `/api/v1/groups` | the groups; `?cluster=`, `?limit=` (1000, at most 10000), `?offset=` |
//! | `/api/v1/groups/{group}` | one group with its members and partitions; `?cluster=` |
//! | `/api/v1/events` | the newest commits and rebalances; `?cluster=`, `?group=`, `?kind=commit` or `rebalance`, `?limit=` (100, at most 10000), `?after=` an event's id; as server-sent events where `text/event-stream` is accepted |
//! | `/openapi.json` | the description of the API |
//!
//! `GET` and `HEAD` alone are served. A request's body is ignored. Where a [`WebConfig`] names users, every route asks
//! for one of them.

mod api;
mod body;
mod events;
mod guard;
mod negotiate;
mod ready;
mod respond;
mod routes;
mod server;
mod stream;
mod web_config;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::metrics::OwnMetrics;
use crate::snapshot::{EventLog, SnapshotStore};

pub use ready::{Readiness, readiness};
pub use server::run;
pub use web_config::{WebConfig, WebConfigError};

/// What the server tells of.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The newest snapshots.
    pub store: Arc<SnapshotStore>,
    /// The newest events.
    pub events: EventLog,
    /// What this process counts.
    pub own: OwnMetrics,
}

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

/// Why the server cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The path does not begin with a slash, or has characters that paths do not have.
    #[error("telemetry path `{path}` is not a path such as `/metrics`")]
    NotAPath {
        /// As configured.
        path: String,
    },
    /// Another route has the path.
    #[error("telemetry path `{path}` is taken by another route")]
    PathTaken {
        /// As configured.
        path: String,
    },
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
