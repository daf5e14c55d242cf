//! Observations of the recent past in little memory: most differ from the one before by small numbers.

use integer_encoding::VarInt;
use smallvec::SmallVec;

use super::observation::Observation;
use super::offset::Offset;
use super::timestamp::Timestamp;

/// The most points that a course keeps.
pub(super) const MAX_POINTS: usize = 16;

/// The most bytes of one number.
const MAX_NUMBER: usize = 10;

/// Observations as they are worked with, the oldest first.
pub(super) type Points = SmallVec<[Observation; MAX_POINTS]>;

/// Observations as they are kept, the oldest first: of each its time, commit and end, as differences from the one before, in
/// the variable-length encoding of Protocol Buffers. 7 to 9 bytes an observation, which takes 24 otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PackedPoints(Box<[u8]>);

impl PackedPoints {
    /// The most memory that [`MAX_POINTS`] take, in bytes.
    pub(super) const MAX_HEAP: usize = MAX_POINTS * 3 * MAX_NUMBER;

    pub(super) fn pack(points: &[Observation]) -> Self {
        let mut bytes: SmallVec<[u8; PackedPoints::MAX_HEAP]> = SmallVec::new();
        let mut before = [0_u64; 3];
        for point in points {
            let numbers = numbers(*point);
            for (number, before) in numbers.into_iter().zip(before) {
                let mut room = [0; MAX_NUMBER];
                // Both are below 2^63, so that the difference is right whichever is greater.
                let length = number
                    .wrapping_sub(before)
                    .cast_signed()
                    .encode_var(&mut room);
                bytes.extend_from_slice(&room[..length]);
            }
            before = numbers;
        }
        Self(bytes.as_slice().into())
    }

    pub(super) fn unpack(&self) -> Points {
        let mut points = Points::new();
        let (mut bytes, mut before) = (&*self.0, [0_u64; 3]);
        while !bytes.is_empty() {
            for number in &mut before {
                let (difference, length) = i64::decode_var(bytes).unwrap_or((0, bytes.len()));
                bytes = &bytes[length..];
                *number = number.wrapping_add_signed(difference);
            }
            points.extend(observation(before));
        }
        points
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

fn numbers(point: Observation) -> [u64; 3] {
    let Observation { at, committed, end } = point;
    [at.since_epoch_ms(), committed.value(), end.value()]
}

fn observation([at, committed, end]: [u64; 3]) -> Option<Observation> {
    Some(Observation {
        at: Timestamp::new(at.try_into().ok()?)?,
        committed: Offset::new(committed.try_into().ok()?)?,
        end: Offset::new(end.try_into().ok()?)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(
            points in proptest::collection::vec((0..=i64::MAX, 0..=i64::MAX, 0..=i64::MAX), 0..MAX_POINTS),
        ) {
            let unsigned = |number: i64| u64::try_from(number).expect("it is not negative");
            let points: Points = points
                .into_iter()
                .filter_map(|(at, committed, end)| observation([at, committed, end].map(unsigned)))
                .collect();
            let packed = PackedPoints::pack(&points);
            prop_assert_eq!(packed.unpack(), points);
            prop_assert!(packed.heap_bytes() <= PackedPoints::MAX_HEAP);
        }
    }

    #[test]
    fn points_a_minute_apart_take_less_than_half_of_their_size() {
        let point = |minute: u64| {
            observation([
                1_700_000_000_000 + 60_000 * minute,
                9_000 * minute,
                9_500 * minute,
            ])
        };
        let points: Points = (100..115).filter_map(point).collect();
        let plain = points.len() * size_of::<Observation>();
        assert!(PackedPoints::pack(&points).heap_bytes() * 2 < plain);
    }
}
