//! One group as text: the table of Kafka's own tool, its remark on the group's state, and what could not be read.
//!
//! Source: `ConsumerGroupCommand` of Kafka's tools: columns, order of rows and remarks.

use std::cmp::Reverse;

use super::table::{Column, NO_VALUE, escape, render};
use crate::exposition::{GroupView, PartitionView};
use crate::lag::{Age, Distance, Drain, Finding, Lag, Method, Status};
use crate::snapshot::{GroupState, Judgement};

/// The columns of Kafka's tool with its least widths, then those that `--wide` adds.
const COLUMNS: [Column; 17] = [
    Column::new("GROUP", 15),
    Column::new("TOPIC", 15),
    Column::new("PARTITION", 10),
    Column::new("CURRENT-OFFSET", 15),
    Column::new("LOG-END-OFFSET", 15),
    Column::new("LAG", 15),
    Column::new("CONSUMER-ID", 15),
    Column::new("HOST", 15),
    Column::new("CLIENT-ID", 15),
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

impl ColumnSet {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::AsKafka => &COLUMNS[..9],
            Self::Wide => &COLUMNS,
        }
    }
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
    let rows: Vec<Vec<String>> = ordered(group).iter().map(cells).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", render(columns.columns(), &rows))
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

/// Returns a partition's cells of all columns.
fn cells(view: &PartitionView<'_>) -> Vec<String> {
    let id = &view.row.id;
    let member = view.owner();
    // A figure of an earlier cycle is no answer to a question asked now.
    let current = view.is_current().then_some(view);
    let marks = current.and_then(|view| Some(view.reading()?.marks));
    let distance = current.and_then(PartitionView::distance);
    let state = view.group.membership.map(|membership| membership.state);
    vec![
        view.group.row.id.to_string(),
        id.topic.to_string(),
        id.partition.to_string(),
        or_dash(current.and_then(PartitionView::committed)),
        or_dash(marks.map(|marks| marks.log_end)),
        or_dash(distance.map(|Distance { lag, .. }| lag)),
        or_dash(member.map(|member| &member.id)),
        or_dash(member.map(|member| &member.host)),
        or_dash(member.map(|member| &member.client_id)),
        or_dash(current.and_then(PartitionView::age).map(lag_seconds)),
        or_dash(status(view)),
        or_dash(view.drain().and_then(drain)),
        or_dash(state),
        or_dash(marks.and_then(|marks| marks.log_start)),
        or_dash(distance.and_then(|Distance { lost, .. }| lost)),
        or_dash(distance.map(|Distance { ahead, .. }| ahead)),
        or_dash(current.and_then(PartitionView::backlog)),
    ]
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
mod tests;
