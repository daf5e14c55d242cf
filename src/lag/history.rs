//! What was seen of a partition's log end: when each end was first and last seen.
//!
//! It brackets when any record was written, without reading one. Groups, ages and record timestamps do not belong here:
//! every time in a history comes from the clock of the process that looked.

use super::offset::Offset;
use super::timestamp::Timestamp;

/// The most points that a history keeps besides the newest.
const OLDER_POINTS: usize = 40;

/// How many points a history makes room for at once; exact, since doubling would waste half of the bound.
const POINTS_PER_GROWTH: usize = 4;

/// A log end as a broker answered it: it was true at some instant between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Exclusive: the offset the next record will get.
    pub end: Offset,
    /// When the request was sent: the record at `end` was written later.
    pub asked_at: Timestamp,
    /// When the answer came: the records below `end` were written by then.
    pub answered_at: Timestamp,
}

/// What a sighting says about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Records came in.
    Grew,
    /// No record came in.
    StoodStill,
    /// The log was truncated or the topic made anew: the history begins again, and nothing older says anything.
    WentBack {
        /// The end before.
        from: Offset,
    },
}

/// A bound: every record below `end` was written by `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Exclusive.
    pub end: Offset,
    /// Inclusive.
    pub at: Timestamp,
}

/// When the record at an offset was written, as far as the ends tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The log end was never seen past the offset.
    NotYet,
    /// After the last time that an end at or below the offset was seen, and by the first time that one past it was.
    Between {
        /// The record was not there yet.
        after: Timestamp,
        /// The best guess: within the interval.
        likely: Timestamp,
        /// The record was there, and all below `by.end` with it.
        by: Mark,
    },
    /// The offset lies before the oldest end that is remembered.
    Before(Mark),
}

/// The log ends seen of one partition: the newest, and a thinned past.
///
/// Recent points are dense and old ones sparse: the gap that a forgotten point leaves is small beside its age. 56 bytes
/// with only the newest point, at most 1,016 bytes in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    newest: Point,
    /// Ends ascend, all below the newest.
    older: Vec<Point>,
    incarnation: u32,
}

/// One end; a log that stands still adds no points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    end: Offset,
    /// When the first answer came: the records below `end` were written by then.
    first_seen: Timestamp,
    /// When the last request was sent: the record at `end` was written later. Before `first_seen` after one sighting.
    last_seen: Timestamp,
}

impl History {
    /// Returns a history of one sighting.
    pub fn new(sighting: Sighting) -> Self {
        Self {
            newest: Point::of(sighting),
            older: Vec::new(),
            incarnation: 0,
        }
    }

    /// Adds what was seen, and says what became of the log.
    ///
    /// A clock that steps back is taken to stand still until it has caught up: times never descend.
    pub fn observe(&mut self, sighting: Sighting) -> Progress {
        let from = self.newest.end;
        if sighting.end < from {
            self.restart(sighting);
            return Progress::WentBack { from };
        }
        let asked_at = sighting.asked_at.max(self.newest.last_seen);
        if sighting.end == from {
            self.newest.last_seen = asked_at;
            return Progress::StoodStill;
        }
        let answered_at = sighting.answered_at.max(asked_at);
        self.keep(self.newest, answered_at);
        self.newest = Point::of(Sighting {
            end: sighting.end,
            asked_at,
            answered_at: answered_at.max(self.newest.first_seen),
        });
        Progress::Grew
    }

    /// Begins again: for a topic known to be another one, whose end alone may not tell.
    pub fn restart(&mut self, sighting: Sighting) {
        *self = Self {
            incarnation: self.incarnation.wrapping_add(1),
            ..Self::new(sighting)
        };
    }

    /// Returns a number that changes whenever the history begins again.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Returns the newest end: exclusive.
    pub fn end(&self) -> Offset {
        self.newest.end
    }

    /// Forgets what no group needs, where `position` is the lowest offset that any group on the partition stands at.
    ///
    /// A group that goes back further than that finds [`Written::Before`].
    pub fn forget_below(&mut self, position: Offset) {
        if self.newest.end <= position {
            return self.keep_newest();
        }
        let unneeded = self.first_past(position).saturating_sub(1);
        if unneeded > 0 {
            self.older.drain(..unneeded);
            self.older
                .shrink_to(self.older.len().next_multiple_of(POINTS_PER_GROWTH));
        }
    }

    /// Forgets all but the newest point: for a partition that no group reads.
    pub fn keep_newest(&mut self) {
        self.older = Vec::new();
    }

    /// Returns when the record at `offset` was written.
    ///
    /// It is the same answer for as long as the points around the offset are remembered; later ones are only wider.
    pub fn written(&self, offset: Offset) -> Written {
        if self.newest.end <= offset {
            return Written::NotYet;
        }
        let past = self.first_past(offset);
        let next = self.older.get(past).copied().unwrap_or(self.newest);
        let by = Mark {
            end: next.end,
            at: next.first_seen,
        };
        let Some(previous) = past.checked_sub(1).map(|index| self.older[index]) else {
            return Written::Before(by);
        };
        Written::Between {
            after: previous.last_seen,
            likely: previous.likely_before(next, offset),
            by,
        }
    }

    /// Returns how many bytes the history takes, its own included.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.older.capacity() * size_of::<Point>()
    }

    /// Returns the index of the first older point whose end is past `offset`.
    fn first_past(&self, offset: Offset) -> usize {
        self.older.partition_point(|point| point.end <= offset)
    }

    fn keep(&mut self, point: Point, now: Timestamp) {
        if self.older.len() == OLDER_POINTS {
            self.thin(now);
        }
        if self.older.len() == self.older.capacity() {
            self.older.reserve_exact(POINTS_PER_GROWTH);
        }
        self.older.push(point);
    }

    /// Forgets the point that is missed least: the gap it leaves is the smallest in proportion to the gap's age.
    fn thin(&mut self, now: Timestamp) {
        let gap = |index: usize| {
            let (before, after) = (self.older[index - 1], self.older[index + 1]);
            let width_ms = after.first_seen.since(before.last_seen).as_millis();
            let age_ms = now.since(after.first_seen).as_millis().max(1);
            width_ms * 1_000 / age_ms
        };
        let inner = 1..self.older.len().saturating_sub(1);
        if let Some(index) = inner.min_by_key(|&index| gap(index)) {
            self.older.remove(index);
        }
    }
}

impl Point {
    fn of(sighting: Sighting) -> Self {
        let Sighting {
            end,
            asked_at,
            answered_at,
        } = sighting;
        Self {
            end,
            first_seen: answered_at,
            last_seen: asked_at,
        }
    }

    /// Guesses when the record at `offset`, from this end on and below the `next`, was written.
    ///
    /// By offset, as a steady producer does it; the last record gets the end of the interval.
    fn likely_before(self, next: Self, offset: Offset) -> Timestamp {
        let part = offset.next().records_since(self.end);
        let whole = next.end.records_since(self.end);
        self.last_seen.towards(next.first_seen, part, whole)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(millisecond: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_millis(millisecond))
    }

    fn offset(raw: u32) -> Offset {
        Offset::new(i64::from(raw)).expect("tests use offsets from 0")
    }

    fn sighting(millisecond: u64, end: u32) -> Sighting {
        Sighting {
            end: offset(end),
            asked_at: at(millisecond),
            answered_at: at(millisecond + 2),
        }
    }

    fn seen(ends: &[(u64, u32)]) -> History {
        let (&(first_ms, first), later) = ends.split_first().expect("at least one");
        let mut history = History::new(sighting(first_ms, first));
        for &(millisecond, end) in later {
            history.observe(sighting(millisecond, end));
        }
        history
    }

    #[test]
    fn an_interval_runs_from_the_last_time_below_to_the_first_time_past() {
        let history = seen(&[(0, 7), (10, 7), (20, 7), (30, 9), (40, 9)]);
        let expected = |likely| Written::Between {
            after: at(20),
            likely: at(likely),
            by: Mark {
                end: offset(9),
                at: at(32),
            },
        };
        assert_eq!(history.written(offset(7)), expected(26));
        assert_eq!(history.written(offset(8)), expected(32));
        assert_eq!(history.written(offset(9)), Written::NotYet);
        let oldest = Mark {
            end: offset(7),
            at: at(2),
        };
        assert_eq!(history.written(offset(6)), Written::Before(oldest));
    }

    #[test]
    fn a_log_that_went_back_begins_again() {
        let mut history = seen(&[(0, 7), (10, 70)]);
        let before = history.incarnation();
        let told = history.observe(sighting(20, 30));
        assert_eq!(told, Progress::WentBack { from: offset(70) });
        assert_ne!(history.incarnation(), before);
        assert_eq!(history.end(), offset(30));
        assert!(matches!(history.written(offset(10)), Written::Before(mark) if mark.at == at(22)));
    }

    #[test]
    fn only_points_that_no_group_needs_are_forgotten() {
        let full = seen(&[(0, 0), (10, 10), (20, 20), (30, 30)]);
        let mut history = full.clone();
        history.forget_below(offset(15));
        assert_eq!(history.written(offset(15)), full.written(offset(15)));
        assert!(matches!(history.written(offset(9)), Written::Before(_)));
        history.forget_below(offset(30));
        assert_eq!(history.size_bytes(), 56);
        assert_eq!(history.end(), offset(30));
    }

    #[test]
    fn a_full_history_stays_dense_in_the_present_and_in_proportion_in_the_past() {
        let second = |second: u32| sighting(u64::from(second) * 1_000, second);
        let mut history = History::new(second(0));
        for now in 1..=86_400 {
            history.observe(second(now));
        }
        assert_eq!(history.size_bytes(), 1_016);
        for age in 1..86_400 {
            let Written::Between { after, by, .. } = history.written(offset(86_400 - age)) else {
                panic!("{age} s ago is forgotten");
            };
            let width = by.at.since(after);
            let allowed = Duration::from_millis(1_002).max(Duration::from_secs(u64::from(age)) / 2);
            assert!(width <= allowed, "{width:?} at {age} s");
        }
    }

    proptest! {
        #[test]
        fn times_ascend_and_bytes_are_bounded_whatever_is_seen(
            steps in proptest::collection::vec((0..20_000u64, 0..20_000u64, -5..60i64), 1..300),
            probes in proptest::collection::vec(0..6_000u32, 8),
        ) {
            let mut history = seen(&[(0, 0)]);
            let (mut clock_ms, mut end) = (20_000u64, 1_000i64);
            for (forward_ms, back_ms, records) in steps {
                clock_ms = (clock_ms + forward_ms).saturating_sub(back_ms);
                end = (end + records).max(0);
                history.observe(sighting(clock_ms, u32::try_from(end).expect("small")));
                prop_assert!(history.size_bytes() < 1_024);
                for &probe in &probes {
                    if let Written::Between { after, likely, by } = history.written(offset(probe)) {
                        prop_assert!(after <= likely && likely <= by.at);
                    }
                }
            }
        }
    }
}
