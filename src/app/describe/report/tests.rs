use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::exposition::Scene;
use crate::lag::{
    Committed, Isolation, Offset, Timestamp, TopicPartition, Unavailable, Verdict, Wait,
    Watermarks, partition_lag,
};
use crate::snapshot::{
    ClusterSnapshot, GroupFailure, GroupRow, GroupType, Member, MemberIndex, Membership, Moment,
    PartitionRow, Reading, Revision,
};

const SECOND: Duration = Duration::from_secs(1);

const STALE_AFTER: Duration = Duration::from_secs(30);

fn partition(
    topic: &str,
    number: i32,
    committed: Option<i64>,
    owner: Option<usize>,
) -> PartitionRow {
    let committed = committed
        .and_then(Offset::new)
        .map_or(Committed::Never, Committed::At);
    let marks = Watermarks {
        log_start: Offset::new(10),
        log_end: Offset::new(100).expect("not negative"),
        last_stable: None,
    };
    let isolation = Isolation::ReadUncommitted;
    let wait = match partition_lag(Ok(committed), Ok(marks), isolation) {
        Lag::Known(Distance { lag, .. }) => Some(wait(lag)),
        Lag::NoCommit { .. } | Lag::Unavailable(_) => None,
    };
    let reading = Reading::new(committed, marks, isolation, wait);
    let owner = owner.and_then(MemberIndex::new);
    PartitionRow::new(TopicPartition::new(topic, number), Ok(reading), owner)
        .judged(Judgement::default())
}

fn now() -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000))
}

/// Returns a wait as of records that come every second, of which only so much is known.
fn wait(lag: u64) -> Wait {
    if lag == 0 {
        return Wait::Over;
    }
    let since = now().before(Duration::from_secs(lag));
    Wait::Since {
        earliest: None,
        likely: since,
        latest: since,
        method: Method::Bound,
    }
}

fn member(id: &str, partitions: &[(&str, i32)]) -> Member {
    Member {
        id: id.into(),
        client_id: "client".into(),
        host: "/127.0.0.1".into(),
        instance_id: None,
        assignment: partitions
            .iter()
            .map(|(topic, number)| TopicPartition::new(*topic, *number))
            .collect(),
    }
}

fn group(id: &str, state: GroupState, members: Vec<Member>, rows: Vec<PartitionRow>) -> GroupRow {
    GroupRow {
        revision: Revision::next(),
        id: id.into(),
        membership: Some(Arc::new(Membership {
            measured: Instant::now(),
            state,
            group_type: GroupType::Classic,
            assignor: "range".to_owned(),
            coordinator: None,
            members: members.into(),
        })),
        measured: Moment {
            instant: Instant::now(),
            time: now(),
        },
        to_judge: None,
        partitions: rows.into_iter().collect(),
        isolation: Isolation::default(),
        verdict: Verdict::Ok,
        judged_at: now(),
        failures: Vec::new(),
        activity: Arc::default(),
    }
}

fn report_of(group: &GroupRow, columns: ColumnSet) -> Report {
    report_after(Duration::ZERO, group, columns)
}

/// Returns the report of a group at some time after it was read.
fn report_after(age: Duration, group: &GroupRow, columns: ColumnSet) -> Report {
    let measured = group.measured.instant;
    let snapshot = ClusterSnapshot::empty(measured, SystemTime::UNIX_EPOCH, STALE_AFTER);
    let scene = Scene {
        snapshot: &snapshot,
        now: measured + age,
    };
    Report::new(GroupView::new(scene, group), columns)
}

#[test]
fn rows_are_ordered_as_kafka_orders_them_with_a_dash_where_there_is_no_value() {
    let group = group(
        "g",
        GroupState::Stable,
        vec![
            member("m-1", &[("orders", 2)]),
            member("m-2", &[("orders", 1), ("orders", 3)]),
        ],
        vec![
            partition("orders", 0, Some(90), None),
            partition("orders", 1, Some(100), Some(1)),
            partition("orders", 2, Some(50), Some(0)),
            partition("orders", 3, None, Some(1)),
        ],
    );
    let report = report_of(&group, ColumnSet::AsKafka);
    let words: Vec<Vec<&str>> = report
        .table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(words[0], [""; 0]);
    assert_eq!(
        words[1].join(" "),
        "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID"
    );
    assert_eq!(
        words[2..],
        [
            [
                "g",
                "orders",
                "1",
                "100",
                "100",
                "0",
                "m-2",
                "/127.0.0.1",
                "client"
            ],
            [
                "g",
                "orders",
                "3",
                "-",
                "100",
                "-",
                "m-2",
                "/127.0.0.1",
                "client"
            ],
            [
                "g",
                "orders",
                "2",
                "50",
                "100",
                "50",
                "m-1",
                "/127.0.0.1",
                "client"
            ],
            ["g", "orders", "0", "90", "100", "10", "-", "-", "-"],
        ]
    );
    assert_eq!((report.remark, report.complaints), (None, Vec::new()));
}

#[test]
fn wide_rows_end_with_what_kafkas_tool_does_not_tell() {
    let rows = vec![
        partition("t", 0, Some(4), None),
        partition("t", 1, Some(120), None),
        partition("t", 2, None, None),
    ];
    let report = report_of(
        &group("g", GroupState::Empty, Vec::new(), rows),
        ColumnSet::Wide,
    );
    let tails: Vec<String> = report
        .table
        .lines()
        .skip(2)
        .map(|line| {
            line.split_whitespace()
                .skip(9)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        tails,
        [
            ">96.0 unknown - Empty 10 6 0 -",
            "0.0 unknown - Empty 10 0 20 -",
            "- unknown - Empty 10 - - 90"
        ]
    );
    let remark = report.remark.as_deref();
    assert_eq!(remark, Some("Consumer group 'g' has no active members."));
}

#[test]
fn what_has_expired_is_a_dash() {
    let group = group(
        "g",
        GroupState::Stable,
        vec![member("m", &[("t", 0)])],
        vec![partition("t", 0, Some(4), Some(0))],
    );
    let cells = |age| {
        let report = report_after(age, &group, ColumnSet::Wide);
        let last = report.table.lines().last().unwrap_or_default();
        last.split_whitespace()
            .skip(3)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let fresh = "4 100 96 m /127.0.0.1 client >96.0 unknown - Stable 10 6 0 -";
    assert_eq!(cells(STALE_AFTER - SECOND), fresh);
    assert_eq!(cells(STALE_AFTER + SECOND), ["-"; 14].join(" "));
}

#[test]
fn a_name_that_breaks_lines_is_escaped_everywhere() {
    let group = group(
        "a\nb",
        GroupState::Empty,
        Vec::new(),
        vec![partition("t", 0, None, None)],
    );
    let report = report_of(&group, ColumnSet::AsKafka);
    assert_eq!(report.table.lines().count(), 3);
    assert!(report.table.contains("a\\nb"));
    assert!(
        report
            .remark
            .is_some_and(|remark| remark.contains("'a\\nb'"))
    );
}

#[test]
fn what_could_not_be_read_is_a_dash_and_a_complaint_even_while_an_older_figure_is_known() {
    let mut row = partition("t", 0, Some(50), None);
    row.failure = Some(Unavailable::EndOffset);
    let mut group = group("g", GroupState::Stable, Vec::new(), vec![row]);
    let report = report_of(&group, ColumnSet::AsKafka);
    assert!(
        report
            .table
            .lines()
            .last()
            .is_some_and(|line| line.split_whitespace().skip(3).all(|cell| cell == "-"))
    );
    assert_eq!(
        report.complaints,
        ["consumer group 'g': partition t-0: log end offset unknown"]
    );
    group.failures.push(GroupFailure {
        operation: "committed_offsets",
        error: "GROUP_AUTHORIZATION_FAILED",
        message: "not authorized".to_owned(),
    });
    let report = report_of(&group, ColumnSet::AsKafka);
    assert_eq!(
        report.complaints,
        ["consumer group 'g': committed_offsets failed: not authorized"]
    );
}
