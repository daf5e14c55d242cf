//! The test harness itself: what the other tests build on.

mod real_kafka;
mod real_prometheus;
