//! The search for a record's timestamp in the broker's time index: which timestamp to ask for next.
//!
//! A broker answers a timestamp with the first record, by offset, whose own timestamp is not earlier; no record is
//! fetched. Sending the questions belongs to the poller.

use std::time::Duration;

use super::history::Mark;
use super::offset::Offset;
use super::timestamp::Timestamp;

/// The narrowest interval that a search goes on for, and the smallest age that it tells apart.
const FINEST: Duration = Duration::from_secs(1);

/// An interval narrower than its age by this factor is narrow enough.
const AGE_PER_TOLERANCE: u32 = 100;

/// After so many bad guesses the pace is no guide.
const MISSES: u8 = 2;

/// What a broker answers when it is asked for a timestamp.
///
/// Source: ListOffsets; offset -1 stands for [`IndexAnswer::NoRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexAnswer {
    /// The first record whose timestamp is the asked one or later.
    Record {
        /// Its offset.
        offset: Offset,
        /// Its timestamp, as its producer (CreateTime) or broker (LogAppendTime) set it.
        timestamp: Timestamp,
    },
    /// Every record is earlier, or none has a timestamp.
    NoRecord,
}

/// Whose question a broker answered, as a search sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The search's own: the answer tells how good its guess was.
    Itself,
    /// That of another search on the partition.
    Another,
}

/// The interval that a record's timestamp was found to lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Inclusive.
    pub earliest: Timestamp,
    /// By offset within the interval.
    pub likely: Timestamp,
    /// Inclusive.
    pub latest: Timestamp,
}

/// The search for the timestamp of the record at one offset of one partition.
///
/// Ends within [`tolerance`] of the age. The first question is for the start of the log, or for the start of the
/// interval that the history tells. Then it interpolates by offset, and after a bad guess it halves the logarithm of
/// the age. A day of backlog takes 3 or 4 rounds at a steady pace and at most 16 at any; every round but the first
/// leaves a usable, narrower interval.
///
/// Timestamps need not be the truth:
/// - In disorder: what is found is the latest timestamp up to the record, so the age may be low by the disorder.
/// - In the future, or later than the history allows, at the record or before it: the index is blind there, and the
///   search ends without a find. Such a record behind the offset does no harm.
/// - Earlier than the history allows: the same.
/// - None (-1, the format before 0.10): the first record after it that has one stands in; without any, no find.
/// - Deleted or compacted away at the start of the log: the first record that is left stands in.
/// - Compacted away elsewhere: the record before it counts, so the age may be high.
///
/// 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSearch {
    target: Offset,
    first_question: Timestamp,
    /// The latest record known at or before the target; past it only where the target is gone.
    low: Option<Dated>,
    /// No record below `end` has the timestamp `at` or a later one; `end` is past the target.
    high: Mark,
    step: SearchStep,
    /// Interpolations that left more than half of the interval.
    misses: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dated {
    offset: Offset,
    timestamp: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SearchStep {
    Interpolate,
    Halve,
    /// The timestamps contradict what was seen.
    GiveUp,
}

/// Returns how narrow an interval has to be for a record of this age: 1 s or 1 %, whichever is more.
pub fn tolerance(age: Duration) -> Duration {
    FINEST.max(age / AGE_PER_TOLERANCE)
}

impl IndexSearch {
    /// Begins the search for the record at `target`, which was written by `by.at`; `by.end` is past the target.
    ///
    /// `after` is where the history's interval begins, nothing where the record is older than the history.
    pub fn new(target: Offset, after: Option<Timestamp>, by: Mark) -> Self {
        Self {
            target,
            first_question: after.unwrap_or(Timestamp::EPOCH),
            low: None,
            high: Mark {
                end: by.end,
                at: by.at.after(Duration::from_millis(1)),
            },
            step: SearchStep::Interpolate,
            misses: 0,
        }
    }

    /// Goes on to another record with the bounds that still hold; the arguments are those of [`IndexSearch::new`].
    pub fn continued(self, target: Offset, after: Option<Timestamp>, by: Mark) -> Self {
        let fresh = Self::new(target, after, by);
        if self.step == SearchStep::GiveUp {
            return fresh;
        }
        let high = if target < self.high.end && self.high.at < fresh.high.at {
            self.high
        } else {
            fresh.high
        };
        let low = self.low.filter(|low| {
            low.offset <= target && (fresh.first_question..high.at).contains(&low.timestamp)
        });
        Self { low, high, ..fresh }
    }

    /// Returns the timestamp to ask for next; nothing once the search has ended.
    pub fn question(&self, now: Timestamp) -> Option<Timestamp> {
        if self.step == SearchStep::GiveUp {
            return None;
        }
        let Some(low) = self.low else {
            return Some(self.first_question);
        };
        let found = self.found()?;
        let tolerance = tolerance(now.since(found.likely));
        if found.latest.since(found.earliest) <= tolerance {
            return None;
        }
        let question = match self.step {
            SearchStep::Interpolate => self.beside(found.likely, tolerance),
            SearchStep::Halve | SearchStep::GiveUp => self.halfway(now),
        };
        let millisecond = Duration::from_millis(1);
        Some(question.clamp(low.timestamp.after(millisecond), found.latest))
    }

    /// Takes in what a broker answered when it was asked for the timestamp `asked`.
    ///
    /// It need not be this search's own question: an answer tells every search on the partition something.
    pub fn answer(&mut self, asked: Timestamp, answer: IndexAnswer, asker: Asker) {
        if self.low.is_some_and(|low| low.offset >= self.target) {
            return;
        }
        let width = self.width();
        match answer {
            IndexAnswer::Record { offset, timestamp } if self.stands_for_target(asked, offset) => {
                self.raise(Dated { offset, timestamp });
            }
            IndexAnswer::Record { offset, .. } => self.lower(asked, offset.max(self.target.next())),
            IndexAnswer::NoRecord => self.lower(asked, self.high.end),
        }
        self.step = match self.step {
            SearchStep::GiveUp => SearchStep::GiveUp,
            step if asker == Asker::Another => step,
            SearchStep::Interpolate if self.width() > width / 2 => {
                self.misses += 1;
                SearchStep::Halve
            }
            SearchStep::Halve if self.misses >= MISSES => SearchStep::Halve,
            SearchStep::Interpolate | SearchStep::Halve => SearchStep::Interpolate,
        };
    }

    /// Returns what is known so far; nothing before the first answer and where timestamps say nothing.
    pub fn found(&self) -> Option<Found> {
        let low = self.low.filter(|_| self.step != SearchStep::GiveUp)?;
        if low.offset >= self.target {
            return Some(Found {
                earliest: low.timestamp,
                likely: low.timestamp,
                latest: low.timestamp,
            });
        }
        let latest = self.high.at.before(Duration::from_millis(1));
        let likely = low.timestamp.towards(
            latest,
            self.target.records_since(low.offset),
            self.high.end.records_since(low.offset),
        );
        Some(Found {
            earliest: low.timestamp,
            likely,
            latest,
        })
    }

    /// At the start of the log, whatever comes first is the first record that a group at the target can read.
    fn stands_for_target(&self, asked: Timestamp, offset: Offset) -> bool {
        offset <= self.target || asked == Timestamp::EPOCH
    }

    fn raise(&mut self, record: Dated) {
        if record.timestamp >= self.high.at {
            self.step = SearchStep::GiveUp;
        } else if record.timestamp >= self.first_question
            && self.low.is_none_or(|low| low.timestamp <= record.timestamp)
        {
            self.low = Some(record);
        }
    }

    fn lower(&mut self, asked: Timestamp, end: Offset) {
        match self.low {
            None if asked <= self.first_question => self.step = SearchStep::GiveUp,
            Some(low) if asked <= low.timestamp => {}
            _ if asked < self.high.at => self.high = Mark { end, at: asked },
            _ => {}
        }
    }

    fn width(&self) -> Duration {
        let floor = self.low.map_or(Timestamp::EPOCH, |low| low.timestamp);
        self.high.at.since(floor)
    }

    /// Close to a bound, a question a tolerance away from it ends the search; elsewhere one just short of the guess.
    fn beside(&self, likely: Timestamp, tolerance: Duration) -> Timestamp {
        let low = self.low.map_or(self.first_question, |low| low.timestamp);
        if likely.since(low) <= tolerance {
            low.after(tolerance)
        } else if self.high.at.since(likely) <= tolerance {
            self.high.at.before(tolerance)
        } else {
            likely.before(tolerance / 2)
        }
    }

    /// Halves the logarithm of the age, since the tolerance grows with the age.
    fn halfway(&self, now: Timestamp) -> Timestamp {
        let low = self.low.map_or(self.first_question, |low| low.timestamp);
        let youngest_ms = now.since(self.high.at).max(FINEST).as_millis();
        let oldest_ms = now.since(low).max(FINEST).as_millis();
        let age_ms = (youngest_ms * oldest_ms).isqrt();
        now.before(Duration::from_millis(
            u64::try_from(age_ms).unwrap_or(u64::MAX),
        ))
    }
}
