//! The view of several partitions of a group, added up.

use std::time::{Duration, Instant};

use super::{Absence, GroupView, PartitionView};
use crate::lag::group::TopicTotals;
use crate::lag::{Committed, Drain, Method, Status, Timestamp, TopicName};
use crate::snapshot::{Commits, Judgement, Moment, PartitionRow, PartitionRun, Reading};

/// Partitions of a group, those on one topic or all of them, to be added up.
#[derive(Clone, Copy)]
pub(crate) struct Sums<'a> {
    group: GroupView<'a>,
    rows: PartitionRun<'a>,
}

impl<'a> Sums<'a> {
    /// Returns some partitions of a group, to be added up.
    pub(crate) fn new(group: GroupView<'a>, rows: PartitionRun<'a>) -> Self {
        Self { group, rows }
    }

    /// Returns the sums of offsets and records.
    pub(crate) fn totals(self) -> TopicTotals {
        let lags = self.readings().map(|reading| {
            let reading = reading?;
            Some((reading.committed, reading.lag()))
        });
        TopicTotals::of(lags, self.group.scene.snapshot.uncommitted)
    }

    /// Returns why there is no sum of lags: the worst reason among the partitions.
    ///
    /// A partition without a commit hides a sum only where there is nothing else to add up.
    pub(crate) fn absence(self) -> Absence {
        let views = self
            .rows
            .iter()
            .map(|row| PartitionView::new(self.group, row));
        let reasons = views.filter_map(|view| view.absence());
        reasons.max().unwrap_or(Absence::NoPartitions)
    }

    /// Returns the age of the oldest unconsumed record, as far as it is known.
    pub(crate) fn lag_seconds(self) -> Option<Duration> {
        oldest(self.group.row.measured, self.readings())
    }

    /// Returns the least time until a first unread record may be deleted, of the partitions on which none is lost yet.
    pub(crate) fn headroom(self) -> Option<Duration> {
        let waiting = self.counted().filter(|row| !row.is_quiet());
        let judgements = waiting.filter_map(|row| PartitionView::new(self.group, row).judgement());
        least_headroom(self.group.row.judged_at, judgements)
    }

    /// Returns how long until the group is caught up.
    pub(crate) fn drain(self) -> Option<Drain> {
        let drains = || {
            self.rows.iter().filter_map(|row| {
                if row.is_quiet() {
                    row.drain()
                } else {
                    PartitionView::new(self.group, row).drain()
                }
            })
        };
        let drain = || Drain::of_topic(drains());
        self.group.is_judged.then(drain).flatten()
    }

    /// Returns how many of the partitions the group has abandoned.
    pub(crate) fn abandoned(self) -> u64 {
        let is_abandoned = |row: &&PartitionRow| self.group.is_judged && row.is_abandoned();
        self.rows.iter().filter(is_abandoned).count() as u64
    }

    /// Returns how often the group committed on `topic`; nothing where all offsets have expired, as a counter that does not grow
    /// would say that the group has stopped committing.
    pub(crate) fn commits(self, topic: &TopicName) -> Option<Commits> {
        let GroupView { scene, row, .. } = self.group;
        let mut rows = self.rows.iter();
        rows.any(|partition| scene.reading(row, partition).is_some())
            .then(|| row.activity.commits.get(topic).copied().unwrap_or_default())
    }

    /// Returns when the oldest of their offsets were fetched.
    pub(crate) fn measured(self) -> Option<Instant> {
        let views = self
            .rows
            .iter()
            .map(|row| PartitionView::new(self.group, row));
        views
            .filter_map(|view| Some(view.measured()?.instant))
            .min()
    }

    fn counted(self) -> impl Iterator<Item = &'a PartitionRow> {
        let snapshot = self.group.scene.snapshot;
        self.rows.iter().filter(move |row| snapshot.counts(row))
    }

    fn readings(self) -> impl Iterator<Item = Option<&'a Reading>> {
        let GroupView { scene, row, .. } = self.group;
        self.counted()
            .map(move |partition| scene.reading(row, partition))
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
fn least_headroom(now: Timestamp, judgements: impl Iterator<Item = Judgement>) -> Option<Duration> {
    judgements
        .filter(|judgement| judgement.finding.status() != Status::Losing)
        .filter_map(|judgement| judgement.headroom.left(now))
        .map(|(left, _)| left)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{Finding, Headroom, Isolation, Limit, Offset, Ownership, Wait, Watermarks};

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
        let judgement = |finding, seconds| Judgement {
            finding,
            drain: Drain::Never,
            headroom: Headroom::Until {
                at: now().after(Duration::from_secs(seconds)),
                limit: Limit::Time,
            },
            ownership: Ownership::Unknown,
        };
        let lagging = Finding::Lagging {
            lag: 5,
            since: now(),
        };
        let losing = Finding::Losing { lost: 1 };
        let judgements = [
            judgement(losing, 0),
            judgement(lagging, 70),
            judgement(lagging, 60),
        ];
        let least = |judgements: &[Judgement]| least_headroom(now(), judgements.iter().copied());
        assert_eq!(least(&judgements), Some(Duration::from_secs(60)));
        assert_eq!(least(&judgements[..1]), None);
    }
}
