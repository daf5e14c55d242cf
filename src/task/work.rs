//! The work on a batch of records.
//!
//! Without a handler the audit log's row is the work, and a batch is one transaction. With one, records are done one
//! by one, and those not started when the stop comes are returned untried.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::audit::{AuditError, AuditLog, NotRecorded, Recorded};
use super::event::TaskCreated;
use super::handler::{HandlerError, TaskHandler};
use super::item::{Item, Outcome, Task};
use super::journal::FailureJournal;
use crate::diagnostics::one_line;
use crate::kafka::ConsumerRecord;
use crate::kafka::consumer::OffsetStore;
use crate::lag::{Offset, TopicPartition};

/// What became of the records of one call, each partition's in order.
#[derive(Debug, Default)]
pub(super) struct Worked {
    pub(super) results: Vec<(Item, Outcome)>,
    /// The audit log could not be written: no record's fault, and no attempt.
    pub(super) audit_error: Option<AuditError>,
    /// How long it took.
    pub(super) duration: Duration,
}

/// Does the work.
pub(super) struct Worker {
    pub(super) audit: AuditLog,
    pub(super) handler: Option<Arc<dyn TaskHandler>>,
    pub(super) delay: Duration,
    /// How long a batch that is done one by one may take before it is ended between two records.
    pub(super) patience: Duration,
    /// Under `auto`: where the offset after each record is stored when the work on it starts, as in a loop that polls one
    /// record and processes it. Records that are still in the buffer are not affected.
    pub(super) store_at_start: Option<OffsetStore>,
    pub(super) failures: FailureJournal,
}

impl Worked {
    /// Adds tasks that the audit log could not record: none of them counts as tried.
    fn add_unrecorded(&mut self, unrecorded: NotRecorded) {
        let NotRecorded { error, tasks } = unrecorded;
        self.audit_error = Some(error);
        let items = tasks.into_iter().map(|task| task.item);
        self.results
            .extend(items.map(|item| (item, Outcome::Untouched)));
    }
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
        let mut started: Vec<(TopicPartition, Offset)> = Vec::new();
        for item in items {
            if blocked.contains(&item.partition) {
                failed.push((item, Outcome::Untouched));
                continue;
            }
            let next = item.record.next_offset();
            match started.last_mut() {
                Some((partition, offset)) if *partition == item.partition => *offset = next,
                _ => started.push((item.partition.clone(), next)),
            }
            match decode(&item.record) {
                Ok(event) => tasks.push(Task { item, event }),
                Err(error) => {
                    blocked.insert(item.partition.clone());
                    failed.push((item, Outcome::Failed(error)));
                }
            }
        }
        self.store_started(&started);
        if !tasks.is_empty() {
            match self.audit.record(tasks).await {
                Ok(recorded) => worked.results.extend(recorded.into_iter().map(settled)),
                Err(unrecorded) => worked.add_unrecorded(unrecorded),
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
            let partition = item.partition.clone();
            self.store_started(&[(partition.clone(), item.record.next_offset())]);
            match self.one(item).await {
                Ok(result) => {
                    if matches!(result.1, Outcome::Failed(_)) {
                        blocked.insert(partition);
                    }
                    worked.results.push(result);
                }
                Err(unrecorded) => worked.add_unrecorded(unrecorded),
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
            return Ok((item, Outcome::Failed(error)));
        }
        let mut recorded = self.audit.record(vec![Task { item, event }]).await?;
        Ok(settled(
            recorded.pop().expect("one answer for the one task"),
        ))
    }

    fn store_started(&self, offsets: &[(TopicPartition, Offset)]) {
        if let Some(offset_store) = &self.store_at_start
            && let Err(error) = offset_store.store(offsets)
        {
            self.failures.store_failed(&error);
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

fn decode(record: &ConsumerRecord) -> Result<TaskCreated, HandlerError> {
    TaskCreated::decode(record.value.as_deref())
        .map_err(|error| HandlerError::Permanent(one_line(&error)))
}
