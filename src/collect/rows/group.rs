//! Rows of groups: their members, what is kept of them, and when a group is gone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::evidence::Evidence;
use super::partitions;
use crate::collect::failure::Operation;
use crate::collect::fetch::groups::{Described, GroupAnswer, Seen};
use crate::collect::fetch::listing::{Coverage, Listed};
use crate::collect::news::News;
use crate::collect::rebuild::{Rebuild, Touched};
use crate::kafka::{GroupDescription, KafkaError};
use crate::lag::{BrokerId, Committed, GroupId, TopicPartition, Unavailable, Verdict};
use crate::snapshot::{GroupFailure, GroupRow, Membership, Moment, PartitionRow, Revision};

/// Returns a group's next row, as a whole cycle found it; nothing where the group does not exist.
pub(super) fn row(
    id: GroupId,
    before: Option<&GroupRow>,
    answer: GroupAnswer,
    rebuild: &Rebuild,
    evidence: Evidence<'_>,
) -> Option<GroupRow> {
    match (before, rebuild) {
        (Some(before), Rebuild::Only(touched)) => {
            Some(rebuilt_in_part(before, &answer, touched, evidence))
        }
        (before, _) => rebuilt(id, before, answer, evidence),
    }
}

/// Returns a group's next row between two cycles: `changed` partitions and the members as they are now, and everything else as
/// the newest cycle found it. Nothing where the group does not exist.
pub(super) fn changed_row(
    id: GroupId,
    before: Option<&GroupRow>,
    answer: GroupAnswer,
    changed: &BTreeSet<TopicPartition>,
    rebuild: &Rebuild,
    evidence: Evidence<'_>,
) -> Option<GroupRow> {
    let mut row = row(id, before, answer, rebuild, evidence)?;
    let Some(before) = before else {
        return Some(row);
    };
    row.measured = before.measured;
    match rebuild {
        Rebuild::Only(touched) => {
            for Touched { place, .. } in touched {
                set_apart(row.partitions.get_mut(*place), evidence.now);
            }
        }
        Rebuild::Whole => {
            let partitions = row.partitions.iter();
            row.partitions = partitions
                .map(|row| match before.partitions.get(&row.id) {
                    Some(known) if !changed.contains(&row.id) => {
                        let mut known = known.clone();
                        known.owner = row.owner;
                        known
                    }
                    Some(_) | None => {
                        let mut row = row.clone();
                        set_apart(&mut row, evidence.now);
                        row
                    }
                })
                .collect();
        }
    }
    Some(row)
}

/// Builds the whole row again.
fn rebuilt(
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
        revision: Revision::next(),
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
    add_news(&mut row, &answer.seen, |row| {
        // What it did before it was first seen is unknown.
        before.map_or_else(News::default, |before| {
            News::between(before, row, evidence.now_ms)
        })
    });
    (!is_gone(&row, &answer, evidence)).then_some(row)
}

/// Builds only some partitions of the row again: the others are as they were, and measured now.
fn rebuilt_in_part(
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
    add_news(&mut row, &answer.seen, |row| {
        let changed = touched.iter().filter(|touched| touched.changed.is_some());
        let places = changed.map(|touched| touched.place);
        News::at(places, before, row, evidence.now_ms)
    });
    row
}

/// Returns the row of a group that was not asked about, without what is too old.
pub(super) fn aged(before: &GroupRow, evidence: Evidence<'_>) -> GroupRow {
    let unread = |row: &PartitionRow| {
        let reading = Err((Unavailable::Committed, evidence.kept(before.measured, row)));
        PartitionRow::new(row.id.clone(), reading, row.owner).judged(row.judgement())
    };
    GroupRow {
        revision: before.revision,
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

/// Notes that a row was measured `now`, unless it was earlier, and not with the others of its group.
fn set_apart(row: &mut PartitionRow, now: Moment) {
    row.reading = row.reading.take().map(|reading| {
        let measured = reading.measured(now);
        reading.read_apart(measured)
    });
}

/// Adds to the row what the group was seen to do; `compare` returns what two polls show of it.
fn add_news(row: &mut GroupRow, seen: &Seen, compare: impl FnOnce(&GroupRow) -> News) {
    match seen {
        Seen::InRecords(activity) => row.activity = Arc::clone(activity),
        Seen::Compared => {
            let news = compare(row);
            if !news.is_empty() {
                news.add_to(Arc::make_mut(&mut row.activity));
            }
        }
    }
}

/// Returns whether the group is gone: its coordinator does not know it, and it has no commits.
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
