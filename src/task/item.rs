//! A record on its way through the processing step.

use super::event::TaskCreated;
use super::handler::HandlerError;
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

/// What became of a record in progress.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done, for the first time.
    Processed(TaskCreated),
    /// It was done before.
    Duplicate(TaskCreated),
    /// The attempt failed.
    Failed(HandlerError),
    /// It was not started.
    Untouched,
}
