//! Snapshots and events as JSON: what `/api/v1` answers.
//!
//! Names are snake_case and every field is always there: an absent figure is `null` beside the reason. Nothing that
//! came from the configuration is in here but the names of clusters.

mod cluster;
mod detail;
mod events;
mod summary;

pub use cluster::{Clusters, clusters};
pub use detail::{GroupDetail, group_detail};
pub use events::{EventBody, Events, GapBody, Rest, event, events, gap};
pub use summary::{GroupSummaries, Page, group_summaries};

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

pub use super::view::Absence;

/// Body bytes of an answer, pretty enough to be read in a terminal and small enough for thousands of groups.
///
/// # Panics
///
/// Never: the answers of this module hold nothing that JSON cannot express.
pub fn to_bytes(answer: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(answer).expect("strings, numbers and lists of them");
    bytes.push(b'\n');
    bytes
}

/// Returns the age of something measured at `measured`, in seconds with milliseconds.
fn age_seconds(measured: Instant, now: Instant) -> f64 {
    let age = now.saturating_duration_since(measured);
    (age.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Returns a time in seconds, to the millisecond.
fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// Returns an instant for people, to the millisecond; nothing where the clock is out of range.
fn timestamp(at: SystemTime) -> Option<String> {
    let at = Timestamp::try_from(at).ok()?;
    Some(format!("{at:.3}"))
}

/// Returns an instant for people, to the millisecond; nothing where it is in no year that has four digits.
fn timestamp_of(ms: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(format!("{at:.3}"))
}
