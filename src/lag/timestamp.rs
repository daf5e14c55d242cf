//! Instants, in milliseconds since the epoch.
//!
//! Nothing here reads a clock.

use std::fmt;
use std::num::NonZeroU64;
use std::time::{Duration, SystemTime};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, 0 or more. Kafka's -1 "no timestamp" is none.
///
/// It is kept as the number after it, which is never 0, so that no instant takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The earliest instant there is.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);

    /// Returns the instant, or nothing for a negative number.
    pub fn new(since_epoch_ms: i64) -> Option<Self> {
        u64::try_from(since_epoch_ms).ok().map(Self::of)
    }

    /// Returns the milliseconds since the epoch.
    pub fn since_epoch_ms(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the time from `earlier` to here; zero where `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.ms_since(earlier))
    }

    /// Returns the instant `later` after this one, in whole milliseconds.
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(whole_ms(later)))
    }

    /// Returns the instant `earlier` before this one, in whole milliseconds; not before the epoch.
    pub fn before(self, earlier: Duration) -> Self {
        Self::of(self.since_epoch_ms().saturating_sub(whole_ms(earlier)))
    }

    /// Returns the instant that lies `part / whole` of the way from here to `later`.
    ///
    /// It is never outside of the two; a `whole` of 0 counts as 1.
    pub fn towards(self, later: Self, part: u64, whole: u64) -> Self {
        let whole = whole.max(1);
        let way = u128::from(later.ms_since(self)) * u128::from(part.min(whole));
        let step = way / u128::from(whole);
        Self(
            self.0
                .saturating_add(u64::try_from(step).unwrap_or(u64::MAX)),
        )
    }

    fn ms_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }

    /// Returns the instant; the last of all numbers is taken for the one before it.
    fn of(since_epoch_ms: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(since_epoch_ms))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp")
            .field(&self.since_epoch_ms())
            .finish()
    }
}

impl From<SystemTime> for Timestamp {
    /// Cuts to whole milliseconds; what a clock says before the epoch is the epoch.
    fn from(time: SystemTime) -> Self {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self::of(whole_ms(since))
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_timestamp_is_no_instant() {
        for raw in [-1, -2, i64::MIN] {
            assert_eq!(Timestamp::new(raw), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn an_instant_between_two_lies_between_them(
            a in 0..u64::MAX, b in 0..u64::MAX, part in any::<u64>(), whole in any::<u64>(),
        ) {
            let (low, high) = (Timestamp::of(a.min(b)), Timestamp::of(a.max(b)));
            let between = low.towards(high, part, whole);
            prop_assert!(low <= between && between <= high);
        }

        #[test]
        fn no_time_is_negative(a in 0..u64::MAX, b in 0..u64::MAX) {
            let time = Timestamp::of(a).since(Timestamp::of(b));
            prop_assert_eq!(time, Duration::from_millis(a.saturating_sub(b)));
        }
    }
}
