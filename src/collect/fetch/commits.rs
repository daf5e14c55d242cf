//! Committed offsets of a group as they were fetched: only those are decoded that differ from those of the newest row.

use std::sync::Arc;

use crate::collect::places::Map;
use crate::kafka::{CommittedOffsets, KafkaError};
use crate::lag::{Committed, GroupId, TopicPartition};

/// Committed offsets, sorted by partition.
pub(in crate::collect) type CommitResults = Vec<(TopicPartition, Result<Committed, KafkaError>)>;

/// What a group has committed.
#[derive(Clone, Debug, Default)]
pub(in crate::collect) struct FetchedCommits {
    content: Content,
    /// Those that differ from what the group's newest row was made of; nothing where they cannot be compared with it.
    changes: Option<CommitResults>,
}

#[derive(Clone, Debug)]
enum Content {
    /// As the coordinator sent it.
    Sent(CommittedOffsets),
    /// As the records of `__consumer_offsets` show it.
    FromRecords(Arc<CommitResults>),
}

impl Default for Content {
    fn default() -> Self {
        Self::FromRecords(Arc::default())
    }
}

impl FetchedCommits {
    /// Returns commits that records of `__consumer_offsets` show; sorted by partition.
    pub(in crate::collect) fn from_records(commits: Arc<CommitResults>) -> Self {
        Self {
            content: Content::FromRecords(commits),
            changes: None,
        }
    }

    /// Returns the commits. What a coordinator sent is decoded each time: all groups' commits at once would take three times
    /// the memory of the bytes.
    pub(in crate::collect) fn commits(&self) -> Arc<CommitResults> {
        match &self.content {
            Content::Sent(sent) => Arc::new(sent.decode()),
            Content::FromRecords(commits) => Arc::clone(commits),
        }
    }

    /// Returns the commits that differ from those that the group's newest row was made of, sorted by partition; nothing where
    /// that is not known, or where other partitions are among them.
    pub(in crate::collect) fn changes(&self) -> Option<&CommitResults> {
        self.changes.as_ref()
    }

    /// Returns the first partition's error, where a partition could not be read.
    pub(in crate::collect) fn failure(&self) -> Option<KafkaError> {
        if matches!(&self.content, Content::Sent(sent) if !sent.has_errors()) {
            return None;
        }
        let commits = self.commits();
        let mut errors = commits
            .iter()
            .filter_map(|(_, commit)| commit.as_ref().err());
        errors.next().cloned()
    }
}

/// The commits that the newest rows were made of, as coordinators sent them.
#[derive(Debug, Default)]
pub(in crate::collect) struct KnownCommits(Map<GroupId, CommittedOffsets>);

impl KnownCommits {
    /// Returns what was fetched, by comparison with what is known.
    pub(in crate::collect) fn compare(
        &self,
        group: &GroupId,
        sent: CommittedOffsets,
    ) -> FetchedCommits {
        let known = self.0.get(group);
        let changes = known.and_then(|known| sent.changes_since(known));
        // Keeps the bytes that are known already: one copy is enough.
        let sent = match (known, &changes) {
            (Some(known), Some(changes)) if changes.is_empty() => known.clone(),
            _ => sent,
        };
        FetchedCommits {
            content: Content::Sent(sent),
            changes,
        }
    }

    /// Replaces what is known by what a cycle has fetched without a failure.
    pub(in crate::collect) fn replace<'a>(
        &mut self,
        fetched: impl Iterator<Item = (&'a GroupId, &'a FetchedCommits)>,
    ) {
        let sent = fetched.filter(|(_, commits)| commits.failure().is_none());
        self.0 = sent
            .filter_map(|(id, commits)| match &commits.content {
                Content::Sent(sent) => Some((id.clone(), sent.clone())),
                Content::FromRecords(_) => None,
            })
            .collect();
    }

    /// Forgets every group: where rows are not of the newest cycle, or the same commits may make other rows.
    pub(in crate::collect) fn clear(&mut self) {
        self.0.clear();
    }
}
