//! Collecting a cluster: polling it through [`Admin`](crate::kafka::Admin) and publishing snapshots.
//!
//! [`Poller`] is the loop. `cycle` fetches, by `fetch` and `stream`, and makes an `Update` of it; `rebuild` compares that with the
//! newest snapshot, `rows` builds the next one, and `memory` holds what is known over time and judges it. Kafka's protocol and
//! the arithmetic of lag belong elsewhere.

mod clock;
mod config;
mod cycle;
mod failure;
mod fetch;
mod filter;
mod kinds;
mod memory;
mod news;
mod places;
mod poller;
mod rebuild;
mod reporter;
mod rows;
mod schedule;
mod shard;
mod stream;
mod update;

pub use config::{LogScope, Mode, PollConfig};
pub use filter::{Filter, PatternError, PatternList, Patterns};
pub use kinds::skipped_as;
pub use memory::Memory;
pub use poller::Poller;
pub use shard::ShardSource;
pub use stream::{LogSource, TOPIC as OFFSETS_TOPIC};

#[cfg(test)]
mod tests;
