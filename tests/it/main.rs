//! The integration tests: the public API and the binary, on the embedded cluster and on real Apache Kafka.

mod support;
mod support_kafka;
