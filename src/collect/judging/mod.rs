//! What the figures of a group mean: its status, when it will be caught up and whether records will be lost. And what is
//! remembered for it from cycle to cycle.
//!
//! The rules themselves are in `lag`; here they are given what they judge by.

mod past;
mod policies;

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use self::past::Past;
use self::policies::Policies;
use super::build::Now;
use super::config::PollConfig;
use super::fetch::Budget;
use super::fetch::marks::Marks;
use super::places::{Map, walk_to};
use super::renewal::{Renewal, Renewals, Touched};
use crate::kafka::{Admin, KafkaError};
use crate::lag::{
    Committed, GroupId, Headroom, LogStart, Members, Status, Timestamp, TopicName, TopicPartition,
    Unread, Verdict, Wait, Window, headroom,
};
use crate::snapshot::{
    ClusterSnapshot, GroupRow, GroupState, Judgement, Membership, PartitionRow, PartitionRows,
    Reading,
};

/// What is remembered of groups, logs and topics.
#[derive(Debug, Default)]
pub(super) struct Judging {
    groups: Map<GroupId, Past>,
    log_starts: Map<TopicPartition, LogStart>,
    policies: Policies,
}

/// Which groups of a snapshot are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// All of them, by a whole cycle.
    All,
    /// Those that changed since, which are those that have a renewal.
    Changed,
}

/// On which occasion a snapshot is judged.
#[derive(Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) judged: Judged,
    /// What was made anew.
    pub(super) renewals: &'a Renewals,
    /// The snapshot before.
    pub(super) previous: &'a ClusterSnapshot,
    pub(super) config: &'a PollConfig,
    /// When the snapshot was taken; it is published after that.
    pub(super) now: Now,
}

/// What one group is judged by, besides its partitions.
struct Setting<'a> {
    now: Now,
    judged: Judged,
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

    /// Judges what was made anew of a snapshot; what was not has been judged.
    pub(super) fn judge(&mut self, snapshot: &mut ClusterSnapshot, occasion: Occasion<'_>) {
        let groups = &mut snapshot.groups;
        match occasion.judged {
            Judged::All => {
                let mut rows = occasion.previous.groups.iter().peekable();
                for row in groups {
                    let before = walk_to(&mut rows, &row.id, |row| &row.id);
                    self.judge_group(row, before.map(AsRef::as_ref), occasion);
                }
            }
            Judged::Changed => {
                for (id, _) in occasion.renewals.iter() {
                    if let Ok(index) = groups.binary_search_by(|row| row.id.cmp(id)) {
                        let before = occasion.previous.group(id).map(AsRef::as_ref);
                        self.judge_group(&mut groups[index], before, occasion);
                    }
                }
            }
        }
    }

    fn judge_group(
        &mut self,
        row: &mut Arc<GroupRow>,
        before: Option<&GroupRow>,
        occasion: Occasion<'_>,
    ) {
        let Occasion {
            judged,
            renewals,
            previous: _,
            config,
            now,
        } = occasion;
        let Self {
            groups,
            log_starts,
            policies,
        } = self;
        let past = match groups.get_mut(&row.id) {
            Some(past) => past,
            None => groups.entry(row.id.clone()).or_default(),
        };
        let at = Timestamp::from(now.time);
        if row.stands_still() {
            // Nothing of it was made anew.
            return past.see(judged, at);
        }
        let renewal = renewals.of(&row.id);
        if let Some(before) = before {
            past.catch_up(before, renewal);
        }
        let row = Arc::make_mut(row);
        let membership = row.membership.clone();
        let members = members(membership.as_deref());
        // Whether a topic is abandoned depends on the time as well.
        let touched = match renewal {
            Renewal::Only(touched) if past.abandoned.is_empty() => Some(touched),
            Renewal::Only(_) | Renewal::Whole => None,
        };
        if touched.is_none() {
            row.partitions
                .by_topic()
                .for_each(|(topic, _)| policies.note(topic));
            let assigned = membership.iter().flat_map(|membership| {
                let members = membership.members.iter();
                members.flat_map(|member| &member.assignment)
            });
            let topics = row.partitions.by_topic();
            let committed = topics.filter(|(_, partitions)| partitions.iter().any(has_commit));
            let committed = committed.map(|(topic, _)| topic);
            past.abandoned.observe(at, members, assigned, committed);
        }
        let setting = Setting {
            now,
            judged,
            poll_interval: config.poll_interval,
            members,
            membership: membership.as_deref(),
            group: row,
        };
        let rows = &row.partitions;
        let mut places: Vec<usize> = match touched {
            Some(touched) => touched.iter().map(|touched| touched.place).collect(),
            None => (0..rows.len()).collect(),
        };
        past.observe(
            places.iter().map(|&place| (&rows[place], place)),
            &setting,
            at,
        );
        if touched.is_some() && judged == Judged::Changed && row.verdict.status() >= Status::Stopped
        {
            // Whoever commits is alive, and has not stopped anywhere else. What time alone says waits for the next cycle.
            let stopped = rows.iter().zip(0..).filter(|(row, _)| has_stopped(row));
            places.extend(stopped.map(|(_, place)| place));
            places.sort_unstable();
            places.dedup();
        }
        let neighbours = LazyCell::new(|| past.neighbours(row));
        let next_door = |partition: &PartitionRow| neighbours.newest(partition);
        // The verdict rests on the findings alone: it stays where they do, and no partition comes or goes.
        let known = before.filter(|_| touched.is_some());
        let mut has_news = known.is_none();
        let judgements: Vec<(usize, Judgement)> = places
            .into_iter()
            .filter_map(|place| {
                let partition = &rows[place];
                let headroom = |window: &Window, reading: &Reading| {
                    let Some(policy) = policies.of(&partition.id.topic) else {
                        return Headroom::Unknown;
                    };
                    let log_start = || log_starts.get(&partition.id);
                    let unread = Unread {
                        committed: window.newest().committed,
                        lag: reading.lag(),
                        earliest: earliest(reading),
                        log_start: policy.limits_size().then(log_start).flatten(),
                    };
                    headroom(policy, unread, at)
                };
                let window = past.window(&partition.id, place);
                let judgement = past.judge(partition, window, &setting, next_door, headroom);
                has_news |= known.is_some_and(|known| {
                    known.partitions[place].judgement().finding != judgement.finding
                });
                (judgement != partition.judgement()).then_some((place, judgement))
            })
            .collect();
        past.see(judged, at);
        row.judged_at = at;
        for (place, judgement) in judgements {
            row.partitions.get_mut(place).judge(judgement);
        }
        let known = before.and_then(|before| before.to_judge.as_deref());
        // Whether a topic is abandoned depends on the time alone.
        let is_known = past.abandoned.is_empty();
        row.to_judge = is_known
            .then(|| places_to_judge(&row.partitions, known.zip(touched.map(Vec::as_slice))));
        if has_news {
            let findings = row.rows_to_judge().filter(|row| !row.is_quiet());
            row.verdict = Verdict::of(findings.map(|row| (&row.id, row.judgement().finding)));
        }
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
        reading.measured(self.group.measured).instant == self.now.instant
    }
}

/// Returns the topics that groups have something on.
fn topics(snapshot: &ClusterSnapshot) -> BTreeSet<&TopicName> {
    let groups = snapshot.groups.iter();
    let topics = groups.flat_map(|row| row.partitions.by_topic().map(|(topic, _)| topic));
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
        | GroupState::Reconciling
        | GroupState::NotReady => Members::Rebalancing,
        GroupState::Stable => Members::Settled,
        GroupState::Unknown => Members::Unknown,
    }
}

/// Returns the earliest instant that the first record that waits may have come in at.
fn earliest(reading: &Reading) -> Option<Timestamp> {
    match reading.wait()? {
        Wait::Over => None,
        Wait::Since { earliest, .. } => earliest,
    }
}

/// Returns the places of the rows that have to be judged in the next cycle, too. Where those of the cycle before and the
/// partitions touched since are known, only these are checked.
fn places_to_judge(rows: &PartitionRows, known: Option<(&[usize], &[Touched])>) -> Arc<[usize]> {
    let must_be_judged = |place: &usize| !rows[*place].stands_still();
    match known {
        Some((known, touched)) => {
            let touched = touched.iter().map(|touched| touched.place);
            let mut places: Vec<usize> = known.iter().copied().chain(touched).collect();
            places.sort_unstable();
            places.dedup();
            places.into_iter().filter(must_be_judged).collect()
        }
        None => (0..rows.len()).filter(must_be_judged).collect(),
    }
}

fn has_stopped(row: &PartitionRow) -> bool {
    !row.is_quiet() && row.judgement().finding.status() == Status::Stopped
}

fn has_commit(row: &PartitionRow) -> bool {
    let reading = row.reading.as_ref();
    reading.is_some_and(|reading| reading.committed != Committed::Never)
}
