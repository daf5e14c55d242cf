//! The integration tests: the public API and the binary, on the embedded cluster and on real Apache Kafka.
//!
//! Each folder has a subject. A test on a real Kafka has `_kafka` in its path: the name of its module ends with it or,
//! where other tests stand beside it, its own name starts with `on_kafka`.

mod ages;
mod alerts;
mod cli;
mod collect;
mod dashboards;
mod deploy;
mod docs;
mod harness;
mod http;
mod kafka;
mod layers;
mod offsets_topic;
mod soak;
mod stream;
mod support;
mod task;
