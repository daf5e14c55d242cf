//! The clusters and how their newest cycle went.

use std::time::Instant;

use serde::Serialize;

use super::time::{age_seconds, timestamp};
use crate::lag::ClusterName;
use crate::snapshot::{BrokerRow, ClusterSnapshot, World};

/// The answer of `/api/v1/clusters`.
#[derive(Debug, Serialize)]
pub struct Clusters<'a> {
    clusters: Vec<ClusterBody<'a>>,
}

#[derive(Debug, Serialize)]
struct ClusterBody<'a> {
    cluster: Option<&'a ClusterName>,
    up: bool,
    #[serde(flatten)]
    newest: Newest<'a>,
}

/// What the newest snapshot tells; nothing before the first.
#[derive(Debug, Default, Serialize)]
struct Newest<'a> {
    outcome: Option<&'static str>,
    mode: Option<&'static str>,
    taken_at: Option<String>,
    age_seconds: Option<f64>,
    last_complete_at: Option<String>,
    stale_after_seconds: Option<f64>,
    brokers: Option<&'a [BrokerRow]>,
    topics: Option<usize>,
    groups: Option<usize>,
    shard_partitions: Option<usize>,
}

/// Returns every configured cluster as it is to be seen at `now`.
pub fn clusters(world: &World, now: Instant) -> Clusters<'_> {
    let clusters = world.clusters.iter().map(|(name, snapshot)| ClusterBody {
        cluster: name.as_ref(),
        up: snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.is_up(now)),
        newest: snapshot
            .as_deref()
            .map(|snapshot| newest(snapshot, now))
            .unwrap_or_default(),
    });
    Clusters {
        clusters: clusters.collect(),
    }
}

fn newest(snapshot: &ClusterSnapshot, now: Instant) -> Newest<'_> {
    Newest {
        outcome: Some(snapshot.outcome.as_str()),
        mode: Some(snapshot.mode.as_str()),
        taken_at: timestamp(snapshot.taken_at),
        age_seconds: Some(age_seconds(snapshot.taken, now)),
        last_complete_at: snapshot.last_complete.and_then(timestamp),
        stale_after_seconds: Some(snapshot.stale_after.as_secs_f64()),
        brokers: snapshot.fresh_brokers(now),
        topics: Some(snapshot.topics_shown().count()),
        groups: Some(snapshot.groups.len()),
        shard_partitions: snapshot.shard_partitions,
    }
}
