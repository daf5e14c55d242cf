//! Rows of groups: their members, what is kept of them, and when a group is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::ages::Ages;
use super::super::config::PollConfig;
use super::super::failure::Operation;
use super::super::fetch::groups::{Described, GroupAnswer, Seen};
use super::super::fetch::listing::{Coverage, Listed};
use super::super::fetch::marks::Marks;
use super::super::fetch::topology::{Currency, Topology};
use super::super::news::News;
use super::super::renewal::Touched;
use super::super::standings::Standings;
use super::{is_fresh, partitions};
use crate::kafka::{GroupDescription, KafkaError};
use crate::lag::{
    BrokerId, Committed, GroupId, Isolation, Lag, TopicName, TopicPartition, Unavailable, Verdict,
    Watermarks, partition_lag,
};
use crate::snapshot::{GroupFailure, GroupRow, Membership, Moment, PartitionRow, Reading};

/// What a cycle found besides the group's own answer.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) topology: Option<&'a Topology>,
    pub(super) currency: Currency,
    pub(super) coverage: Coverage,
    pub(super) marks: &'a Marks,
    pub(super) ages: &'a Ages,
    pub(super) config: &'a PollConfig,
    pub(super) now: Moment,
    /// When the cycle ended, in milliseconds since the epoch.
    pub(super) now_ms: i64,
}

/// Returns the group's row; nothing where the group does not exist.
pub(super) fn row(
    id: GroupId,
    before: Option<&GroupRow>,
    answer: GroupAnswer,
    evidence: Evidence<'_>,
) -> Option<GroupRow> {
    let membership = membership(before, &answer, evidence);
    let commits = partitions::commits(before, &answer, membership.as_deref(), evidence);
    let partitions = partitions::rows(&id, before, commits, membership.as_deref(), evidence);
    let isolation = evidence.config.isolation(&id);
    let mut row = GroupRow {
        id,
        membership,
        measured: evidence.now,
        partitions,
        to_judge: None,
        isolation,
        verdict: Verdict::Ok,
        judged_at: evidence.now.time,
        failures: failures(&answer),
        activity: before.map_or_else(Arc::default, |before| Arc::clone(&before.activity)),
    };
    tell_news(&mut row, &answer.seen, |row| {
        // What it did before it was first seen is unknown.
        before.map_or_else(News::default, |before| {
            News::between(before, row, evidence.now_ms)
        })
    });
    (!is_gone(&row, &answer, evidence)).then_some(row)
}

/// Returns the group's row where nothing but some partitions differs from before: the others are as they were, and
/// measured anew.
pub(super) fn touched(
    before: &GroupRow,
    answer: &GroupAnswer,
    touched: &[Touched],
    evidence: Evidence<'_>,
) -> GroupRow {
    let membership = before.membership.as_deref().map(|membership| Membership {
        measured: evidence.now.instant,
        ..membership.clone()
    });
    let mut row = GroupRow {
        membership: membership.map(Arc::new),
        measured: evidence.now,
        to_judge: before.to_judge.clone().filter(|_| touched.is_empty()),
        partitions: partitions::touched(before, touched, evidence),
        ..before.clone()
    };
    tell_news(&mut row, &answer.seen, |row| {
        let moved = touched.iter().filter(|touched| touched.has_moved);
        let places = moved.map(|touched| touched.place);
        News::at(places, before, row, evidence.now_ms)
    });
    row
}

/// Returns the group's row where nothing but some partitions differs from before, which alone were measured anew.
pub(super) fn touched_apart(
    before: &GroupRow,
    answer: &GroupAnswer,
    touched: &[Touched],
    evidence: Evidence<'_>,
) -> GroupRow {
    let mut row = self::touched(before, answer, touched, evidence);
    row.measured = before.measured;
    for Touched { place, .. } in touched {
        set_apart(row.partitions.get_mut(*place), evidence.now);
    }
    row
}

/// Returns the row of a group that was not asked about, without what is too old.
pub(super) fn aged(before: &GroupRow, evidence: Evidence<'_>) -> GroupRow {
    let unread = |row: &PartitionRow| {
        let reading = Err((Unavailable::Committed, evidence.kept(before.measured, row)));
        PartitionRow::new(row.id.clone(), reading, row.owner).judged(row.judgement())
    };
    GroupRow {
        id: before.id.clone(),
        membership: evidence.kept_membership(Some(before)),
        measured: evidence.now,
        to_judge: None,
        partitions: before
            .partitions
            .iter()
            .filter(|row| evidence.config.watches_topic(row.id.topic.as_str()))
            .map(unread)
            .collect(),
        isolation: before.isolation,
        verdict: before.verdict.clone(),
        judged_at: before.judged_at,
        failures: before.failures.clone(),
        activity: Arc::clone(&before.activity),
    }
}

/// Returns the row with what changed of it alone: `partitions`, each measured anew, and its members.
///
/// Everything else stays as the newest cycle found it.
pub(super) fn patched(
    id: GroupId,
    before: Option<&GroupRow>,
    answer: GroupAnswer,
    partitions: &BTreeSet<TopicPartition>,
    evidence: Evidence<'_>,
) -> Option<GroupRow> {
    let row = row(id, before, answer, evidence)?;
    let Some(before) = before else {
        return Some(row);
    };
    let unchanged = |row: &PartitionRow| {
        let known = before.partitions.get(&row.id)?;
        (!partitions.contains(&row.id)).then(|| {
            let mut known = known.clone();
            known.owner = row.owner;
            known
        })
    };
    let changed = |row: &PartitionRow| {
        let mut row = row.clone();
        set_apart(&mut row, evidence.now);
        row
    };
    let partitions = row.partitions.iter();
    Some(GroupRow {
        measured: before.measured,
        partitions: partitions
            .map(|row| unchanged(row).unwrap_or_else(|| changed(row)))
            .collect(),
        ..row
    })
}

/// Notes that a row was measured `now`, unless it was earlier, and not with the others of its group.
fn set_apart(row: &mut PartitionRow, now: Moment) {
    row.reading = row.reading.take().map(|reading| {
        let measured = reading.measured(now);
        reading.read_apart(measured)
    });
}

/// Adds to the row what the group was seen to do; `compare` returns what two polls show of it.
fn tell_news(row: &mut GroupRow, seen: &Seen, compare: impl FnOnce(&GroupRow) -> News) {
    match seen {
        Seen::Told(activity) => row.activity = Arc::clone(activity),
        Seen::Compared => {
            let news = compare(row);
            if !news.is_empty() {
                news.add_to(Arc::make_mut(&mut row.activity));
            }
        }
    }
}

/// Tells whether the group is gone: its coordinator does not know it, and it has no commits.
///
/// A listing that may have holes takes nothing away. A group that a whole listing leaves out and about which nobody
/// can say anything goes once there is nothing left of it to show, or at once where it may no longer be seen.
fn is_gone(row: &GroupRow, answer: &GroupAnswer, evidence: Evidence<'_>) -> bool {
    if answer.listed.is_some() || evidence.coverage == Coverage::InPart {
        return false;
    }
    let is_unknown = match &answer.description {
        Described::NotFound => true,
        Described::Unsupported => row.partitions.is_empty(),
        Described::Answered(_) | Described::Memberless(_) | Described::Failed(_) => false,
    };
    match &answer.committed {
        Ok(commits) => {
            let is_committed = commits
                .commits()
                .iter()
                .any(|(_, commit)| !matches!(commit, Ok(Committed::Never)));
            is_unknown && !is_committed
        }
        Err(_) if evidence.coverage == Coverage::Named => false,
        Err(error) => {
            let has_something =
                row.membership.is_some() || row.partitions.iter().any(|row| row.reading.is_some());
            error.code.is_authorization() || !has_something
        }
    }
}

fn membership(
    before: Option<&GroupRow>,
    answer: &GroupAnswer,
    evidence: Evidence<'_>,
) -> Option<Arc<Membership>> {
    match &answer.description {
        Described::Answered(description) => {
            let mut membership = described(description, evidence);
            if membership.coordinator.is_none() {
                // Records do not tell it.
                membership.coordinator = before.and_then(coordinator);
            }
            Some(Arc::new(membership))
        }
        Described::Memberless(listed) => Some(Arc::new(memberless(*listed, evidence))),
        Described::Failed(_) => evidence.kept_membership(before),
        Described::NotFound | Described::Unsupported => None,
    }
}

fn coordinator(row: &GroupRow) -> Option<BrokerId> {
    row.membership.as_ref()?.coordinator
}

fn described(description: &GroupDescription, evidence: Evidence<'_>) -> Membership {
    let GroupDescription {
        state,
        group_type,
        protocol_type: _,
        assignor,
        coordinator,
        members,
        malformed: _,
    } = description;
    let mut members = members.clone();
    for partition in members.iter_mut().flat_map(|member| &mut member.assignment) {
        partition.topic = evidence.name(&partition.topic);
    }
    Membership {
        measured: evidence.now.instant,
        state: *state,
        group_type: *group_type,
        assignor: assignor.clone(),
        coordinator: *coordinator,
        members: members.into(),
    }
}

fn memberless(listed: Listed, evidence: Evidence<'_>) -> Membership {
    let Listed {
        state,
        group_type,
        coordinator,
    } = listed;
    Membership {
        measured: evidence.now.instant,
        state,
        group_type,
        assignor: String::new(),
        coordinator: Some(coordinator),
        members: Arc::from([]),
    }
}

fn failures(answer: &GroupAnswer) -> Vec<GroupFailure> {
    let failure = |operation: Operation, error: &KafkaError| GroupFailure {
        operation: operation.as_str(),
        error: error.code.name(),
        message: error.message.clone(),
    };
    let mut failures = Vec::new();
    if let Described::Failed(error) = &answer.description {
        failures.push(failure(Operation::DescribeGroup, error));
    }
    let unread = match &answer.committed {
        Err(error) => Some(error.clone()),
        Ok(commits) => commits.failure(),
    };
    failures.extend(unread.map(|error| failure(Operation::CommittedOffsets, &error)));
    failures
}

impl Evidence<'_> {
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
        let waits_as_before = || {
            let wait = standings.and_then(|standings| standings.wait(&row.id, touched.place));
            reading.wait() == wait
        };
        if touched.has_moved {
            reading.committed == touched.committed
                && self.marks(&row.id) == Ok(reading.marks)
                && waits_as_before()
        } else {
            standings.is_none_or(|standings| !standings.was_asked(&row.id)) || waits_as_before()
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

    fn kept_membership(&self, before: Option<&GroupRow>) -> Option<Arc<Membership>> {
        let membership = before?.membership.as_ref()?;
        self.is_fresh(membership.measured)
            .then(|| Arc::clone(membership))
    }

    fn is_fresh(&self, measured: Instant) -> bool {
        is_fresh(measured, self.config, self.now.instant)
    }

    /// Returns the allocation of the name that every row shares.
    fn name(&self, topic: &TopicName) -> TopicName {
        let known = self.topology.and_then(|topology| topology.name(topic));
        known.unwrap_or(topic).clone()
    }
}
