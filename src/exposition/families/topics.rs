//! Samples of topics and of their partitions.

use crate::exposition::view::Scene;
use crate::exposition::writer::{Labels, Value};
use crate::lag::Watermarks;
use crate::snapshot::{TopicPartitionRow, TopicRow};

/// A topic as it is to be seen.
pub(in crate::exposition) struct TopicView<'a> {
    row: &'a TopicRow,
    is_fresh: bool,
}

/// A topic's partition as it is to be seen.
pub(in crate::exposition) struct TopicPartitionView<'a> {
    /// What the metadata says; nothing where that is too old.
    row: Option<&'a TopicPartitionRow>,
    marks: Option<&'a Watermarks>,
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

pub(super) fn partition_count(view: &TopicView<'_>, _: &mut Labels) -> Option<Value> {
    let count = view.row.partitions.len() as u64;
    view.is_fresh.then(|| count.into())
}

pub(super) fn log_end(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    Some(view.marks?.log_end.value().into())
}

pub(super) fn log_start(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    view.marks?.log_start.map(|offset| offset.value().into())
}

pub(super) fn last_stable(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    view.marks?.last_stable.map(|offset| offset.value().into())
}

pub(super) fn under_replicated(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let row = view.row?;
    Some(u64::from(row.in_sync.len() < row.replicas.len()).into())
}

pub(super) fn leader(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    u64::try_from(view.row?.leader?.0).ok().map(Value::from)
}

pub(super) fn leader_is_preferred(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    let row = view.row?;
    let preferred = row.replicas.first()?;
    Some(u64::from(row.leader.as_ref() == Some(preferred)).into())
}

pub(super) fn in_sync(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    Some((view.row?.in_sync.len() as u64).into())
}

pub(super) fn replicas(view: &TopicPartitionView<'_>, _: &mut Labels) -> Option<Value> {
    Some((view.row?.replicas.len() as u64).into())
}
