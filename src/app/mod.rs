//! Builds and wires everything: configuration, start-up and shutdown order, reload.
//!
//! Nothing here parses a command line or prints; that is `cli`.

pub mod check;
pub mod config;
pub mod consume;
pub mod consumer;
pub mod demo;
pub mod describe;
pub mod health;
pub mod listen;
pub mod logging;
pub mod produce;
pub mod serve;
pub mod service;
pub mod signals;
pub mod stage;
pub mod watch;

pub use crate::kafka::{share_heaps, skip_tls_cleanup};

use std::time::Duration;

/// How long a Kafka client may take to close. Where Kafka is there it takes milliseconds; where it is away, the calls that
/// the client still owes would have to reach their deadlines, and nothing is won by waiting for them.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
