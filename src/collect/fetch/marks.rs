//! Phase 4: where the logs begin and end, asked after every commit of the cycle was read.

use std::collections::{BTreeMap, BTreeSet};

use super::super::config::{LogScope, PollConfig};
use super::super::failure::{Failure, Operation, Subject, is_answer};
use super::super::places::Map;
use super::groups::{Described, GroupAnswer};
use super::topology::Topology;
use super::{Budget, within};
use crate::kafka::{Admin, ErrorCode, KafkaError, ListedOffset, OffsetQuery, OffsetSpec};
use crate::lag::{
    BrokerId, GroupId, Isolation, Offset, Share, TopicName, TopicPartition, Unavailable, Watermarks,
};
use crate::snapshot::ClusterSnapshot;

/// What phase 4 found.
#[derive(Debug)]
pub(in crate::collect) struct MarksAnswer {
    /// One entry for each partition that was asked about.
    pub(in crate::collect) marks: Marks,
    pub(in crate::collect) failures: Vec<Failure>,
}

/// The watermarks that a cycle read.
pub(in crate::collect) type Marks = Map<TopicPartition, Result<Watermarks, Unavailable>>;

type Offsets = Map<TopicPartition, Result<Offset, KafkaError>>;

/// The partitions to ask about, each with its leader; nothing while it has none.
pub(in crate::collect) type Leaders = Map<TopicPartition, Option<BrokerId>>;

/// Returns the partitions whose logs are read: those of the replica's own topics, where topics have series, and those of
/// its groups. What the topology does not have is left out.
pub(in crate::collect) fn leaders(
    config: &PollConfig,
    topology: &Topology,
    groups: &BTreeMap<GroupId, GroupAnswer>,
    previous: &ClusterSnapshot,
) -> Leaders {
    match (config.logs, &config.share) {
        (LogScope::Topics, Share::Whole) => topology
            .partitions()
            .map(|(id, partition)| (id, partition.leader))
            .collect(),
        (LogScope::Topics, share) => {
            let mut leaders = leaders_of_groups(topology, groups, previous);
            let own = topology
                .topics
                .keys()
                .filter(|topic| share.owns(topic.as_str()));
            let own: BTreeSet<&TopicName> = own.collect();
            let own = topology
                .partitions()
                .filter(|(id, _)| own.contains(&id.topic));
            leaders.extend(own.map(|(id, partition)| (id, partition.leader)));
            leaders
        }
        (LogScope::Groups, _) => leaders_of_groups(topology, groups, previous),
    }
}

fn leaders_of_groups(
    topology: &Topology,
    groups: &BTreeMap<GroupId, GroupAnswer>,
    previous: &ClusterSnapshot,
) -> Leaders {
    // Where the members cannot be told, what was the group's may still be.
    let undescribed = previous.groups.iter().filter(|row| {
        let answer = groups.get(&row.id);
        answer.is_some_and(|answer| matches!(answer.description, Described::Failed(_)))
    });
    let held = undescribed.flat_map(|row| row.partitions.iter().map(|row| &row.id));
    let mut leaders = Leaders::default();
    let mut add = |id: &TopicPartition| {
        if let Some(known) = topology.partition(&id.topic, id.partition) {
            leaders.entry(id.clone()).or_insert(known.leader);
        }
    };
    held.for_each(&mut add);
    for (id, answer) in groups {
        let before = previous.group(id).map(AsRef::as_ref);
        answer.each_partition(before, &mut add);
    }
    leaders
}

/// Reads log starts, log ends and, where a group needs them, last stable offsets: one request a broker for each.
pub(in crate::collect) async fn fetch(
    admin: &dyn Admin,
    config: &PollConfig,
    budget: Budget,
    leaders: Leaders,
) -> MarksAnswer {
    let ask = |spec, isolation| ask(admin, budget, &leaders, spec, isolation);
    let (starts, ends, stable) = tokio::join!(
        ask(OffsetSpec::Earliest, Isolation::ReadUncommitted),
        ask(OffsetSpec::Latest, Isolation::ReadUncommitted),
        async {
            if config.read_committed.is_empty() {
                Offsets::default()
            } else {
                ask(OffsetSpec::Latest, Isolation::ReadCommitted).await
            }
        },
    );
    let mut failures = leaderless(&leaders);
    for offsets in [&ends, &starts, &stable] {
        failures.extend(broker_failures(offsets, &leaders));
    }
    MarksAnswer {
        marks: join(leaders, &starts, ends, &stable),
        failures,
    }
}

/// Reads the log ends of `partitions` alone, and last stable offsets where a group needs them. Log starts are those of
/// before: they only ever grow.
pub(in crate::collect) async fn fetch_ends(
    admin: &dyn Admin,
    config: &PollConfig,
    budget: Budget,
    topology: &Topology,
    partitions: &BTreeSet<TopicPartition>,
    start: impl Fn(&TopicPartition) -> Option<Offset>,
) -> MarksAnswer {
    let leader = |id: &TopicPartition| topology.partition(&id.topic, id.partition)?.leader;
    let leaders: Leaders = partitions
        .iter()
        .filter(|id| topology.partition(&id.topic, id.partition).is_some())
        .map(|id| (id.clone(), leader(id)))
        .collect();
    let ask = |isolation| ask(admin, budget, &leaders, OffsetSpec::Latest, isolation);
    let (ends, stable) = tokio::join!(ask(Isolation::ReadUncommitted), async {
        if config.read_committed.is_empty() {
            Offsets::default()
        } else {
            ask(Isolation::ReadCommitted).await
        }
    });
    let mut failures = broker_failures(&ends, &leaders);
    failures.extend(broker_failures(&stable, &leaders));
    let starts = leaders
        .keys()
        .filter_map(|id| Some((id.clone(), Ok(start(id)?))))
        .collect();
    MarksAnswer {
        marks: join(leaders, &starts, ends, &stable),
        failures,
    }
}

/// Asks every leader for one kind of offset. A partition without an answer has an error.
async fn ask(
    admin: &dyn Admin,
    budget: Budget,
    leaders: &Leaders,
    spec: OffsetSpec,
    isolation: Isolation,
) -> Offsets {
    let queries: Vec<OffsetQuery> = leaders
        .iter()
        .filter_map(|(partition, leader)| {
            Some(OffsetQuery {
                partition: partition.clone(),
                leader: (*leader)?,
                spec,
            })
        })
        .collect();
    if queries.is_empty() {
        return Offsets::default();
    }
    let silent = || Err(KafkaError::of(ErrorCode::TIMED_OUT));
    let mut offsets: Offsets = queries
        .iter()
        .map(|query| (query.partition.clone(), silent()))
        .collect();
    let limit = budget.request_timeout;
    let answers = within(limit, admin.list_offsets(queries, isolation, limit)).await;
    for (partition, answer) in answers.into_iter().flatten() {
        if let Some(offset) = offsets.get_mut(&partition) {
            *offset = answer.and_then(offset_of);
        }
    }
    offsets
}

fn offset_of(listed: ListedOffset) -> Result<Offset, KafkaError> {
    listed.offset.ok_or_else(|| KafkaError {
        code: ErrorCode::NO_OFFSET,
        message: "the broker answered without an offset".to_owned(),
    })
}

/// Brings the halves together. Only a missing log end makes watermarks unavailable.
fn join(leaders: Leaders, starts: &Offsets, mut ends: Offsets, stable: &Offsets) -> Marks {
    leaders
        .into_iter()
        .map(|(id, leader)| {
            let marks = match (leader, ends.remove(&id)) {
                (None, _) => Err(Unavailable::NoLeader),
                (Some(_), Some(Ok(log_end))) => Ok(Watermarks {
                    log_start: known(starts, &id),
                    log_end,
                    last_stable: known(stable, &id),
                }),
                (Some(_), _) => Err(Unavailable::EndOffset),
            };
            (id, marks)
        })
        .collect()
}

fn known(offsets: &Offsets, id: &TopicPartition) -> Option<Offset> {
    offsets.get(id)?.as_ref().ok().copied()
}

fn leaderless(leaders: &Leaders) -> Vec<Failure> {
    let count = leaders.values().filter(|leader| leader.is_none()).count();
    let error = KafkaError {
        code: ErrorCode::LEADER_NOT_AVAILABLE,
        message: format!("{count} partitions have no leader to ask"),
    };
    let failure = Failure::new(Operation::ListOffsets, Subject::Leaderless, &error);
    (count > 0).then_some(failure).into_iter().collect()
}

/// What one leader answered to one kind of query.
#[derive(Default)]
struct LeaderTally<'a> {
    answered: usize,
    /// The first error of each code.
    errors: BTreeMap<ErrorCode, &'a KafkaError>,
}

/// Returns one failure for each leader and error, however many partitions it is about.
fn broker_failures(offsets: &Offsets, leaders: &Leaders) -> Vec<Failure> {
    let mut tallies: BTreeMap<BrokerId, LeaderTally<'_>> = BTreeMap::new();
    for (id, offset) in offsets {
        let Some(Some(leader)) = leaders.get(id) else {
            continue;
        };
        let tally = tallies.entry(*leader).or_default();
        match offset {
            Ok(_) => tally.answered += 1,
            Err(error) => {
                tally.answered += usize::from(is_answer(error.code));
                tally.errors.entry(error.code).or_insert(error);
            }
        }
    }
    let failures = tallies.into_iter().flat_map(|(leader, tally)| {
        let subject = if tally.answered == 0 {
            Subject::Broker(leader)
        } else {
            Subject::Partitions(leader)
        };
        let errors = tally.errors.into_values();
        errors.map(move |error| Failure::new(Operation::ListOffsets, subject.clone(), error))
    });
    failures.collect()
}
