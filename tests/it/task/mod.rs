//! The task consumer.

pub(crate) mod deployment;
mod embedded;
mod kills_kafka;
mod lessons;
mod lessons_kafka;
mod log;
mod sharing;
mod world;
