//! Kafka's own protocol in safe Rust: what lagwatch asks brokers, over connections of its own.
//!
//! Requests are encoded by the crate kafka-protocol. Responses are read by this crate's bounds-checked reader instead:
//! kafka-protocol reserves memory for as many elements as a broker claims to send, so that a lying broker could end the
//! process.

#[allow(dead_code)] // TEMP
mod frames;
#[allow(dead_code)] // TEMP
mod message;
#[allow(dead_code)] // TEMP
mod security;
