//! The blocks of all runs, family by family, as one part of a body: here the limit on series is kept.

use std::time::Instant;

use super::families::{ClusterView, FAMILIES, Rows};
use super::gzip::Follows;
use super::output::{Block, Encoding, Joiner, Part};
use super::render::{Rendered, Run};
use super::run::{Level, Made, Maker};
use super::writer::{Format, Head, Labels, Lines};
use crate::lag::ClusterName;
use crate::metrics::Metric;

/// A cluster while its families are joined.
struct Cluster<'a> {
    rendered: &'a Rendered,
    labels: Labels,
    /// Series that may still be written.
    room: u64,
    written: u64,
    dropped: u64,
}

/// One family while its samples are joined.
struct Family<'j> {
    index: usize,
    joiner: &'j mut Joiner,
    /// Written before the first sample.
    head: Option<Head<'static>>,
    format: Format,
    /// Whether its samples count against the limit.
    limit: Limit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// What is told of Kafka.
    Counts,
    /// What is told of this process: few.
    Exempt,
}

/// Joins everything, and counts the series of each cluster that the limit leaves out.
pub(super) fn join(
    clusters: &[Rendered],
    now: Instant,
    format: Format,
    encoding: Encoding,
) -> (Part, Vec<u64>) {
    let mut joiner = Joiner::new(encoding);
    let mut clusters: Vec<_> = clusters.iter().map(Cluster::new).collect();
    for (index, (metric, rows)) in FAMILIES.iter().enumerate() {
        let mut family = Family {
            index,
            joiner: &mut joiner,
            head: Some(Head::of(metric)),
            format,
            limit: Limit::of(metric),
        };
        for cluster in &mut clusters {
            if let Rows::Cluster(write) = rows {
                let mut lines = Lines::new(metric.name);
                let mark = cluster.labels.mark();
                write(&cluster.view(now), &mut cluster.labels, &mut lines);
                cluster.labels.cut(mark);
                let block = Block::new(lines.count(), lines.text(), None);
                family.add(cluster, &block, || None);
            } else if let Some(level) = Level::of(rows) {
                let rendered = cluster.rendered;
                for run in &rendered.runs[level.index()] {
                    if let Some(block) = run.made.block(index) {
                        family.add(cluster, block, || made_as_text(rendered, level, run));
                    }
                }
            }
        }
    }
    let dropped = clusters.iter().map(|cluster| cluster.dropped).collect();
    (joiner.finish(Follows::Another), dropped)
}

/// Makes a run again, as text: for the one whose block the limit cuts through.
fn made_as_text(rendered: &Rendered, level: Level, run: &Run) -> Option<Made> {
    let mut maker = Maker::new(Encoding::Identity);
    let name = rendered.name.as_ref();
    Some(maker.make(name, rendered.scene()?, level, &run.rows))
}

impl<'a> Cluster<'a> {
    fn new(rendered: &'a Rendered) -> Self {
        let mut labels = Labels::default();
        let name = rendered.name.as_ref();
        labels.push("cluster", name.map_or("", ClusterName::as_str));
        let snapshot = rendered.snapshot.as_ref();
        Self {
            rendered,
            labels,
            room: snapshot.map_or(0, |snapshot| snapshot.exposure.max_series as u64),
            written: 0,
            dropped: 0,
        }
    }

    fn view(&self, now: Instant) -> ClusterView<'a> {
        ClusterView {
            snapshot: self.rendered.snapshot.as_deref(),
            now,
            written: self.written,
        }
    }
}

impl Family<'_> {
    /// Adds as many lines of a block as the limit leaves; `again` makes the whole run as text.
    fn add(
        &mut self,
        cluster: &mut Cluster<'_>,
        block: &Block,
        again: impl FnOnce() -> Option<Made>,
    ) {
        let fitting = match self.limit {
            Limit::Exempt => block.lines,
            Limit::Counts => block.lines.min(cluster.room),
        };
        if self.limit == Limit::Counts {
            cluster.room -= fitting;
            cluster.written += fitting;
            cluster.dropped += block.lines - fitting;
        }
        if fitting == 0 {
            return;
        }
        if let Some(head) = self.head.take() {
            head.write(self.format, self.joiner.text());
        }
        if fitting == block.lines {
            self.joiner.block(block);
            return;
        }
        let made = block.text().is_none().then(again).flatten();
        let made = made.as_ref().and_then(|made| made.block(self.index));
        let text = made.unwrap_or(block).text().unwrap_or_default();
        // A line break within a label's value is escaped.
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        for line in lines.take(usize::try_from(fitting).unwrap_or(usize::MAX)) {
            self.joiner.text().extend_from_slice(line);
        }
    }
}

impl Limit {
    fn of(metric: &Metric) -> Self {
        if metric.name.starts_with("kafka_") {
            Self::Counts
        } else {
            Self::Exempt
        }
    }
}
