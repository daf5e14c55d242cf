//! What a row is built from, besides the group's own response.

use std::sync::Arc;
use std::time::Instant;

use crate::collect::clock::Now;
use crate::collect::config::PollConfig;
use crate::collect::fetch::listing::Coverage;
use crate::collect::fetch::marks::Marks;
use crate::collect::fetch::topology::{Currency, Topology};
use crate::collect::memory::{Ages, Standings};
use crate::collect::rebuild::Touched;
use crate::collect::update::{Scope, Update};
use crate::lag::{
    Committed, Isolation, Lag, Timestamp, TopicName, TopicPartition, Unavailable, Watermarks,
    partition_lag,
};
use crate::snapshot::{GroupRow, Membership, Moment, PartitionRow, Reading};

/// What an update found besides a group's own response, and what was known before.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) topology: Option<&'a Topology>,
    pub(super) currency: Currency,
    pub(super) coverage: Coverage,
    pub(super) marks: &'a Marks,
    pub(super) ages: &'a Ages,
    pub(super) config: &'a PollConfig,
    /// When the update's figures were read.
    pub(super) now: Moment,
    /// When the update was complete, in milliseconds since the epoch.
    pub(super) now_ms: i64,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(
        update: &'a Update,
        config: &'a PollConfig,
        ages: &'a Ages,
        now: Now,
    ) -> Self {
        let (currency, coverage) = match &update.scope {
            Scope::Whole(cycle) => (cycle.currency, cycle.coverage),
            // A topic may be younger than the topology.
            Scope::Part(_) => (Currency::Kept, Coverage::InPart),
        };
        Self {
            topology: update.topology.as_deref(),
            currency,
            coverage,
            marks: &update.marks,
            ages,
            config,
            now: Moment {
                instant: now.instant,
                time: ages.now().unwrap_or_else(|| Timestamp::from(now.time)),
            },
            now_ms: now.since_epoch_ms(),
        }
    }

    /// Returns the pair of one cycle; why there is none unless both halves were read. Where the group stands is looked for at
    /// `hint` first.
    pub(super) fn reading(
        &self,
        standings: Option<&Standings>,
        (id, hint): (&TopicPartition, usize),
        (committed, marks): (
            Result<Committed, Unavailable>,
            Result<Watermarks, Unavailable>,
        ),
        isolation: Isolation,
    ) -> Result<Reading, Unavailable> {
        let waits = match partition_lag(committed, marks, isolation) {
            Lag::Unavailable(reason) => return Err(reason),
            Lag::Known(distance) => distance.lag > 0,
            Lag::NoCommit { .. } => false,
        };
        let standings = standings.filter(|_| waits);
        let wait = standings.and_then(|standings| standings.wait(id, hint));
        let (committed, marks) = (committed?, marks?);
        Ok(Reading::new(committed, marks, isolation, wait))
    }

    /// Returns whether a rebuilt row would show the same offsets and the same wait.
    pub(super) fn reads_the_same(
        &self,
        row: &PartitionRow,
        touched: &Touched,
        standings: Option<&Standings>,
    ) -> bool {
        let reading = row.reading.as_ref().filter(|_| row.failure.is_none());
        let Some(reading) = reading.filter(|reading| reading.is_of_its_group()) else {
            return false;
        };
        let has_same_wait = || {
            let wait = standings.and_then(|standings| standings.wait(&row.id, touched.place));
            reading.wait() == wait
        };
        match touched.changed {
            Some(committed) => {
                reading.committed == committed
                    && self.marks(&row.id) == Ok(reading.marks)
                    && has_same_wait()
            }
            None => {
                standings.is_none_or(|standings| !standings.was_asked(&row.id)) || has_same_wait()
            }
        }
    }

    pub(super) fn marks(&self, id: &TopicPartition) -> Result<Watermarks, Unavailable> {
        self.marks
            .get(id)
            .copied()
            .unwrap_or(Err(Unavailable::EndOffset))
    }

    /// Returns the row's last good pair while it may be shown.
    ///
    /// `measured` is when the newest of its group were read.
    pub(super) fn kept(&self, measured: Moment, row: &PartitionRow) -> Option<Reading> {
        let reading = row.reading.as_ref()?;
        let measured = reading.measured(measured);
        self.is_fresh(measured.instant)
            .then(|| reading.clone().read_apart(measured))
    }

    pub(super) fn kept_membership(&self, before: Option<&GroupRow>) -> Option<Arc<Membership>> {
        let membership = before?.membership.as_ref()?;
        self.is_fresh(membership.measured)
            .then(|| Arc::clone(membership))
    }

    fn is_fresh(&self, measured: Instant) -> bool {
        self.config.is_fresh(measured, self.now.instant)
    }

    /// Returns the allocation of the name that every row shares.
    pub(super) fn name(&self, topic: &TopicName) -> TopicName {
        let known = self.topology.and_then(|topology| topology.name(topic));
        known.unwrap_or(topic).clone()
    }
}
