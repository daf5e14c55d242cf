//! What topics and their partitions show.

use crate::exposition::view::Scene;
use crate::lag::Watermarks;
use crate::snapshot::{TopicPartitionRow, TopicRow};

/// A topic as it is to be seen.
pub(in crate::exposition) struct TopicView<'a> {
    pub(super) row: &'a TopicRow,
    pub(super) is_fresh: bool,
}

/// A topic's partition as it is to be seen.
pub(in crate::exposition) struct TopicPartitionView<'a> {
    /// What the metadata says; nothing where that is too old.
    pub(super) row: Option<&'a TopicPartitionRow>,
    pub(super) marks: Option<&'a Watermarks>,
}

impl<'a> TopicView<'a> {
    /// Returns a topic of a scene.
    pub(in crate::exposition) fn new(scene: Scene<'_>, row: &'a TopicRow) -> Self {
        Self {
            row,
            is_fresh: scene.is_fresh(row.measured),
        }
    }

    /// Returns its partitions.
    pub(in crate::exposition) fn partitions<'s>(
        &self,
        scene: Scene<'s>,
    ) -> impl Iterator<Item = (i32, TopicPartitionView<'a>)> + use<'a, 's> {
        let is_fresh = self.is_fresh;
        self.row.partitions.iter().map(move |row| {
            let marks = row.marks.as_ref();
            let marks = marks.filter(|(measured, _)| scene.is_fresh(*measured));
            let view = TopicPartitionView {
                row: is_fresh.then_some(row),
                marks: marks.map(|(_, marks)| marks),
            };
            (row.id.0, view)
        })
    }
}
