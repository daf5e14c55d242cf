//! One cluster as it was rendered: a snapshot seen at an instant, and the runs made of it.

use std::sync::Arc;
use std::time::Instant;

use super::run::{Level, Run};
use super::view::{Oldest, Scene};
use crate::lag::ClusterName;
use crate::snapshot::ClusterSnapshot;

/// One cluster, and what was made of it.
#[derive(Debug)]
pub(super) struct RenderedCluster {
    pub(super) name: Option<ClusterName>,
    pub(super) snapshot: Option<Arc<ClusterSnapshot>>,
    pub(super) now: Instant,
    /// For each of [`Level::ALL`].
    pub(super) runs: [Vec<Run>; 3],
}

impl RenderedCluster {
    /// Returns the snapshot as it was seen; nothing before the first.
    pub(super) fn scene(&self) -> Option<Scene<'_>> {
        let snapshot = self.snapshot.as_deref()?;
        let now = self.now;
        Some(Scene { snapshot, now })
    }

    /// Returns the last instant at which everything shown is fresh; nothing where nothing shown ages.
    pub(super) fn valid_until(&self) -> Option<Instant> {
        let scene = self.scene()?;
        let mut oldest = Oldest::default();
        let once = [Some(scene.snapshot.taken), scene.snapshot.brokers_measured];
        let once = once.into_iter().flatten();
        once.filter(|measured| scene.is_fresh(*measured))
            .for_each(|measured| oldest.see(measured));
        for (level, runs) in Level::ALL.into_iter().zip(&self.runs) {
            for run in runs {
                level.see(scene, &run.rows, &run.made, &mut oldest);
            }
        }
        oldest.0?.checked_add(scene.snapshot.stale_after)
    }
}
