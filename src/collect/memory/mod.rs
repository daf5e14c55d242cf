//! What a poller remembers of the cluster over time, and how it forgets: log ends, the positions of groups, their recent past,
//! and the ids of topics.

mod ages;
mod incarnations;
mod judging;
mod standings;

pub(super) use self::ages::{Ages, RequestTimes};
pub(super) use self::judging::{JudgedGroups, Judging, JudgingInput};
pub(super) use self::standings::Standings;

use self::incarnations::Incarnations;
use super::clock::Now;
use super::config::PollConfig;
use super::fetch::Budget;
use super::fetch::groups::GroupAnswer;
use super::fetch::marks::Marks;
use super::fetch::topology::Topology;
use super::rebuild::Rebuild;
use crate::kafka::{Admin, KafkaError};
use crate::lag::GroupId;
use crate::snapshot::{ClusterSnapshot, GroupRow};

/// How many cycles pass between two passes over every row for what can be forgotten.
const CYCLES_TO_FORGET: u32 = 8;

/// What a poller has observed over time.
///
/// It outlives the poller: another one of the same cluster can go on from it, as after a reload.
#[derive(Debug, Default)]
pub struct Memory {
    ages: Ages,
    judging: Judging,
    incarnations: Incarnations,
    /// Cycles that have ended.
    cycles: u32,
    /// Whether `ages` may differ from what the newest rows show, so that all of them must be rebuilt: a cycle was dropped, a
    /// topic was recreated, or a log was truncated between two cycles.
    is_ahead_of_rows: bool,
}

impl Memory {
    /// Returns it for another poller, whose configuration may differ.
    pub(super) fn handed_over(mut self) -> Self {
        self.cycles = 0;
        self.is_ahead_of_rows = false;
        self
    }

    pub(super) fn ages(&self) -> &Ages {
        &self.ages
    }

    /// Records the log ends of a cycle. Returns whether rows may be reused, because all that was remembered before is in the
    /// newest snapshot; from here to [`Memory::end_cycle`] it is not.
    pub(super) fn observe_cycle(&mut self, marks: &Marks, times: RequestTimes) -> bool {
        self.ages.observe(marks, times);
        !std::mem::replace(&mut self.is_ahead_of_rows, true)
    }

    /// Records log ends that were read between two cycles.
    pub(super) fn observe_changes(&mut self, marks: &Marks, times: RequestTimes) {
        // A truncated log may grow back before the next cycle, which would then find the row unchanged.
        self.is_ahead_of_rows |= self.ages.observe(marks, times);
    }

    /// Notes that a cycle's snapshot holds all that is remembered.
    pub(super) fn end_cycle(&mut self) {
        self.is_ahead_of_rows = false;
        self.cycles = self.cycles.wrapping_add(1);
    }

    /// Updates the positions of a group from its newest row and its response, for the partitions that are rebuilt.
    pub(super) fn update_standings(
        &mut self,
        id: &GroupId,
        (before, answer): (Option<&GroupRow>, &GroupAnswer),
        (rebuild, marks): (&Rebuild, &Marks),
        config: &PollConfig,
    ) {
        rebuild.with_commits(before, answer, |commits| {
            self.ages.update(id, commits, marks, config);
        });
    }

    /// Asks brokers for the ages that log ends do not show. See [`Ages::search`].
    pub(super) async fn search_ages(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
        logs: (&Topology, &Marks),
    ) {
        self.ages.search(admin, config, budget, logs).await;
    }

    /// Forgets what was observed of topics that were recreated under their old name.
    pub(super) fn forget_recreated_topics(&mut self, topology: &Topology) {
        let recreated = self.incarnations.observe(topology);
        if !recreated.is_empty() {
            self.ages.forget_topics(&recreated);
            self.judging.forget_topics(&recreated);
            self.is_ahead_of_rows = true;
        }
    }

    /// Records where the logs of a cycle start, as far as topics delete records by size.
    pub(super) fn observe_log_starts(&mut self, marks: &Marks, now: Now) {
        self.judging.observe_log_starts(marks, now);
    }

    /// Judges what was rebuilt of a snapshot.
    pub(super) fn judge(&mut self, snapshot: &mut ClusterSnapshot, input: JudgingInput<'_>) {
        self.judging.judge(snapshot, input);
    }

    /// Reads when topics delete records, and returns what failed.
    pub(super) async fn fetch_policies(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
    ) -> Option<KafkaError> {
        self.judging.fetch_policies(admin, config, budget).await
    }

    /// Returns whether this cycle goes through every row for what can be forgotten. The first one after
    /// [`Memory::handed_over`] does: what a former poller has left may be of another configuration.
    pub(super) fn is_due_to_forget(&self) -> bool {
        self.cycles.is_multiple_of(CYCLES_TO_FORGET)
    }

    /// Forgets what the next snapshot does not need: groups at once, partitions and topics now and then.
    pub(super) fn forget(
        &mut self,
        previous: &ClusterSnapshot,
        snapshot: &ClusterSnapshot,
        topology: Option<&Topology>,
    ) {
        let is_due = self.is_due_to_forget();
        let before = previous.groups.iter().map(|row| &row.id);
        let has_same_groups = before.eq(snapshot.groups.iter().map(|row| &row.id));
        if is_due || !has_same_groups {
            self.judging.retain_groups(snapshot);
            self.ages.retain_groups(snapshot);
        }
        if let Some(topology) = topology.filter(|_| is_due) {
            self.incarnations.retain(topology);
            self.ages.retain_partitions(topology, snapshot);
            self.judging.retain_partitions(snapshot);
        }
    }
}
