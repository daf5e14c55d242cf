//! Positions in a partition's log.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Serialize, Serializer};

/// A position in a partition's log: 0 or more. Kafka's negative sentinels are no offsets; see [`Offset::new`].
///
/// It is kept as the number after it, which is never 0, so that no offset and "nothing committed" take no more room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(NonZeroU64);

impl Offset {
    /// The first offset any log can have.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// Returns the offset, or nothing for a negative number (Kafka's -1 "none", librdkafka's -1001 "invalid").
    pub fn new(raw: i64) -> Option<Self> {
        u64::try_from(raw).ok().map(Self::of)
    }

    /// Returns the number, 0 to `i64::MAX`.
    pub fn value(self) -> u64 {
        self.0.get() - 1
    }

    /// Returns the offset after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns how many records lie from `earlier` (inclusive) to here (exclusive); 0 where `earlier` is not earlier.
    pub fn records_since(self, earlier: Self) -> u64 {
        self.0.get().saturating_sub(earlier.0.get())
    }

    /// Returns the offset of a number below the largest.
    fn of(value: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(value))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.value(), f)
    }
}

impl fmt::Debug for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offset").field(&self.value()).finish()
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.value())
    }
}

/// What a group has committed for a partition.
///
/// Source: OffsetFetch answers offset -1 for [`Committed::Never`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Committed {
    /// The next record the group will read.
    At(Offset),
    /// The partition is the group's, but nothing was committed, or the commit has expired.
    Never,
}

/// Where a partition's log begins and ends, read in one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watermarks {
    /// The first offset still stored; nothing where only this request failed. What was lost is unknown then.
    pub log_start: Option<Offset>,
    /// Exclusive: the offset the next record will get (the high watermark, LOG-END-OFFSET).
    pub log_end: Offset,
    /// Exclusive: the end of what a `read_committed` consumer may read; nothing where it was not asked for.
    pub last_stable: Option<Offset>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_absent_offset_takes_no_room() {
        assert_eq!(size_of::<Option<Offset>>(), 8);
        assert_eq!(size_of::<Committed>(), 8);
        assert_eq!(size_of::<Watermarks>(), 24);
    }

    #[test]
    fn sentinels_of_kafka_and_librdkafka_are_no_offsets() {
        for raw in [-1, -2, -3, -1000, -1001, i64::MIN] {
            assert_eq!(Offset::new(raw), None, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn every_number_from_zero_is_the_offset_it_says(raw in 0..=i64::MAX) {
            prop_assert_eq!(Offset::new(raw).map(Offset::value), u64::try_from(raw).ok());
        }

        #[test]
        fn a_distance_counts_one_way_only(a in 0..=i64::MAX, b in 0..=i64::MAX) {
            let (low, high) = (a.min(b), a.max(b));
            let (Some(first), Some(second)) = (Offset::new(low), Offset::new(high)) else {
                return Err(TestCaseError::fail("offsets from 0"));
            };
            prop_assert_eq!(second.records_since(first), high.abs_diff(low));
            prop_assert_eq!(first.records_since(second), 0);
        }
    }
}
