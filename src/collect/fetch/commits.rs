//! Committed offsets of a group as they were fetched: only those are decoded that differ from those of the newest row.

use std::sync::{Arc, OnceLock};

use crate::collect::places::Map;
use crate::kafka::{CommittedOffsets, KafkaError};
use crate::lag::{Committed, GroupId, TopicPartition};

/// Committed offsets, sorted by partition.
pub(in crate::collect) type Commits = Vec<(TopicPartition, Result<Committed, KafkaError>)>;

/// What a group has committed.
#[derive(Clone, Debug, Default)]
pub(in crate::collect) struct FetchedCommits {
    /// As the coordinator sent it; nothing where records showed it.
    sent: Option<CommittedOffsets>,
    decoded: OnceLock<Arc<Commits>>,
    /// Those that differ from what the group's newest row was made of; nothing where they cannot be compared with it.
    changes: Option<Commits>,
}

impl FetchedCommits {
    /// Returns what was decoded already; sorted by partition.
    pub(in crate::collect) fn decoded(commits: Arc<Commits>) -> Self {
        Self {
            sent: None,
            decoded: OnceLock::from(commits),
            changes: None,
        }
    }

    /// Returns the commits; decodes them where that has not been done.
    pub(in crate::collect) fn commits(&self) -> &Arc<Commits> {
        self.decoded.get_or_init(|| {
            let sent = self.sent.as_ref();
            Arc::new(sent.map(CommittedOffsets::decode).unwrap_or_default())
        })
    }

    pub(in crate::collect) fn iter(
        &self,
    ) -> impl Iterator<Item = &(TopicPartition, Result<Committed, KafkaError>)> {
        self.commits().iter()
    }

    /// Returns the commits that differ from those that the group's newest row was made of, sorted by partition; nothing where
    /// that is not known, or where other partitions are among them.
    pub(in crate::collect) fn changes(&self) -> Option<&Commits> {
        self.changes.as_ref()
    }

    /// Returns the first partition's error, where a partition could not be read.
    pub(in crate::collect) fn failure(&self) -> Option<&KafkaError> {
        if self.sent.as_ref().is_some_and(|sent| !sent.has_errors()) {
            return None;
        }
        self.iter().find_map(|(_, commit)| commit.as_ref().err())
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
        // The bytes that are known already, so that they are kept once.
        let sent = match (known, &changes) {
            (Some(known), Some(changes)) if changes.is_empty() => known.clone(),
            _ => sent,
        };
        FetchedCommits {
            sent: Some(sent),
            decoded: OnceLock::new(),
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
            .filter_map(|(id, commits)| Some((id.clone(), commits.sent.clone()?)))
            .collect();
    }

    /// Forgets every group: where rows are not of the newest cycle, or the same commits may make other rows.
    pub(in crate::collect) fn clear(&mut self) {
        self.0.clear();
    }
}
