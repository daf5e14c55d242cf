//! The rows of a group's partitions, in pieces that snapshots share.

use std::cmp::Ordering;
use std::iter::FusedIterator;
use std::ops::Index;
use std::sync::Arc;

use super::PartitionRow;
use crate::lag::{PartitionId, TopicName, TopicPartition};

/// How many rows a piece has: few enough that a changed row costs little, many enough that pieces do.
const PIECE: usize = 8;

/// The rows of a group's partitions, by topic and number.
///
/// Clones share what they hold, and a row that is changed afterwards makes a copy of its piece alone.
///
/// Comparing clones is cheap, too: shared pieces are equal, and are not read.
#[derive(Clone, Debug, Default)]
pub struct PartitionRows {
    /// Each is full but for the last.
    pieces: Arc<[Arc<[PartitionRow]>]>,
    /// Each topic, and the place behind its last row. With them a row is found without touching others.
    topics: Arc<[(TopicName, usize)]>,
}

/// The rows of a group's partitions of one topic, or of all.
#[derive(Clone, Copy, Debug)]
pub struct PartitionRun<'a> {
    rows: &'a PartitionRows,
    start: usize,
    end: usize,
}

impl PartitionRows {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.topics.last().map_or(0, |(_, end)| *end)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Returns the rows in order.
    pub fn iter(&self) -> impl FusedIterator<Item = &PartitionRow> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// Returns the row of a partition.
    pub fn get(&self, id: &TopicPartition) -> Option<&PartitionRow> {
        self.place(id).map(|place| &self[place])
    }

    /// Returns the place of a partition's row, from 0.
    pub fn place(&self, id: &TopicPartition) -> Option<usize> {
        let topic = self
            .topics
            .binary_search_by(|(topic, _)| topic.cmp(&id.topic));
        self.run(topic.ok()?).place(id.partition)
    }

    /// Returns the row at a place to be changed.
    ///
    /// # Panics
    ///
    /// Where the place is none of theirs. Its partition is to stay as it is.
    pub fn get_mut(&mut self, place: usize) -> &mut PartitionRow {
        let piece = &mut Arc::make_mut(&mut self.pieces)[place / PIECE];
        &mut Arc::make_mut(piece)[place % PIECE]
    }

    /// Returns them with some rows in the place of others, in order; pieces without one are shared.
    #[must_use]
    pub fn replaced(&self, rows: impl IntoIterator<Item = (usize, PartitionRow)>) -> Self {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return self.clone();
        }
        let mut start = 0;
        let pieces = self.pieces.iter().map(|piece| {
            let places = start..;
            start += PIECE;
            match rows.peek() {
                Some((place, _)) if *place < start => {
                    let piece = piece.iter().zip(places);
                    let piece =
                        piece.map(|(row, place)| match rows.next_if(|(at, _)| *at == place) {
                            Some((_, row)) => row,
                            None => row.clone(),
                        });
                    piece.collect()
                }
                Some(_) | None => Arc::clone(piece),
            }
        });
        Self {
            pieces: pieces.collect(),
            topics: Arc::clone(&self.topics),
        }
    }

    /// Returns all of them.
    pub fn all(&self) -> PartitionRun<'_> {
        PartitionRun {
            rows: self,
            start: 0,
            end: self.len(),
        }
    }

    /// Returns the rows of each topic, by name.
    pub fn by_topic(&self) -> impl Iterator<Item = (&TopicName, PartitionRun<'_>)> {
        let topics = self.topics.iter().zip(0..);
        topics.map(|((topic, _), index)| (topic, self.run(index)))
    }

    /// Returns whether both are clones of one another, and not only equal.
    #[cfg(test)]
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pieces, &other.pieces)
    }

    /// Returns the rows of one of the topics.
    fn run(&self, topic: usize) -> PartitionRun<'_> {
        let before = topic.checked_sub(1);
        PartitionRun {
            rows: self,
            start: before.map_or(0, |before| self.topics[before].1),
            end: self.topics[topic].1,
        }
    }
}

impl PartialEq for PartitionRows {
    /// Cheap where the two share what they hold, which the equality of `Arc` is not for slices.
    fn eq(&self, other: &Self) -> bool {
        let pairs = || self.pieces.iter().zip(&*other.pieces);
        Arc::ptr_eq(&self.pieces, &other.pieces)
            || self.len() == other.len()
                && pairs().all(|(one, other)| Arc::ptr_eq(one, other) || one == other)
    }
}

impl Index<usize> for PartitionRows {
    type Output = PartitionRow;

    /// Returns the row at a place.
    ///
    /// # Panics
    ///
    /// Where the place is none of theirs.
    fn index(&self, place: usize) -> &PartitionRow {
        &self.pieces[place / PIECE][place % PIECE]
    }
}

impl FromIterator<PartitionRow> for PartitionRows {
    /// Takes rows that are sorted by partition.
    fn from_iter<I: IntoIterator<Item = PartitionRow>>(rows: I) -> Self {
        let mut topics: Vec<(TopicName, usize)> = Vec::new();
        let mut len = 0;
        let mut rows = rows.into_iter().inspect(|row: &PartitionRow| {
            len += 1;
            match topics.last_mut() {
                Some((topic, end)) if *topic == row.id.topic => *end = len,
                Some(_) | None => topics.push((row.id.topic.clone(), len)),
            }
        });
        let piece = || {
            let piece: Arc<[PartitionRow]> = rows.by_ref().take(PIECE).collect();
            (!piece.is_empty()).then_some(piece)
        };
        let pieces = std::iter::from_fn(piece).collect::<Vec<_>>().into();
        Self {
            pieces,
            topics: topics.into(),
        }
    }
}

impl<'a> PartitionRun<'a> {
    /// Returns how many there are.
    pub fn len(self) -> usize {
        self.end - self.start
    }

    /// Returns whether there are none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the rows in order.
    pub fn iter(self) -> impl Iterator<Item = &'a PartitionRow> {
        self.places().map(|place| &self.rows[place])
    }

    /// Returns the places of the rows among all of the group.
    pub fn places(self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    /// Returns the place of a partition's row among all of the group; only in a run of one topic.
    pub fn place(self, partition: PartitionId) -> Option<usize> {
        let (mut start, mut end) = (self.start, self.end);
        // Most topics have their partitions one after the other, from 0.
        let likely = start + usize::try_from(partition.0).ok()?;
        if likely < end && self.rows[likely].id.partition == partition {
            return Some(likely);
        }
        while start < end {
            let middle = start.midpoint(end);
            match self.rows[middle].id.partition.cmp(&partition) {
                Ordering::Less => start = middle + 1,
                Ordering::Greater => end = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::Unavailable;

    /// Returns rows of so many partitions of each topic, a, b and so on.
    fn rows(topics: &[i32]) -> PartitionRows {
        let names = topics.iter().zip('a'..);
        let ids = names.flat_map(|(&count, name)| {
            (0..count).map(move |number| TopicPartition::new(name.to_string(), number))
        });
        ids.map(|id| PartitionRow::new(id, Err((Unavailable::Committed, None)), None))
            .collect()
    }

    #[test]
    fn they_are_told_in_order_and_found() {
        for topics in [
            &[] as &[i32],
            &[1],
            &[7],
            &[8],
            &[9],
            &[3, 16, 1],
            &[1, 1, 30],
        ] {
            let rows = rows(topics);
            let count: i32 = topics.iter().sum();
            assert_eq!(rows.len(), usize::try_from(count).expect("small"));
            assert_eq!(rows.is_empty(), count == 0);
            assert!(rows.iter().is_sorted_by_key(|row| &row.id));
            for (place, row) in rows.iter().enumerate() {
                assert_eq!(rows.place(&row.id), Some(place));
                assert_eq!(rows[place].id, row.id);
            }
            for strange in [("", 0), ("a", 99), ("z", 0)] {
                assert_eq!(rows.place(&TopicPartition::new(strange.0, strange.1)), None);
            }
            let by_topic: Vec<_> = rows.by_topic().map(|(_, run)| run.len()).collect();
            let expected: Vec<_> = topics
                .iter()
                .map(|&count| usize::try_from(count).expect("small"))
                .collect();
            assert_eq!(by_topic, expected);
            for (_, run) in rows.by_topic() {
                for place in run.places() {
                    assert_eq!(run.place(rows[place].id.partition), Some(place));
                }
                for strange in [-1, 99] {
                    assert_eq!(run.place(PartitionId(strange)), None);
                }
            }
            let told = rows.by_topic().flat_map(|(_, run)| run.iter());
            assert!(told.eq(rows.iter()));
            assert!(rows.all().iter().eq(rows.iter()));
        }
    }

    #[test]
    fn a_partition_of_a_topic_is_found_among_gaps() {
        let ids = [0, 3, 4, 9].map(|number| TopicPartition::new("t", number));
        let row = |id| PartitionRow::new(id, Err((Unavailable::Committed, None)), None);
        let rows: PartitionRows = ids.map(row).into_iter().collect();
        let places = [0, 1, 3, 4, 9].map(|number| rows.all().place(PartitionId(number)));
        assert_eq!(places, [Some(0), None, Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_change_copies_a_piece_and_leaves_clones_as_they_were() {
        let before = rows(&[3, 40]);
        let mut after = before.clone();
        assert!(after.is_shared_with(&before));
        after.get_mut(20).failure = Some(Unavailable::EndOffset);
        assert_eq!(before[20].failure, Some(Unavailable::Committed));
        assert_eq!(after[20].failure, Some(Unavailable::EndOffset));
        assert_ne!(before, after);
        let pieces = before.pieces.iter().zip(&*after.pieces);
        let copied = pieces.filter(|(one, other)| !Arc::ptr_eq(one, other));
        assert_eq!(copied.count(), 1);
        after.get_mut(20).failure = Some(Unavailable::Committed);
        assert_eq!(before, after);
    }

    #[test]
    fn replaced_rows_are_those_that_were_given() {
        let before = rows(&[3, 40]);
        assert!(before.replaced([]).is_shared_with(&before));
        for places in [&[0_usize] as &[usize], &[42], &[7, 8], &[0, 1, 17, 40]] {
            let row = |&place: &usize| {
                let mut row = before[place].clone();
                row.failure = Some(Unavailable::EndOffset);
                (place, row)
            };
            let after = before.replaced(places.iter().map(row));
            let mut expected = before.clone();
            for &place in places {
                expected.get_mut(place).failure = Some(Unavailable::EndOffset);
            }
            assert_eq!(after, expected, "{places:?}");
            let pieces = before.pieces.iter().zip(&*after.pieces);
            let made = pieces.filter(|(one, other)| !Arc::ptr_eq(one, other));
            let changed = places.chunk_by(|one, next| one / PIECE == next / PIECE);
            assert_eq!(made.count(), changed.count(), "{places:?}");
        }
    }
}
