//! `serve` in mode `stream`: it follows `__consumer_offsets`.

mod crowd_kafka;
mod faults_kafka;
mod follow_kafka;
mod gap_kafka;
mod transaction_kafka;
pub(crate) mod world;
