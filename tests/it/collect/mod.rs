//! Groups, lag and status as `serve` and `describe` show them, against what Kafka says itself.

pub(crate) mod describe_kafka;
mod judging_kafka;
mod kinds_kafka;
mod poller_embedded;
mod poller_kafka;
mod scale_kafka;
mod sharding_kafka;
