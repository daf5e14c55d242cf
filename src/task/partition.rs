//! One partition as the task consumer works through it. Pure: `now` is an argument.
//!
//! Records wait in offset order; some are in progress; what failed goes back to the front and is not overtaken.
//! [`Partition::position`] is the offset that may be committed: everything below it is done, nothing above.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::kafka::ConsumerRecord;
use crate::lag::Offset;

/// The records of one assigned partition between Kafka and the processing step.
#[derive(Debug, Default)]
pub(super) struct Partition {
    waiting: VecDeque<ConsumerRecord>,
    in_progress: usize,
    trouble: Option<Trouble>,
    position: Option<Offset>,
    committed: Option<Offset>,
    end: End,
}

/// Why the first waiting record is not simply the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// It failed `attempts` times and may be tried again.
    Retry { attempts: u32, at: Instant },
    /// It failed for good and is written to the dead-letter topic.
    DeadLetter,
}

/// What is known of the partition's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Ahead,
    /// Kafka has nothing more; the buffer may still hold something.
    Fetched,
    /// Reported once; again only after more records came.
    Reported,
}

/// Records to be processed, until [`Partition::settle`] is called.
#[derive(Debug)]
pub(super) struct Taken {
    /// In offset order, at least one.
    pub(super) records: Vec<ConsumerRecord>,
    /// The number of the first record's attempt, from 1. It is 1 for the others.
    pub(super) attempt: u32,
}

impl Partition {
    /// Adds records behind those that wait.
    pub(super) fn push(&mut self, records: Vec<ConsumerRecord>) {
        self.end = End::Ahead;
        self.waiting.extend(records);
    }

    /// Notes that Kafka has no more records after those pushed.
    pub(super) fn reach_end(&mut self) {
        if self.end == End::Ahead {
            self.end = End::Fetched;
        }
    }

    /// Returns true once each time everything up to the partition's end is done.
    pub(super) fn report_end(&mut self) -> bool {
        let done = self.end == End::Fetched && self.waiting.is_empty() && self.in_progress == 0;
        if done {
            self.end = End::Reported;
        }
        done
    }

    /// Takes up to `limit` records; `None` while some are in progress, or while a failed one waits for its time.
    ///
    /// A record that is tried again is taken alone.
    pub(super) fn take(&mut self, now: Instant, limit: usize) -> Option<Taken> {
        if self.in_progress > 0 || self.waiting.is_empty() || limit == 0 {
            return None;
        }
        let (count, attempt) = match self.trouble {
            None => (self.waiting.len().min(limit), 1),
            Some(Trouble::Retry { attempts, at }) if at <= now => (1, attempts + 1),
            Some(_) => return None,
        };
        self.in_progress = count;
        Some(Taken {
            records: self.waiting.drain(..count).collect(),
            attempt,
        })
    }

    /// Ends what [`Self::take`] started: everything below `done` is done, `rest` goes back to the front, untried.
    pub(super) fn settle(&mut self, done: Option<Offset>, rest: Vec<ConsumerRecord>) {
        self.in_progress = 0;
        if let Some(done) = done {
            self.position = Some(done);
            self.trouble = None;
        }
        for record in rest.into_iter().rev() {
            self.waiting.push_front(record);
        }
    }

    /// Holds the partition: its first waiting record failed `attempts` times and is tried again after `delay`.
    pub(super) fn retry_after(&mut self, attempts: u32, delay: Duration, now: Instant) {
        self.trouble = Some(Trouble::Retry {
            attempts,
            at: now + delay,
        });
    }

    /// Holds the partition until its first waiting record is in the dead-letter topic.
    pub(super) fn give_up(&mut self) {
        self.trouble = Some(Trouble::DeadLetter);
    }

    /// Moves on behind the record at `offset` if it is the one that failed for good: it is safe in the dead-letter topic.
    pub(super) fn dead_lettered(&mut self, offset: Offset) -> bool {
        let first = self.waiting.front();
        let Some(record) = first.filter(|record| record.offset == offset) else {
            return false;
        };
        if self.trouble != Some(Trouble::DeadLetter) {
            return false;
        }
        self.position = Some(record.next_offset());
        self.waiting.pop_front();
        self.trouble = None;
        true
    }

    /// Returns when the record that failed may be tried again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        match self.trouble? {
            Trouble::Retry { at, .. } => Some(at),
            Trouble::DeadLetter => None,
        }
    }

    /// Returns the offset to commit: the one after the last record that is done, if any is.
    pub(super) fn position(&self) -> Option<Offset> {
        self.position
    }

    /// Returns the offset to commit, if it is not the one committed already.
    pub(super) fn uncommitted(&self) -> Option<Offset> {
        self.position
            .filter(|position| self.committed != Some(*position))
    }

    /// Notes a commit that Kafka has confirmed.
    pub(super) fn committed(&mut self, offset: Offset) {
        self.committed = Some(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ConsumerRecord;

    fn records(offsets: impl IntoIterator<Item = u64>) -> Vec<ConsumerRecord> {
        offsets.into_iter().map(ConsumerRecord::at_offset).collect()
    }

    fn offsets(taken: &Taken) -> Vec<u64> {
        taken
            .records
            .iter()
            .map(|record| record.offset.value())
            .collect()
    }

    fn offset(value: i64) -> Option<Offset> {
        Offset::new(value)
    }

    #[test]
    fn records_are_taken_in_order_and_only_once() {
        let now = Instant::now();
        let mut partition = Partition::default();
        partition.push(records(0..5));
        let taken = partition.take(now, 3).expect("five wait");
        assert_eq!(offsets(&taken), [0, 1, 2]);
        assert!(partition.take(now, 3).is_none(), "three are in progress");
        partition.settle(offset(3), Vec::new());
        assert_eq!(offsets(&partition.take(now, 9).expect("two wait")), [3, 4]);
    }

    #[test]
    fn nothing_overtakes_a_failed_record_until_it_is_done() {
        let now = Instant::now();
        let mut partition = Partition::default();
        partition.push(records(0..4));
        let mut taken = partition.take(now, 4).expect("four wait");
        let rest = taken.records.split_off(1);
        partition.settle(offset(1), rest);
        partition.retry_after(1, Duration::from_secs(1), now);
        assert!(partition.take(now, 4).is_none(), "waiting for its time");
        assert_eq!(partition.position(), offset(1), "not past what failed");

        let later = now + Duration::from_secs(1);
        let again = partition.take(later, 4).expect("its time has come");
        assert_eq!((offsets(&again), again.attempt), (vec![1], 2));
        partition.settle(offset(2), Vec::new());
        let rest = partition.take(later, 4).expect("two wait");
        assert_eq!((offsets(&rest), rest.attempt), (vec![2, 3], 1));
    }

    #[test]
    fn the_position_moves_past_a_dead_letter_only_when_it_is_written() {
        let now = Instant::now();
        let mut partition = Partition::default();
        partition.push(records(7..9));
        let taken = partition.take(now, 1).expect("two wait");
        partition.settle(None, taken.records);
        partition.give_up();
        assert!(partition.take(now + Duration::from_secs(99), 1).is_none());
        assert_eq!(partition.position(), None);
        let at = |value| Offset::new(value).expect("not negative");
        assert!(!partition.dead_lettered(at(6)), "another record");
        assert!(partition.dead_lettered(at(7)));
        assert!(!partition.dead_lettered(at(8)), "it is not given up");
        assert_eq!(partition.position(), offset(8));
        assert_eq!(offsets(&partition.take(now, 1).expect("one waits")), [8]);
    }

    #[test]
    fn an_interrupted_batch_goes_back_untried_and_in_order() {
        let now = Instant::now();
        let mut partition = Partition::default();
        partition.push(records(0..3));
        let mut taken = partition.take(now, 3).expect("three wait");
        partition.push(records(3..5));
        let rest = taken.records.split_off(1);
        partition.settle(offset(1), rest);
        assert_eq!(
            offsets(&partition.take(now, 9).expect("four wait")),
            [1, 2, 3, 4]
        );
    }

    #[test]
    fn a_commit_is_due_until_that_very_position_is_confirmed() {
        let mut partition = Partition::default();
        assert_eq!(partition.uncommitted(), None);
        partition.settle(offset(4), Vec::new());
        assert_eq!(partition.uncommitted(), offset(4));
        partition.settle(offset(6), Vec::new());
        partition.committed(Offset::new(4).expect("not negative"));
        assert_eq!(partition.uncommitted(), offset(6));
        partition.committed(Offset::new(6).expect("not negative"));
        assert_eq!(partition.uncommitted(), None);
    }

    #[test]
    fn the_end_is_reported_once_for_each_time_it_is_caught_up_with() {
        let now = Instant::now();
        let mut partition = Partition::default();
        partition.reach_end();
        assert!(partition.report_end(), "an empty partition is at its end");
        partition.reach_end();
        assert!(!partition.report_end());
        partition.push(records(0..1));
        partition.reach_end();
        assert!(!partition.report_end(), "one record waits");
        partition.take(now, 1).expect("one waits");
        assert!(!partition.report_end(), "it is in progress");
        partition.settle(offset(1), Vec::new());
        assert!(partition.report_end());
        assert!(!partition.report_end());
    }
}
