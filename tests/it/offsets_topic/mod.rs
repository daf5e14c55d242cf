//! The decoder of `__consumer_offsets`.

mod captured;
mod json;
mod records_kafka;
mod samples;
