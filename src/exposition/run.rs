//! One run of rows as blocks: the lines of each family that has samples of them.

use std::ops::Range;
use std::sync::Arc;

use super::families::{FAMILIES, GroupTopicView, Rows, TopicView};
use super::lines::{Keep, Lines};
use super::output::{Block, Compressor, Encoding};
use super::runs::cut;
use super::view::{Freshness, GroupView, PartitionView, Scene, Sums};
use super::writer::{Labels, Value};
use crate::lag::ClusterName;
use crate::snapshot::{ClusterSnapshot, Granularity, GroupRow, Revision, TopicRow, TopicSeries};

/// What rows of one kind become; each kind is cut into runs of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// What groups have once, and once a topic.
    Groups,
    /// What groups have once a partition.
    Partitions,
    /// Topics and their partitions.
    Topics,
}

/// A run of rows, and what was made of it, now or earlier.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) level: Level,
    pub(super) rows: Range<usize>,
    pub(super) made: Arc<Made>,
}

/// What a run is made from: the same is made of the same.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RunKey {
    level: Level,
    revisions: Box<[Revision]>,
    is_fresh: bool,
}

/// A run as it was made.
#[derive(Debug)]
pub(super) struct Made {
    /// The blocks that are not empty, each with the index of its family, in that order.
    blocks: Vec<(usize, Block)>,
}

/// Makes runs, one after the other.
pub(super) struct Maker {
    /// The families of each of [`Level::ALL`], by their indices.
    families: [Vec<(usize, &'static Rows, Lines<'static>)>; 3],
    labels: Labels,
    compressor: Option<Compressor>,
}

impl Level {
    /// Every level.
    pub(super) const ALL: [Self; 3] = [Self::Groups, Self::Partitions, Self::Topics];

    /// Returns its place in [`Level::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Returns the level of a family; nothing for those of the cluster as a whole.
    pub(super) fn of(rows: &Rows) -> Option<Self> {
        match rows {
            Rows::Cluster(_) => None,
            Rows::Group(_) | Rows::GroupTopic(_) => Some(Self::Groups),
            Rows::GroupPartition(_) => Some(Self::Partitions),
            Rows::Topic(_) | Rows::TopicPartition(_) => Some(Self::Topics),
        }
    }

    /// Returns the runs of a snapshot, as ranges of its groups or its topics.
    pub(super) fn cut(self, snapshot: &ClusterSnapshot) -> Vec<Range<usize>> {
        let groups = snapshot.groups.iter();
        match self {
            // Sums take a walk over the partitions, though they are few lines.
            Self::Groups => cut(
                groups.map(|row| (row.id.as_str(), 32 + row.partitions.len())),
                4 * 1024,
            ),
            Self::Partitions if snapshot.exposure.granularity != Granularity::Partition => {
                Vec::new()
            }
            // Lines of some 90 bytes: a block of this many loses little by being compressed alone.
            Self::Partitions => cut(
                groups.map(|row| (row.id.as_str(), row.partitions.len())),
                512,
            ),
            Self::Topics => cut(
                snapshot.topics.iter().map(|row| match row.series {
                    TopicSeries::Here => (row.name.as_str(), 1 + row.partitions.len()),
                    TopicSeries::Elsewhere => (row.name.as_str(), 0),
                }),
                512,
            ),
        }
    }
}

impl RunKey {
    /// Returns the key of a run of rows. A run of which only a part is fresh has none: it is made again until all of it is fresh,
    /// or nothing.
    pub(super) fn new(level: Level, rows: &[(Revision, Freshness)]) -> Option<Self> {
        let freshness = rows.iter().map(|(_, freshness)| *freshness);
        let freshness = freshness.fold(Freshness::default(), Freshness::and);
        freshness.is_uniform().then(|| Self {
            level,
            revisions: rows.iter().map(|(revision, _)| *revision).collect(),
            is_fresh: !freshness.has_stale,
        })
    }
}

impl Made {
    /// Returns the lines of a family; nothing where there are none.
    pub(super) fn block(&self, family: usize) -> Option<&Block> {
        let place = self
            .blocks
            .binary_search_by_key(&family, |(index, _)| *index);
        place.ok().map(|place| &self.blocks[place].1)
    }
}

impl Maker {
    /// Returns a maker of runs in that encoding.
    pub(super) fn new(encoding: Encoding) -> Self {
        Self::of_families(|_| true, Keep::ShortLines, encoding.compressor())
    }

    /// Returns a maker of text that has samples of one family alone.
    pub(super) fn of_family(family: usize, keep: Keep) -> Self {
        Self::of_families(|index| index == family, keep, None)
    }

    fn of_families(
        has: impl Fn(usize) -> bool,
        keep: Keep,
        compressor: Option<Compressor>,
    ) -> Self {
        let families = |level| {
            let all = FAMILIES.iter().enumerate();
            let own =
                all.filter(|(index, (_, rows))| has(*index) && Level::of(rows) == Some(level));
            own.map(|(index, (metric, rows))| (index, rows, Lines::new(metric.name, keep)))
                .collect()
        };
        Self {
            families: Level::ALL.map(families),
            labels: Labels::default(),
            compressor,
        }
    }

    /// Makes one run.
    pub(super) fn make(
        &mut self,
        cluster: Option<&ClusterName>,
        scene: Scene<'_>,
        level: Level,
        rows: &Range<usize>,
    ) -> Made {
        let name = cluster.map_or("", ClusterName::as_str);
        self.labels.cut(0);
        self.labels.push("cluster", name);
        let snapshot = scene.snapshot;
        for row in rows.clone() {
            match level {
                Level::Groups => self.group(scene, &snapshot.groups[row]),
                Level::Partitions => self.group_partitions(scene, &snapshot.groups[row]),
                Level::Topics => self.topic(scene, &snapshot.topics[row]),
            }
            self.end_row(level);
        }
        Made {
            blocks: self.take_blocks(level),
        }
    }

    fn group(&mut self, scene: Scene<'_>, group: &GroupRow) {
        let start = self.labels.mark();
        self.labels.push("consumergroup", group.id.as_str());
        let view = GroupView::new(scene, group);
        self.write(Level::Groups, |rows, labels| match rows {
            Rows::Group(value) => value(&view, labels),
            _ => None,
        });
        let mark = self.labels.mark();
        let topics = scene.shows_readings().then(|| group.partitions.by_topic());
        for (topic, partitions) in topics.into_iter().flatten() {
            self.labels.push("topic", topic.as_str());
            let view = GroupTopicView::new(topic, Sums::new(view, partitions));
            self.write(Level::Groups, |rows, labels| match rows {
                Rows::GroupTopic(value) => value(&view, labels),
                _ => None,
            });
            self.labels.cut(mark);
        }
        self.labels.cut(start);
    }

    fn group_partitions(&mut self, scene: Scene<'_>, group: &GroupRow) {
        let start = self.labels.mark();
        self.labels.push("consumergroup", group.id.as_str());
        let of_group = self.labels.mark();
        let group_view = GroupView::new(scene, group);
        for (topic, partitions) in group.partitions.by_topic() {
            self.labels.push("topic", topic.as_str());
            let of_topic = self.labels.mark();
            for row in partitions.iter() {
                let view = PartitionView::new(group_view, row);
                self.labels.push_number("partition", row.id.partition.0);
                self.write(Level::Partitions, |rows, labels| match rows {
                    Rows::GroupPartition(value) => value(&view, labels),
                    _ => None,
                });
                self.labels.cut(of_topic);
            }
            self.labels.cut(of_group);
        }
        self.labels.cut(start);
    }

    fn topic(&mut self, scene: Scene<'_>, topic: &TopicRow) {
        if topic.series == TopicSeries::Elsewhere {
            return;
        }
        let start = self.labels.mark();
        self.labels.push("topic", topic.name.as_str());
        let view = TopicView::new(scene, topic);
        self.write(Level::Topics, |rows, labels| match rows {
            Rows::Topic(value) => value(&view, labels),
            _ => None,
        });
        let mark = self.labels.mark();
        for (number, view) in view.partitions(scene) {
            self.labels.push_number("partition", number);
            self.write(Level::Topics, |rows, labels| match rows {
                Rows::TopicPartition(value) => value(&view, labels),
                _ => None,
            });
            self.labels.cut(mark);
        }
        self.labels.cut(start);
    }

    /// Writes a line of each family for which `value` has one, with the labels as they are.
    fn write(&mut self, level: Level, value: impl Fn(&Rows, &mut Labels) -> Option<Value>) {
        let mark = self.labels.mark();
        for (_, rows, lines) in &mut self.families[level.index()] {
            if let Some(value) = value(rows, &mut self.labels) {
                lines.sample(&self.labels, value);
            }
            self.labels.cut(mark);
        }
    }

    fn end_row(&mut self, level: Level) {
        for (_, _, lines) in &mut self.families[level.index()] {
            lines.end_row();
        }
    }

    fn take_blocks(&mut self, level: Level) -> Vec<(usize, Block)> {
        let mut blocks = Vec::new();
        for (index, _, lines) in &mut self.families[level.index()] {
            if lines.count() > 0 {
                let compressor = self.compressor.as_mut();
                blocks.push((*index, Block::new(lines, compressor)));
                lines.clear();
            }
        }
        blocks.shrink_to_fit();
        blocks
    }
}
