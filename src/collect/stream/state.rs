//! What `__consumer_offsets` says of each watched group: its commits, its members, and what it was seen to do.
//!
//! A group is known once its coordinator was asked (it is *seeded*) and every record up to then was read; from then on
//! its records alone keep it true, and no later answer is taken for newer than they are. Records are applied in the
//! order of their partition.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::commits::CommitTable;
use super::members::{Change, Members, Place, Said};
use crate::collect::config::PollConfig;
use crate::collect::fetch::commits::Commits;
use crate::collect::fetch::groups::{Described, GroupAnswer};
use crate::collect::kinds::skipped_as;
use crate::collect::news::News;
use crate::kafka::GroupDescription;
use crate::lag::{Committed, GroupId, Offset, TopicName, TopicPartition};
use crate::offsets_topic::{OffsetCommit, Record};
use crate::snapshot::{Activity, EventKind, GroupType};

/// The most names that are remembered with what the patterns say of them, until names are forgotten again.
const REMEMBERED: usize = 100_000;

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
    commits: CommitTable,
    members: Members,
    /// What it was seen to do and is not in `activity` yet.
    news: News,
    /// All that it was seen to do; nothing while nobody has asked for it.
    activity: Option<Arc<Activity>>,
}

/// Whether a group that has never been heard of may be older than the record that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It is not: every group that there was has been listed.
    New,
    /// It may be.
    Unknown,
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
    /// Takes over a record; returns what it changed of a watched group. `novelty` is that of groups not heard of before.
    pub(super) fn apply(
        &mut self,
        record: &Record<'_>,
        at: Place,
        novelty: Novelty,
        config: &PollConfig,
    ) -> Option<Touched> {
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
            let topic = self.watched_topic(topic, config)?;
            let group = self.group(&id, novelty);
            let partition = TopicPartition {
                topic,
                partition: *partition,
            };
            let previous = group.commit(&partition, commit.as_ref(), at.offset);
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
                at_ms: written.or(at.at_ms),
            });
        }
        let group = self.group(&id, novelty);
        let Said { change, rebalance } = group.members.apply(record, at, &mut group.news);
        (change != Change::None).then_some(Touched {
            group: id,
            partition: None,
            members: change,
            event: rebalance.map(EventKind::Rebalance),
            at_ms: at.at_ms,
        })
    }

    fn group(&mut self, id: &GroupId, novelty: Novelty) -> &mut Group {
        self.groups
            .entry(id.clone())
            .or_insert_with(|| match novelty {
                Novelty::New => Group {
                    members: Members::of_new_group(),
                    ..Group::default()
                },
                Novelty::Unknown => Group::default(),
            })
    }

    /// Takes over what a group's coordinator has answered, where nothing is known for sure. Records before `until` may
    /// be older than that. `novelty` is that of groups not heard of before: a new one's records are all yet to come.
    pub(super) fn seed(
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
        // A group whose answer is of no use is known to be there, and what its members do first cannot be counted.
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
        group.commits = CommitTable::of_answer(&commits);
        group.members.seed(&answer.description, until);
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

    /// Returns all that a group was seen to do. `before` is what is shown of it, where that is from before it was
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

    /// Forgets the groups that are no longer shown and about which nothing is known.
    pub(super) fn retain(&mut self, is_shown: impl Fn(&GroupId) -> bool) {
        self.groups
            .retain(|id, group| !group.is_empty() || is_shown(id));
    }

    /// Forgets what a group was seen to do on topics that are not left.
    pub(super) fn retain_topics(&mut self, id: &GroupId, is_left: impl Fn(&TopicName) -> bool) {
        if let Some(activity) = self
            .groups
            .get_mut(id)
            .and_then(|group| group.activity.as_mut())
        {
            let commits = &mut Arc::make_mut(activity).commits;
            commits.retain(|topic, _| is_left(topic));
        }
    }

    /// Forgets the groups that are watched no more, and what was not watched before.
    pub(super) fn forget(&mut self, is_watched_no_more: impl Fn(&GroupId) -> bool) {
        self.groups.retain(|id, _| !is_watched_no_more(id));
        self.ignored.clear();
    }

    /// Forgets the names that may never be heard of again: groups and topics come and go for ever. The patterns are asked
    /// anew about those that are.
    pub(super) fn forget_names(&mut self, is_left: impl Fn(&TopicName) -> bool) {
        self.topics.retain(|topic, _| is_left(topic));
        self.ignored.clear();
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
        group.commits.reconcile(commits, from)
    }

    /// Remembers whether a classic group consumes partitions, as its record says, and returns it.
    fn consumes(&mut self, name: &str, protocol_type: &str) -> bool {
        if skipped_as(GroupType::Classic, protocol_type).is_none() {
            // The patterns are asked again, as it may have been of another protocol before.
            self.ignored.remove(name);
            return true;
        }
        self.groups.remove(name);
        self.ignore(name);
        false
    }

    fn ignore(&mut self, name: &str) {
        if self.ignored.len() >= REMEMBERED {
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
        let (topic, watched) = match self.topics.get_key_value(name) {
            Some((topic, watched)) => (topic.clone(), *watched),
            None => {
                let topic = TopicName::from(name);
                let watched = if config.watches_topic(name) {
                    Watched::Yes
                } else {
                    Watched::No
                };
                if self.topics.len() >= REMEMBERED {
                    self.topics.clear();
                }
                self.topics.insert(topic.clone(), watched);
                (topic, watched)
            }
        };
        (watched == Watched::Yes).then_some(topic)
    }
}

impl Group {
    /// Returns the commits as the coordinator would answer them.
    pub(super) fn commits(&self) -> Arc<Commits> {
        self.commits.told()
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.members.is_empty()
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
        offset(self.commits.set(partition, committed, at))
    }
}

fn offset(committed: Committed) -> Option<Offset> {
    match committed {
        Committed::At(offset) => Some(offset),
        Committed::Never => None,
    }
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
