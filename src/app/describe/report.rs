//! One group as text: the table of Kafka's own tool, its remark on the group's state, and what could not be read.
//!
//! Source: `ConsumerGroupCommand` of Kafka's tools: columns, order of rows and remarks.

use std::cmp::Reverse;

use super::table::{Column, NO_VALUE, escape, render};
use crate::exposition::{GroupView, PartitionView};
use crate::lag::{Age, Distance, Drain, Finding, Lag, Method, Status};
use crate::snapshot::{GroupState, Judgement};

/// The least widths are those of Kafka's tool.
const COLUMNS: [Column; 9] = [
    Column::new("GROUP", 15),
    Column::new("TOPIC", 15),
    Column::new("PARTITION", 10),
    Column::new("CURRENT-OFFSET", 15),
    Column::new("LOG-END-OFFSET", 15),
    Column::new("LAG", 15),
    Column::new("CONSUMER-ID", 15),
    Column::new("HOST", 15),
    Column::new("CLIENT-ID", 15),
];

/// What `--wide` adds; behind the others, so that these keep their places.
const WIDE_COLUMNS: [Column; 8] = [
    Column::new("LAG-SECONDS", 12),
    Column::new("STATUS", 8),
    Column::new("DRAIN", 8),
    Column::new("STATE", 10),
    Column::new("LOG-START-OFFSET", 16),
    Column::new("LOST", 10),
    Column::new("AHEAD", 10),
    Column::new("BACKLOG", 10),
];

/// The columns of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnSet {
    /// The columns of Kafka's tool.
    AsKafka,
    /// Those, and ours.
    Wide,
}

/// What is to be said of one group.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// An empty line, headings and rows; empty where there is no row.
    pub table: String,
    /// What Kafka's tool says of the group's state, where it says something.
    pub remark: Option<String>,
    /// What could not be read.
    pub complaints: Vec<String>,
}

impl Report {
    /// Returns the report of a group that exists.
    pub(super) fn new(view: GroupView<'_>, columns: ColumnSet) -> Self {
        let group = view.row;
        let name = escape(group.id.as_str());
        let state = view.membership.map(|membership| membership.state);
        let remark = match state {
            Some(GroupState::Empty) => {
                Some(format!("Consumer group '{name}' has no active members."))
            }
            Some(
                GroupState::PreparingRebalance
                | GroupState::CompletingRebalance
                | GroupState::Assigning
                | GroupState::Reconciling,
            ) => Some(format!("Warning: Consumer group '{name}' is rebalancing.")),
            _ => None,
        };
        let failed = group.failures.iter().map(|failure| {
            let (operation, message) = (failure.operation, escape(&failure.message));
            format!("consumer group '{name}': {operation} failed: {message}")
        });
        let unread = group
            .partitions
            .iter()
            .filter_map(|row| match row.latest() {
                Lag::Unavailable(reason) if group.failures.is_empty() => Some(format!(
                    "consumer group '{name}': partition {}: {reason}",
                    row.id
                )),
                _ => None,
            });
        Self {
            table: table(view, columns),
            remark,
            complaints: failed.chain(unread).collect(),
        }
    }
}

fn table(group: GroupView<'_>, columns: ColumnSet) -> String {
    let rows: Vec<Vec<String>> = ordered(group)
        .iter()
        .map(|partition| cells(partition, columns))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut shown = COLUMNS.to_vec();
    if columns == ColumnSet::Wide {
        shown.extend(WIDE_COLUMNS);
    }
    format!("\n{}", render(&shown, &rows))
}

/// Returns the partitions of the members, the one with the most first, and then those that have only a commit.
fn ordered(group: GroupView<'_>) -> Vec<PartitionView<'_>> {
    let rows = group.row.partitions.iter();
    let mut partitions: Vec<_> = rows.map(|row| PartitionView::new(group, row)).collect();
    // Stable: within a member, and among the rest, partitions keep their order by topic and number.
    partitions.sort_by_key(|view| match view.owner() {
        Some(member) => (0, Reverse(member.assignment.len()), view.row.owner),
        None => (1, Reverse(0), None),
    });
    partitions
}

fn cells(view: &PartitionView<'_>, columns: ColumnSet) -> Vec<String> {
    let id = &view.row.id;
    let member = view.owner();
    // A figure of an earlier cycle is no answer to a question asked now.
    let current = view.is_current().then_some(view);
    let marks = current.and_then(|view| Some(view.reading()?.marks));
    let distance = current.and_then(PartitionView::distance);
    let mut cells = vec![
        view.group.row.id.to_string(),
        id.topic.to_string(),
        id.partition.to_string(),
        or_dash(current.and_then(PartitionView::committed)),
        or_dash(marks.map(|marks| marks.log_end)),
        or_dash(distance.map(|Distance { lag, .. }| lag)),
        or_dash(member.map(|member| &member.id)),
        or_dash(member.map(|member| &member.host)),
        or_dash(member.map(|member| &member.client_id)),
    ];
    if columns == ColumnSet::Wide {
        let state = view.group.membership.map(|membership| membership.state);
        cells.extend([
            or_dash(current.and_then(PartitionView::age).map(lag_seconds)),
            or_dash(status(view)),
            or_dash(view.drain().and_then(drain)),
            or_dash(state),
            or_dash(marks.and_then(|marks| marks.log_start)),
            or_dash(distance.and_then(|Distance { lost, .. }| lost)),
            or_dash(distance.map(|Distance { ahead, .. }| ahead)),
            or_dash(current.and_then(PartitionView::backlog)),
        ]);
    }
    cells
}

/// Returns a time lag in seconds, and whether it is at least so much.
fn lag_seconds(age: Age) -> String {
    let seconds = age.estimate.as_secs_f64();
    match age.method {
        Method::History | Method::Index => format!("{seconds:.1}"),
        Method::Bound => format!(">{seconds:.1}"),
    }
}

/// Returns the status of a partition; nothing where one poll is too little to judge by.
fn status(view: &PartitionView<'_>) -> Option<Status> {
    let Judgement { finding, drain, .. } = view.judgement()?;
    let is_judged = finding != Finding::Ok || drain != Drain::Unknown || view.row.is_abandoned();
    is_judged.then(|| finding.status())
}

/// Returns how long until a group is caught up; nothing while that cannot be told.
fn drain(drain: Drain) -> Option<String> {
    match drain {
        Drain::CaughtUp => Some("0".to_owned()),
        Drain::In(time) => Some(format!("{:.0}", time.as_secs_f64())),
        Drain::Never => Some("never".to_owned()),
        Drain::Unknown => None,
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| NO_VALUE.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant, SystemTime};

    use super::*;
    use crate::exposition::Scene;
    use crate::lag::{
        Committed, Isolation, Offset, Timestamp, TopicPartition, Unavailable, Verdict, Wait,
        Watermarks, partition_lag,
    };
    use crate::snapshot::{
        ClusterSnapshot, GroupFailure, GroupRow, GroupType, Member, MemberIndex, Membership,
        Moment, PartitionRow, Reading,
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

    fn group(
        id: &str,
        state: GroupState,
        members: Vec<Member>,
        rows: Vec<PartitionRow>,
    ) -> GroupRow {
        GroupRow {
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
}
