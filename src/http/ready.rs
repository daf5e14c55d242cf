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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Returns a snapshot of a cycle that failed at `taken`, after one that was up at `last_up`.
    fn failed(taken: Instant, last_up: Option<Instant>) -> ClusterSnapshot {
        ClusterSnapshot {
            last_up,
            ..ClusterSnapshot::empty(taken, SystemTime::UNIX_EPOCH, Duration::from_secs(30))
        }
    }

    fn told(snapshot: Option<ClusterSnapshot>, now: Instant) -> String {
        let world = World {
            generation: 0,
            clusters: vec![(None, snapshot.map(Arc::new))],
        };
        readiness(&world, now).to_string()
    }

    #[test]
    fn a_cluster_stays_ready_for_stale_after_from_its_last_good_cycle() {
        let up = Instant::now();
        let newest = up + Duration::from_secs(20);
        let at = |seconds| {
            told(
                Some(failed(newest, Some(up))),
                up + Duration::from_secs(seconds),
            )
        };
        assert_eq!(at(30), "ready");
        assert_eq!(
            at(31),
            "not ready: the cluster was not read for 31 s, more than 30 s (newest cycle: failed)"
        );
    }

    #[test]
    fn a_cluster_that_was_never_read_is_not_ready() {
        let now = Instant::now();
        assert_eq!(
            told(Some(failed(now, None)), now),
            "not ready: the cluster was not read yet (newest cycle: failed)"
        );
        assert_eq!(told(None, now), "not ready: the cluster was not polled yet");
    }
}
