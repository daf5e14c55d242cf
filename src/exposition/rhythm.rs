//! When scrapes of a kind come, and when the next one is due.

use std::time::{Duration, Instant};

/// A kind that was not scraped for this long is scraped no more: the longest usual scrape interval.
const ENDED_AFTER: Duration = Duration::from_secs(60);

/// Scrapes that are no further apart are those of several scrapers at once.
const ONE_ROUND: Duration = Duration::from_secs(1);

/// The times of scrapes of one kind, whoever scraped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    last: Instant,
    /// Between its rounds, the newest first. Two scrapers make two intervals in turn.
    intervals: [Option<Duration>; 2],
}

impl Rhythm {
    /// Begins with a first scrape.
    pub(super) fn of_first(at: Instant) -> Self {
        Self {
            last: at,
            intervals: [None; 2],
        }
    }

    /// Adds a scrape.
    pub(super) fn note(&mut self, at: Instant) {
        let interval = at.saturating_duration_since(self.last);
        if interval >= ONE_ROUND {
            self.intervals = [Some(interval), self.intervals[0]];
        }
        self.last = self.last.max(at);
    }

    /// Returns whether nobody seems to scrape any more.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) > ENDED_AFTER
    }

    /// Returns whether the next scrape is due by then: the shorter of the last two intervals has passed since the last scrape.
    /// Nothing is due before a second scrape.
    pub(super) fn is_due_by(&self, then: Instant) -> bool {
        let interval = self.intervals.iter().flatten().min();
        interval.is_some_and(|interval| then.saturating_duration_since(self.last) >= *interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_scrape_is_due_after_the_shorter_of_two_intervals() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let scraped = |times: &[u64]| {
            let mut rhythm = Rhythm::of_first(at(times[0]));
            times[1..].iter().for_each(|&time| rhythm.note(at(time)));
            rhythm
        };
        for (times, due) in [
            (&[0, 15][..], 30),
            (&[0, 15, 30], 45),
            // Two scrapers.
            (&[0, 4, 15, 19], 23),
            (&[0, 4, 15], 19),
            // Several at once.
            (&[0, 15, 15, 15], 30),
        ] {
            let rhythm = scraped(times);
            assert!(rhythm.is_due_by(at(due)), "{times:?}");
            let earlier = at(due) - Duration::from_millis(1);
            assert!(!rhythm.is_due_by(earlier), "{times:?}");
        }
        for times in [&[0][..], &[0, 0, 0]] {
            assert!(!scraped(times).is_due_by(at(60)), "{times:?}");
        }
    }

    #[test]
    fn a_minute_without_a_scrape_ends_it() {
        let begun = Instant::now();
        let rhythm = Rhythm::of_first(begun);
        assert!(!rhythm.has_ended(begun + ENDED_AFTER));
        assert!(rhythm.has_ended(begun + ENDED_AFTER + Duration::from_millis(1)));
    }
}
