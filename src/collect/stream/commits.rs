//! What a group has committed, by its records: a sorted list, which answers share until it changes.

use std::sync::Arc;

use crate::collect::fetch::commits::CommitResults;
use crate::lag::{Committed, Offset, TopicPartition};

/// The commits of a group.
#[derive(Debug, Default)]
pub(super) struct CommitTable {
    /// As a coordinator returns them. One that was deleted stays as [`Committed::Never`] for a while.
    commits: Arc<CommitResults>,
    /// The offset of the record of each commit; nothing where it comes from the coordinator's answer.
    read_at: Vec<Option<Offset>>,
}

impl CommitTable {
    /// Returns what the coordinator has answered.
    pub(super) fn from_answer(commits: &CommitResults) -> Self {
        let mut committed: CommitResults = commits
            .iter()
            .filter(|(_, commit)| matches!(commit, Ok(Committed::At(_))))
            .cloned()
            .collect();
        committed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            read_at: vec![None; committed.len()],
            commits: Arc::new(committed),
        }
    }

    /// Returns the commits as the coordinator would answer them; deleted ones may be among them as never committed.
    pub(super) fn commits(&self) -> Arc<CommitResults> {
        Arc::clone(&self.commits)
    }

    /// Returns whether nothing is committed.
    pub(super) fn is_empty(&self) -> bool {
        let is_committed = |commit: &Result<Committed, _>| matches!(commit, Ok(Committed::At(_)));
        !self.commits.iter().any(|(_, commit)| is_committed(commit))
    }

    /// Applies a commit, or its deletion, whose record has the offset `at`. Returns what was committed before.
    pub(super) fn set(
        &mut self,
        id: &TopicPartition,
        committed: Committed,
        at: Offset,
    ) -> Committed {
        let commits = Arc::make_mut(&mut self.commits);
        match commits.binary_search_by(|(known, _)| known.cmp(id)) {
            Ok(index) => {
                self.read_at[index] = Some(at);
                let before = std::mem::replace(&mut commits[index].1, Ok(committed));
                before.unwrap_or(Committed::Never)
            }
            Err(index) => {
                commits.insert(index, (id.clone(), Ok(committed)));
                self.read_at.insert(index, Some(at));
                Committed::Never
            }
        }
    }

    /// Replaces the commits by the coordinator's answer, except those read at `from` or later, which may be newer.
    /// Returns the partitions whose commits differed.
    pub(super) fn reconcile(
        &mut self,
        commits: &CommitResults,
        from: Offset,
    ) -> Vec<TopicPartition> {
        let before = std::mem::replace(self, Self::from_answer(commits));
        let answered = self.commits();
        let mut differing = Vec::new();
        let mut answered = answered.iter().peekable();
        for ((id, commit), at) in before.commits.iter().zip(before.read_at) {
            while let Some((missing, _)) = answered.next_if(|(other, _)| other < id) {
                differing.push(missing.clone());
            }
            let answer = answered.next_if(|(other, _)| other == id);
            let answer = answer.map_or(&Ok(Committed::Never), |(_, answer)| answer);
            match (at.filter(|at| *at >= from), commit) {
                (Some(at), Ok(committed)) => {
                    self.set(id, *committed, at);
                }
                _ if answer != commit => differing.push(id.clone()),
                _ => {}
            }
        }
        differing.extend(answered.map(|(id, _)| id.clone()));
        differing
    }
}
