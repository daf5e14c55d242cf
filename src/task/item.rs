//! A record on its way through the processing step.

use super::event::TaskCreated;
use crate::kafka::ConsumerRecord;
use crate::lag::TopicPartition;

/// A record in progress.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) partition: TopicPartition,
    pub(super) record: ConsumerRecord,
    /// From 1.
    pub(super) attempt: u32,
}

/// A record in progress that is a `task-created` event.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) item: Item,
    pub(super) event: TaskCreated,
}
