//! A world as bytes: runs that look as they did are kept, the others are made, and all of them are joined.

use std::cmp::Ordering;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicUsize};
use std::thread;
use std::time::Instant;

use super::cluster::RenderedCluster;
use super::join::join;
use super::output::{Encoding, Part};
use super::run::{Level, Made, Maker, Run};
use super::view::Scene;
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
    clusters: Vec<RenderedCluster>,
}

/// A run that is to be made.
struct Job {
    cluster: usize,
    level: Level,
    rows: Range<usize>,
}

/// A cluster as it was rendered before, and which of its rows look like those of now.
struct Known<'a> {
    before: &'a RenderedCluster,
    groups: Vec<Option<usize>>,
    topics: Vec<Option<usize>>,
}

/// The runs of one level, each with what was made of it before, where it looks the same.
type Plan = Vec<(Range<usize>, Option<Arc<Made>>)>;

/// More threads than this have not been measured.
const MAX_THREADS: usize = 4;

/// Fewer runs are not worth the start of a thread.
const RUNS_PER_THREAD: usize = 8;

/// Renders the newest snapshots as they are to be seen at `now`.
///
/// All samples of a family stand together, cluster by cluster.
pub fn render(world: &World, now: Instant, format: Format, encoding: Encoding) -> Rendering {
    let plans = plans(&[], world, now);
    finish(plans, world, now, (format, encoding))
}

impl Rendering {
    /// Renders another world in the same way, and takes over what looks the same.
    ///
    /// The result is that of [`render`], byte for byte once it is decoded. What it does not take over is given up before
    /// anything is made, unless somebody else holds it.
    #[must_use]
    pub fn renew(self: Arc<Self>, world: &World, now: Instant) -> Self {
        let kind = (self.format, self.encoding);
        let plans = plans(&self.clusters, world, now);
        drop(self);
        finish(plans, world, now, kind)
    }
}

/// Cuts every cluster into runs, of which some look like those of `before`.
fn plans(before: &[RenderedCluster], world: &World, now: Instant) -> Vec<[Plan; 3]> {
    let clusters = world.clusters.iter();
    let plans = clusters.map(|(name, snapshot)| {
        let Some(snapshot) = snapshot else {
            return Level::ALL.map(|_| Plan::new());
        };
        let scene = Scene { snapshot, now };
        let before = before.iter().find(|before| before.name == *name);
        let known = before.and_then(|before| Known::new(before, scene));
        Level::ALL.map(|level| plan(level, scene, known.as_ref()))
    });
    plans.collect()
}

/// Makes what is missing, and joins everything.
fn finish(
    plans: Vec<[Plan; 3]>,
    world: &World,
    now: Instant,
    (format, encoding): (Format, Encoding),
) -> Rendering {
    let jobs = jobs(&plans);
    let runs_made = jobs.len();
    let runs = plans.iter().flatten().map(Vec::len).sum::<usize>();
    let mut made = make(&jobs, world, now, encoding).into_iter();
    let mut run = |(rows, kept): (Range<usize>, Option<Arc<Made>>)| Run {
        rows,
        made: kept.unwrap_or_else(|| Arc::new(made.next().expect("every job was done"))),
    };
    let clusters = world.clusters.iter().zip(plans);
    let clusters: Vec<_> = clusters
        .map(|((name, snapshot), plans)| RenderedCluster {
            name: name.clone(),
            snapshot: snapshot.clone(),
            now,
            runs: plans.map(|plan| plan.into_iter().map(&mut run).collect()),
        })
        .collect();
    let (part, dropped) = join(&clusters, now, format, encoding);
    Rendering {
        part,
        valid_until: clusters
            .iter()
            .filter_map(RenderedCluster::valid_until)
            .min(),
        dropped,
        runs_made,
        runs_kept: runs - runs_made,
        format,
        encoding,
        clusters,
    }
}

/// Cuts the rows of a level into runs.
fn plan(level: Level, scene: Scene<'_>, known: Option<&Known<'_>>) -> Plan {
    let mut runs_before = known.map(|known| known.runs(level).iter().peekable());
    let mut keep = |rows: &Range<usize>| {
        let (known, runs_before) = (known?, runs_before.as_mut()?);
        let first = known.alike(level)[rows.start]?;
        while runs_before.next_if(|run| run.rows.start < first).is_some() {}
        let run = runs_before.next_if(|run| run.rows.start == first)?;
        let is_apart_fresh = |run: &Run| run.made.apart.0.is_none_or(|at| scene.is_fresh(at));
        let is_same = known.has_run(level, rows, &run.rows) && is_apart_fresh(run);
        is_same.then(|| Arc::clone(&run.made))
    };
    let runs = level.cut(scene.snapshot).into_iter();
    runs.map(|rows| {
        let kept = keep(&rows);
        (rows, kept)
    })
    .collect()
}

/// Returns what is left to be made, in the order of the plans.
fn jobs(plans: &[[Plan; 3]]) -> Vec<Job> {
    let levels = plans.iter().enumerate().flat_map(|(cluster, plans)| {
        let levels = Level::ALL.into_iter().zip(plans);
        levels.map(move |(level, plan)| (cluster, level, plan))
    });
    levels
        .flat_map(|(cluster, level, plan)| {
            let missing = plan.iter().filter(|(_, kept)| kept.is_none());
            missing.map(move |(rows, _)| Job {
                cluster,
                level,
                rows: rows.clone(),
            })
        })
        .collect()
}

/// Makes runs, on several threads where there are many; they end with this call.
fn make(jobs: &[Job], world: &World, now: Instant, encoding: Encoding) -> Vec<Made> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut maker = Maker::new(encoding);
        let numbered = std::iter::from_fn(|| {
            let number = next.fetch_add(1, atomic::Ordering::Relaxed);
            Some((number, jobs.get(number)?))
        });
        numbered
            .filter_map(|(number, job)| {
                let (name, snapshot) = &world.clusters[job.cluster];
                let snapshot = snapshot.as_ref()?;
                let scene = Scene { snapshot, now };
                let made = maker.make(name.as_ref(), scene, job.level, &job.rows);
                Some((number, made))
            })
            .collect::<Vec<_>>()
    };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = (jobs.len() / RUNS_PER_THREAD).min(cores).min(MAX_THREADS);
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

impl<'a> Known<'a> {
    /// Compares every row once; nothing where no row can look the same.
    fn new(before: &'a RenderedCluster, scene: Scene<'_>) -> Option<Self> {
        let then = before.scene()?;
        if then.terms() != scene.terms() {
            return None;
        }
        let (now, old) = (scene.snapshot, then.snapshot);
        Some(Self {
            before,
            groups: alike(
                &now.groups,
                &old.groups,
                |one, other| one.id.cmp(&other.id),
                |row, before| scene.group_looks_like(row, then, before),
            ),
            topics: alike(
                &now.topics,
                &old.topics,
                |one, other| one.name.cmp(&other.name),
                |row, before| scene.topic_looks_like(row, then, before),
            ),
        })
    }

    fn runs(&self, level: Level) -> &'a [Run] {
        &self.before.runs[level.index()]
    }

    /// Returns, for each row of now, the index of the row that looked the same.
    fn alike(&self, level: Level) -> &[Option<usize>] {
        match level {
            Level::Groups | Level::Partitions => &self.groups,
            Level::Topics => &self.topics,
        }
    }

    /// Returns whether rows look as those at `before` did, all of them.
    fn has_run(&self, level: Level, rows: &Range<usize>, before: &Range<usize>) -> bool {
        let alike = self.alike(level)[rows.clone()].iter().copied();
        alike.eq(before.clone().map(Some))
    }
}

/// Returns, for each of some sorted rows, the index of the row of the same name, where it looks the same.
fn alike<T>(
    now: &[Arc<T>],
    before: &[Arc<T>],
    compare_names: impl Fn(&T, &T) -> Ordering,
    looks_the_same: impl Fn(&T, &T) -> bool,
) -> Vec<Option<usize>> {
    let mut rest = before.iter().enumerate().peekable();
    now.iter()
        .map(|row| {
            while rest
                .next_if(|(_, old)| compare_names(old, row).is_lt())
                .is_some()
            {}
            let (index, old) = rest.next_if(|(_, old)| compare_names(old, row).is_eq())?;
            looks_the_same(row, old).then_some(index)
        })
        .collect()
}

#[cfg(test)]
mod tests;
