//! How much of a group's row is rebuilt: what differs from the newest snapshot, and what has pending records. The rest is
//! reused.
//!
//! Most partitions of a large cluster stand still, most of the time: a cycle costs what has changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::fetch::commits::{CommitResults, FetchedCommits};
use super::fetch::groups::{Described, GroupAnswer};
use super::fetch::marks::Marks;
use super::places::{Map, walk_to};
use crate::kafka::KafkaError;
use crate::lag::{
    Committed, GroupId, PartitionId, TopicName, TopicPartition, Unavailable, Watermarks,
};
use crate::snapshot::{
    ClusterSnapshot, GroupRow, Membership, PartitionRow, PartitionRows, RowsToJudge,
    TopicPartitionRow,
};

/// How much of each group's row is rebuilt.
#[derive(Clone, Debug, Default)]
pub(super) struct Rebuilds(Map<GroupId, Rebuild>);

/// How much of a group's row is rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rebuild {
    /// All of it.
    Whole,
    /// Its members and state are as they were, and so are all partitions but these, which are sorted.
    Only(Vec<Touched>),
}

/// A partition that changed, or on which something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// Its place among the partitions of the group's row.
    pub(super) place: usize,
    /// What is committed on it, where that or its log differs from what the row shows; nothing where only time has passed.
    pub(super) changed: Option<Committed>,
}

impl Rebuild {
    /// Passes the commits of the changed partitions to `work`, each with its place in the group's row. Where the whole row is
    /// rebuilt, the places are hints, and a partition that the response leaves out is passed as [`Committed::Never`].
    pub(super) fn with_commits<T>(
        &self,
        before: Option<&GroupRow>,
        answer: &GroupAnswer,
        work: impl FnOnce(&[(usize, &TopicPartition, Committed)]) -> T,
    ) -> T {
        if let (Self::Only(touched), Some(before)) = (self, before) {
            let commits = touched
                .iter()
                // An answer leaves out those without a commit.
                .filter_map(|&Touched { place, changed }| {
                    let committed = changed.filter(|committed| *committed != Committed::Never)?;
                    Some((place, &before.partitions[place].id, committed))
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

impl FromIterator<(GroupId, Rebuild)> for Rebuilds {
    fn from_iter<I: IntoIterator<Item = (GroupId, Rebuild)>>(rebuilds: I) -> Self {
        Self(rebuilds.into_iter().collect())
    }
}

impl Rebuilds {
    /// Compares what a cycle has read with the newest snapshot.
    pub(super) fn of_cycle(
        groups: &BTreeMap<GroupId, GroupAnswer>,
        marks: &Marks,
        previous: &ClusterSnapshot,
    ) -> Self {
        let changed = ChangedLogs::of(marks, previous);
        let mut rows = previous.groups.iter().peekable();
        let rebuilds = groups.iter().map(|(id, answer)| {
            let before = walk_to(&mut rows, id, |row| &row.id);
            let rebuild = before.and_then(|before| touched(before, answer, marks, &changed));
            (id.clone(), rebuild.map_or(Rebuild::Whole, Rebuild::Only))
        });
        rebuilds.collect()
    }

    /// Compares what was read between two cycles, of each group's `partitions` alone, with the newest snapshot.
    pub(super) fn of_changes(
        groups: &BTreeMap<GroupId, GroupAnswer>,
        partitions: &BTreeMap<GroupId, BTreeSet<TopicPartition>>,
        marks: &Marks,
        previous: &ClusterSnapshot,
    ) -> Self {
        let rebuilds = groups.iter().map(|(id, answer)| {
            let rebuild = previous.group(id).zip(partitions.get(id));
            let rebuild = rebuild
                .and_then(|(before, partitions)| touched_among(partitions, before, answer, marks));
            (id.clone(), rebuild.map_or(Rebuild::Whole, Rebuild::Only))
        });
        rebuilds.collect()
    }

    /// Returns how much of a group's row is rebuilt: all of it where nothing was compared.
    pub(super) fn of(&self, group: &GroupId) -> &Rebuild {
        self.0.get(group).unwrap_or(&Rebuild::Whole)
    }

    /// Returns what was compared, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&GroupId, &Rebuild)> {
        self.0.iter()
    }
}

/// Returns the partitions of a group that are rebuilt; nothing where its row has others than it had, or may have.
fn touched(
    before: &GroupRow,
    answer: &GroupAnswer,
    marks: &Marks,
    changed: &ChangedLogs<'_>,
) -> Option<Vec<Touched>> {
    let commits = comparable_commits(before, answer)?;
    // Without assignments, whether a partition is the group's depends on more than its own commit.
    if let Some(changes) = commits.changes()
        && before.membership.is_some()
    {
        return touched_by_changes(before, changes, marks, changed);
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
        touched.extend(compare(row, place, committed, marks.get(&row.id)?)?);
    }
    commits.all(says_nothing).then_some(touched)
}

/// By topic, the partitions whose watermarks differ from those that the newest snapshot shows; sorted.
struct ChangedLogs<'a>(Map<&'a TopicName, Vec<PartitionId>>);

impl<'a> ChangedLogs<'a> {
    fn of(marks: &Marks, previous: &'a ClusterSnapshot) -> Self {
        let topics = previous.topics.iter().map(|topic| {
            let has_changed = |partition: &&TopicPartitionRow| {
                let id = TopicPartition {
                    topic: topic.name.clone(),
                    partition: partition.id,
                };
                match (marks.get(&id), &partition.marks) {
                    (Some(Ok(now)), Some((_, before))) => now != before,
                    _ => true,
                }
            };
            let changed = topic.partitions.iter().filter(has_changed);
            (&topic.name, changed.map(|partition| partition.id).collect())
        });
        Self(topics.collect())
    }

    /// Adds the places of a group's rows whose logs have changed, or may have.
    fn add_places(&self, rows: &PartitionRows, places: &mut Vec<usize>) {
        for (topic, run) in rows.by_topic() {
            match self.0.get(topic) {
                Some(changed) if changed.len() <= run.len() => {
                    places.extend(changed.iter().filter_map(|id| run.place(*id)));
                }
                Some(changed) => {
                    let has_changed = |place: &usize| {
                        let partition = rows[*place].id.partition;
                        changed.binary_search(&partition).is_ok()
                    };
                    places.extend(run.places().filter(has_changed));
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
    changes: &CommitResults,
    marks: &Marks,
    changed_logs: &ChangedLogs<'_>,
) -> Option<Vec<Touched>> {
    let rows = &before.partitions;
    let changed = changes.iter().map(|(id, _)| rows.place(id));
    let mut changed = changed.collect::<Option<Vec<usize>>>()?;
    changed_logs.add_places(rows, &mut changed);
    let to_judge = match &before.to_judge {
        Some(RowsToJudge { has_gap: true, .. }) => return None,
        Some(to_judge) => Cow::Borrowed(&*to_judge.places),
        None if before.is_read_in_full() => (0..rows.len())
            .filter(|place| !rows[*place].stands_still())
            .collect(),
        None => return None,
    };
    let mut places = Vec::with_capacity(changed.len() + to_judge.len());
    places.extend(changed.into_iter().map(|place| (place, Reason::Changed)));
    places.extend(to_judge.iter().map(|place| (*place, Reason::Pending)));
    places.sort_unstable();
    // A partition that is both pending and changed stays as the latter: it sorts first.
    places.dedup_by_key(|(place, _)| *place);
    let mut changes = changes.iter().peekable();
    let mut touched = Vec::with_capacity(places.len());
    for (place, reason) in places {
        let changed = None;
        match reason {
            // Of most of them nothing is read before they are judged: a cycle that changes little is quick by that.
            Reason::Pending => touched.push(Touched { place, changed }),
            Reason::Changed => {
                let row = &rows[place];
                let reading = row.reading.as_ref().filter(|_| row.failure.is_none())?;
                let committed = match changes.next_if(|(id, _)| *id == row.id) {
                    Some((_, committed)) => *committed.as_ref().ok()?,
                    None => reading.committed,
                };
                touched.extend(compare(row, place, committed, marks.get(&row.id)?)?);
            }
        }
    }
    Some(touched)
}

/// Why a partition is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Its commit or its log differs from the newest snapshot.
    Changed,
    /// It has pending records, and is judged in every cycle.
    Pending,
}

/// Compares a row with the commit and the log of its partition. Returns `Some(None)` where nothing has to be done, and `None`
/// where the partition may no longer be the group's, so that the whole row has to be rebuilt.
fn compare(
    row: &PartitionRow,
    place: usize,
    committed: Committed,
    marks: &Result<Watermarks, Unavailable>,
) -> Option<Option<Touched>> {
    let reading = row.reading.as_ref().filter(|_| row.failure.is_none());
    let is_same = reading
        .is_some_and(|reading| reading.committed == committed && *marks == Ok(reading.marks));
    if !is_same {
        return comparable(row, place, committed).map(Some);
    }
    let is_pending = !row.stands_still();
    let changed = None;
    Some(is_pending.then_some(Touched { place, changed }))
}

/// Returns the `partitions` of a group as those that are rebuilt; nothing where its row may have others than it had.
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
    let changed = Some(committed);
    is_comparable.then_some(Touched { place, changed })
}

/// Returns whether the group is described as it was.
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
