//! The work on a batch of records.
//!
//! Without a handler the audit log's row is the work, and a batch is one transaction. With one, records are done one
//! by one, and those not started when the stop comes are returned untried.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::audit::{AuditError, AuditLog, NotRecorded, Recorded};
use super::event::TaskCreated;
use super::handler::{HandlerError, TaskHandler};
use super::item::{Item, Task};
use crate::diagnostics::one_line;
use crate::kafka::ConsumerRecord;
use crate::lag::{Offset, TopicPartition};

/// What became of a record.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done, for the first time.
    Processed(TaskCreated),
    /// It was done before.
    Duplicate(TaskCreated),
    /// The attempt failed.
    Failed(AttemptError),
    /// It was not started.
    Untouched,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttemptError {
    pub(super) reason: String,
    pub(super) retry: Retry,
}

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    MayHelp,
    Useless,
}

/// What became of the records of one call, each partition's in order.
#[derive(Debug, Default)]
pub(super) struct Worked {
    pub(super) results: Vec<(Item, Outcome)>,
    /// The audit log could not be written: no record's fault, and no attempt.
    pub(super) audit_error: Option<AuditError>,
    /// How long it took.
    pub(super) duration: Duration,
}

/// Is called when records are handed to the processing step, with the offset after the last of each partition.
pub(super) type HandOver = Arc<dyn Fn(&[(TopicPartition, Offset)]) + Send + Sync>;

/// Does the work.
pub(super) struct Worker {
    pub(super) audit: AuditLog,
    pub(super) handler: Option<Arc<dyn TaskHandler>>,
    pub(super) delay: Duration,
    /// How long a batch that is done one by one may take before it is ended between two records.
    pub(super) patience: Duration,
    pub(super) hand_over: Option<HandOver>,
}

impl Worker {
    /// Works through `items`. No record of a partition is started after one that failed.
    ///
    /// After `stop` the record in progress is finished and no other started.
    pub(super) async fn work(&self, items: Vec<Item>, stop: &CancellationToken) -> Worked {
        let started = Instant::now();
        let mut worked = if self.handler.is_none() && self.delay.is_zero() {
            self.in_bulk(items).await
        } else {
            self.one_by_one(items, stop, started).await
        };
        worked.duration = started.elapsed();
        worked
    }

    async fn in_bulk(&self, items: Vec<Item>) -> Worked {
        let mut worked = Worked::default();
        let mut blocked = BTreeSet::new();
        let mut tasks = Vec::with_capacity(items.len());
        let mut failed = Vec::new();
        let mut handed_over: Vec<(TopicPartition, Offset)> = Vec::new();
        for item in items {
            if blocked.contains(&item.partition) {
                failed.push((item, Outcome::Untouched));
                continue;
            }
            let next = item.record.next_offset();
            match handed_over.last_mut() {
                Some((partition, offset)) if *partition == item.partition => *offset = next,
                _ => handed_over.push((item.partition.clone(), next)),
            }
            match decode(&item.record) {
                Ok(event) => tasks.push(Task { item, event }),
                Err(error) => {
                    blocked.insert(item.partition.clone());
                    failed.push((item, Outcome::Failed(error)));
                }
            }
        }
        self.report_hand_over(&handed_over);
        if !tasks.is_empty() {
            match self.audit.record(tasks).await {
                Ok(recorded) => worked.results.extend(recorded.into_iter().map(settled)),
                Err(NotRecorded { error, tasks }) => {
                    worked.audit_error = Some(error);
                    let untouched = tasks
                        .into_iter()
                        .map(|task| (task.item, Outcome::Untouched));
                    worked.results.extend(untouched);
                }
            }
        }
        // Of each partition, what failed comes after what was done.
        if worked.audit_error.is_some() {
            failed
                .iter_mut()
                .for_each(|(_, outcome)| *outcome = Outcome::Untouched);
        }
        worked.results.extend(failed);
        worked
    }

    async fn one_by_one(
        &self,
        items: Vec<Item>,
        stop: &CancellationToken,
        started: Instant,
    ) -> Worked {
        let mut worked = Worked::default();
        let mut blocked = BTreeSet::new();
        for item in items {
            let is_over = stop.is_cancelled()
                || started.elapsed() >= self.patience && !worked.results.is_empty();
            if is_over || worked.audit_error.is_some() || blocked.contains(&item.partition) {
                worked.results.push((item, Outcome::Untouched));
                continue;
            }
            self.report_hand_over(&[(item.partition.clone(), item.record.next_offset())]);
            let partition = item.partition.clone();
            match self.one(item).await {
                Ok(result) => {
                    if matches!(result.1, Outcome::Failed(_)) {
                        blocked.insert(partition);
                    }
                    worked.results.push(result);
                }
                Err(NotRecorded { error, tasks }) => {
                    worked.audit_error = Some(error);
                    let untouched = tasks
                        .into_iter()
                        .map(|task| (task.item, Outcome::Untouched));
                    worked.results.extend(untouched);
                }
            }
        }
        worked
    }

    async fn one(&self, item: Item) -> Result<(Item, Outcome), NotRecorded> {
        let event = match decode(&item.record) {
            Ok(event) => event,
            Err(error) => return Ok((item, Outcome::Failed(error))),
        };
        match self.audit.contains(&event.id).await {
            Ok(false) => {}
            Ok(true) => return Ok((item, Outcome::Duplicate(event))),
            Err(error) => {
                let tasks = vec![Task { item, event }];
                return Err(NotRecorded { error, tasks });
            }
        }
        sleep(self.delay).await;
        if let Some(handler) = &self.handler
            && let Err(error) = handler.handle(&event, item.attempt).await
        {
            return Ok((item, Outcome::Failed(error.into())));
        }
        let mut recorded = self.audit.record(vec![Task { item, event }]).await?;
        Ok(settled(
            recorded.pop().expect("one answer for the one task"),
        ))
    }

    fn report_hand_over(&self, offsets: &[(TopicPartition, Offset)]) {
        if let Some(hand_over) = &self.hand_over {
            hand_over(offsets);
        }
    }
}

fn settled((task, recorded): (Task, Recorded)) -> (Item, Outcome) {
    let Task { item, event } = task;
    let outcome = match recorded {
        Recorded::New => Outcome::Processed(event),
        Recorded::Duplicate => Outcome::Duplicate(event),
    };
    (item, outcome)
}

fn decode(record: &ConsumerRecord) -> Result<TaskCreated, AttemptError> {
    TaskCreated::decode(record.value.as_deref()).map_err(|error| AttemptError {
        reason: one_line(&error),
        retry: Retry::Useless,
    })
}

impl From<HandlerError> for AttemptError {
    fn from(error: HandlerError) -> Self {
        let (reason, retry) = match error {
            HandlerError::Transient(reason) => (reason, Retry::MayHelp),
            HandlerError::Permanent(reason) => (reason, Retry::Useless),
        };
        Self { reason, retry }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
