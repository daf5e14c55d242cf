//! Ages and instants as they are written in answers.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

/// Returns the age of something measured at `measured`, in seconds with milliseconds.
pub(super) fn age_seconds(measured: Instant, now: Instant) -> f64 {
    let age = now.saturating_duration_since(measured);
    (age.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Returns a time in seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// Returns an instant as text, to the millisecond; nothing where the clock is out of range.
pub(super) fn timestamp(at: SystemTime) -> Option<String> {
    let at = Timestamp::try_from(at).ok()?;
    Some(format!("{at:.3}"))
}

/// Returns milliseconds since the epoch as text, to the millisecond; nothing where the year has more than four digits.
pub(super) fn timestamp_of(ms: i64) -> Option<String> {
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(format!("{at:.3}"))
}
