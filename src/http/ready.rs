//! Whether this process has something true to tell about every cluster.

use std::fmt;
use std::time::Instant;

use crate::lag::ClusterName;
use crate::snapshot::{ClusterSnapshot, World};

/// Whether every cluster was read, and not too long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All of them were.
    Ready,
    /// Some were not: one reason each.
    NotReady(Vec<String>),
}

/// Returns the readiness at `now`: a cluster is ready for `stale_after` from each cycle that could read it as a whole.
pub fn readiness(world: &World, now: Instant) -> Readiness {
    let reasons: Vec<_> = world
        .clusters
        .iter()
        .filter_map(|(name, snapshot)| {
            let reason = reason(snapshot.as_deref(), now)?;
            Some(format!("{} {reason}", subject(name.as_ref())))
        })
        .collect();
    if reasons.is_empty() {
        Readiness::Ready
    } else {
        Readiness::NotReady(reasons)
    }
}

/// Returns why a cluster is not ready; nothing where it is.
fn reason(snapshot: Option<&ClusterSnapshot>, now: Instant) -> Option<String> {
    let Some(snapshot) = snapshot else {
        return Some("was not polled yet".to_owned());
    };
    let newest = snapshot.outcome.as_str();
    let Some(last_up) = snapshot.last_up else {
        return Some(format!("was not read yet (newest cycle: {newest})"));
    };
    let age = now.saturating_duration_since(last_up).as_secs();
    let stale_after = snapshot.stale_after.as_secs();
    (!snapshot.is_fresh(last_up, now)).then(|| {
        format!("was not read for {age} s, more than {stale_after} s (newest cycle: {newest})")
    })
}

fn subject(cluster: Option<&ClusterName>) -> String {
    cluster.map_or("the cluster".to_owned(), |name| format!("cluster `{name}`"))
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::NotReady(reasons) => write!(f, "not ready: {}", reasons.join("; ")),
        }
    }
}
