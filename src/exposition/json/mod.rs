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

use crate::lag::group::TopicTotals;
use crate::lag::{Lag, UncommittedPolicy};
use crate::snapshot::{ClusterSnapshot, GroupRow, PartitionRow, PartitionRun};

/// Why there is no figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// The group has no partitions.
    NoPartitions,
    /// The group has committed nothing here, and the policy says that this is no lag.
    NoCommit,
    /// The committed offset could not be read.
    CommittedOffsetUnknown,
    /// The log end offset could not be read.
    LogEndOffsetUnknown,
    /// The log start offset, where the policy counts from, could not be read.
    LogStartOffsetUnknown,
    /// The partition has no leader.
    NoLeader,
    /// The newest good reading is too old to be shown.
    Stale,
}

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

/// Returns why a partition has no lag; nothing where it has one.
fn absence(
    snapshot: &ClusterSnapshot,
    group: &GroupRow,
    row: &PartitionRow,
    now: Instant,
) -> Option<Absence> {
    use crate::lag::Unavailable;
    if let Some((reading, _)) = snapshot.fresh_reading(group, row, now) {
        return match (
            reading.lag().records(snapshot.uncommitted),
            snapshot.uncommitted,
        ) {
            (Some(_), _) => None,
            (None, UncommittedPolicy::LogStart) => Some(Absence::LogStartOffsetUnknown),
            (None, UncommittedPolicy::Absent | UncommittedPolicy::LogEnd) => {
                Some(Absence::NoCommit)
            }
        };
    }
    Some(match row.latest() {
        Lag::Unavailable(Unavailable::Committed) => Absence::CommittedOffsetUnknown,
        Lag::Unavailable(Unavailable::EndOffset) => Absence::LogEndOffsetUnknown,
        Lag::Unavailable(Unavailable::NoLeader) => Absence::NoLeader,
        Lag::Known(_) | Lag::NoCommit { .. } => Absence::Stale,
    })
}

/// Returns why some partitions have no sum: the worst reason among them.
///
/// A partition without a commit hides a sum only where there is nothing else to add up.
fn sum_absence(
    snapshot: &ClusterSnapshot,
    group: &GroupRow,
    rows: PartitionRun<'_>,
    lag: Option<u64>,
    now: Instant,
) -> Option<Absence> {
    if lag.is_some() {
        return None;
    }
    let reasons = rows
        .iter()
        .filter_map(|row| absence(snapshot, group, row, now));
    reasons.max().or(Some(Absence::NoPartitions))
}

/// Returns what some partitions add up to at `now`.
fn totals(
    snapshot: &ClusterSnapshot,
    group: &GroupRow,
    rows: PartitionRun<'_>,
    now: Instant,
) -> TopicTotals {
    TopicTotals::of(
        rows.iter().filter(|row| snapshot.counts(row)).map(|row| {
            let (reading, _) = snapshot.fresh_reading(group, row, now)?;
            Some((reading.committed, reading.lag()))
        }),
        snapshot.uncommitted,
    )
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
