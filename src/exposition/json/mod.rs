//! Snapshots and events as JSON: what `/api/v1` answers.
//!
//! Names are snake_case and every field is always there: an absent figure is `null` beside the reason. Nothing that
//! came from the configuration is in here but the names of clusters.

mod cluster;
mod detail;
mod events;
mod summary;
mod time;

pub use cluster::{Clusters, clusters};
pub use detail::{GroupDetail, group_detail};
pub use events::{EventBody, Events, GapBody, Rest, event, events, gap};
pub use summary::{GroupSummaries, Page, group_summaries};

use serde::Serialize;

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
