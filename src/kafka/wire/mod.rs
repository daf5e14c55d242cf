//! Kafka's own protocol in safe Rust: what lagwatch asks brokers, over connections of its own.
//!
//! Requests are encoded by the crate kafka-protocol. Responses are read by this crate's bounds-checked reader instead:
//! kafka-protocol reserves memory for as many elements as a broker claims to send, so that a lying broker could end the
//! process.

mod admin;
mod client;
mod cluster;
mod common;
mod coordinators;
mod endpoint;
mod frames;
mod groups;
mod handshake;
mod jitter;
mod journal;
mod keeper;
mod kinds;
mod link;
mod logs;
mod message;
mod pending;
mod quiet;
mod rights;
mod search;
mod settings;

pub use self::admin::KafkaAdmin;
pub use self::rights::ReadRight;

#[cfg(test)]
mod tests;
