//! Samples of groups and of their topics.

use std::time::Duration;

use super::scene::Scene;
use super::{seconds, timestamp};
use crate::exposition::writer::{Labels, Value};
use crate::lag::group::TopicTotals;
use crate::lag::{Committed, Drain, Method, Status, Timestamp, TopicName};
use crate::snapshot::{
    Activity, Commits, GroupRow, Membership, Moment, PartitionRow, PartitionRun, Reading,
};

/// A group as it is to be seen.
pub(in crate::exposition) struct GroupView<'a> {
    row: &'a GroupRow,
    membership: Option<&'a Membership>,
    is_judged: bool,
}

/// A group's partitions of one topic, added up.
pub(in crate::exposition) struct GroupTopicView {
    totals: TopicTotals,
    /// The age of the oldest record that waits, as far as it is known.
    oldest: Option<Duration>,
    headroom: Option<Duration>,
    drain: Option<Drain>,
    abandoned: u64,
    /// What was committed; nothing where no commit of the topic was read lately: a count that stands still says that
    /// nothing happened.
    commits: Option<Commits>,
}

impl<'a> GroupView<'a> {
    /// Returns a group of a scene.
    pub(in crate::exposition) fn new(scene: Scene<'a>, row: &'a GroupRow) -> Self {
        Self {
            row,
            membership: scene.membership(row),
            is_judged: scene.is_judged(),
        }
    }
}

impl GroupTopicView {
    /// Returns what the partitions of a group on one topic add up to.
    pub(in crate::exposition) fn new(
        scene: Scene<'_>,
        group: &GroupView<'_>,
        topic: &TopicName,
        rows: PartitionRun<'_>,
    ) -> Self {
        let GroupView { row, is_judged, .. } = *group;
        let snapshot = scene.snapshot;
        let counted = || rows.iter().filter(|partition| snapshot.counts(partition));
        let readings = || counted().map(|partition| scene.reading(row, partition));
        let lags = readings().map(|reading| {
            let reading = reading?;
            Some((reading.committed, reading.lag()))
        });
        let drain = || Drain::of_topic(rows.iter().filter_map(PartitionRow::drain));
        let has_reading = |partition| scene.reading(row, partition).is_some();
        let commits = rows.iter().any(has_reading);
        let commits = commits.then(|| row.activity.commits.get(topic).copied());
        Self {
            totals: TopicTotals::of(lags, snapshot.uncommitted),
            oldest: oldest(row.measured, readings()),
            headroom: is_judged
                .then(|| least_headroom(row.judged_at, counted()))
                .flatten(),
            drain: is_judged.then(drain).flatten(),
            abandoned: rows
                .iter()
                .filter(|partition| is_judged && partition.is_abandoned())
                .count() as u64,
            commits: commits.map(Option::unwrap_or_default),
        }
    }
}

/// Returns the greatest age of records that wait.
///
/// Where some are unknown it is at least that of the others; 0 would look like a group that is caught up.
fn oldest<'a>(
    measured: Moment,
    readings: impl Iterator<Item = Option<&'a Reading>>,
) -> Option<Duration> {
    let mut oldest = None;
    let mut are_all_known = true;
    for reading in readings {
        let age = match reading {
            Some(reading) if reading.committed == Committed::Never => continue,
            Some(reading) => reading.age(measured),
            None => None,
        };
        let least = age.map(|age| match age.method {
            Method::Bound => age.at_least,
            Method::History | Method::Index => age.estimate,
        });
        are_all_known &= age.is_some_and(|age| age.method != Method::Bound);
        oldest = oldest.max(least);
    }
    oldest.filter(|age| are_all_known || !age.is_zero())
}

/// Returns the least time from `now` until a first record is lost.
fn least_headroom<'a>(
    now: Timestamp,
    rows: impl Iterator<Item = &'a PartitionRow>,
) -> Option<Duration> {
    rows.filter(|row| !row.is_quiet())
        .map(PartitionRow::judgement)
        .filter(|judgement| judgement.finding.status() != Status::Losing)
        .filter_map(|judgement| judgement.headroom.left(now))
        .map(|(left, _)| left)
        .min()
}

pub(super) fn members(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some((view.membership?.members.len() as u64).into())
}

pub(super) fn state(view: &GroupView<'_>, labels: &mut Labels) -> Option<Value> {
    labels.push("state", view.membership?.state.as_str());
    Some(1.into())
}

pub(super) fn status(view: &GroupView<'_>, labels: &mut Labels) -> Option<Value> {
    labels.push("status", view.row.status().as_str());
    view.is_judged.then(|| 1.into())
}

pub(super) fn info(view: &GroupView<'_>, labels: &mut Labels) -> Option<Value> {
    let membership = view.membership?;
    labels.push("type", membership.group_type.as_str());
    labels.push("protocol", &membership.assignor);
    if let Some(coordinator) = membership.coordinator {
        labels.push_number("coordinator", coordinator.0);
    }
    Some(1.into())
}

/// Returns what a group was seen to do: where its members cannot be told, neither can what they did.
fn activity<'a>(view: &GroupView<'a>) -> Option<&'a Activity> {
    view.membership.map(|_| &*view.row.activity)
}

pub(super) fn rebalances(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(activity(view)?.rebalances.into())
}

pub(super) fn last_rebalance(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    activity(view)?.last_rebalance_ms.map(timestamp)
}

pub(super) fn member_joins(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(activity(view)?.member_joins.into())
}

pub(super) fn member_leaves(view: &GroupView<'_>, _: &mut Labels) -> Option<Value> {
    Some(activity(view)?.member_leaves.into())
}

pub(super) fn lag_sum(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.totals.lag.map(Value::from)
}

pub(super) fn committed_sum(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.totals.committed.map(Value::from)
}

pub(super) fn uncommitted(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.totals.uncommitted_partitions.map(Value::from)
}

pub(super) fn lag_seconds_max(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.oldest.map(seconds)
}

pub(super) fn headroom_min(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.headroom.map(seconds)
}

pub(super) fn drain(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.drain?.seconds().map(Value::Float)
}

pub(super) fn abandoned(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    (view.abandoned > 0).then(|| view.abandoned.into())
}

pub(super) fn commits(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    Some(view.commits?.count.into())
}

pub(super) fn last_commit(view: &GroupTopicView, _: &mut Labels) -> Option<Value> {
    view.commits?.last_ms.map(timestamp)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::lag::{
        Finding, Headroom, Isolation, Limit, Offset, Ownership, TopicPartition, Wait, Watermarks,
    };
    use crate::snapshot::Judgement;

    fn now() -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000))
    }

    fn waiting(committed: Committed, end: i64, age: Option<(u64, Method)>) -> Reading {
        let offset = |raw| Offset::new(raw).expect("the tests use offsets from 0");
        let marks = Watermarks {
            log_start: None,
            log_end: offset(end),
            last_stable: None,
        };
        let wait = age.map(|(seconds, method)| {
            let since = now().before(Duration::from_secs(seconds));
            Wait::Since {
                earliest: None,
                likely: since,
                latest: since,
                method,
            }
        });
        Reading::new(committed, marks, Isolation::ReadUncommitted, wait)
    }

    #[test]
    fn a_group_that_is_not_known_to_be_caught_up_does_not_look_so() {
        let at = Committed::At(Offset::ZERO);
        let caught_up = || Some(waiting(at, 0, None));
        let uncommitted = || Some(waiting(Committed::Never, 5, None));
        let aged = |seconds, method| Some(waiting(at, 5, Some((seconds, method))));
        for (case, readings, expected) in [
            ("caught up", vec![caught_up(), caught_up()], Some(0)),
            (
                "the greatest",
                vec![
                    aged(3, Method::History),
                    caught_up(),
                    aged(9, Method::Index),
                ],
                Some(9),
            ),
            ("no commit", vec![uncommitted()], None),
            (
                "no commit on one",
                vec![uncommitted(), caught_up()],
                Some(0),
            ),
            (
                "one unread, the other caught up",
                vec![None, caught_up()],
                None,
            ),
            (
                "one unread, the other waits",
                vec![None, aged(3, Method::History)],
                Some(3),
            ),
            (
                "no age",
                vec![Some(waiting(at, 5, None)), caught_up()],
                None,
            ),
            (
                "a bound",
                vec![aged(8, Method::Bound), caught_up()],
                Some(8),
            ),
            (
                "a bound of 0",
                vec![aged(0, Method::Bound), caught_up()],
                None,
            ),
        ] {
            let measured = Moment {
                instant: Instant::now(),
                time: now(),
            };
            let told = oldest(measured, readings.iter().map(Option::as_ref));
            assert_eq!(told, expected.map(Duration::from_secs), "{case}");
        }
    }

    #[test]
    fn what_is_lost_already_is_not_ahead() {
        let row = |finding, seconds| {
            let age = Some((1, Method::History));
            let reading = waiting(Committed::At(Offset::ZERO), 5, age);
            PartitionRow::new(TopicPartition::new("orders", 0), Ok(reading), None).judged(
                Judgement {
                    finding,
                    drain: Drain::Never,
                    headroom: Headroom::Until {
                        at: now().after(Duration::from_secs(seconds)),
                        limit: Limit::Time,
                    },
                    ownership: Ownership::Unknown,
                },
            )
        };
        let lagging = Finding::Lagging {
            lag: 5,
            since: now(),
        };
        let losing = Finding::Losing { lost: 1 };
        let rows = [row(losing, 0), row(lagging, 70), row(lagging, 60)];
        assert_eq!(
            least_headroom(now(), rows.iter()),
            Some(Duration::from_secs(60))
        );
        assert_eq!(least_headroom(now(), rows[..1].iter()), None);
    }
}
