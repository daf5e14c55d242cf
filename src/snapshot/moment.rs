//! When figures were read.

use std::time::Instant;

use crate::lag::Timestamp;

/// When figures were read, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When the cycle that read them ended, by the clock that only goes on: they become too old by it.
    pub instant: Instant,
    /// When the commits had been read and the log ends were asked for, by the wall clock: ages are told up to it.
    pub time: Timestamp,
}
