//! Collecting a cluster: polling it through [`Admin`](crate::kafka::Admin) and publishing snapshots.
//!
//! `fetch` asks, `build` decides what the answers mean for each row, [`Poller`] does both on a schedule. Kafka's
//! protocol and the arithmetic of lag belong elsewhere.

mod build;
mod config;
mod failure;
mod fetch;
mod filter;
mod poller;
mod reporter;
mod schedule;

pub use config::{LogScope, PollConfig};
pub use filter::{Filter, PatternError, PatternList, Patterns};
pub use poller::Poller;

#[cfg(test)]
mod tests;
