//! What Kafka keeps in `__consumer_offsets`, as Kafka's own classes read it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;

use super::Kafka;
use super::crowd::{GroupLife, Truth};

/// The whole topic: the lives of every group, in their order.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct OffsetsLog(BTreeMap<String, Vec<LoggedLife>>);

/// A group from its first record to the one that ended it, or to now.
#[derive(Clone, Debug, Default, Deserialize)]
struct LoggedLife {
    /// How many partition offsets were committed, by topic.
    commits: BTreeMap<String, u64>,
    /// When the newest of them was made, by topic, in milliseconds since 1970.
    newest: BTreeMap<String, i64>,
    /// Whether the group was deleted.
    ended: bool,
    /// The committed offsets that are left, by topic and partition as in `orders-0`.
    offsets: BTreeMap<String, i64>,
    /// The generations with an assignment, or the epochs that a member reached.
    rounds: BTreeSet<i32>,
    /// The ids of all members there ever were.
    members: BTreeSet<String>,
    /// How often a member came; one that was expelled comes again under its old id.
    joins: usize,
    leaves: usize,
    /// Its membership records in words, for the message of a failure.
    history: Vec<String>,
}

/// How much has happened in a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    /// Commits by topic.
    pub(crate) commits: BTreeMap<String, u64>,
    pub(crate) rounds: usize,
    pub(crate) joins: usize,
    pub(crate) leaves: usize,
}

impl Kafka {
    /// Reads the whole topic, as far as transactions have ended.
    pub(crate) fn offsets_log(&self) -> OffsetsLog {
        self.answer(json!({ "do": "offsets-log" }))
    }
}

impl OffsetsLog {
    /// Returns the committed offsets of a group, by topic and partition as in `orders-0`.
    pub(crate) fn offsets(&self, group: &str) -> BTreeMap<String, i64> {
        self.now(group)
            .map(|life| life.offsets.clone())
            .unwrap_or_default()
    }

    /// Returns how much has happened in the life of a group that goes on, then with the life before it, and so on.
    pub(crate) fn counts(&self, group: &str) -> Vec<Counts> {
        let lives = self.0.get(group).into_iter().flatten().rev();
        let counts: Vec<Counts> = lives
            .scan(Counts::default(), |sum, life| {
                for (topic, count) in &life.commits {
                    *sum.commits.entry(topic.clone()).or_default() += count;
                }
                sum.rounds += life.rounds.len();
                sum.joins += life.joins;
                sum.leaves += life.leaves;
                Some(sum.clone())
            })
            .collect();
        if counts.is_empty() {
            return vec![Counts::default()];
        }
        counts
    }

    /// Returns when the newest commit of a group was made, by topic, in milliseconds since 1970.
    pub(crate) fn newest_commits(&self, group: &str) -> BTreeMap<String, i64> {
        self.now(group)
            .map(|life| life.newest.clone())
            .unwrap_or_default()
    }

    fn now(&self, group: &str) -> Option<&LoggedLife> {
        self.0.get(group)?.last()
    }

    /// Returns in words where the topic and the clients disagree.
    ///
    /// Commits are as many as were acknowledged, and uncertain ones at most beside. Every generation and epoch that a
    /// client was told is there.
    pub(crate) fn disagreements(&self, truth: &Truth) -> Vec<String> {
        self.compare(truth, LoggedLife::disagreements)
    }

    /// Returns in words which generations and epochs no client was told of: none, unless a node took the answer along.
    pub(crate) fn untold_rounds(&self, truth: &Truth) -> Vec<String> {
        self.compare(truth, LoggedLife::untold_rounds)
    }

    fn compare(
        &self,
        truth: &Truth,
        compare: impl Fn(&LoggedLife, &GroupLife) -> Vec<String>,
    ) -> Vec<String> {
        let untouched = LoggedLife::default();
        let mut found = Vec::new();
        for (group, clients) in &truth.groups {
            let logged = self.0.get(group).into_iter().flatten();
            let mut logged = logged.filter(|life| !life.is_empty()).peekable();
            for (number, life) in clients.lives().enumerate() {
                let differences = compare(logged.peek().unwrap_or(&&untouched), life);
                if life.is_uncertain() && !differences.is_empty() {
                    continue;
                }
                logged.next();
                let place = |what| format!("{group}, life {number}: {what}");
                found.extend(differences.into_iter().map(place));
            }
            if let Some(more) = logged.next() {
                found.push(format!("{group}: a life that no client led: {more:?}"));
            }
        }
        found
    }
}

impl LoggedLife {
    fn disagreements(&self, life: &GroupLife) -> Vec<String> {
        let mut found = Vec::new();
        let topics: BTreeSet<&String> = self
            .commits
            .keys()
            .chain(life.acknowledged.keys())
            .collect();
        for topic in topics {
            let count = self.commits.get(topic).copied().unwrap_or(0);
            if !life.allows_commits(topic, count) {
                found.push(format!(
                    "{count} commits of {topic}, the clients say {life:?}"
                ));
            }
        }
        if !self.rounds.is_superset(&life.rounds) {
            let told = &life.rounds;
            found.push(format!(
                "rounds {:?}, and clients were told {told:?}",
                self.rounds
            ));
        }
        if !self.members.is_superset(&life.members) {
            let told = &life.members;
            found.push(format!(
                "members {:?}, and these were told {told:?}",
                self.members
            ));
        }
        if self.ended && !self.offsets.is_empty() {
            found.push(format!("{:?} are left after the deletion", self.offsets));
        }
        for (topic, partition, possible) in &life.offsets {
            let kept = self.offsets.get(&format!("{topic}-{partition}")).copied();
            if !self.ended && !possible.contains(&kept) {
                found.push(format!(
                    "{topic}-{partition} at {kept:?}, not one of {possible:?}"
                ));
            }
        }
        found
    }
    fn untold_rounds(&self, life: &GroupLife) -> Vec<String> {
        let untold: Vec<_> = self.rounds.difference(&life.rounds).collect();
        if untold.is_empty() {
            return Vec::new();
        }
        vec![format!("{untold:?} of {:#?}", self.history)]
    }

    /// Returns whether the group has left no trace but its end.
    fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.rounds.is_empty()
    }
}
