//! What `__consumer_offsets` says of each watched group: its commits, its members, and what it was seen to do.
//!
//! A group is known once its coordinator was asked (it is *seeded*) and every record up to then was read; from then on
//! its records alone keep it true. Records are applied in the order of their partition.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::members::{Change, Members, Said};
use crate::collect::config::PollConfig;
use crate::collect::fetch::groups::{Commits, Described, GroupAnswer};
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::{Committed, GroupId, Offset, TopicName, TopicPartition};
use crate::offsets_topic::{OffsetCommit, Record};
use crate::snapshot::EventKind;

/// What is known of the groups of a cluster.
#[derive(Debug, Default)]
pub(super) struct State {
    groups: HashMap<GroupId, Group>,
    /// Groups that are not watched, so that no pattern is asked twice.
    ignored: HashSet<Box<str>>,
    /// Topics that commits have named, and whether they are watched.
    topics: HashMap<TopicName, Watched>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watched {
    Yes,
    No,
}

/// What is known of a group.
#[derive(Debug, Default)]
pub(super) struct Group {
    knowledge: Knowledge,
    commits: BTreeMap<TopicPartition, Entry>,
    members: Members,
    news: News,
}

/// How far what is known of a group can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Knowledge {
    /// Its coordinator was never asked, or records were missed since.
    #[default]
    Partial,
    /// Its coordinator was asked; records before this offset may be older than the answer.
    FromAnswer { until: Offset },
}

/// A commit and where it was read. One that was taken back stays as [`Committed::Never`] for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    committed: Committed,
    /// The offset of its record; nothing where the coordinator's answer told it.
    at: Option<Offset>,
}

/// What a record changed, so that it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) group: GroupId,
    /// The partition whose commit changed.
    pub(super) partition: Option<TopicPartition>,
    pub(super) members: Change,
    /// What happened, to be told.
    pub(super) event: Option<EventKind>,
    pub(super) at_ms: Option<i64>,
}

impl State {
    /// Takes over a record; returns what it changed of a watched group.
    pub(super) fn apply(
        &mut self,
        record: &Record<'_>,
        at: Offset,
        at_ms: Option<i64>,
        config: &PollConfig,
    ) -> Option<Touched> {
        let id = self.watched(group_of(record)?, config)?;
        if let Record::OffsetCommit {
            topic,
            partition,
            commit,
            ..
        } = record
        {
            let topic = self.watched_topic(topic, config)?;
            let group = self.groups.entry(id.clone()).or_default();
            let partition = TopicPartition {
                topic,
                partition: *partition,
            };
            let previous = group.commit(&partition, commit.as_ref(), at);
            let written = commit.as_ref().map(|commit| commit.commit_timestamp_ms);
            return Some(Touched {
                group: id,
                partition: Some(partition.clone()),
                members: Change::None,
                event: Some(EventKind::Commit {
                    partition,
                    offset: commit.as_ref().and_then(|commit| offset(commit.committed)),
                    previous,
                }),
                at_ms: written.or(at_ms),
            });
        }
        let group = self.groups.entry(id.clone()).or_default();
        let Said { change, rebalance } = group.members.apply(record, at_ms, &mut group.news);
        (change != Change::None).then_some(Touched {
            group: id,
            partition: None,
            members: change,
            event: rebalance.map(EventKind::Rebalance),
            at_ms,
        })
    }

    /// Takes over what a group's coordinator has answered. Records before `until` may be older than that.
    pub(super) fn seed(&mut self, id: &GroupId, answer: &GroupAnswer, until: Offset) {
        let Ok(commits) = &answer.committed else {
            return;
        };
        if matches!(answer.description, Described::Failed(_))
            || commits.iter().any(|(_, commit)| commit.is_err())
        {
            return;
        }
        let group = self.groups.entry(id.clone()).or_default();
        group.knowledge = Knowledge::FromAnswer { until };
        group.commits = entries(commits).collect();
        group.members.seed(&answer.description);
    }

    /// Forgets that anything is known for sure of the groups that `is_affected`.
    pub(super) fn doubt(&mut self, is_affected: impl Fn(&GroupId) -> bool) {
        for (id, group) in &mut self.groups {
            if is_affected(id) {
                group.knowledge = Knowledge::Partial;
                group.members.doubt();
            }
        }
    }

    /// Returns a group of which everything is known that was written before `position` of its partition.
    pub(super) fn known(&self, id: &GroupId, position: Offset) -> Option<&Group> {
        let group = self.groups.get(id)?;
        match group.knowledge {
            Knowledge::FromAnswer { until } if until <= position => Some(group),
            Knowledge::FromAnswer { .. } | Knowledge::Partial => None,
        }
    }

    /// Tells whether a group's coordinator was asked, so that it will be known once everything of then was read.
    pub(super) fn is_seeded(&self, id: &GroupId) -> bool {
        let group = self.groups.get(id);
        group.is_some_and(|group| group.knowledge != Knowledge::Partial)
    }

    /// Takes over how a coordinator describes the members of a group.
    pub(super) fn describe(&mut self, id: &GroupId, description: &GroupDescription) {
        if let Some(group) = self.groups.get_mut(id) {
            group.members.describe(description);
        }
    }

    /// Takes what a group was seen to do since the last call.
    pub(super) fn take_news(&mut self, id: &GroupId) -> News {
        let group = self.groups.get_mut(id);
        group
            .map(|group| std::mem::take(&mut group.news))
            .unwrap_or_default()
    }

    /// Forgets the groups that are no longer shown and about which nothing is known.
    pub(super) fn retain(&mut self, is_shown: impl Fn(&GroupId) -> bool) {
        self.groups
            .retain(|id, group| !group.is_empty() || is_shown(id));
    }

    /// Compares what is known with what the coordinator answered after everything before `from` had been read.
    /// Repairs what differs and was not written since, and returns how much that is.
    pub(super) fn reconcile(
        &mut self,
        id: &GroupId,
        commits: &Commits,
        from: Offset,
    ) -> Vec<TopicPartition> {
        let Some(group) = self.groups.get_mut(id) else {
            return Vec::new();
        };
        group.reconcile(commits, from)
    }

    /// Returns the id of a group that is watched.
    fn watched(&mut self, name: &str, config: &PollConfig) -> Option<GroupId> {
        if let Some((id, _)) = self.groups.get_key_value(name) {
            return Some(id.clone());
        }
        if self.ignored.contains(name) {
            return None;
        }
        let id = GroupId::from(name);
        if config.watches_group(&id) {
            return Some(id);
        }
        self.ignored.insert(name.into());
        None
    }

    /// Returns the name of a topic that is watched.
    fn watched_topic(&mut self, name: &str, config: &PollConfig) -> Option<TopicName> {
        let (topic, watched) = match self.topics.get_key_value(name) {
            Some((topic, watched)) => (topic.clone(), *watched),
            None => {
                let topic = TopicName::from(name);
                let watched = if config.watches_topic(name) {
                    Watched::Yes
                } else {
                    Watched::No
                };
                self.topics.insert(topic.clone(), watched);
                (topic, watched)
            }
        };
        (watched == Watched::Yes).then_some(topic)
    }
}

impl Group {
    /// Returns the commits as the coordinator would answer them.
    pub(super) fn commits(&self) -> Commits {
        let commits = self.commits.iter();
        commits
            .filter(|(_, entry)| entry.committed != Committed::Never)
            .map(|(partition, entry)| (partition.clone(), Ok(entry.committed)))
            .collect()
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    fn is_empty(&self) -> bool {
        let has_commit = |entry: &Entry| entry.committed != Committed::Never;
        !self.commits.values().any(has_commit) && self.members.is_empty()
    }

    /// Takes over a commit, or its end, and returns what was committed before.
    fn commit(
        &mut self,
        partition: &TopicPartition,
        commit: Option<&OffsetCommit<'_>>,
        at: Offset,
    ) -> Option<Offset> {
        let committed = match commit {
            Some(commit) => {
                self.news
                    .commit(&partition.topic, commit.commit_timestamp_ms);
                commit.committed
            }
            None => Committed::Never,
        };
        let entry = Entry {
            committed,
            at: Some(at),
        };
        match self.commits.get_mut(partition) {
            Some(known) => offset(std::mem::replace(known, entry).committed),
            None => {
                self.commits.insert(partition.clone(), entry);
                None
            }
        }
    }

    fn reconcile(&mut self, commits: &Commits, from: Offset) -> Vec<TopicPartition> {
        let answered: BTreeMap<TopicPartition, Entry> = entries(commits).collect();
        // What was written since may be newer than the answer.
        let (newer, comparable): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.commits)
                .into_iter()
                .partition(|(_, entry)| entry.at.is_some_and(|at| at >= from));
        let committed = |entries: &BTreeMap<TopicPartition, Entry>, id: &TopicPartition| {
            entries
                .get(id)
                .map_or(Committed::Never, |entry| entry.committed)
        };
        let ids: BTreeSet<&TopicPartition> = comparable.keys().chain(answered.keys()).collect();
        let differing = ids
            .into_iter()
            .filter(|id| !newer.contains_key(*id))
            .filter(|id| committed(&comparable, id) != committed(&answered, id))
            .cloned()
            .collect();
        self.commits = answered;
        self.commits.extend(newer);
        differing
    }
}

fn offset(committed: Committed) -> Option<Offset> {
    match committed {
        Committed::At(offset) => Some(offset),
        Committed::Never => None,
    }
}

fn entries(commits: &Commits) -> impl Iterator<Item = (TopicPartition, Entry)> {
    commits.iter().filter_map(|(partition, commit)| {
        let committed = *commit.as_ref().ok()?;
        let entry = Entry {
            committed,
            at: None,
        };
        (committed != Committed::Never).then(|| (partition.clone(), entry))
    })
}

/// Returns the group a record is about; nothing where it cannot be read or says nothing that is shown.
pub(super) fn group_of<'a>(record: &Record<'a>) -> Option<&'a str> {
    match record {
        Record::OffsetCommit { group, .. }
        | Record::GroupMetadata { group, .. }
        | Record::GroupEpoch { group, .. }
        | Record::Member { group, .. }
        | Record::TargetAssignment { group, .. }
        | Record::CurrentAssignment { group, .. } => Some(group),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fetch::groups::Seen;
    use crate::kafka::{ErrorCode, KafkaError};
    use crate::lag::PartitionId;

    fn at(offset: i64) -> Offset {
        Offset::new(offset).expect("not negative")
    }

    fn commit(group: &'static str, partition: i32, offset: Option<i64>) -> Record<'static> {
        Record::OffsetCommit {
            group,
            topic: "t",
            partition: PartitionId(partition),
            commit: offset.map(|offset| OffsetCommit {
                committed: Committed::At(at(offset)),
                leader_epoch: None,
                metadata: b"",
                commit_timestamp_ms: 1_000 + offset,
                expire_timestamp_ms: None,
                topic_id: None,
            }),
        }
    }

    fn answer(commits: &[(i32, i64)]) -> GroupAnswer {
        let commits = commits.iter().map(|&(partition, offset)| {
            let id = TopicPartition::new("t", partition);
            (id, Ok(Committed::At(at(offset))))
        });
        GroupAnswer {
            listed: None,
            description: Described::NotFound,
            committed: Ok(commits.collect()),
            seen: Seen::Compared,
        }
    }

    fn known(state: &State, position: i64) -> Option<Vec<(i32, u64)>> {
        let group = state.known(&"g".into(), at(position))?;
        let commits = group.commits().into_iter().map(|(id, commit)| {
            let Ok(Committed::At(offset)) = commit else {
                unreachable!("only commits are told");
            };
            (id.partition.0, offset.value())
        });
        Some(commits.collect())
    }

    fn apply(state: &mut State, record: &Record<'_>, offset: i64) -> Option<Touched> {
        state.apply(record, at(offset), None, &PollConfig::default())
    }

    #[test]
    fn a_group_is_known_once_everything_before_its_answer_was_read() {
        let mut state = State::default();
        apply(&mut state, &commit("g", 0, Some(5)), 10);
        assert_eq!(known(&state, 11), None, "its coordinator was never asked");
        // Answered when the record at 12 was there already, and before the one at 13.
        state.seed(&"g".into(), &answer(&[(0, 7), (1, 1)]), at(13));
        apply(&mut state, &commit("g", 0, Some(6)), 11);
        assert_eq!(known(&state, 12), None, "older than the answer");
        apply(&mut state, &commit("g", 0, Some(7)), 12);
        assert_eq!(known(&state, 13), Some(vec![(0, 7), (1, 1)]));
        apply(&mut state, &commit("g", 1, Some(2)), 13);
        assert_eq!(known(&state, 14), Some(vec![(0, 7), (1, 2)]));
        apply(&mut state, &commit("g", 0, None), 14);
        assert_eq!(known(&state, 15), Some(vec![(1, 2)]));
        state.doubt(|_| true);
        assert_eq!(known(&state, 15), None);
    }

    #[test]
    fn an_answer_with_a_gap_makes_nothing_known() {
        let mut state = State::default();
        let mut gap = answer(&[(0, 7)]);
        let error = KafkaError::of(ErrorCode::TIMED_OUT);
        gap.committed = Ok(vec![(TopicPartition::new("t", 0), Err(error))]);
        state.seed(&"g".into(), &gap, at(0));
        assert_eq!(known(&state, 1), None);
    }

    #[test]
    fn what_is_not_watched_touches_nothing() {
        let config = PollConfig {
            group_names: vec!["g".into()],
            topic_names: vec!["t".into()],
            ..PollConfig::default()
        };
        let mut state = State::default();
        let mut touches = |record: Record<'_>| state.apply(&record, at(0), None, &config).is_some();
        assert!(touches(commit("g", 0, Some(1))));
        assert!(!touches(commit("other", 0, Some(1))));
        let elsewhere = Record::OffsetCommit {
            group: "g",
            topic: "other",
            partition: PartitionId(0),
            commit: None,
        };
        assert!(!touches(elsewhere));
    }

    #[test]
    fn drift_is_found_and_repaired_unless_a_record_explains_it() {
        let mut state = State::default();
        state.seed(
            &"g".into(),
            &answer(&[(0, 1), (1, 1), (2, 1), (3, 1)]),
            at(0),
        );
        apply(&mut state, &commit("g", 1, Some(9)), 20);
        apply(&mut state, &commit("g", 3, None), 21);
        // Asked when everything before 20 was read: partitions 1 and 3 changed since, 2 and 4 drifted.
        let Ok(coordinators) = answer(&[(0, 1), (1, 5), (2, 8), (3, 1), (4, 4)]).committed else {
            unreachable!("made so");
        };
        let drift = state.reconcile(&"g".into(), &coordinators, at(20));
        let drift: Vec<i32> = drift.iter().map(|id| id.partition.0).collect();
        assert_eq!(drift, [2, 4]);
        assert_eq!(
            known(&state, 22),
            Some(vec![(0, 1), (1, 9), (2, 8), (4, 4)])
        );
        assert!(
            state
                .reconcile(&"g".into(), &coordinators, at(20))
                .is_empty()
        );
    }

    #[test]
    fn each_commit_is_counted_once_and_a_tombstone_is_none() {
        let mut state = State::default();
        for offset in 1..=3 {
            apply(&mut state, &commit("g", 0, Some(offset)), offset);
        }
        apply(&mut state, &commit("g", 0, None), 4);
        let mut activity = crate::snapshot::Activity::default();
        state.take_news(&"g".into()).add_to(&mut activity);
        assert_eq!(activity.commits[&TopicName::from("t")].count, 3);
        assert_eq!(activity.commits[&TopicName::from("t")].last_ms, Some(1_003));
        assert!(state.take_news(&"g".into()).is_empty());
    }
}
