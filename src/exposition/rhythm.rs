//! When scrapes of a kind come, and when the next is to be expected.

use std::time::{Duration, Instant};

/// For how long after a scrape another one like it is expected: the longest usual scrape interval.
const EXPECTED_WITHIN: Duration = Duration::from_secs(60);

/// The interval until two rounds were seen: Prometheus is mostly told to scrape every 15 s, or less often.
const USUAL_INTERVAL: Duration = Duration::from_secs(15);

/// A scrape that is overdue by so many intervals is not waited for.
const MISSED: u32 = 3;

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
        now.saturating_duration_since(self.last) > EXPECTED_WITHIN
    }

    /// Returns whether the next scrape is to be expected by then.
    pub(super) fn is_expected_by(&self, then: Instant) -> bool {
        let interval = self.intervals.iter().flatten().min().copied();
        let interval = interval.unwrap_or(USUAL_INTERVAL);
        (interval..=interval * MISSED).contains(&then.saturating_duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_scrape_is_expected_after_the_shorter_of_two_intervals() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let scraped = |times: &[u64]| {
            let mut rhythm = Rhythm::of_first(at(times[0]));
            times[1..].iter().for_each(|&time| rhythm.note(at(time)));
            rhythm
        };
        for (times, expected_from) in [
            (&[0][..], 15),
            (&[0, 15], 30),
            (&[0, 15, 30], 45),
            // Two scrapers.
            (&[0, 4, 15, 19], 23),
            (&[0, 4, 15], 19),
            // Several at once.
            (&[0, 15, 15, 15], 30),
            (&[0, 0, 0], 15),
        ] {
            let rhythm = scraped(times);
            assert!(rhythm.is_expected_by(at(expected_from)), "{times:?}");
            let earlier = at(expected_from).checked_sub(Duration::from_millis(1));
            let is_early = earlier.is_some_and(|earlier| {
                earlier >= at(*times.last().expect("there is one"))
                    && rhythm.is_expected_by(earlier)
            });
            assert!(!is_early, "{times:?}");
            assert!(!rhythm.is_expected_by(at(expected_from + 31)), "{times:?}");
        }
    }

    #[test]
    fn a_minute_without_a_scrape_ends_it() {
        let begun = Instant::now();
        let rhythm = Rhythm::of_first(begun);
        assert!(!rhythm.has_ended(begun + EXPECTED_WITHIN));
        assert!(rhythm.has_ended(begun + EXPECTED_WITHIN + Duration::from_millis(1)));
    }
}
