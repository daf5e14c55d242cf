//! What becomes of records that were in progress.

use std::collections::BTreeMap;
use std::time::Instant;

use super::member::{AuditHold, TaskMember};
use crate::lag::TopicPartition;
use crate::task::audit::AuditError;
use crate::task::dead_letter::DeliveredDeadLetter;
use crate::task::error::TaskError;
use crate::task::handler::HandlerError;
use crate::task::item::{Item, Outcome};
use crate::task::work::Worked;

/// Notes what was done and decides on what was not.
pub(super) fn settle(member: &mut TaskMember, worked: Worked) -> Result<(), TaskError> {
    let Worked {
        results,
        audit_error,
        duration,
    } = worked;
    member.journal.attempted(&results, duration);
    match audit_error {
        Some(error @ AuditError::Closed) => return Err(error.into()),
        Some(error) => hold_for_audit(member, &error),
        None if member.audit_hold.is_some() && results.iter().any(has_row) => {
            member.audit_hold = None;
            member.journal.group.audit_written();
        }
        None => {}
    }
    for (partition, results) in by_partition(results) {
        settle_partition(member, &partition, results);
    }
    Ok(())
}

fn has_row((_, outcome): &(Item, Outcome)) -> bool {
    matches!(outcome, Outcome::Processed(_) | Outcome::Duplicate(_))
}

fn by_partition(results: Vec<(Item, Outcome)>) -> BTreeMap<TopicPartition, Vec<(Item, Outcome)>> {
    let mut by_partition: BTreeMap<TopicPartition, Vec<(Item, Outcome)>> = BTreeMap::new();
    for (item, outcome) in results {
        // Not `entry`, which would clone the name of the partition for every record.
        match by_partition.get_mut(&item.partition) {
            Some(of_partition) => of_partition.push((item, outcome)),
            None => {
                by_partition.insert(item.partition.clone(), vec![(item, outcome)]);
            }
        }
    }
    by_partition
}

fn hold_for_audit(member: &mut TaskMember, error: &AuditError) {
    let failures = member
        .audit_hold
        .map_or(0, |hold| hold.failures)
        .saturating_add(1);
    let delay = member.config.backoff.delay_after(failures);
    member.audit_hold = Some(AuditHold {
        failures,
        retry_at: Instant::now() + delay,
    });
    member.journal.group.audit_failed(error, failures, delay);
}

/// Moves a partition on behind what is done, and decides on the record that failed.
fn settle_partition(
    member: &mut TaskMember,
    partition: &TopicPartition,
    results: Vec<(Item, Outcome)>,
) {
    let Some(state) = member.assigned.get_mut(partition) else {
        return;
    };
    let (mut processed, mut duplicates) = (0, 0);
    let mut position = None;
    let mut failed = None;
    let mut rest = Vec::new();
    for (item, outcome) in results {
        match outcome {
            Outcome::Processed(event) => {
                member.journal.processed(&item, &event);
                processed += 1;
            }
            Outcome::Duplicate(event) => {
                member.journal.duplicate(&item, &event);
                duplicates += 1;
            }
            Outcome::Failed(error) => {
                failed = Some((item.clone(), error));
                rest.push(item.record);
                continue;
            }
            Outcome::Untouched => {
                rest.push(item.record);
                continue;
            }
        }
        position = Some(item.record.next_offset());
    }
    state.settle(position, rest);
    if position.is_some() {
        let counted = |records: usize| u64::try_from(records).unwrap_or(u64::MAX);
        member
            .journal
            .count_done(&partition.topic, counted(processed), counted(duplicates));
        member.advance(partition, position, processed + duplicates);
    }
    if let Some((item, error)) = failed {
        hold(member, item, &error);
    }
    member.report_end(partition);
}

/// Holds a partition whose first record failed: it is tried again later, or goes to the dead-letter topic.
fn hold(member: &mut TaskMember, item: Item, error: &HandlerError) {
    let Some(state) = member.assigned.get_mut(&item.partition) else {
        return;
    };
    let attempts = item.attempt;
    if matches!(error, HandlerError::Transient(_)) && attempts < member.config.max_attempts.get() {
        let delay = member.config.backoff.delay_after(attempts);
        state.retry_after(attempts, delay, Instant::now());
        member.journal.will_retry(&item, error, delay);
        return;
    }
    state.give_up();
    member.journal.gave_up(&item, error);
    member.dead_letters.write(item, error);
}

/// Moves on behind a record that is safe in the dead-letter topic.
pub(super) fn move_past(member: &mut TaskMember, delivered: &DeliveredDeadLetter) {
    let DeliveredDeadLetter { partition, offset } = delivered;
    let Some(state) = member.assigned.get_mut(partition) else {
        return;
    };
    if !state.dead_lettered(*offset) {
        return;
    }
    let position = state.position();
    member.journal.dead_lettered(partition, *offset);
    member.advance(partition, position, 1);
    member.report_end(partition);
}
