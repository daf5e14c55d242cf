//! The instant of a snapshot.

use std::time::{Instant, SystemTime};

use crate::lag::Timestamp;

/// The same instant on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

impl Now {
    /// Reads both clocks; the instant is tokio's, which tests can pause.
    pub(super) fn read() -> Self {
        Self {
            instant: tokio::time::Instant::now().into_std(),
            time: SystemTime::now(),
        }
    }

    /// Returns the milliseconds since the epoch.
    pub(super) fn since_epoch_ms(self) -> i64 {
        let since = self.time.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    }

    pub(super) fn timestamp(self) -> Timestamp {
        Timestamp::from(self.time)
    }
}
