//! When the next cycle starts: pure arithmetic on instants.

use std::time::Duration;

use tokio::time::Instant;

/// The `result` of a tick that found the cycle before it still running.
pub(super) const SKIPPED: &str = "skipped";

/// The longest wait for the next try while no broker has ever answered.
const FIRST_CONTACT: Duration = Duration::from_secs(1);

/// When the next cycle starts, and how many ticks went by without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) due: Instant,
    pub(super) skipped: u64,
}

/// Returns the next tick after a cycle that started on a tick at `started` and is over `now`.
///
/// A cycle that ends on a tick does not skip it. `interval` is more than 0.
pub(super) fn next_tick(started: Instant, now: Instant, interval: Duration) -> Tick {
    let elapsed = now.saturating_duration_since(started).as_nanos();
    let passed = elapsed.saturating_sub(1) / interval.as_nanos().max(1);
    let skipped = u64::try_from(passed).unwrap_or(u64::MAX);
    let ticks = u32::try_from(skipped.saturating_add(1)).unwrap_or(u32::MAX);
    Tick {
        due: started + interval * ticks,
        skipped,
    }
}

/// Returns the next try for a cluster of which no broker has ever answered; no tick is skipped by it.
pub(super) fn soon(now: Instant, interval: Duration) -> Tick {
    Tick {
        due: now + interval.min(FIRST_CONTACT),
        skipped: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stay_on_their_grid_and_count_what_was_skipped() {
        let start = Instant::now();
        let table = [
            (0, 10, 0),
            (1, 10, 0),
            (9_999, 10, 0),
            (10_000, 10, 0),
            (10_001, 20, 1),
            (20_000, 20, 1),
            (35_000, 40, 3),
        ];
        for (elapsed_ms, due_s, skipped) in table {
            let now = start + Duration::from_millis(elapsed_ms);
            let expected = Tick {
                due: start + Duration::from_secs(due_s),
                skipped,
            };
            let tick = next_tick(start, now, Duration::from_secs(10));
            assert_eq!(tick, expected, "a cycle of {elapsed_ms} ms");
        }
    }

    #[test]
    fn an_unreached_cluster_is_tried_again_within_a_second() {
        let now = Instant::now();
        for (interval_ms, wait_ms) in [(10_000, 1_000), (200, 200)] {
            let tick = soon(now, Duration::from_millis(interval_ms));
            assert_eq!(tick.due - now, Duration::from_millis(wait_ms));
        }
    }
}
