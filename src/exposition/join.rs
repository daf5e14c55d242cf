//! The blocks of all runs, family by family, as one part of a body: here the limits on series and their bytes are kept.

use std::time::Instant;

use super::families::{ClusterView, FAMILIES, Rows};
use super::gzip::Follows;
use super::lines::{Keep, Lines};
use super::output::{Block, Encoding, Joiner, Part};
use super::run::{Level, Maker, Run};
use super::view::Scene;
use super::writer::{Format, Head, Labels};
use crate::lag::ClusterName;
use crate::metrics::Metric;
use crate::snapshot::Exposure;

/// A cluster, and the runs of its rows, those of each level in order.
pub(super) struct RenderedCluster<'a> {
    pub(super) name: Option<&'a ClusterName>,
    /// Nothing before its first snapshot.
    pub(super) scene: Option<Scene<'a>>,
    pub(super) runs: Vec<Run>,
}

/// The series of a cluster while its families are joined.
struct ClusterSeries<'a> {
    rendered: &'a RenderedCluster<'a>,
    labels: Labels,
    /// What may still be written.
    room: Size,
    written: u64,
    dropped: u64,
}

/// A number of series, and the size of their lines.
#[derive(Clone, Copy)]
struct Size {
    series: u64,
    /// Uncompressed and without heads, so that it is the same in every format and encoding.
    bytes: u64,
}

/// One family while its samples are joined.
struct Family<'j> {
    index: usize,
    joiner: &'j mut Joiner,
    /// Written before the first sample.
    head: Option<Head<'static>>,
    format: Format,
    /// Whether its samples count against the limits.
    limit: SeriesLimit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SeriesLimit {
    /// Kafka's own figures.
    Applies,
    /// Those of this process, which are few.
    Exempt,
}

/// Joins everything, and counts the series of each cluster that the limits leave out.
pub(super) fn join(
    clusters: &[RenderedCluster<'_>],
    now: Instant,
    format: Format,
    encoding: Encoding,
) -> (Part, Vec<u64>) {
    let mut joiner = Joiner::new(encoding);
    let mut clusters: Vec<_> = clusters.iter().map(ClusterSeries::new).collect();
    for (index, (metric, rows)) in FAMILIES.iter().enumerate() {
        let mut family = Family {
            index,
            joiner: &mut joiner,
            head: Some(Head::of(metric)),
            format,
            limit: SeriesLimit::of(metric),
        };
        for cluster in &mut clusters {
            if let Rows::Cluster(write) = rows {
                let keep = Keep::UpTo(family.room(cluster).bytes);
                let mut lines = Lines::new(metric.name, keep);
                let mark = cluster.labels.mark();
                write(&cluster.view(now), &mut cluster.labels, &mut lines);
                cluster.labels.cut(mark);
                family.add_row(cluster, &Block::new(&lines, None));
            } else if let Some(level) = Level::of(rows) {
                let runs = cluster.rendered.runs.iter();
                for run in runs.filter(|run| run.level == level) {
                    family.add_run(cluster, run);
                }
            }
        }
    }
    let dropped = clusters.iter().map(|cluster| cluster.dropped).collect();
    (joiner.finish(Follows::Another), dropped)
}

impl<'a> ClusterSeries<'a> {
    fn new(rendered: &'a RenderedCluster<'a>) -> Self {
        let mut labels = Labels::default();
        labels.push("cluster", rendered.name.map_or("", ClusterName::as_str));
        let exposure = rendered.scene.map(|scene| scene.snapshot.exposure);
        Self {
            rendered,
            labels,
            room: exposure.map_or(Size::NONE, Size::limit),
            written: 0,
            dropped: 0,
        }
    }

    fn view(&self, now: Instant) -> ClusterView<'a> {
        ClusterView {
            snapshot: self.rendered.scene.map(|scene| scene.snapshot),
            now,
            written: self.written,
        }
    }
}

impl Size {
    const NONE: Self = Self {
        series: 0,
        bytes: 0,
    };

    const UNLIMITED: Self = Self {
        series: u64::MAX,
        bytes: u64::MAX,
    };

    fn limit(exposure: Exposure) -> Self {
        Self {
            series: exposure.max_series as u64,
            bytes: exposure.max_series_bytes as u64,
        }
    }

    fn of(block: &Block) -> Self {
        Self {
            series: block.lines,
            bytes: block.bytes,
        }
    }

    /// Returns whether a block fits.
    fn has_room_for(self, block: &Block) -> bool {
        block.lines <= self.series && block.bytes <= self.bytes
    }

    /// Returns whether a row of a block may fit, whole by its bytes and at least its first line by number.
    fn has_room_for_a_row(self, block: &Block) -> bool {
        self.series > 0 && block.smallest_row_bytes <= self.bytes
    }
}

impl Family<'_> {
    fn room(&self, cluster: &ClusterSeries<'_>) -> Size {
        match self.limit {
            SeriesLimit::Applies => cluster.room,
            SeriesLimit::Exempt => Size::UNLIMITED,
        }
    }

    /// Adds the lines of a run: all of it as it is, or row by row where it is not kept or the limits cut through it.
    fn add_run(&mut self, cluster: &mut ClusterSeries<'_>, run: &Run) {
        let Some(block) = run.made.block(self.index) else {
            return;
        };
        let room = self.room(cluster);
        if block.is_kept() && room.has_room_for(block) {
            self.open();
            self.joiner.block(block);
            self.count(cluster, block, Size::of(block));
            return;
        }
        let rendered = cluster.rendered;
        let Some(scene) = rendered.scene.filter(|_| room.has_room_for_a_row(block)) else {
            self.count(cluster, block, Size::NONE);
            return;
        };
        // The text of a row that does not fit is abandoned as soon as this shows.
        let mut maker = Maker::of_family(self.index, Keep::UpTo(room.bytes));
        for row in run.rows.clone() {
            let made = maker.make(rendered.name, scene, run.level, &(row..row + 1));
            if let Some(block) = made.block(self.index) {
                self.add_row(cluster, block);
            }
        }
    }

    /// Adds as many lines of a row as the limit on series leaves; none of them where they pass the limit on bytes.
    fn add_row(&mut self, cluster: &mut ClusterSeries<'_>, block: &Block) {
        let room = self.room(cluster);
        let text = block.text().filter(|_| room.has_room_for_a_row(block));
        let most = usize::try_from(room.series).unwrap_or(usize::MAX);
        // A line break within a label's value is escaped.
        let lines = text
            .into_iter()
            .flat_map(|text| text.split_inclusive(|byte| *byte == b'\n'));
        let mut written = Size::NONE;
        for line in lines.take(most) {
            self.open();
            self.joiner.text().extend_from_slice(line);
            written.series += 1;
            written.bytes += line.len() as u64;
        }
        self.count(cluster, block, written);
    }

    /// Writes the head before the first sample.
    fn open(&mut self) {
        if let Some(head) = self.head.take() {
            head.write(self.format, self.joiner.text());
        }
    }

    /// Counts what was written of a block, and the rest of its lines as dropped.
    fn count(&self, cluster: &mut ClusterSeries<'_>, block: &Block, written: Size) {
        if self.limit == SeriesLimit::Applies {
            let Size { series, bytes } = written;
            cluster.room.series -= series;
            cluster.room.bytes -= bytes;
            cluster.written += series;
            cluster.dropped += block.lines - series;
        }
    }
}

impl SeriesLimit {
    fn of(metric: &Metric) -> Self {
        if metric.name.starts_with("kafka_") {
            Self::Applies
        } else {
            Self::Exempt
        }
    }
}
