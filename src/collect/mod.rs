//! Collecting a cluster: polling it through [`Admin`](crate::kafka::Admin) and publishing snapshots.
//!
//! `fetch` asks, `build` decides what the answers mean for each row, [`Poller`] does both on a schedule. Kafka's
//! protocol and the arithmetic of lag belong elsewhere.

mod ages;
mod build;
mod config;
mod failure;
mod fetch;
mod filter;
mod incarnations;
mod judging;
mod kinds;
mod live;
mod memory;
mod news;
mod places;
mod poller;
mod renewal;
mod reporter;
mod schedule;
mod sharing;
mod standings;
mod stream;

pub use config::{LogScope, Mode, PollConfig};
pub use filter::{Filter, PatternError, PatternList, Patterns};
pub use kinds::skipped_as;
pub use memory::Remembered;
pub use poller::Poller;
pub use sharing::ShardSource;
pub use stream::{LogSource, TOPIC as OFFSETS_TOPIC};

#[cfg(test)]
mod tests;
