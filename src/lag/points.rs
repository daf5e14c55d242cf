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

/// The most bytes of one observation.
const MAX_STEP: usize = 3 * MAX_NUMBER;

/// Observations as they are worked with, the oldest first.
pub(super) type Points = SmallVec<[Observation; MAX_POINTS]>;

/// Observations as they are kept, the oldest first: of each its time, commit and end, as differences from the one before (from
/// zero for the oldest), in the variable-length encoding of Protocol Buffers. 7 to 9 bytes an observation, which takes 24
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PackedPoints {
    steps: Vec<u8>,
    newest: Option<Observation>,
    len: usize,
}

impl PackedPoints {
    /// The most memory that [`MAX_POINTS`] take, in bytes.
    pub(super) const MAX_HEAP: usize = MAX_POINTS * MAX_STEP;

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, point: Observation) {
        let before = self.newest.map_or([0; 3], numbers);
        let step = step(before, numbers(point));
        // Spare capacity would take more memory than the points themselves, in each of a million partitions.
        self.steps.reserve_exact(step.len());
        self.steps.extend_from_slice(&step);
        self.newest = Some(point);
        self.len += 1;
    }

    pub(super) fn oldest(&self) -> Option<Observation> {
        observation(read_step(&mut &*self.steps, [0; 3])?)
    }

    /// Removes the oldest.
    pub(super) fn pop_oldest(&mut self) {
        let mut rest = &*self.steps;
        let Some(oldest) = read_step(&mut rest, [0; 3]) else {
            return;
        };
        let next = read_step(&mut rest, oldest);
        let first = next.map(|next| step([0; 3], next)).unwrap_or_default();
        let mut steps = Vec::with_capacity(first.len() + rest.len());
        steps.extend_from_slice(&first);
        steps.extend_from_slice(rest);
        self.steps = steps;
        self.len -= 1;
        self.newest = self.newest.filter(|_| self.len > 0);
    }

    pub(super) fn unpack(&self) -> Points {
        let (mut steps, mut before) = (&*self.steps, [0; 3]);
        let mut points = Points::new();
        while let Some(numbers) = read_step(&mut steps, before) {
            points.extend(observation(numbers));
            before = numbers;
        }
        points
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.steps.capacity()
    }
}

impl FromIterator<Observation> for PackedPoints {
    fn from_iter<I: IntoIterator<Item = Observation>>(points: I) -> Self {
        let mut packed = Self::default();
        points.into_iter().for_each(|point| packed.push(point));
        packed
    }
}

fn step(before: [u64; 3], numbers: [u64; 3]) -> SmallVec<[u8; MAX_STEP]> {
    let mut step = SmallVec::new();
    for (number, before) in numbers.into_iter().zip(before) {
        let mut room = [0; MAX_NUMBER];
        // Both are below 2^63, so that the difference is right whichever is greater.
        let difference = number.wrapping_sub(before).cast_signed();
        let length = difference.encode_var(&mut room);
        step.extend_from_slice(&room[..length]);
    }
    step
}

/// Returns the numbers of the next observation; nothing at the end.
fn read_step(steps: &mut &[u8], mut numbers: [u64; 3]) -> Option<[u64; 3]> {
    for number in &mut numbers {
        let (difference, length) = i64::decode_var(steps)?;
        *steps = &steps[length..];
        *number = number.wrapping_add_signed(difference);
    }
    Some(numbers)
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
            let mut packed: PackedPoints = points.iter().copied().collect();
            for gone in 0..=points.len() {
                prop_assert_eq!(&packed.unpack()[..], &points[gone..]);
                prop_assert_eq!(packed.oldest(), points.get(gone).copied());
                prop_assert_eq!(packed.len(), points.len() - gone);
                prop_assert!(packed.heap_bytes() <= PackedPoints::MAX_HEAP);
                packed.pop_oldest();
            }
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
        let packed: PackedPoints = points.into_iter().collect();
        assert!(packed.steps.len() * 2 < plain);
    }
}
