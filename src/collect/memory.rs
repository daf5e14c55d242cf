//! What a poller remembers over time, and how it forgets: log ends, the recent past of groups, the ids of topics.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ages::Ages;
use super::failure::Operation;
use super::fetch::Budget;
use super::fetch::marks::Leaders;
use super::fetch::topology::Topology;
use super::incarnations::Incarnations;
use super::judging::Judging;
use super::poller::Poller;
use super::stream::Follower;
use crate::lag::TopicName;
use crate::snapshot::{ClusterSnapshot, GroupRow};

/// How many cycles pass between two looks at every row for what can be forgotten.
const CYCLES_TO_FORGET: u32 = 8;

/// What a poller has seen over time: log ends, and the recent past of groups.
#[derive(Debug, Default)]
pub struct Remembered {
    ages: Ages,
    judging: Judging,
    incarnations: Incarnations,
}

impl Poller {
    /// Lets the poller go on from what a former one of the same cluster has seen over time, as after a reload.
    #[must_use]
    pub fn remembering(mut self, remembered: Remembered) -> Self {
        let Remembered {
            ages,
            judging,
            incarnations,
        } = remembered;
        self.ages = ages;
        self.judging = judging;
        self.incarnations = incarnations;
        self
    }

    /// Returns what a poller that goes on has to know.
    pub(super) fn leave(self) -> Remembered {
        Remembered {
            ages: self.ages,
            judging: self.judging,
            incarnations: self.incarnations,
        }
    }

    /// Forgets what was seen of topics that were made anew.
    pub(super) async fn forget_old_logs(&mut self, budget: Budget, logs: &Leaders) {
        let admin = Arc::clone(&self.admin);
        let asking = self
            .incarnations
            .renewed(admin.as_ref(), budget, logs, &self.previous);
        match asking.await {
            Ok(topics) if topics.is_empty() => {}
            Ok(topics) => {
                self.ages.forget_topics(&topics);
                self.judging.forget_topics(&topics);
                self.must_rebuild_rows = true;
            }
            Err(error) => self.count_failure(Operation::TopicIds, &error),
        }
    }

    /// Forgets what the newest snapshot does not need: groups at once, and what takes a look at every row now and then.
    pub(super) fn forget(&mut self, snapshot: &mut ClusterSnapshot) {
        // In the first cycle, too: what a former poller has left may be of another configuration, and the next one may come soon.
        let is_due = self.cycles.is_multiple_of(CYCLES_TO_FORGET);
        self.cycles = self.cycles.wrapping_add(1);
        let before = self.previous.groups.iter().map(|row| &row.id);
        let has_same_groups = before.eq(snapshot.groups.iter().map(|row| &row.id));
        if is_due || !has_same_groups {
            self.judging.retain_groups(snapshot);
            self.ages.retain_groups(snapshot);
        }
        if let Some(topology) = &self.topology
            && is_due
        {
            self.incarnations.retain(topology);
            self.ages.retain_partitions(topology, snapshot);
            self.judging.retain_partitions(snapshot);
            if let Some(follower) = self.stream.follower_mut() {
                follower.forget_names(|topic| topology.topics.contains_key(topic));
            }
            for row in &mut snapshot.groups {
                forget_commits(row, topology, self.stream.follower_mut());
            }
        }
    }
}

/// Forgets the commits of a group on topics that neither exist nor are shown of it.
fn forget_commits(row: &mut Arc<GroupRow>, topology: &Topology, follower: Option<&mut Follower>) {
    let shown: BTreeSet<TopicName> = row
        .partitions
        .by_topic()
        .map(|(topic, _)| topic.clone())
        .collect();
    let is_left = |topic: &TopicName| topology.topics.contains_key(topic) || shown.contains(topic);
    if row.activity.commits.keys().all(is_left) {
        return;
    }
    if let Some(follower) = follower {
        follower.retain_topics(&row.id, is_left);
    }
    let row = Arc::make_mut(row);
    let activity = Arc::make_mut(&mut row.activity);
    activity.commits.retain(|topic, _| is_left(topic));
}
