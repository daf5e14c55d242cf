//! What a group has committed, by its records: a sorted list, which answers share until it changes.

use std::sync::Arc;

use crate::collect::fetch::commits::Commits;
use crate::lag::{Committed, Offset, TopicPartition};

/// The commits of a group.
#[derive(Debug, Default)]
pub(super) struct CommitTable {
    /// As a coordinator tells them. One that was taken back stays as [`Committed::Never`] for a while.
    told: Arc<Commits>,
    /// For each of them the offset of its record; nothing where the coordinator's answer told it.
    read_at: Vec<Option<Offset>>,
}

impl CommitTable {
    /// Begins with what the coordinator has answered.
    pub(super) fn of_answer(commits: &Commits) -> Self {
        let mut told: Commits = commits
            .iter()
            .filter(|(_, commit)| matches!(commit, Ok(Committed::At(_))))
            .cloned()
            .collect();
        told.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            read_at: vec![None; told.len()],
            told: Arc::new(told),
        }
    }

    /// Returns the commits as the coordinator would answer them; what was taken back may be told as never committed.
    pub(super) fn told(&self) -> Arc<Commits> {
        Arc::clone(&self.told)
    }

    /// Tells whether nothing is committed.
    pub(super) fn is_empty(&self) -> bool {
        let is_committed = |commit: &Result<Committed, _>| matches!(commit, Ok(Committed::At(_)));
        !self.told.iter().any(|(_, commit)| is_committed(commit))
    }

    /// Takes over a commit, or its end, that was read at an offset, and returns what was committed before.
    pub(super) fn set(
        &mut self,
        id: &TopicPartition,
        committed: Committed,
        at: Offset,
    ) -> Committed {
        let told = Arc::make_mut(&mut self.told);
        match told.binary_search_by(|(known, _)| known.cmp(id)) {
            Ok(place) => {
                self.read_at[place] = Some(at);
                let before = std::mem::replace(&mut told[place].1, Ok(committed));
                before.unwrap_or(Committed::Never)
            }
            Err(place) => {
                told.insert(place, (id.clone(), Ok(committed)));
                self.read_at.insert(place, Some(at));
                Committed::Never
            }
        }
    }

    /// Takes over the coordinator's answer but for what was read at `from` or later, which may be newer. Returns where
    /// they differed.
    pub(super) fn reconcile(&mut self, commits: &Commits, from: Offset) -> Vec<TopicPartition> {
        let before = std::mem::replace(self, Self::of_answer(commits));
        let answered = self.told();
        let mut differing = Vec::new();
        let mut answered = answered.iter().peekable();
        for ((id, commit), at) in before.told.iter().zip(before.read_at) {
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
