//! Time lag: the age of the first record that a group has not consumed.
//!
//! 0 when it is caught up, on an idle topic too. Where the figures come from: [`super::history`], and where that does
//! not reach, [`super::index_search`].

use std::time::Duration;

use super::history::{History, Written};
use super::index_search::{Asker, IndexAnswer, IndexSearch, tolerance};
use super::offset::Offset;
use super::timestamp::Timestamp;

/// How long the first record that a group has not consumed has been waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// The figure to show; from `at_least` to `at_most`.
    pub estimate: Duration,
    /// The truth is not less.
    pub at_least: Duration,
    /// The truth is not more; nothing where that is not known.
    pub at_most: Option<Duration>,
    /// What the figures rest on.
    pub method: Method,
}

/// Since when the first record that a group has not consumed has been waiting.
///
/// While the group stands still it stays as it is, and the [`Age`] grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The group has consumed every record that it may read.
    Over,
    /// The record has been waiting since `likely`; from `earliest` to `latest`.
    Since {
        /// Not before this; nothing where that is not known.
        earliest: Option<Timestamp>,
        /// The instant to count from.
        likely: Timestamp,
        /// Not after this.
        latest: Timestamp,
        /// What the instants rest on.
        method: Method,
    },
}

/// What an age rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The log ends that were seen: the time since the record could be read, by this process's clock.
    History,
    /// The broker's time index: the time since the record's own timestamp.
    Index,
    /// The record is older than the history and the index has not answered: the estimate is a lower bound.
    Bound,
}

/// Where a group stands on one partition; what a poller keeps from cycle to cycle. 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has consumed every record it may read.
    CaughtUp {
        /// The offset it has committed.
        at: Offset,
    },
    /// Records are waiting.
    Behind(Box<FirstUnread>),
}

/// What is known of the first record that a group has not consumed on one partition.
///
/// 112 bytes. While the group stands still the figures only age: what was learned stays, whatever the history
/// forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstUnread {
    offset: Offset,
    written: Written,
    search: Option<IndexSearch>,
    incarnation: u32,
}

impl Method {
    /// Returns the word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Index => "index",
            Self::Bound => "bound",
        }
    }
}

impl Age {
    /// The age of nothing.
    pub const CAUGHT_UP: Self = Self {
        estimate: Duration::ZERO,
        at_least: Duration::ZERO,
        at_most: Some(Duration::ZERO),
        method: Method::History,
    };
}

impl Standing {
    /// Returns where a group stands that has committed `committed` and may read up to `end`, which is exclusive.
    ///
    /// `end` and the newest sighting of `history` were read after the commit, in the same cycle. `earlier` is where the
    /// group stood in the cycle before, nothing at first: what was known is kept where the group has not moved, and its
    /// search goes on where it has.
    pub fn of(committed: Offset, end: Offset, history: &History, earlier: Option<Self>) -> Self {
        if end <= committed {
            return Self::CaughtUp { at: committed };
        }
        let written = match earlier {
            Some(Self::CaughtUp { at }) if at == committed => came_last(history.written(committed)),
            Some(Self::Behind(earlier)) if earlier.incarnation == history.incarnation() => {
                return earlier.moved_to(committed, history);
            }
            Some(Self::CaughtUp { .. } | Self::Behind(_)) | None => history.written(committed),
        };
        Self::behind(FirstUnread {
            offset: committed,
            written,
            search: None,
            incarnation: history.incarnation(),
        })
    }

    /// Returns the offset of the first record that the group has not consumed, written or not.
    pub fn position(&self) -> Offset {
        match self {
            Self::CaughtUp { at } => *at,
            Self::Behind(unread) => unread.offset,
        }
    }

    /// Returns whether the group has consumed every record that it may read, and has committed `offset`.
    pub fn is_caught_up_at(&self, offset: Offset) -> bool {
        matches!(self, Self::CaughtUp { at } if *at == offset)
    }

    /// Returns the timestamp to ask the broker's index for; nothing where the age is known well enough.
    ///
    /// An interval of the history is narrow enough up to one and a half `poll_interval`, which is what dense points
    /// leave, or up to the [`tolerance`] of the age. The search then ends and its result is dropped: a record may have become
    /// readable later than its timestamp says, so that a group that keeps up would seem to be late.
    pub fn question(&mut self, now: Timestamp, poll_interval: Duration) -> Option<Timestamp> {
        match self {
            Self::CaughtUp { .. } => None,
            Self::Behind(unread) => unread.question(now, poll_interval),
        }
    }

    /// Takes in what a broker answered for this partition when it was asked for the timestamp `asked`.
    ///
    /// It need not be this group's own question: an answer tells every group on the partition something.
    pub fn answer(&mut self, asked: Timestamp, answer: IndexAnswer, asker: Asker) {
        if let Self::Behind(unread) = self
            && let Some(search) = &mut unread.search
        {
            search.answer(asked, answer, asker);
        }
    }

    /// Returns since when the first record that the group has not consumed has been waiting.
    ///
    /// The narrower interval tells, of the history's and the index's.
    pub fn wait(&self) -> Wait {
        match self {
            Self::CaughtUp { .. } => Wait::Over,
            Self::Behind(unread) => unread.wait(),
        }
    }

    fn behind(unread: FirstUnread) -> Self {
        match unread.written {
            Written::NotYet => Self::CaughtUp { at: unread.offset },
            Written::Between { .. } | Written::Before(_) => Self::Behind(Box::new(unread)),
        }
    }
}

/// Dates a record to the end of its interval: for a group that was caught up and has not moved since.
///
/// There is no pace to go by. A group that keeps up and had its commit read a moment before a burst is not late; one
/// that is late is told so a poll interval later at most.
fn came_last(written: Written) -> Written {
    match written {
        Written::Between { after, by, .. } => Written::Between {
            after,
            likely: by.at,
            by,
        },
        Written::NotYet | Written::Before(_) => written,
    }
}

impl FirstUnread {
    fn moved_to(mut self: Box<Self>, committed: Offset, history: &History) -> Standing {
        if self.offset == committed {
            return Standing::Behind(self);
        }
        let written = history.written(committed);
        self.search = self.search.and_then(|search| match written {
            Written::NotYet => None,
            Written::Between { after, by, .. } => {
                Some(search.continued(committed, Some(after), by))
            }
            Written::Before(by) => Some(search.continued(committed, None, by)),
        });
        Standing::behind(Self {
            offset: committed,
            written,
            ..*self
        })
    }

    fn question(&mut self, now: Timestamp, poll_interval: Duration) -> Option<Timestamp> {
        let (after, by) = match self.written {
            Written::NotYet => return None,
            Written::Before(by) => (None, by),
            Written::Between { after, likely, by } => {
                let width = by.at.since(after);
                if width <= poll_interval * 3 / 2 || width <= tolerance(now.since(likely)) {
                    self.search = None;
                    return None;
                }
                (Some(after), by)
            }
        };
        self.search
            .get_or_insert_with(|| IndexSearch::new(self.offset, after, by))
            .question(now)
    }

    fn wait(&self) -> Wait {
        let seen = |after, likely, by| Wait::Since {
            earliest: Some(after),
            likely,
            latest: by,
            method: Method::History,
        };
        let found = self.search.and_then(|search| search.found());
        match (self.written, found) {
            (Written::NotYet, _) => Wait::Over,
            (Written::Between { after, likely, by }, None) => seen(after, likely, by.at),
            (Written::Between { after, likely, by }, Some(found))
                if by.at.since(after) <= found.latest.since(found.earliest) =>
            {
                seen(after, likely, by.at)
            }
            (_, Some(found)) => Wait::Since {
                earliest: Some(found.earliest),
                likely: found.likely,
                latest: found.latest,
                method: Method::Index,
            },
            (Written::Before(by), None) => Wait::Since {
                earliest: None,
                likely: by.at,
                latest: by.at,
                method: Method::Bound,
            },
        }
    }
}

impl Wait {
    /// Returns the age at `now`: the instant that the commit was read at.
    ///
    /// A record that came in after `now` has the age 0.
    pub fn age(self, now: Timestamp) -> Age {
        match self {
            Self::Over => Age::CAUGHT_UP,
            Self::Since {
                earliest,
                likely,
                latest,
                method,
            } => Age {
                estimate: now.since(likely),
                at_least: now.since(latest),
                at_most: earliest.map(|earliest| now.since(earliest)),
                method,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::Sighting;
    use super::*;

    const POLL_INTERVAL: Duration = Duration::from_secs(10);

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second * 1_000).expect("tests use times after the epoch")
    }

    fn offset(raw: i64) -> Offset {
        Offset::new(raw).expect("tests use offsets from 0")
    }

    /// A history of (second, end).
    fn seen(ends: &[(i64, i64)]) -> History {
        let mut sightings = ends.iter().map(|&(second, end)| Sighting {
            end: offset(end),
            asked_at: at(second),
            answered_at: at(second),
        });
        let mut history = History::new(sightings.next().expect("at least one"));
        for sighting in sightings {
            history.observe(sighting);
        }
        history
    }

    fn stands(committed: i64, history: &History, earlier: Option<Standing>) -> Standing {
        Standing::of(offset(committed), history.end(), history, earlier)
    }

    #[test]
    fn ages_follow_their_table() {
        let steady = &[(100, 0), (110, 100), (120, 200), (130, 300)][..];
        let idle = &[(100, 50), (4_000, 50), (4_010, 51)][..];
        let table = [
            ("caught up", steady, 300, 130, (0, 0, Some(0))),
            ("ahead of the end", steady, 400, 900, (0, 0, Some(0))),
            ("idle and caught up", &idle[..2], 50, 4_000, (0, 0, Some(0))),
            ("in the middle", steady, 149, 130, (15, 10, Some(20))),
            (
                "the last of an interval",
                steady,
                199,
                130,
                (10, 10, Some(20)),
            ),
            (
                "one after a long idle time",
                idle,
                50,
                4_070,
                (60, 60, Some(70)),
            ),
            (
                "a clock behind the sightings",
                steady,
                149,
                90,
                (0, 0, Some(0)),
            ),
            ("before the history", &steady[1..], 50, 170, (60, 60, None)),
        ];
        for (case, ends, committed, now, (estimate, at_least, at_most)) in table {
            let age = stands(committed, &seen(ends), None).wait().age(at(now));
            let seconds = Duration::from_secs;
            assert_eq!(age.estimate, seconds(estimate), "{case}");
            assert_eq!(age.at_least, seconds(at_least), "{case}");
            assert_eq!(age.at_most, at_most.map(seconds), "{case}");
        }
    }

    #[test]
    fn a_burst_between_commit_and_end_is_no_lag() {
        let mut history = seen(&[(100, 0), (110, 70)]);
        let caught_up = stands(70, &history, None);
        history.observe(Sighting {
            end: offset(5_000),
            asked_at: at(120),
            answered_at: at(120),
        });
        let raced = stands(70, &history, Some(caught_up));
        assert_eq!(raced.wait().age(at(120)).estimate, Duration::ZERO);
        assert_eq!(
            raced.wait().age(at(120)).at_most,
            Some(Duration::from_secs(10))
        );
    }

    #[test]
    fn what_was_learned_outlives_the_points() {
        let mut history = seen(&[(100, 0), (110, 100), (120, 200)]);
        let first = stands(50, &history, None);
        history.keep_newest();
        let second = stands(50, &history, Some(first.clone()));
        assert_eq!(second, first);
    }

    #[test]
    fn a_log_that_went_back_voids_what_was_learned() {
        let mut history = seen(&[(100, 0), (110, 100), (120, 200)]);
        let first = stands(50, &history, None);
        history.restart(Sighting {
            end: offset(80),
            asked_at: at(130),
            answered_at: at(130),
        });
        let age = stands(50, &history, Some(first)).wait().age(at(131));
        assert_eq!(
            (age.estimate, age.method),
            (Duration::from_secs(1), Method::Bound)
        );
    }

    #[test]
    fn a_lower_bound_is_told_as_such_until_the_index_answers() {
        let history = seen(&[(1_000, 200)]);
        let mut standing = stands(50, &history, None);
        assert_eq!(standing.wait().age(at(1_030)).method, Method::Bound);
        let asked = standing
            .question(at(1_030), POLL_INTERVAL)
            .expect("it has to ask");
        let answer = IndexAnswer::Record {
            offset: offset(50),
            timestamp: at(400),
        };
        standing.answer(asked, answer, Asker::Itself);
        let age = standing.wait().age(at(1_030));
        assert_eq!(
            (age.estimate, age.method),
            (Duration::from_secs(630), Method::Index)
        );
        assert_eq!(standing.question(at(1_030), POLL_INTERVAL), None);
        let still = stands(50, &history, Some(standing)).wait().age(at(1_040));
        assert_eq!(still.estimate, Duration::from_secs(640));
    }

    #[test]
    fn a_timestamp_from_the_future_leaves_the_bound() {
        let mut standing = stands(50, &seen(&[(1_000, 200)]), None);
        let asked = standing
            .question(at(1_030), POLL_INTERVAL)
            .expect("it has to ask");
        let answer = IndexAnswer::Record {
            offset: offset(50),
            timestamp: at(9_000),
        };
        standing.answer(asked, answer, Asker::Itself);
        let age = standing.wait().age(at(1_030));
        assert_eq!(
            (age.estimate, age.method),
            (Duration::from_secs(30), Method::Bound)
        );
        assert_eq!(standing.question(at(1_030), POLL_INTERVAL), None);
    }

    #[test]
    fn a_dense_history_asks_no_broker() {
        let mut standing = stands(50, &seen(&[(100, 0), (110, 100), (120, 200)]), None);
        assert_eq!(standing.question(at(121), POLL_INTERVAL), None);
        assert!(standing.question(at(121), Duration::from_secs(1)).is_some());
    }

    #[test]
    fn a_group_takes_the_bytes_it_is_said_to() {
        assert_eq!(size_of::<Standing>(), 16);
        assert_eq!(size_of::<FirstUnread>(), 112);
    }
}
