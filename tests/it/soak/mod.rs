//! Soak tests: hours of work in compressed time, without a leak.

mod course;
mod embedded;
mod stream_kafka;
mod topics_kafka;
mod world;
