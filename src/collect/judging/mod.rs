//! What the figures of a group mean: its status, when it will be caught up and whether records will be lost. And what is
//! remembered for it from cycle to cycle.
//!
//! The rules themselves are in `lag`; here they are given what they judge by.

mod past;
mod policies;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use self::past::Past;
use self::policies::Policies;
use super::build::Now;
use super::config::PollConfig;
use super::fetch::Budget;
use super::fetch::marks::Marks;
use super::places::Map;
use crate::kafka::{Admin, KafkaError};
use crate::lag::{
    Committed, GroupId, Headroom, LogStart, Members, Timestamp, TopicName, TopicPartition, Unread,
    Verdict, headroom,
};
use crate::snapshot::{
    ClusterSnapshot, GroupRow, GroupState, Judgement, Membership, PartitionRow, Reading,
};

/// What is remembered of groups, logs and topics.
#[derive(Debug, Default)]
pub(super) struct Judging {
    groups: Map<GroupId, Past>,
    log_starts: Map<TopicPartition, LogStart>,
    policies: Policies,
}

/// Which groups of a snapshot are judged.
#[derive(Clone, Copy)]
pub(super) enum Judged<'a> {
    /// All of them, by a whole cycle.
    All,
    /// Those that changed since.
    Changed(&'a BTreeSet<GroupId>),
}

/// What one group is judged by, besides its partitions.
struct Setting<'a> {
    now: Now,
    judged: Judged<'a>,
    poll_interval: Duration,
    members: Members,
    membership: Option<&'a Membership>,
    group: &'a GroupRow,
}

impl Judging {
    /// Takes in where the logs start whose topics have a limit of their size.
    pub(super) fn see(&mut self, marks: &Marks, now: Now) {
        let at = Timestamp::from(now.time);
        for (id, marks) in marks {
            let Some(start) = marks.as_ref().ok().and_then(|marks| marks.log_start) else {
                continue;
            };
            if !self.policies.limits_size(&id.topic) {
                continue;
            }
            match self.log_starts.get_mut(id) {
                Some(known) => known.observe(start, at),
                None => {
                    self.log_starts.insert(id.clone(), LogStart::new(start, at));
                }
            }
        }
    }

    /// Judges the groups of a snapshot that was taken at `now`, and is published after that.
    pub(super) fn judge(
        &mut self,
        snapshot: &mut ClusterSnapshot,
        judged: Judged<'_>,
        config: &PollConfig,
        now: Now,
    ) {
        for row in &mut snapshot.groups {
            let is_judged = match judged {
                Judged::All => true,
                Judged::Changed(groups) => groups.contains(&row.id),
            };
            if is_judged && row.is_quiet {
                // It has been judged, and shares what was said.
                self.stand_still(&row.id, now);
            } else if is_judged {
                self.judge_group(Arc::make_mut(row), judged, config.poll_interval, now);
            }
        }
    }

    fn stand_still(&mut self, group: &GroupId, now: Now) {
        if let Some(past) = self.groups.get_mut(group) {
            past.stand_still(Timestamp::from(now.time));
        }
    }

    fn judge_group(
        &mut self,
        row: &mut GroupRow,
        judged: Judged<'_>,
        poll_interval: Duration,
        now: Now,
    ) {
        let Self {
            groups,
            log_starts,
            policies,
        } = self;
        row.by_topic().for_each(|(topic, _)| policies.note(topic));
        let past = groups.entry(row.id.clone()).or_default();
        let membership = row.membership.clone();
        let members = members(membership.as_deref());
        let at = Timestamp::from(now.time);
        let assigned = membership.iter().flat_map(|membership| {
            let members = membership.members.iter();
            members.flat_map(|member| &member.assignment)
        });
        let committed = row.partitions.iter().filter(|row| has_commit(row));
        let committed = committed.map(|row| &row.id.topic);
        past.abandoned.observe(at, members, assigned, committed);
        let setting = Setting {
            now,
            judged,
            poll_interval,
            members,
            membership: membership.as_deref(),
            group: row,
        };
        past.observe(&row.partitions, &setting, at);
        let neighbours = past.neighbours(row);
        let judgements: Vec<Judgement> = row
            .partitions
            .iter()
            .zip(0..)
            .map(|(partition, hint)| {
                let window = past.window(&partition.id, hint);
                past.judge(
                    partition,
                    window,
                    &setting,
                    &neighbours,
                    |window, reading| {
                        let unread = Unread {
                            committed: window.newest().committed,
                            lag: reading.lag(),
                            age_at_most: reading.age().and_then(|age| age.at_most),
                            log_start: log_starts.get(&partition.id),
                        };
                        let policy = policies.of(&partition.id.topic);
                        policy.map_or(Headroom::Unknown, |policy| headroom(policy, unread, at))
                    },
                )
            })
            .collect();
        let partitions = Arc::make_mut(&mut row.partitions);
        for (partition, judgement) in partitions.iter_mut().zip(judgements) {
            partition.judge(judgement);
        }
        row.is_quiet = past.abandoned.is_empty() && row.partitions.iter().all(is_quiet);
        let findings = row.partitions.iter();
        row.verdict = Verdict::of(findings.map(|row| (&row.id, row.judgement().finding)));
    }

    /// Forgets what was seen of topics that were made anew.
    pub(super) fn forget_topics(&mut self, topics: &BTreeSet<TopicName>) {
        self.log_starts.retain(|id, _| !topics.contains(&id.topic));
        for past in self.groups.values_mut() {
            past.forget_topics(topics);
        }
    }

    /// Forgets the groups that the newest snapshot does not show.
    pub(super) fn retain_groups(&mut self, snapshot: &ClusterSnapshot) {
        self.groups.retain(|id, _| snapshot.group(id).is_some());
    }

    /// Forgets the partitions and the topics that the newest snapshot does not show, which takes a look at every row.
    pub(super) fn retain_partitions(&mut self, snapshot: &ClusterSnapshot) {
        let shown = topics(snapshot);
        self.policies.retain(|topic| shown.contains(topic));
        let policies = &self.policies;
        self.log_starts
            .retain(|id, _| policies.limits_size(&id.topic));
        for row in &snapshot.groups {
            if let Some(past) = self.groups.get_mut(&row.id) {
                past.retain(row);
            }
        }
    }

    /// Reads when topics delete records, of those that groups have something on, and returns what failed.
    pub(super) async fn learn(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
    ) -> Option<KafkaError> {
        self.policies.learn(admin, config, budget).await
    }
}

impl Setting<'_> {
    /// Tells whether a pair was read just now.
    fn is_new(&self, reading: &Reading) -> bool {
        reading.measured(self.group.measured) == self.now.instant
    }
}

/// Returns the topics that groups have something on.
fn topics(snapshot: &ClusterSnapshot) -> BTreeSet<&TopicName> {
    let groups = snapshot.groups.iter();
    let topics = groups.flat_map(|row| row.by_topic().map(|(topic, _)| topic));
    topics.collect()
}

fn members(membership: Option<&Membership>) -> Members {
    let Some(membership) = membership else {
        return Members::Unknown;
    };
    match membership.state {
        GroupState::Empty | GroupState::Dead => Members::Absent,
        GroupState::PreparingRebalance
        | GroupState::CompletingRebalance
        | GroupState::Assigning
        | GroupState::Reconciling => Members::Rebalancing,
        GroupState::Stable => Members::Settled,
        GroupState::Unknown => Members::Unknown,
    }
}

/// Tells whether nothing will be to judge while nothing moves.
fn is_quiet(row: &PartitionRow) -> bool {
    let reading = row.reading.as_ref();
    row.is_quiet() && reading.is_some_and(Reading::is_of_its_group)
}

fn has_commit(row: &PartitionRow) -> bool {
    let reading = row.reading.as_ref();
    reading.is_some_and(|reading| reading.committed != Committed::Never)
}
