//! How a partition's log start moves: the steps it took, and when it will reach an offset.
//!
//! Why it moves is [`super::retention`]. Kept once per topic partition, whatever the number of its groups.

use std::time::Duration;

use super::offset::Offset;
use super::timestamp::Timestamp;

/// The most steps that are kept. Retention runs every 5 minutes by default, so they span about an hour.
const MAX_STEPS: usize = 12;

/// The fewest steps that show a pace.
const MIN_STEPS: usize = 3;

/// How a partition's log start moved since it is watched.
///
/// 40 bytes where it stands still, at most [`LogStart::MAX_SIZE_BYTES`] where it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStart {
    newest: Offset,
    seen_at: Timestamp,
    steps: Vec<LogStartStep>,
}

/// One move of the log start, which happened between two observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LogStartStep {
    /// The last observation before it.
    after: Timestamp,
    /// The first observation after it.
    by: Timestamp,
    /// Where the log starts since.
    to: Offset,
}

impl LogStart {
    /// The most memory that one takes, in bytes.
    pub const MAX_SIZE_BYTES: usize = size_of::<Self>() + MAX_STEPS * size_of::<LogStartStep>();

    /// Begins with a first look.
    pub fn new(start: Offset, now: Timestamp) -> Self {
        Self {
            newest: start,
            seen_at: now,
            steps: Vec::new(),
        }
    }

    /// Adds the look of a cycle in which the log start was read.
    ///
    /// A log start, or a clock, that went back begins anew: the topic was recreated.
    pub fn observe(&mut self, start: Offset, now: Timestamp) {
        if start < self.newest || now < self.seen_at {
            *self = Self::new(start, now);
            return;
        }
        if start > self.newest {
            if self.steps.len() == MAX_STEPS {
                self.steps.remove(0);
            }
            if self.steps.capacity() == self.steps.len() {
                self.steps.reserve_exact(MAX_STEPS / 3);
            }
            self.steps.push(LogStartStep {
                after: self.seen_at,
                by: now,
                to: start,
            });
            self.newest = start;
        }
        self.seen_at = now;
    }

    /// Returns where the log starts.
    pub fn newest(&self) -> Offset {
        self.newest
    }

    /// Returns the time until the log start passes `position` at the fastest pace it has shown; zero where it has.
    ///
    /// Nothing before three steps were seen. The time is told by its cautious end. Right after a step the oldest segment
    /// lacks less than its own size to go as well; so a segment, which is no more than the smallest step, is taken off
    /// the way and added to the pace. Where a step is overdue (the producers write less), the wait slows the pace.
    pub fn reaches(&self, position: Offset, now: Timestamp) -> Option<Duration> {
        if position < self.newest {
            return Some(Duration::ZERO);
        }
        let (first, last) = (self.steps.first()?, self.steps.last()?);
        let segment = self.smallest_step()?;
        let way = position.records_since(self.newest).saturating_sub(segment) as f64;
        let (shortest, longest) = self.waits()?;
        if now.since(last.after) <= longest {
            let time = time_of(way / self.fastest_pace(segment)?);
            return Some(time.saturating_sub(now.since(last.after)));
        }
        // Retention runs no less often than steps were seen: up to its last run it found nothing to delete.
        let climbed = self.newest.records_since(first.to).saturating_add(segment);
        let quiet_until = now.before(shortest);
        let pace = climbed as f64 / quiet_until.since(first.by).as_secs_f64().max(1e-3);
        Some(time_of(way / pace).saturating_sub(shortest))
    }

    /// Returns the memory that it takes, in bytes.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.steps.capacity() * size_of::<LogStartStep>()
    }

    /// Returns the higher of the pace over all steps, a segment more, and of the paces over half of them.
    ///
    /// In records a second; more than 0. Half of the steps show traffic that has grown.
    fn fastest_pace(&self, segment: u64) -> Option<f64> {
        let pace = |steps: &[LogStartStep], extra: u64| {
            let (first, last) = (steps.first()?, steps.last()?);
            let climbed = last.to.records_since(first.to).saturating_add(extra);
            // From the look that saw the first to the one before the last: it took no less.
            Some(climbed as f64 / last.after.since(first.by).as_secs_f64().max(1e-3))
        };
        let half = (self.steps.len() / 2 + 1).max(MIN_STEPS);
        let halves = self.steps.windows(half).filter_map(|steps| pace(steps, 0));
        halves.chain(pace(&self.steps, segment)).reduce(f64::max)
    }

    /// Returns the fewest records between two steps; nothing before there are three.
    fn smallest_step(&self) -> Option<u64> {
        let steps = self.steps.windows(2);
        let sizes = steps.map(|steps| steps[1].to.records_since(steps[0].to));
        sizes.min().filter(|_| self.steps.len() >= MIN_STEPS)
    }

    /// Returns the shortest and the longest time between two steps.
    fn waits(&self) -> Option<(Duration, Duration)> {
        let waits = || {
            let steps = self.steps.windows(2);
            steps.map(|steps| steps[1].by.since(steps[0].after))
        };
        waits().min().zip(waits().max())
    }
}

/// Returns a time of so many seconds; the longest there is for what it cannot hold.
fn time_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000 + second))
    }

    fn offset(value: u64) -> Offset {
        Offset::new(i64::try_from(value).expect("small")).expect("from 0")
    }

    /// Watches a log start that climbs 1,000 records every 100 s, each 10 s, until `until`.
    fn stairs(until: u64) -> LogStart {
        let mut log_start = LogStart::new(offset(0), second(0));
        for now in (10..=until).step_by(10) {
            log_start.observe(offset(now / 100 * 1000), second(now));
        }
        log_start
    }

    #[test]
    fn a_log_start_that_stands_still_owns_no_heap() {
        let mut still = LogStart::new(offset(7), second(0));
        (1..100).for_each(|now| still.observe(offset(7), second(now)));
        assert_eq!(still.size_bytes(), size_of::<LogStart>());
        assert_eq!(size_of::<LogStart>(), 40);
        assert_eq!(still.reaches(offset(8), second(100)), None);
        assert_eq!(LogStart::MAX_SIZE_BYTES, 328);
    }

    #[test]
    fn a_pace_takes_three_steps() {
        assert_eq!(stairs(290).reaches(offset(9000), second(290)), None);
        assert!(stairs(300).reaches(offset(9000), second(300)).is_some());
    }

    #[test]
    fn what_is_behind_the_log_start_has_no_time_left() {
        let gone = stairs(1000).reaches(offset(9999), second(1000));
        assert_eq!(gone, Some(Duration::ZERO));
    }

    #[test]
    fn the_time_is_cautious_and_runs_down_between_steps() {
        // 20,000 is passed by the step at 2,100 s.
        let mut log_start = stairs(1000);
        let mut before = Duration::MAX;
        for now in (1010..1100).step_by(10) {
            log_start.observe(offset(10_000), second(now));
            let left = log_start.reaches(offset(20_000), second(now));
            let left = left.expect("ten steps were seen");
            assert!(left < before && left.as_secs() <= 2100 - now);
            assert!(left.as_secs() >= 1750 - now, "{left:?}");
            before = left;
        }
    }

    #[test]
    fn producers_that_stop_leave_more_time_and_not_none() {
        let log_start = stairs(1000);
        let left = |now| log_start.reaches(offset(15_000), second(now));
        assert!(left(5000) > left(1100));
        assert!(left(20_000) > left(5000));
    }

    #[test]
    fn a_topic_made_anew_begins_anew() {
        let mut log_start = stairs(1000);
        log_start.observe(offset(0), second(1010));
        assert_eq!(log_start, LogStart::new(offset(0), second(1010)));
    }
}
