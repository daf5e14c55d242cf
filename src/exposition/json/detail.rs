//! One group with its members, topics and partitions.

use std::time::Instant;

use serde::Serialize;

use super::summary::{GroupSummary, group_summary};
use super::{Absence, absence, age_seconds, seconds, sum_absence, timestamp_of, totals};
use crate::lag::{
    ClusterName, Committed, Drain, Finding, Lag, Limit, Offset, Sentence, Timestamp, TopicName,
    TopicPartition,
};
use crate::snapshot::{
    ClusterSnapshot, Commits, GroupRow, Judgement, Member, Membership, PartitionRow, PartitionRun,
};

/// The answer of `/api/v1/groups/{group}`.
#[derive(Debug, Serialize)]
pub struct GroupDetail<'a> {
    #[serde(flatten)]
    summary: GroupSummary<'a>,
    member_list: Option<Vec<MemberBody<'a>>>,
    topic_list: Vec<TopicBody<'a>>,
}

#[derive(Debug, Serialize)]
struct MemberBody<'a> {
    member_id: &'a str,
    client_id: &'a str,
    host: &'a str,
    instance_id: Option<&'a str>,
    assignment: Vec<Assigned<'a>>,
}

#[derive(Debug, Serialize)]
struct Assigned<'a> {
    topic: &'a TopicName,
    partitions: Vec<i32>,
}

#[derive(Debug, Serialize)]
struct TopicBody<'a> {
    topic: &'a TopicName,
    lag: Option<u64>,
    lag_reason: Option<Absence>,
    current_offset_sum: Option<u64>,
    uncommitted_partitions: Option<u64>,
    drain: Option<&'static str>,
    drain_seconds: Option<f64>,
    abandoned: bool,
    commits: u64,
    last_commit_at: Option<String>,
    partitions: Vec<PartitionBody<'a>>,
}

#[derive(Debug, Serialize)]
struct PartitionBody<'a> {
    partition: i32,
    current_offset: Option<Offset>,
    log_start_offset: Option<Offset>,
    log_end_offset: Option<Offset>,
    last_stable_offset: Option<Offset>,
    lag: Option<u64>,
    lag_reason: Option<Absence>,
    ahead: Option<u64>,
    lost: Option<u64>,
    lag_seconds: Option<f64>,
    lag_seconds_at_least: Option<f64>,
    lag_seconds_at_most: Option<f64>,
    lag_seconds_method: Option<&'static str>,
    status: &'static str,
    status_reason: Option<String>,
    blocked: Option<u64>,
    retention_headroom_seconds: Option<f64>,
    retention_limit: Option<&'static str>,
    age_seconds: Option<f64>,
    member_id: Option<&'a str>,
    client_id: Option<&'a str>,
    host: Option<&'a str>,
}

/// Returns everything about one group as it is to be seen at `now`.
pub fn group_detail<'a>(
    cluster: Option<&'a ClusterName>,
    snapshot: &'a ClusterSnapshot,
    group: &'a GroupRow,
    now: Instant,
) -> GroupDetail<'a> {
    let membership = snapshot.fresh_membership(group, now);
    let topics = group.partitions.by_topic();
    GroupDetail {
        summary: group_summary(cluster, snapshot, group, now),
        member_list: membership.map(member_list),
        topic_list: topics
            .map(|(topic, rows)| {
                let commits = group.activity.commits.get(topic);
                let commits = commits.copied().unwrap_or_default();
                topic_body(snapshot, group, (topic, rows), commits, now)
            })
            .collect(),
    }
}

/// Lists the members by id: the coordinator's order may change between two cycles.
fn member_list(membership: &Membership) -> Vec<MemberBody<'_>> {
    let mut members: Vec<&Member> = membership.members.iter().collect();
    members.sort();
    members.into_iter().map(member_body).collect()
}

fn member_body(member: &Member) -> MemberBody<'_> {
    let Member {
        id,
        client_id,
        host,
        instance_id,
        assignment,
    } = member;
    MemberBody {
        member_id: id,
        client_id,
        host,
        instance_id: instance_id.as_deref(),
        assignment: assignment
            .chunk_by(|one, next| one.topic == next.topic)
            .map(|partitions| Assigned {
                topic: &partitions[0].topic,
                partitions: partitions.iter().map(|id| id.partition.0).collect(),
            })
            .collect(),
    }
}

fn limit_word(limit: Limit) -> &'static str {
    match limit {
        Limit::Time => "time",
        Limit::Size => "size",
    }
}

fn sentence(partition: &TopicPartition, finding: Finding, now: Timestamp) -> String {
    let sentence = Sentence {
        partition,
        finding,
        now,
    };
    sentence.to_string()
}

fn topic_body<'a>(
    snapshot: &'a ClusterSnapshot,
    group: &'a GroupRow,
    (topic, rows): (&'a TopicName, PartitionRun<'a>),
    commits: Commits,
    now: Instant,
) -> TopicBody<'a> {
    let totals = totals(snapshot, group, rows, now);
    let membership = snapshot.fresh_membership(group, now);
    let drain = Drain::of_topic(rows.iter().filter_map(PartitionRow::drain));
    TopicBody {
        topic,
        lag: totals.lag,
        lag_reason: sum_absence(snapshot, group, rows, totals.lag, now),
        current_offset_sum: totals.committed,
        uncommitted_partitions: totals.uncommitted_partitions,
        drain: drain.map(drain_word),
        drain_seconds: drain
            .and_then(Drain::seconds)
            .filter(|seconds| seconds.is_finite()),
        abandoned: rows.iter().any(PartitionRow::is_abandoned),
        commits: commits.count,
        last_commit_at: commits.last_ms.and_then(timestamp_of),
        partitions: rows
            .iter()
            .map(|row| partition_body(snapshot, group, membership, row, now))
            .collect(),
    }
}

fn drain_word(drain: Drain) -> &'static str {
    match drain {
        Drain::CaughtUp => "caught_up",
        Drain::In(_) => "in_time",
        Drain::Unknown => "unknown",
        Drain::Never => "never",
    }
}

fn partition_body<'a>(
    snapshot: &ClusterSnapshot,
    group: &GroupRow,
    membership: Option<&'a Membership>,
    row: &'a PartitionRow,
    now: Instant,
) -> PartitionBody<'a> {
    let (reading, measured) = snapshot.fresh_reading(group, row, now).unzip();
    let marks = reading.map(|reading| reading.marks);
    let distance = reading.and_then(|reading| match reading.lag() {
        Lag::Known(distance) => Some(distance),
        Lag::NoCommit { .. } | Lag::Unavailable(_) => None,
    });
    let owner = membership.and_then(|membership| membership.owner(row));
    let age = reading.and_then(|reading| reading.age(group.measured));
    // What is said of a pair that is too old is as old as that.
    let Judgement {
        finding, headroom, ..
    } = reading.map_or_else(Judgement::default, |_| row.judgement());
    let headroom = headroom.left(group.judged_at);
    PartitionBody {
        partition: row.id.partition.0,
        current_offset: reading.and_then(|reading| match reading.committed {
            Committed::At(offset) => Some(offset),
            Committed::Never => None,
        }),
        log_start_offset: marks.and_then(|marks| marks.log_start),
        log_end_offset: marks.map(|marks| marks.log_end),
        last_stable_offset: marks.and_then(|marks| marks.last_stable),
        lag: reading.and_then(|reading| reading.lag().records(snapshot.uncommitted)),
        lag_reason: absence(snapshot, group, row, now),
        ahead: distance.map(|distance| distance.ahead),
        lost: distance.and_then(|distance| distance.lost),
        lag_seconds: age.map(|age| seconds(age.estimate)),
        lag_seconds_at_least: age.map(|age| seconds(age.at_least)),
        lag_seconds_at_most: age.and_then(|age| Some(seconds(age.at_most?))),
        lag_seconds_method: age.map(|age| age.method.as_str()),
        status: finding.status().as_str(),
        status_reason: match finding {
            Finding::Ok => None,
            finding => Some(sentence(&row.id, finding, group.judged_at)),
        },
        blocked: reading.and_then(|_| row.blocked()),
        retention_headroom_seconds: headroom.map(|(time, _)| seconds(time)),
        retention_limit: headroom.map(|(_, limit)| limit_word(limit)),
        age_seconds: measured.map(|measured| age_seconds(measured.instant, now)),
        member_id: owner.map(|owner| &*owner.id),
        client_id: owner.map(|owner| &*owner.client_id),
        host: owner.map(|owner| &*owner.host),
    }
}
