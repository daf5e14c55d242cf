//! One group with its members, topics and partitions.

use std::time::Instant;

use serde::Serialize;

use super::summary::{GroupSummary, group_summary};
use super::time::{age_seconds, seconds, timestamp_of};
use crate::exposition::view::{Absence, GroupView, PartitionView, Scene, Sums};
use crate::lag::{
    ClusterName, Drain, Finding, Limit, Offset, Sentence, Timestamp, TopicName, TopicPartition,
};
use crate::snapshot::{ClusterSnapshot, GroupRow, Member, Membership, PartitionRun};

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
    assignment: Vec<AssignmentBody<'a>>,
}

#[derive(Debug, Serialize)]
struct AssignmentBody<'a> {
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
    commits: Option<u64>,
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
    status: Option<&'static str>,
    status_reason: Option<String>,
    blocked: Option<u64>,
    retention_headroom_seconds: Option<f64>,
    retention_limit: Option<Limit>,
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
    let group = GroupView::new(Scene { snapshot, now }, group);
    let topics = group.row.partitions.by_topic();
    GroupDetail {
        summary: group_summary(cluster, group),
        member_list: group.membership.map(member_list),
        topic_list: topics
            .map(|(topic, rows)| topic_body(group, topic, rows))
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
            .map(|partitions| AssignmentBody {
                topic: &partitions[0].topic,
                partitions: partitions.iter().map(|id| id.partition.0).collect(),
            })
            .collect(),
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
    group: GroupView<'a>,
    topic: &'a TopicName,
    rows: PartitionRun<'a>,
) -> TopicBody<'a> {
    let sums = Sums::new(group, rows);
    let (totals, drain, commits) = (sums.totals(), sums.drain(), sums.commits(topic));
    TopicBody {
        topic,
        lag: totals.lag,
        lag_reason: totals.lag.is_none().then(|| sums.absence()),
        current_offset_sum: totals.committed,
        uncommitted_partitions: totals.uncommitted_partitions,
        drain: drain.map(drain_word),
        drain_seconds: drain
            .and_then(Drain::seconds)
            .filter(|seconds| seconds.is_finite()),
        abandoned: sums.abandoned() > 0,
        commits: commits.map(|commits| commits.count),
        last_commit_at: commits
            .and_then(|commits| commits.last_ms)
            .and_then(timestamp_of),
        partitions: rows
            .iter()
            .map(|row| partition_body(PartitionView::new(group, row)))
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

fn partition_body(view: PartitionView<'_>) -> PartitionBody<'_> {
    let GroupView { scene, row, .. } = view.group;
    let marks = view.reading().map(|reading| reading.marks);
    let distance = view.distance();
    let age = view.age();
    let finding = view.judgement().map(|judgement| judgement.finding);
    let headroom = view.headroom();
    let owner = view.owner();
    PartitionBody {
        partition: view.row.id.partition.0,
        current_offset: view.committed(),
        log_start_offset: marks.and_then(|marks| marks.log_start),
        log_end_offset: marks.map(|marks| marks.log_end),
        last_stable_offset: marks.and_then(|marks| marks.last_stable),
        lag: view.lag(),
        lag_reason: view.absence(),
        ahead: distance.map(|distance| distance.ahead),
        lost: distance.and_then(|distance| distance.lost),
        lag_seconds: view.lag_seconds().map(seconds),
        lag_seconds_at_least: age.map(|age| seconds(age.at_least)),
        lag_seconds_at_most: age.and_then(|age| Some(seconds(age.at_most?))),
        lag_seconds_method: age.map(|age| age.method.as_str()),
        status: finding.map(|finding| finding.status().as_str()),
        status_reason: finding
            .filter(|finding| *finding != Finding::Ok)
            .map(|finding| sentence(&view.row.id, finding, row.judged_at)),
        blocked: view.blocked(),
        retention_headroom_seconds: headroom.map(|(time, _)| seconds(time)),
        retention_limit: headroom.map(|(_, limit)| limit),
        age_seconds: view
            .measured()
            .map(|measured| age_seconds(measured.instant, scene.now)),
        member_id: owner.map(|owner| &*owner.id),
        client_id: owner.map(|owner| &*owner.client_id),
        host: owner.map(|owner| &*owner.host),
    }
}
