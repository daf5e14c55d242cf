//! A world as bytes: runs whose rows have the same revisions as before are kept, the others are made, and all of them are joined.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicUsize};
use std::thread;
use std::time::Instant;

use super::join::{RenderedCluster, join};
use super::output::{Encoding, Part};
use super::run::{Level, Made, Maker, Run, RunKey};
use super::view::{Freshness, Scene};
use super::writer::Format;
use crate::snapshot::World;

/// A world as bytes, and how long they stay true.
#[derive(Debug)]
pub struct Rendering {
    /// The first part of a scrape's body.
    pub part: Part,
    /// The last instant at which everything shown is fresh; nothing where nothing shown ages.
    pub valid_until: Option<Instant>,
    /// Series left out because of the limit, for each cluster of the world.
    pub dropped: Vec<u64>,
    /// How many runs of rows were made for it.
    pub runs_made: usize,
    /// How many were taken over from the rendering before it.
    pub runs_kept: usize,
    format: Format,
    encoding: Encoding,
    made: MadeRuns,
}

/// What the next rendering may take over.
type MadeRuns = HashMap<RunKey, Arc<Made>>;

/// The runs of a world.
#[derive(Default)]
struct Plan {
    /// By cluster and level.
    runs: Vec<PlannedRun>,
    valid_until: Option<Instant>,
}

/// A run, and what was made of the same rows before.
struct PlannedRun {
    cluster: usize,
    level: Level,
    rows: Range<usize>,
    key: Option<RunKey>,
    kept: Option<Arc<Made>>,
}

/// More threads than this have not been measured.
const MAX_THREADS: usize = 4;

/// Fewer runs are not worth the start of a thread.
const RUNS_PER_THREAD: usize = 8;

/// Renders the newest snapshots as they are to be seen at `now`.
///
/// All samples of a family stand together, cluster by cluster.
pub fn render(world: &World, now: Instant, format: Format, encoding: Encoding) -> Rendering {
    let plan = Plan::new(world, now, &MadeRuns::new());
    finish(plan, world, now, (format, encoding))
}

impl Rendering {
    /// Renders another world in the same way, and takes over the runs whose rows have kept their revisions.
    ///
    /// The result is that of [`render`], byte for byte once it is decoded. What it does not take over is given up before
    /// anything is made, unless somebody else holds it.
    #[must_use]
    pub fn renew(self: Arc<Self>, world: &World, now: Instant) -> Self {
        let kind = (self.format, self.encoding);
        let plan = Plan::new(world, now, &self.made);
        drop(self);
        finish(plan, world, now, kind)
    }
}

impl Plan {
    /// Cuts every cluster into runs, some of which were made `before`.
    fn new(world: &World, now: Instant, before: &MadeRuns) -> Self {
        let mut plan = Self::default();
        for (cluster, (_, snapshot)) in world.clusters.iter().enumerate() {
            if let Some(snapshot) = snapshot {
                plan.add_cluster(cluster, Scene { snapshot, now }, before);
            }
        }
        plan
    }

    fn add_cluster(&mut self, cluster: usize, scene: Scene<'_>, before: &MadeRuns) {
        let snapshot = scene.snapshot;
        let groups = snapshot.groups.iter();
        let groups: Vec<_> = groups
            .map(|row| (row.revision, scene.group_freshness(row)))
            .collect();
        let topics = snapshot.topics.iter();
        let topics: Vec<_> = topics
            .map(|row| (row.revision, scene.topic_freshness(row)))
            .collect();
        for level in Level::ALL {
            let states = match level {
                Level::Groups | Level::Partitions => &groups,
                Level::Topics => &topics,
            };
            self.runs
                .extend(level.cut(snapshot).into_iter().map(|rows| {
                    let key = RunKey::new(level, &states[rows.clone()]);
                    let kept = key.as_ref().and_then(|key| before.get(key)).cloned();
                    PlannedRun {
                        cluster,
                        level,
                        rows,
                        key,
                        kept,
                    }
                }));
        }
        let once = [Some(snapshot.taken), snapshot.brokers_measured];
        let once = scene.freshness(once.into_iter().flatten());
        let rows = groups
            .iter()
            .chain(&topics)
            .map(|(_, freshness)| *freshness);
        let oldest = rows.fold(once, Freshness::and).oldest;
        let until = oldest.and_then(|oldest| oldest.checked_add(snapshot.stale_after));
        self.valid_until = self.valid_until.into_iter().chain(until).min();
    }
}

/// Makes what is missing, and joins everything.
fn finish(
    plan: Plan,
    world: &World,
    now: Instant,
    (format, encoding): (Format, Encoding),
) -> Rendering {
    let missing: Vec<_> = plan.runs.iter().filter(|run| run.kept.is_none()).collect();
    let runs_made = missing.len();
    let runs_kept = plan.runs.len() - runs_made;
    let mut newly_made = make(&missing, world, now, encoding).into_iter();
    let clusters = world.clusters.iter().map(|(name, snapshot)| {
        let snapshot = snapshot.as_deref();
        RenderedCluster {
            name: name.as_ref(),
            scene: snapshot.map(|snapshot| Scene { snapshot, now }),
            runs: Vec::new(),
        }
    });
    let mut clusters: Vec<_> = clusters.collect();
    let mut all_made = MadeRuns::new();
    for run in plan.runs {
        let PlannedRun {
            cluster,
            level,
            rows,
            key,
            kept,
        } = run;
        let made = kept.unwrap_or_else(|| Arc::new(newly_made.next().expect("every run was made")));
        all_made.extend(key.map(|key| (key, Arc::clone(&made))));
        clusters[cluster].runs.push(Run { level, rows, made });
    }
    let (part, dropped) = join(&clusters, now, format, encoding);
    Rendering {
        part,
        valid_until: plan.valid_until,
        dropped,
        runs_made,
        runs_kept,
        format,
        encoding,
        made: all_made,
    }
}

/// Makes runs, on several threads where there are many; they end with this call.
fn make(runs: &[&PlannedRun], world: &World, now: Instant, encoding: Encoding) -> Vec<Made> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut maker = Maker::new(encoding);
        let numbered = std::iter::from_fn(|| {
            let number = next.fetch_add(1, atomic::Ordering::Relaxed);
            Some((number, *runs.get(number)?))
        });
        numbered
            .filter_map(|(number, run)| {
                let (name, snapshot) = &world.clusters[run.cluster];
                let snapshot = snapshot.as_ref()?;
                let scene = Scene { snapshot, now };
                let made = maker.make(name.as_ref(), scene, run.level, &run.rows);
                Some((number, made))
            })
            .collect::<Vec<_>>()
    };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = (runs.len() / RUNS_PER_THREAD).min(cores).min(MAX_THREADS);
    let mut made = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let theirs = helpers.into_iter().flat_map(|helper| {
            let done = helper.join();
            done.unwrap_or_else(|panic| resume_unwind(panic))
        });
        own.into_iter().chain(theirs).collect::<Vec<_>>()
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests;
