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
mod config;
mod events;
mod guard;
mod negotiate;
mod ready;
mod respond;
mod routes;
mod seat;
mod server;
mod stream;
mod web_config;

pub use config::{HttpConfig, Limits};
pub use ready::{Readiness, readiness};
pub use respond::Sources;
pub use routes::{HttpError, check_telemetry_path};
pub use server::run;
pub use web_config::{WebConfig, WebConfigError};
