//! Events of the client: records, ends of partitions, rebalances, errors.

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::commit::{commit_last, note_auto_commit};
use super::member::TaskMember;
use super::settle::move_past;
use crate::kafka::consumer::{ConsumerEvent, Revocation, RevocationCause};
use crate::lag::TopicPartition;
use crate::task::error::TaskError;

/// How long a dead letter in flight is waited for when its partition is given back, or at the end.
pub(super) const DEAD_LETTER_PATIENCE: Duration = Duration::from_secs(2);

/// Handles an event while no record is in progress.
pub(super) async fn handle(member: &mut TaskMember, event: ConsumerEvent) -> Result<(), TaskError> {
    if let Some(revocation) = note(member, event)? {
        give_back(member, revocation).await;
    }
    Ok(())
}

/// Notes an event. A revocation is returned: the partitions are given back when no record is in progress.
pub(super) fn note(
    member: &mut TaskMember,
    event: ConsumerEvent,
) -> Result<Option<Revocation>, TaskError> {
    match event {
        ConsumerEvent::Records { partition, records } => {
            if let Some(state) = member.assigned.get_mut(&partition) {
                state.push(records);
            }
        }
        ConsumerEvent::EndOfPartition(partition) => {
            if let Some(state) = member.assigned.get_mut(&partition) {
                state.reach_end();
            }
            member.report_end(&partition);
        }
        ConsumerEvent::Assigned(partitions) => {
            member.journal.group.assigned(&partitions);
            for partition in partitions {
                member.assigned.add(partition);
            }
        }
        ConsumerEvent::AutoCommitted { offsets, result } => {
            note_auto_commit(member, offsets, &result)
        }
        ConsumerEvent::Error(error) => member.journal.group.client_error(&error),
        ConsumerEvent::Fatal(source) => {
            member.journal.group.client_error(&source);
            return Err(TaskError::Fatal { source });
        }
        ConsumerEvent::Revoked(revocation) => return Ok(Some(revocation)),
    }
    Ok(None)
}

/// Gives partitions back: what is done is committed first, what is lost is not, what is buffered is dropped.
pub(super) async fn give_back(member: &mut TaskMember, revocation: Revocation) {
    let Revocation {
        partitions,
        cause,
        acknowledgement,
    } = revocation;
    match cause {
        RevocationCause::Rebalance => {
            await_dead_letters(member, &partitions).await;
            commit_last(member).await;
            member.journal.group.revoked(&partitions, Instant::now());
        }
        RevocationCause::Lost => member.journal.group.lost(&partitions, Instant::now()),
    }
    for partition in &partitions {
        member.assigned.remove(partition);
        member.dead_letters.abandon(partition);
    }
    drop(acknowledgement);
}

/// Waits a short time for dead letters of `partitions`.
pub(super) async fn await_dead_letters(member: &mut TaskMember, partitions: &[TopicPartition]) {
    let deadline = tokio::time::Instant::now() + DEAD_LETTER_PATIENCE;
    while member.dead_letters.is_writing(partitions) {
        let Ok(delivered) = timeout_at(deadline, member.dead_letters.delivered()).await else {
            return;
        };
        move_past(member, &delivered);
    }
}
