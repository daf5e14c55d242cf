//! What happens between two cycles: groups whose records show a change get new rows at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::collector::Collector;
use crate::collect::failure::Operation;
use crate::collect::fetch::commits::KnownCommits;
use crate::collect::fetch::groups::{self, GroupAnswer, GroupPhase, GroupsAnswer, Seen};
use crate::collect::fetch::listing::{Prospect, Target};
use crate::collect::fetch::marks::{self, Marks, MarksAnswer};
use crate::collect::fetch::topology::Topology;
use crate::collect::fetch::{Budget, within};
use crate::collect::memory::RequestTimes;
use crate::collect::rebuild::Rebuilds;
use crate::collect::stream::ChangedGroup;
use crate::collect::update::{Scope, Update};
use crate::kafka::GroupQuery;
use crate::lag::{GroupId, Offset, Timestamp, TopicPartition};
use crate::snapshot::{ClusterSnapshot, GroupType};

/// The most groups that are asked about between two cycles at once.
const MOST_ASKED: usize = 100;

/// The groups that changed.
#[derive(Default)]
struct ChangedGroups {
    answers: BTreeMap<GroupId, GroupAnswer>,
    /// The partitions of each whose commits changed: all of a group that was asked about for the first time.
    partitions: BTreeMap<GroupId, BTreeSet<TopicPartition>>,
    /// Coordinators are asked about them.
    unknown: Vec<Target>,
}

/// Shows what changed since the newest snapshot.
pub(in crate::collect) async fn show(collector: &mut Collector) {
    let Some(topology) = collector.topology.clone() else {
        return;
    };
    let Some(follower) = collector.stream.follower_mut() else {
        return;
    };
    let changes = follower.take_changes();
    let budget = collector.budget();
    describe(collector, &changes, budget).await;
    let mut groups = sort(collector, changes);
    ask_unknown(collector, &mut groups, budget, &topology).await;
    if groups.answers.is_empty() {
        return;
    }
    // From here on the newest rows are not all of one cycle.
    collector.known_commits.clear();
    let marks = fetch_ends(collector, &groups, budget, &topology).await;
    let update = compare(collector, groups, marks, topology);
    let snapshot = collector.next_snapshot(update);
    collector.publish(snapshot);
}

/// Reads where the logs of the changed partitions end.
async fn fetch_ends(
    collector: &mut Collector,
    groups: &ChangedGroups,
    budget: Budget,
    topology: &Topology,
) -> Marks {
    let partitions = groups.partitions.values().flatten().cloned().collect();
    let newest = Arc::clone(&collector.newest);
    let asked_at = Timestamp::from(SystemTime::now());
    let read = marks::fetch_ends(
        collector.admin.as_ref(),
        &collector.config,
        budget,
        topology,
        &partitions,
        |id| log_start(&newest, id),
    );
    let MarksAnswer { marks, failures } = read.await;
    collector.count(&failures);
    let times = RequestTimes {
        asked_at,
        answered_at: Timestamp::from(SystemTime::now()),
    };
    collector.memory.observe_changes(&marks, times);
    marks
}

/// Compares what changed with the newest snapshot, and updates the positions of the groups in memory.
fn compare(
    collector: &mut Collector,
    groups: ChangedGroups,
    marks: Marks,
    topology: Arc<Topology>,
) -> Update {
    let ChangedGroups {
        mut answers,
        partitions,
        unknown: _,
    } = groups;
    let Collector {
        newest,
        memory,
        stream,
        config,
        ..
    } = collector;
    let rebuilds = Rebuilds::of_changes(&answers, &partitions, &marks, newest);
    for (id, answer) in &answers {
        let before = newest.group(id).map(AsRef::as_ref);
        let rebuild = (rebuilds.of(id), &marks);
        memory.update_standings(id, (before, answer), rebuild, config);
    }
    if let Some(follower) = stream.follower_mut() {
        for (id, answer) in &mut answers {
            let shown = newest.group(id).map(|row| &row.activity);
            answer.seen = Seen::InRecords(follower.activity(id, shown));
        }
    }
    Update {
        scope: Scope::Part(partitions),
        topology: Some(topology),
        groups: answers,
        marks,
        rebuilds,
        mode: stream.mode(),
    }
}

/// Sorts the groups that changed by what is known of them.
fn sort(collector: &mut Collector, changes: BTreeMap<GroupId, ChangedGroup>) -> ChangedGroups {
    let now = Instant::now().into_std();
    let mut groups = ChangedGroups::default();
    let Some(follower) = collector.stream.follower_mut() else {
        return groups;
    };
    for (id, pending) in changes {
        if collector.skipped.contains_key(&id) {
            continue;
        }
        let listed = collector.listed.get(&id).copied();
        if let Some(answer) = follower.answer(&id, listed, now) {
            groups.answers.insert(id.clone(), answer);
            groups.partitions.insert(id, pending.partitions);
        } else if follower.is_on_the_way(&id) {
            follower.give_back(id, pending);
        } else if follower.position(&id, now).is_none() {
            // Its partition cannot be followed: the next cycle asks about it.
        } else if collector.asked.len() < MOST_ASKED && collector.asked.insert(id.clone()) {
            groups.unknown.push(Target {
                id,
                listed,
                prospect: Prospect::Good,
            });
        }
    }
    groups
}

/// Asks coordinators who the members of these groups are, where records do not show it.
async fn describe(
    collector: &mut Collector,
    changes: &BTreeMap<GroupId, ChangedGroup>,
    budget: Budget,
) {
    let limit = budget.request_timeout;
    let now = Instant::now().into_std();
    let Some(follower) = collector.stream.follower() else {
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
    let call = within(limit, collector.admin.describe_groups(&to_ask, limit)).await;
    let answers = call.unwrap_or_else(|error| {
        let failed = to_ask.iter();
        failed
            .map(|query| (query.id.clone(), Err(error.clone())))
            .collect()
    });
    for (id, answer) in answers {
        match (answer, collector.stream.follower_mut()) {
            (Ok(description), Some(follower)) => follower.describe(&id, &description),
            // The row keeps its members of before until the next cycle asks again.
            (Err(error), _) => collector.count_failure(Operation::DescribeGroup, &error),
            (Ok(_), None) => {}
        }
    }
}

/// Asks about groups that were never asked about, such as those that are new.
async fn ask_unknown(
    collector: &mut Collector,
    groups: &mut ChangedGroups,
    budget: Budget,
    topology: &Topology,
) {
    if groups.unknown.is_empty() {
        return;
    }
    let named_partitions = groups::named_partitions(&collector.config, topology);
    let admin = Arc::clone(&collector.admin);
    let phase = GroupPhase {
        admin: admin.as_ref(),
        config: &collector.config,
        budget,
        named_partitions: named_partitions.as_deref(),
        known: &KnownCommits::default(),
    };
    let GroupsAnswer {
        groups: mut answers,
        failures,
        ..
    } = phase.fetch(std::mem::take(&mut groups.unknown)).await;
    collector.count(&failures);
    collector.skip_others(&mut answers);
    let ends = collector.stream.see_ends(admin.as_ref(), budget).await;
    let Some(follower) = collector.stream.follower_mut() else {
        return;
    };
    follower.seed(answers.iter(), &ends);
    for (id, answer) in answers {
        let Ok(commits) = &answer.committed else {
            continue;
        };
        let partitions = commits.commits();
        let partitions = partitions.iter().map(|(id, _)| id.clone()).collect();
        groups.partitions.insert(id.clone(), partitions);
        groups.answers.insert(id, answer);
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
