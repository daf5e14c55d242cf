//! The state of each watched group by the records of `__consumer_offsets`: its commits, its members, its activity.
//!
//! A group is known once its coordinator has answered and every record written before the answer was read. From then on
//! only its records change it, and no later answer is taken to be newer than they are. Records are applied in the order
//! of their partition.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::commits::CommitTable;
use super::members::{GroupMembers, MemberChange, MemberUpdate, RecordPosition};
use crate::collect::config::PollConfig;
use crate::collect::fetch::commits::CommitResults;
use crate::collect::fetch::groups::{Described, GroupAnswer};
use crate::collect::kinds::skipped_as;
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::{Committed, GroupId, Offset, TopicName, TopicPartition};
use crate::offsets_topic::{OffsetCommit, Record};
use crate::snapshot::{Activity, EventKind, GroupType};

/// The most names of which it is remembered whether the patterns match; then all are forgotten, and matched again.
const MOST_NAMES: usize = 100_000;

/// What is known of the groups of a cluster.
#[derive(Debug, Default)]
pub(super) struct State {
    groups: HashMap<GroupId, Group>,
    /// Groups that are not watched, so that the patterns are matched once.
    ignored: HashSet<Box<str>>,
    /// Topics with commits, and whether they are watched.
    topics: HashMap<TopicName, bool>,
}

/// What is known of a group.
#[derive(Debug, Default)]
pub(super) struct Group {
    knowledge: Knowledge,
    commits: CommitTable,
    members: GroupMembers,
    /// The activity that is not in `activity` yet.
    news: News,
    /// All activity; nothing before it was first asked for.
    activity: Option<Arc<Activity>>,
}

/// Whether an unknown group may be older than the first record that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It is not: all older groups were listed.
    New,
    /// It may be.
    Unknown,
}

/// Whether the state of a group is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Knowledge {
    /// Its coordinator has not answered, or records were missed since.
    #[default]
    Partial,
    /// Its coordinator has answered; records before this offset may be older than the answer.
    FromAnswer { until: Offset },
}

/// What a record changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateChange {
    pub(super) group: GroupId,
    /// The partition whose commit changed.
    pub(super) partition: Option<TopicPartition>,
    pub(super) members: MemberChange,
    pub(super) event: Option<EventKind>,
    pub(super) at_ms: Option<i64>,
}

impl State {
    /// Applies a record. Returns what it changed of a watched group. `novelty` is that of an unknown group.
    pub(super) fn apply(
        &mut self,
        record: &Record<'_>,
        at: RecordPosition,
        novelty: Novelty,
        config: &PollConfig,
    ) -> Option<StateChange> {
        if let Record::GroupMetadata {
            group,
            metadata: Some(metadata),
        } = record
            && !self.consumes(group, metadata.protocol_type)
        {
            return None;
        }
        let id = self.watched(group_of(record)?, config)?;
        if let Record::OffsetCommit {
            topic,
            partition,
            commit,
            ..
        } = record
        {
            let partition = TopicPartition {
                topic: self.watched_topic(topic, config)?,
                partition: *partition,
            };
            let group = self.group(&id, novelty);
            return Some(group.commit(id, partition, commit.as_ref(), at));
        }
        let group = self.group(&id, novelty);
        let MemberUpdate { change, rebalance } = group.members.apply(record, at, &mut group.news);
        (change != MemberChange::None).then_some(StateChange {
            group: id,
            partition: None,
            members: change,
            event: rebalance.map(EventKind::Rebalance),
            at_ms: at.timestamp_ms,
        })
    }

    fn group(&mut self, id: &GroupId, novelty: Novelty) -> &mut Group {
        self.groups
            .entry(id.clone())
            .or_insert_with(|| match novelty {
                Novelty::New => Group {
                    members: GroupMembers::of_new_group(),
                    ..Group::default()
                },
                Novelty::Unknown => Group::default(),
            })
    }

    /// Applies the answer of a group's coordinator, unless an earlier answer was applied. Records before `until` may be
    /// older than the answer. `novelty` is that of an unknown group: no record of a new one was read yet.
    pub(super) fn apply_answer(
        &mut self,
        id: &GroupId,
        answer: &GroupAnswer,
        until: Offset,
        novelty: Novelty,
    ) {
        let is_absent = matches!(answer.description, Described::NotFound)
            && answer
                .committed
                .as_ref()
                .is_ok_and(|commits| commits.commits().is_empty());
        if is_absent && !self.groups.contains_key(id) {
            return;
        }
        // Even if the answer is incomplete, the group exists from now on, and its first joins cannot be counted.
        let group = self.group(id, novelty);
        if group.knowledge != Knowledge::Partial {
            return group.members.renew(&answer.description);
        }
        let Ok(commits) = &answer.committed else {
            return;
        };
        let commits = commits.commits();
        if matches!(answer.description, Described::Failed(_))
            || commits.iter().any(|(_, commit)| commit.is_err())
        {
            return;
        }
        group.knowledge = Knowledge::FromAnswer { until };
        group.commits = CommitTable::from_answer(&commits);
        group.members.apply_answer(&answer.description, until);
    }

    /// Notes that records of the affected groups may have been missed.
    pub(super) fn note_gap(&mut self, is_affected: impl Fn(&GroupId) -> bool) {
        for (id, group) in &mut self.groups {
            if is_affected(id) {
                group.knowledge = Knowledge::Partial;
                group.members.note_gap();
            }
        }
    }

    /// Returns a group whose state is complete up to `position` of its partition.
    pub(super) fn known(&self, id: &GroupId, position: Offset) -> Option<&Group> {
        let group = self.groups.get(id)?;
        match group.knowledge {
            Knowledge::FromAnswer { until } if until <= position => Some(group),
            Knowledge::FromAnswer { .. } | Knowledge::Partial => None,
        }
    }

    /// Returns whether a group's coordinator has answered: the group is known once the records before the answer were
    /// read.
    pub(super) fn has_answer(&self, id: &GroupId) -> bool {
        let group = self.groups.get(id);
        group.is_some_and(|group| group.knowledge != Knowledge::Partial)
    }

    /// Applies a coordinator's description of a group.
    pub(super) fn describe(&mut self, id: &GroupId, description: &GroupDescription) {
        if let Some(group) = self.groups.get_mut(id) {
            group.members.describe(description);
        }
    }

    /// Returns all activity of a group. `before` is the activity that is shown, which may be from before the topic was
    /// followed.
    pub(super) fn activity(
        &mut self,
        id: &GroupId,
        before: Option<&Arc<Activity>>,
    ) -> Arc<Activity> {
        let shown = || before.cloned().unwrap_or_default();
        let Some(group) = self.groups.get_mut(id) else {
            return shown();
        };
        let activity = group.activity.get_or_insert_with(shown);
        if !group.news.is_empty() {
            let news = std::mem::take(&mut group.news);
            news.add_to(Arc::make_mut(activity));
        }
        Arc::clone(activity)
    }

    /// Forgets the groups that are not shown and have neither commits nor members.
    pub(super) fn retain(&mut self, is_shown: impl Fn(&GroupId) -> bool) {
        self.groups
            .retain(|id, group| !group.is_empty() || is_shown(id));
    }

    /// Forgets a group's commits on topics that are not kept.
    pub(super) fn retain_topics(&mut self, id: &GroupId, is_kept: impl Fn(&TopicName) -> bool) {
        if let Some(activity) = self
            .groups
            .get_mut(id)
            .and_then(|group| group.activity.as_mut())
        {
            let commits = &mut Arc::make_mut(activity).commits;
            commits.retain(|topic, _| is_kept(topic));
        }
    }

    /// Forgets the groups that are not watched any more, and which ones were not watched before.
    pub(super) fn retain_watched(&mut self, is_watched: impl Fn(&GroupId) -> bool) {
        self.groups.retain(|id, _| is_watched(id));
        self.ignored.clear();
    }

    /// Forgets the names of topics that were deleted and of ignored groups, which may never be used again. The patterns
    /// are matched again if they are.
    pub(super) fn forget_names(&mut self, is_kept: impl Fn(&TopicName) -> bool) {
        self.topics.retain(|topic, _| is_kept(topic));
        self.ignored.clear();
    }

    /// Compares a group's commits with the coordinator's, which were fetched when everything before `from` had been
    /// read. Takes the coordinator's where they differ and no newer record was read, and returns those partitions.
    pub(super) fn reconcile(
        &mut self,
        id: &GroupId,
        commits: &CommitResults,
        from: Offset,
    ) -> Vec<TopicPartition> {
        let Some(group) = self.groups.get_mut(id) else {
            return Vec::new();
        };
        group.commits.reconcile(commits, from)
    }

    /// Returns whether a classic group consumes partitions, by the protocol type in its record. Ignores it if not.
    fn consumes(&mut self, name: &str, protocol_type: &str) -> bool {
        if skipped_as(GroupType::Classic, protocol_type).is_none() {
            // It may have had another protocol type before, so the patterns are matched again.
            self.ignored.remove(name);
            return true;
        }
        self.groups.remove(name);
        self.ignore(name);
        false
    }

    fn ignore(&mut self, name: &str) {
        if self.ignored.len() >= MOST_NAMES {
            self.ignored.clear();
        }
        self.ignored.insert(name.into());
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
        self.ignore(name);
        None
    }

    /// Returns the name of a topic that is watched.
    fn watched_topic(&mut self, name: &str, config: &PollConfig) -> Option<TopicName> {
        if let Some((topic, is_watched)) = self.topics.get_key_value(name) {
            return is_watched.then(|| topic.clone());
        }
        if self.topics.len() >= MOST_NAMES {
            self.topics.clear();
        }
        let topic = TopicName::from(name);
        let is_watched = config.watches_topic(name);
        self.topics.insert(topic.clone(), is_watched);
        is_watched.then_some(topic)
    }
}

impl Group {
    /// Returns the commits as the coordinator would answer them.
    pub(super) fn commits(&self) -> Arc<CommitResults> {
        self.commits.commits()
    }

    pub(super) fn members(&self) -> &GroupMembers {
        &self.members
    }

    fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.members.is_empty()
    }

    /// Applies a commit of the group `id`, or its deletion.
    fn commit(
        &mut self,
        id: GroupId,
        partition: TopicPartition,
        commit: Option<&OffsetCommit>,
        at: RecordPosition,
    ) -> StateChange {
        let committed = commit.map_or(Committed::Never, |commit| commit.committed);
        let previous = self.commits.set(&partition, committed, at.offset);
        let committed_ms = commit.map(|commit| commit.commit_timestamp_ms);
        if let Some(at_ms) = committed_ms {
            self.news.commit(&partition.topic, at_ms);
        }
        StateChange {
            group: id,
            partition: Some(partition.clone()),
            members: MemberChange::None,
            event: Some(EventKind::Commit {
                partition,
                offset: offset(committed),
                previous: offset(previous),
            }),
            at_ms: committed_ms.or(at.timestamp_ms),
        }
    }
}

fn offset(committed: Committed) -> Option<Offset> {
    match committed {
        Committed::At(offset) => Some(offset),
        Committed::Never => None,
    }
}

/// Returns the group of a record; nothing for records of the future.
pub(super) fn group_of<'a>(record: &Record<'a>) -> Option<&'a str> {
    match record {
        Record::OffsetCommit { group, .. }
        | Record::GroupMetadata { group, .. }
        | Record::ConsumerGroupEpoch { group, .. }
        | Record::ConsumerGroupMember { group, .. }
        | Record::TargetAssignment { group, .. }
        | Record::CurrentAssignment { group, .. }
        | Record::Other { group } => Some(group),
        Record::Unknown => None,
    }
}
