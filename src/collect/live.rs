//! What the poller does with what is followed: groups that need no asking, and rows shown anew between two cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::ages::Sight;
use super::build::{self, Changes, Ground};
use super::failure::Operation;
use super::fetch::commits::KnownCommits;
use super::fetch::groups::{self, GroupAnswer, GroupPhase, GroupsAnswer, Seen};
use super::fetch::listing::{Coverage, Prospect, Target};
use super::fetch::marks::{self, MarksAnswer};
use super::fetch::topology::Topology;
use super::fetch::{Budget, within};
use super::judging::{Judged, Occasion};
use super::poller::{Poller, now};
use super::renewal::Renewals;
use super::stream::{ChangedGroup, Follower};
use crate::kafka::GroupQuery;
use crate::lag::{GroupId, Offset, PartitionId, Timestamp, TopicPartition};
use crate::snapshot::{ClusterSnapshot, GroupType};

/// The most groups that are asked about between two cycles at once.
const MOST_ASKED: usize = 100;

/// Groups by who tells of them.
pub(super) struct Told {
    /// Told by their records.
    pub(super) answers: BTreeMap<GroupId, GroupAnswer>,
    /// To be asked about.
    pub(super) to_ask: Vec<Target>,
    /// Asked about only to compare: everything before the offset was read before they were asked.
    pub(super) to_check: BTreeMap<GroupId, Offset>,
}

/// Takes the groups out of `targets` that their records tell of. All of them stay to be asked where it `reconciles`.
pub(super) fn told(follower: Option<&Follower>, targets: Vec<Target>, reconciles: bool) -> Told {
    let now = Instant::now().into_std();
    let mut told = Told {
        answers: BTreeMap::new(),
        to_ask: Vec::new(),
        to_check: BTreeMap::new(),
    };
    for target in targets {
        let answer = follower.and_then(|follower| follower.answer(&target.id, target.listed, now));
        match answer {
            Some(answer) => {
                told.answers.insert(target.id.clone(), answer);
                let position = follower.and_then(|follower| follower.position(&target.id, now));
                if let Some(position) = position.filter(|_| reconciles) {
                    told.to_check.insert(target.id.clone(), position);
                    told.to_ask.push(target);
                }
            }
            None => told.to_ask.push(target),
        }
    }
    told
}

/// What is to be shown anew, by how it becomes known.
#[derive(Default)]
struct Sorted {
    answers: BTreeMap<GroupId, (GroupAnswer, BTreeSet<TopicPartition>)>,
    unknown: Vec<Target>,
}

impl Poller {
    /// Brings together what records told and what coordinators answered to `asked`, and takes the latter over.
    pub(super) fn taken_over(
        &mut self,
        told: Told,
        asked: BTreeMap<GroupId, GroupAnswer>,
        ends: &BTreeMap<PartitionId, Offset>,
        coverage: Coverage,
    ) -> BTreeMap<GroupId, GroupAnswer> {
        self.asked.clear();
        let Told {
            answers: mut groups,
            to_ask: _,
            mut to_check,
        } = told;
        let previous = Arc::clone(&self.previous);
        let Some(follower) = self.stream.follower_mut() else {
            return asked;
        };
        follower.clear_checks();
        let mut seeds = Vec::new();
        for (id, answer) in asked {
            match to_check.remove(&id) {
                Some(from) => follower.check(id, answer, from, ends),
                None => {
                    seeds.push(id.clone());
                    groups.insert(id, answer);
                }
            }
        }
        let seeds = seeds.iter().filter_map(|id| Some((id, groups.get(id)?)));
        follower.seed(seeds, ends);
        if coverage != Coverage::InPart {
            follower.survey();
        }
        for (id, answer) in &mut groups {
            let shown = previous.group(id).map(|row| &row.activity);
            answer.seen = Seen::Told(follower.activity(id, shown));
        }
        follower.retain(|id| groups.contains_key(id) || previous.group(id).is_some());
        groups
    }

    /// Shows what changed since the newest snapshot.
    pub(super) async fn show_changes(&mut self) {
        let (Some(topology), Some(follower)) = (self.topology.clone(), self.stream.follower_mut())
        else {
            return;
        };
        let changes = follower.take_changes();
        let budget = self.budget();
        self.ask_for_members(&changes, budget).await;
        let mut sorted = self.sort(changes);
        self.ask(&mut sorted, budget, &topology).await;
        if sorted.answers.is_empty() {
            return;
        }
        let partitions: BTreeSet<TopicPartition> = sorted
            .answers
            .values()
            .flat_map(|(_, partitions)| partitions.iter().cloned())
            .collect();
        let previous = Arc::clone(&self.previous);
        // The newest rows are not all of one cycle any more.
        self.known.clear();
        let asked_at = Timestamp::from(SystemTime::now());
        let read = marks::fetch_ends(
            self.admin.as_ref(),
            &self.config,
            budget,
            &topology,
            &partitions,
            |id| log_start(&previous, id),
        );
        let MarksAnswer { marks, failures } = read.await;
        self.count(&failures);
        let sight = Sight {
            asked_at,
            answered_at: Timestamp::from(SystemTime::now()),
        };
        // A truncated log may grow back before the next cycle, which would then find the row unchanged.
        self.must_rebuild_rows |= self.ages.see(&marks, sight);
        let renewals = Renewals::of_changes(&sorted.answers, &marks, &previous);
        for (id, (answer, _)) in &sorted.answers {
            let before = previous.group(id).map(AsRef::as_ref);
            self.stand(id, (before, answer), renewals.of(id), &marks);
        }
        if let Some(follower) = self.stream.follower_mut() {
            for (id, (answer, _)) in &mut sorted.answers {
                let shown = previous.group(id).map(|row| &row.activity);
                answer.seen = Seen::Told(follower.activity(id, shown));
            }
        }
        let changes = Changes {
            topology: Some(topology),
            groups: sorted.answers,
            marks,
            mode: self.stream.mode(),
        };
        let now = now();
        let ground = Ground {
            config: &self.config,
            ages: &self.ages,
            renewals: &renewals,
            now,
        };
        let mut snapshot = build::patch(&previous, changes, ground);
        let occasion = Occasion {
            judged: Judged::Changed,
            renewals: &renewals,
            previous: &previous,
            config: &self.config,
            now,
        };
        self.judging.judge(&mut snapshot, occasion);
        self.publish(snapshot);
    }

    /// Finds out what is known of the groups that changed.
    fn sort(&mut self, changes: BTreeMap<GroupId, ChangedGroup>) -> Sorted {
        let now = Instant::now().into_std();
        let mut sorted = Sorted::default();
        let Some(follower) = self.stream.follower_mut() else {
            return sorted;
        };
        for (id, pending) in changes {
            if self.skipped.contains_key(&id) {
                continue;
            }
            let listed = self.listed.get(&id).copied();
            if let Some(answer) = follower.answer(&id, listed, now) {
                sorted.answers.insert(id, (answer, pending.partitions));
            } else if follower.is_on_the_way(&id) {
                follower.give_back(id, pending);
            } else if follower.position(&id, now).is_none() {
                // Its partition cannot be followed: the next cycle asks about it.
            } else if self.asked.len() < MOST_ASKED && self.asked.insert(id.clone()) {
                sorted.unknown.push(Target {
                    id,
                    listed,
                    prospect: Prospect::Good,
                });
            }
        }
        sorted
    }

    /// Asks coordinators who the members of these groups are, where records do not tell.
    async fn ask_for_members(&mut self, changes: &BTreeMap<GroupId, ChangedGroup>, budget: Budget) {
        let limit = budget.request_timeout;
        let now = Instant::now().into_std();
        let Some(follower) = self.stream.follower() else {
            return;
        };
        let to_ask: Vec<GroupQuery> = changes
            .iter()
            .filter(|(_, pending)| pending.asks_for_members)
            // Where the partition is behind, the next cycle asks.
            .filter(|(id, _)| follower.position(id, now).is_some())
            .map(|(id, _)| GroupQuery {
                id: id.clone(),
                group_type: GroupType::Consumer,
            })
            .collect();
        if to_ask.is_empty() {
            return;
        }
        let call = within(limit, self.admin.describe_groups(&to_ask, limit)).await;
        let answers = call.unwrap_or_else(|error| {
            let failed = to_ask.iter();
            failed
                .map(|query| (query.id.clone(), Err(error.clone())))
                .collect()
        });
        for (id, answer) in answers {
            match (answer, self.stream.follower_mut()) {
                (Ok(description), Some(follower)) => follower.describe(&id, &description),
                // The row keeps its members of before until the next cycle asks again.
                (Err(error), _) => self.count_failure(Operation::DescribeGroup, &error),
                (Ok(_), None) => {}
            }
        }
    }

    /// Asks about groups that were never asked about, such as those that are new.
    async fn ask(&mut self, sorted: &mut Sorted, budget: Budget, topology: &Topology) {
        if sorted.unknown.is_empty() {
            return;
        }
        let named_partitions = groups::named_partitions(&self.config, topology);
        let admin = Arc::clone(&self.admin);
        let phase = GroupPhase {
            admin: admin.as_ref(),
            config: &self.config,
            budget,
            named_partitions: named_partitions.as_deref(),
            known: &KnownCommits::default(),
        };
        let unknown = std::mem::take(&mut sorted.unknown);
        let GroupsAnswer {
            groups: mut answers,
            failures,
            ..
        } = phase.fetch(unknown).await;
        self.count(&failures);
        self.skip_others(&mut answers);
        let ends = self.stream.see_ends(admin.as_ref(), budget).await;
        let Some(follower) = self.stream.follower_mut() else {
            return;
        };
        follower.seed(answers.iter(), &ends);
        for (id, answer) in answers {
            let Ok(commits) = &answer.committed else {
                continue;
            };
            let partitions = commits.commits();
            let partitions = partitions.iter().map(|(id, _)| id.clone()).collect();
            sorted.answers.insert(id, (answer, partitions));
        }
    }
}

fn log_start(snapshot: &ClusterSnapshot, id: &TopicPartition) -> Option<Offset> {
    let topic = snapshot
        .topics
        .binary_search_by(|row| row.name.cmp(&id.topic))
        .ok()?;
    let partitions = &snapshot.topics[topic].partitions;
    let partition = partitions
        .binary_search_by_key(&id.partition, |row| row.id)
        .ok()?;
    let (_, marks) = partitions[partition].marks.as_ref()?;
    marks.log_start
}
