//! What the figures of a group mean: its status, when it will be caught up and whether records will be lost. And what is
//! remembered for it from cycle to cycle.
//!
//! The rules themselves are in `lag`; here they are given what they judge by.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::build::Now;
use super::config::PollConfig;
use super::fetch::{Budget, within};
use crate::kafka::{Admin, KafkaError};
use crate::lag::{
    AbandonedTopics, Circumstances, Committed, Drain, GroupId, Headroom, Lag, LogStart, Members,
    Observation, Ownership, RetentionPolicy, Timestamp, TopicName, TopicPartition, Unavailable,
    Unread, Verdict, Window, headroom, judge, readable_end,
};
use crate::snapshot::{
    ClusterSnapshot, GroupRow, GroupState, Judgement, Membership, PartitionRow, Reading,
};

/// How often the configs of topics are read again.
const POLICY_INTERVAL: Duration = Duration::from_secs(300);

/// What is remembered of groups, logs and topics.
#[derive(Debug, Default)]
pub(super) struct Judging {
    groups: HashMap<GroupId, Past>,
    log_starts: HashMap<TopicPartition, LogStart>,
    policies: Policies,
}

/// What is remembered of one group.
#[derive(Debug, Default)]
struct Past {
    /// By partition.
    windows: Vec<(TopicPartition, Window)>,
    abandoned: AbandonedTopics,
}

/// What is known of the retention of topics.
#[derive(Debug, Default)]
struct Policies {
    known: HashMap<TopicName, RetentionPolicy>,
    asked: HashSet<TopicName>,
    read_at: Option<Instant>,
    told: Option<&'static str>,
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
            if is_judged {
                self.judge_group(Arc::make_mut(row), judged, config.poll_interval, now);
            }
        }
    }

    fn judge_group(
        &mut self,
        row: &mut GroupRow,
        judged: Judged<'_>,
        poll_interval: Duration,
        now: Now,
    ) {
        let past = self.groups.entry(row.id.clone()).or_default();
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
        for partition in row.partitions.iter() {
            past.observe(partition, &setting, at);
        }
        let neighbours = past.neighbours(row);
        let judgements: Vec<Judgement> = row
            .partitions
            .iter()
            .map(|partition| {
                let log_start = self.log_starts.log_start(partition, &setting);
                let policy = self.policies.known.get(&partition.id.topic).copied();
                past.judge(partition, &setting, &neighbours, |window, age| {
                    log_start
                        .zip(policy)
                        .map_or(Headroom::Unknown, |(log_start, policy)| {
                            let unread = Unread {
                                committed: window.newest().committed,
                                lag: age.lag,
                                age_at_most: age.age.and_then(|age| age.at_most),
                                log_start,
                            };
                            headroom(policy, unread, at)
                        })
                })
            })
            .collect();
        let partitions = Arc::make_mut(&mut row.partitions);
        for (partition, judgement) in partitions.iter_mut().zip(judgements) {
            partition.judgement = judgement;
        }
        let findings = row.partitions.iter();
        row.verdict = Verdict::of(findings.map(|row| (&row.id, row.judgement.finding)));
    }

    /// Forgets what the newest snapshot does not show.
    pub(super) fn retain(&mut self, snapshot: &ClusterSnapshot) {
        let mut shown: HashSet<&TopicPartition> = HashSet::new();
        for row in &snapshot.groups {
            shown.extend(row.partitions.iter().map(|row| &row.id));
        }
        self.log_starts.retain(|id, _| shown.contains(id));
        let topics: HashSet<&TopicName> = shown.iter().map(|id| &id.topic).collect();
        self.policies
            .known
            .retain(|topic, _| topics.contains(topic));
        self.policies.asked.retain(|topic| topics.contains(topic));
        self.groups.retain(|id, past| {
            let Some(row) = snapshot.group(id) else {
                return false;
            };
            past.windows.retain(|(id, _)| {
                row.partitions
                    .binary_search_by(|row| row.id.cmp(id))
                    .is_ok()
            });
            true
        });
    }

    /// Reads when topics delete records, of those that groups have commits on: each once, and all of them every few
    /// minutes. Where that cannot be read, nothing is told of it, and what failed is returned.
    pub(super) async fn learn(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
        snapshot: &ClusterSnapshot,
    ) -> Option<KafkaError> {
        let now = Instant::now();
        let is_due = self
            .policies
            .read_at
            .is_none_or(|at| now >= at + POLICY_INTERVAL);
        if is_due {
            self.policies.asked.clear();
            self.policies.read_at = Some(now);
        }
        let topics: BTreeSet<&TopicName> = snapshot
            .groups
            .iter()
            .flat_map(|row| row.by_topic().map(|(topic, _)| topic))
            .filter(|topic| !self.policies.asked.contains(*topic))
            .collect();
        let topics: Vec<TopicName> = topics.into_iter().cloned().collect();
        if topics.is_empty() {
            return None;
        }
        let limit = budget.request_timeout;
        let answer = within(limit, admin.topic_configs(&topics, limit)).await;
        match answer.and_then(|answer| answer) {
            Ok(configs) => {
                let mut failure = None;
                for (topic, configs) in configs {
                    self.policies.asked.insert(topic.clone());
                    match configs {
                        Ok(configs) => self.policies.take_in(topic, &configs),
                        Err(error) => {
                            self.policies.known.remove(&topic);
                            failure = Some(error);
                        }
                    }
                }
                self.policies.tell(config, failure.as_ref());
                failure
            }
            Err(error) => {
                // All of them are asked again when it is due.
                self.policies.asked.extend(topics);
                self.policies.known.clear();
                self.policies.tell(config, Some(&error));
                // What a cluster cannot do is no failure.
                (!error.code.is_unsupported()).then_some(error)
            }
        }
    }
}

impl Past {
    /// Judges one partition; `headroom` tells how long its first unread record is safe.
    fn judge(
        &self,
        partition: &PartitionRow,
        setting: &Setting<'_>,
        neighbours: &Neighbours,
        headroom: impl FnOnce(&Window, &Reading) -> Headroom,
    ) -> Judgement {
        let at = Timestamp::from(setting.now.time);
        let ownership = self.ownership(partition, setting, at);
        let window = self.window(&partition.id);
        let finding = judge(&Circumstances {
            now: at,
            lag: lag(partition),
            window,
            members: setting.members,
            ownership,
            topic_commit: neighbours.newest(partition),
        });
        let (drain, headroom) = match (window, &partition.reading) {
            (Some(window), Some(reading)) => {
                (Drain::of_partition(window), headroom(window, reading))
            }
            _ => (Drain::Unknown, Headroom::Unknown),
        };
        Judgement {
            finding,
            drain,
            headroom,
            ownership,
        }
    }

    fn ownership(
        &self,
        partition: &PartitionRow,
        setting: &Setting<'_>,
        at: Timestamp,
    ) -> Ownership {
        if self.abandoned.contains(&partition.id.topic, at) {
            return Ownership::Abandoned;
        }
        let owner = setting
            .membership
            .and_then(|membership| membership.owner(partition));
        match (owner, setting.members) {
            (Some(_), _) => Ownership::Owned,
            (None, Members::Settled) => Ownership::Unowned,
            (None, Members::Unknown | Members::Absent | Members::Rebalancing) => Ownership::Unknown,
        }
    }

    fn place(&self, id: &TopicPartition) -> Result<usize, usize> {
        self.windows.binary_search_by(|(known, _)| known.cmp(id))
    }

    fn window(&self, id: &TopicPartition) -> Option<&Window> {
        let index = self.place(id).ok()?;
        Some(&self.windows[index].1)
    }

    /// Adds what was read of the partition; one that the group has never committed on has no past.
    fn observe(&mut self, partition: &PartitionRow, setting: &Setting<'_>, at: Timestamp) {
        // A pair that was kept tells nothing of now.
        let Some(reading) = partition.reading.filter(|reading| setting.is_new(reading)) else {
            return;
        };
        let observation = observation(&reading, setting.group, at);
        match (self.place(&partition.id), observation) {
            (Ok(index), None) => drop(self.windows.remove(index)),
            (Err(_), None) => {}
            (Ok(index), Some(next)) => {
                let window = &mut self.windows[index].1;
                window.observe_every(setting.poll_interval, next);
                // Between two cycles only what was committed is read, whether or not it moved.
                if matches!(setting.judged, Judged::Changed(_)) {
                    window.note_commit(at);
                }
            }
            (Err(index), Some(first)) => {
                let window = (partition.id.clone(), Window::new(first));
                self.windows.insert(index, window);
            }
        }
    }

    /// Returns when each owner was last seen to commit, and each topic that has none.
    fn neighbours(&self, row: &GroupRow) -> Neighbours {
        let mut neighbours = Neighbours::default();
        for partition in row.partitions.iter() {
            let Some(at) = self.window(&partition.id).and_then(Window::last_commit) else {
                continue;
            };
            let newest = match partition.owner {
                Some(owner) => neighbours.owners.entry(owner).or_insert(at),
                None => {
                    let topic = partition.id.topic.clone();
                    neighbours.topics.entry(topic).or_insert(at)
                }
            };
            *newest = at.max(*newest);
        }
        neighbours
    }
}

/// When commits were last seen that show whoever made them to be alive.
#[derive(Debug, Default)]
struct Neighbours {
    owners: HashMap<u32, Timestamp>,
    /// Of partitions whose owner is not known.
    topics: HashMap<TopicName, Timestamp>,
}

impl Neighbours {
    /// Returns when whoever reads the partition was last seen to commit anything.
    fn newest(&self, partition: &PartitionRow) -> Option<Timestamp> {
        match partition.owner {
            Some(owner) => self.owners.get(&owner).copied(),
            None => self.topics.get(&partition.id.topic).copied(),
        }
    }
}

impl Setting<'_> {
    /// Tells whether a pair was read just now.
    fn is_new(&self, reading: &Reading) -> bool {
        reading.measured == self.now.instant
    }
}

/// The log starts of partitions that groups read.
trait LogStarts {
    /// Adds what was read of a partition's log start, and returns how it has moved.
    fn log_start(&mut self, partition: &PartitionRow, setting: &Setting<'_>) -> Option<&LogStart>;
}

impl LogStarts for HashMap<TopicPartition, LogStart> {
    fn log_start(&mut self, partition: &PartitionRow, setting: &Setting<'_>) -> Option<&LogStart> {
        let reading = partition.reading?;
        let start = reading.marks.log_start?;
        let at = Timestamp::from(setting.now.time);
        // Only a whole cycle looks at log starts.
        let is_read = matches!(setting.judged, Judged::All) && setting.is_new(&reading);
        match self.get_mut(&partition.id) {
            Some(known) if is_read => known.observe(start, at),
            Some(_) => {}
            None => {
                self.insert(partition.id.clone(), LogStart::new(start, at));
            }
        }
        self.get(&partition.id)
    }
}

impl Policies {
    fn take_in(&mut self, topic: TopicName, configs: &std::collections::BTreeMap<String, String>) {
        match RetentionPolicy::of_topic(configs) {
            Ok(policy) => {
                self.known.insert(topic, policy);
            }
            // Unknown, and not unlimited.
            Err(_) => {
                self.known.remove(&topic);
            }
        }
    }

    /// Tells once why the retention of topics is not known.
    fn tell(&mut self, config: &PollConfig, failure: Option<&KafkaError>) {
        let code = failure.map(|error| error.code.name());
        if let Some(error) = failure
            && self.told != code
        {
            info!(
                cluster = config.cluster_label(),
                "when topics delete records cannot be read, so `kafka_consumergroup_retention_headroom_seconds` is absent for them: {error}"
            );
        }
        self.told = code;
    }
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

fn has_commit(row: &PartitionRow) -> bool {
    let reading = row.reading.as_ref();
    reading.is_some_and(|reading| reading.committed != Committed::Never)
}

/// Returns the lag that is shown, or why there is none.
fn lag(row: &PartitionRow) -> Lag {
    match (&row.reading, row.latest) {
        (Some(reading), _) => reading.lag,
        (None, Lag::Unavailable(reason)) => Lag::Unavailable(reason),
        (None, Lag::Known(_) | Lag::NoCommit { .. }) => Lag::Unavailable(Unavailable::Committed),
    }
}

fn observation(reading: &Reading, group: &GroupRow, at: Timestamp) -> Option<Observation> {
    let Committed::At(committed) = reading.committed else {
        return None;
    };
    let end = readable_end(reading.marks, group.isolation)?;
    Some(Observation { at, committed, end })
}
