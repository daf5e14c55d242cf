//! How much of a group's row is looked at anew: what differs from the newest snapshot, and what waits. The rest is taken over.
//!
//! Most partitions of a large cluster stand still, most of the time: a cycle costs what has changed.

use std::collections::{BTreeMap, BTreeSet};

use super::fetch::commits::{Commits, FetchedCommits};
use super::fetch::groups::{Described, GroupAnswer};
use super::fetch::marks::Marks;
use super::places::Map;
use crate::kafka::KafkaError;
use crate::lag::{Committed, GroupId, PartitionId, TopicName, TopicPartition};
use crate::snapshot::{
    ClusterSnapshot, GroupRow, Membership, PartitionRow, PartitionRows, TopicPartitionRow,
};

/// How much of each group's row is made anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewals(Map<GroupId, Renewal>);

/// How much of a group's row is made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// All of it.
    Whole,
    /// Its members and state are as they were, and so are all partitions but these, which are sorted.
    Only(Vec<Touched>),
}

/// A partition that moved, or on which something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// Its place among the partitions of the group's row.
    pub(super) place: usize,
    pub(super) committed: Committed,
}

impl Renewal {
    /// Passes the commits of the partitions to rebuild to `work`, each with its place in the group's row; one that a response
    /// leaves out was deleted. Where the whole row is rebuilt, the places are hints.
    pub(super) fn with_commits<T>(
        &self,
        before: Option<&GroupRow>,
        answer: &GroupAnswer,
        work: impl FnOnce(&[(usize, &TopicPartition, Committed)]) -> T,
    ) -> T {
        if let (Self::Only(touched), Some(before)) = (self, before) {
            let commits = touched
                .iter()
                // An answer leaves them out.
                .filter(|touched| touched.committed != Committed::Never)
                .map(|&Touched { place, committed }| {
                    (place, &before.partitions[place].id, committed)
                });
            return work(&commits.collect::<Vec<_>>());
        }
        let commits = match (self, &answer.committed) {
            (Self::Whole, Ok(commits)) => commits.commits(),
            (Self::Whole, Err(_)) | (Self::Only(_), _) => return work(&[]),
        };
        let read = commits
            .iter()
            .filter_map(|(id, commit)| Some((id, *commit.as_ref().ok()?)));
        let known = before.into_iter().flat_map(|row| row.partitions.iter());
        let gone = known.map(|row| &row.id).filter(|id| {
            let place = commits.binary_search_by(|(known, _)| known.cmp(id));
            place.is_err()
        });
        let all = read.chain(gone.map(|id| (id, Committed::Never)));
        let all = all
            .zip(0..)
            .map(|((id, committed), place)| (place, id, committed));
        work(&all.collect::<Vec<_>>())
    }
}

impl FromIterator<(GroupId, Renewal)> for Renewals {
    fn from_iter<I: IntoIterator<Item = (GroupId, Renewal)>>(renewals: I) -> Self {
        Self(renewals.into_iter().collect())
    }
}

impl Renewals {
    /// Compares what a cycle has read with the newest snapshot.
    pub(super) fn of_cycle(
        groups: &BTreeMap<GroupId, GroupAnswer>,
        marks: &Marks,
        previous: &ClusterSnapshot,
    ) -> Self {
        let moved = MovedLogs::of(marks, previous);
        let renewals = groups.iter().map(|(id, answer)| {
            let renewal = previous
                .group(id)
                .and_then(|before| touched(before, answer, marks, &moved));
            (id.clone(), renewal.map_or(Renewal::Whole, Renewal::Only))
        });
        renewals.collect()
    }

    /// Compares what was read between two cycles, of each group's `partitions` alone, with the newest snapshot.
    pub(super) fn of_changes(
        groups: &BTreeMap<GroupId, (GroupAnswer, BTreeSet<TopicPartition>)>,
        marks: &Marks,
        previous: &ClusterSnapshot,
    ) -> Self {
        let renewals = groups.iter().map(|(id, (answer, partitions))| {
            let renewal = previous
                .group(id)
                .and_then(|before| touched_among(partitions, before, answer, marks));
            (id.clone(), renewal.map_or(Renewal::Whole, Renewal::Only))
        });
        renewals.collect()
    }

    /// Returns how much of a group's row is made anew: all of it where nothing was compared.
    pub(super) fn of(&self, group: &GroupId) -> &Renewal {
        self.0.get(group).unwrap_or(&Renewal::Whole)
    }

    /// Returns what was compared, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&GroupId, &Renewal)> {
        self.0.iter()
    }
}

/// Returns the partitions of a group that are made anew; nothing where its row has others than it had, or may have.
fn touched(
    before: &GroupRow,
    answer: &GroupAnswer,
    marks: &Marks,
    moved: &MovedLogs<'_>,
) -> Option<Vec<Touched>> {
    let commits = comparable_commits(before, answer)?;
    // Without assignments, whether a partition is the group's depends on more than its own commit.
    if let Some(changes) = commits.changes()
        && before.membership.is_some()
    {
        return touched_by_changes(before, changes, marks, moved);
    }
    let commits = commits.commits();
    // Where assignments can be told, they and the commits say which partitions are the group's, and no commit says nothing.
    let are_assignments_told = before.membership.is_some();
    let says_nothing = |(_, commit): &(TopicPartition, Result<Committed, KafkaError>)| {
        are_assignments_told && matches!(commit, Ok(Committed::Never))
    };
    let mut commits = commits.iter().peekable();
    let mut touched = Vec::new();
    for (place, row) in before.partitions.iter().enumerate() {
        while commits
            .next_if(|commit| says_nothing(commit) && commit.0 < row.id)
            .is_some()
        {}
        let committed = match commits.next_if(|(id, _)| *id == row.id) {
            Some((_, committed)) => *committed.as_ref().ok()?,
            None if are_assignments_told => Committed::Never,
            None => return None,
        };
        let marks = marks.get(&row.id)?;
        let stands_still = row.stands_still()
            && row.reading.as_ref().is_some_and(|reading| {
                reading.committed == committed && *marks == Ok(reading.marks)
            });
        if !stands_still {
            touched.push(comparable(row, place, committed)?);
        }
    }
    commits.all(says_nothing).then_some(touched)
}

/// By topic, the partitions whose watermarks differ from those that the newest snapshot shows; sorted.
struct MovedLogs<'a>(Map<&'a TopicName, Vec<PartitionId>>);

impl<'a> MovedLogs<'a> {
    fn of(marks: &Marks, previous: &'a ClusterSnapshot) -> Self {
        let topics = previous.topics.iter().map(|topic| {
            let has_moved = |partition: &&TopicPartitionRow| {
                let id = TopicPartition {
                    topic: topic.name.clone(),
                    partition: partition.id,
                };
                match (marks.get(&id), &partition.marks) {
                    (Some(Ok(now)), Some((_, before))) => now != before,
                    _ => true,
                }
            };
            let moved = topic.partitions.iter().filter(has_moved);
            (&topic.name, moved.map(|partition| partition.id).collect())
        });
        Self(topics.collect())
    }

    /// Adds the places of a group's rows whose logs have changed, or may have.
    fn add_places(&self, rows: &PartitionRows, places: &mut Vec<usize>) {
        for (topic, run) in rows.by_topic() {
            match self.0.get(topic) {
                Some(moved) if moved.len() <= run.len() => {
                    places.extend(moved.iter().filter_map(|id| run.place(*id)));
                }
                Some(moved) => {
                    let has_moved = |place: &usize| {
                        let partition = rows[*place].id.partition;
                        moved.binary_search(&partition).is_ok()
                    };
                    places.extend(run.places().filter(has_moved));
                }
                None => places.extend(run.places()),
            }
        }
    }
}

/// Returns the partitions of a group to rebuild where its changed commits are known: theirs, those of changed logs, and those
/// to judge.
///
/// Rows and snapshot are of one cycle: a log with the watermarks of the snapshot has those of its rows.
fn touched_by_changes(
    before: &GroupRow,
    changes: &Commits,
    marks: &Marks,
    moved: &MovedLogs<'_>,
) -> Option<Vec<Touched>> {
    let rows = &before.partitions;
    let mut places = match &before.to_judge {
        Some(to_judge) => to_judge.to_vec(),
        None => (0..rows.len()).collect(),
    };
    for (id, _) in changes {
        places.push(rows.place(id)?);
    }
    moved.add_places(rows, &mut places);
    places.sort_unstable();
    places.dedup();
    let mut changes = changes.iter().peekable();
    let mut touched = Vec::new();
    for place in places {
        let row = &rows[place];
        let reading = row.reading.as_ref().filter(|_| row.failure.is_none())?;
        let committed = match changes.next_if(|(id, _)| *id == row.id) {
            Some((_, committed)) => *committed.as_ref().ok()?,
            None => reading.committed,
        };
        let is_same = committed == reading.committed && *marks.get(&row.id)? == Ok(reading.marks);
        if !(is_same && row.stands_still()) {
            touched.push(comparable(row, place, committed)?);
        }
    }
    Some(touched)
}

/// Returns the `partitions` of a group as those that are made anew; nothing where its row may have others than it had.
fn touched_among(
    partitions: &BTreeSet<TopicPartition>,
    before: &GroupRow,
    answer: &GroupAnswer,
    marks: &Marks,
) -> Option<Vec<Touched>> {
    let commits = comparable_commits(before, answer)?.commits();
    let touched = partitions.iter().map(|id| {
        let rows = &before.partitions;
        let place = rows.place(id)?;
        let commit = commits.binary_search_by(|(known, _)| known.cmp(id)).ok()?;
        let committed = *commits[commit].1.as_ref().ok()?;
        marks.get(id)?;
        comparable(&rows[place], place, committed)
    });
    touched.collect()
}

/// Returns the commits, where the row can be compared with them.
fn comparable_commits<'a>(
    before: &GroupRow,
    answer: &'a GroupAnswer,
) -> Option<&'a FetchedCommits> {
    let commits = answer.committed.as_ref().ok()?;
    let has_something = before.membership.is_some() || !before.partitions.is_empty();
    let is_comparable = has_something
        && before.failures.is_empty()
        && is_same_membership(before.membership.as_deref(), &answer.description);
    is_comparable.then_some(commits)
}

/// Whether a partition is the group's may depend on whether it has a commit.
fn comparable(row: &PartitionRow, place: usize, committed: Committed) -> Option<Touched> {
    let known = row.reading.as_ref()?.committed;
    let is_comparable = (known == Committed::Never) == (committed == Committed::Never);
    is_comparable.then_some(Touched { place, committed })
}

/// Tells whether the group is described as it was.
fn is_same_membership(before: Option<&Membership>, description: &Described) -> bool {
    match (before, description) {
        (None, Described::Unsupported) => true,
        (Some(before), Described::Answered(now)) => {
            before.state == now.state
                && before.group_type == now.group_type
                && before.assignor == now.assignor
                // Records do not tell it.
                && (now.coordinator.is_none() || before.coordinator == now.coordinator)
                && *before.members == *now.members
        }
        (Some(before), Described::Memberless(now)) => {
            before.state == now.state
                && before.group_type == now.group_type
                && before.assignor.is_empty()
                && before.coordinator == Some(now.coordinator)
                && before.members.is_empty()
        }
        (Some(_) | None, _) => false,
    }
}
