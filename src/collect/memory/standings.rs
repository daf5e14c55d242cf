//! Where one group stands on its partitions, and for which of them the age of the first pending record is still searched.

use std::time::Duration;

use crate::collect::places::{Map, place, retain_shown};
use crate::lag::{Asker, History, IndexAnswer, Offset, Standing, Timestamp, TopicPartition, Wait};
use crate::snapshot::PartitionRows;

/// What was asked of a partition in one round, and what was answered.
pub(super) type IndexAnswers = Map<TopicPartition, Vec<(Timestamp, IndexAnswer)>>;

/// Where a group stands on its partitions.
///
/// On most partitions of a large group the age is known well enough. They are skipped until the group moves.
#[derive(Debug, Default)]
pub(in crate::collect) struct Standings {
    /// Sorted.
    by_partition: Vec<(TopicPartition, Standing)>,
    /// The places of those whose ages are not known well enough, sorted.
    open: Vec<usize>,
    /// The places of those that were open when brokers were last asked, sorted.
    asked: Vec<usize>,
    /// Whether partitions were added or removed since, so that the places in `open` and `asked` are wrong.
    have_shifted: bool,
}

/// Where a group reads next, and the end of what it may read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) next: Offset,
    /// Exclusive.
    pub(super) end: Offset,
}

impl Standings {
    /// Updates where the group stands on a partition, which is looked up at `hint` first; `log` returns the history of its log.
    /// Removes the partition where there is no position or no history.
    pub(super) fn update<'a>(
        &mut self,
        (id, hint): (&TopicPartition, usize),
        position: Option<Position>,
        log: impl FnOnce() -> Option<(&'a TopicPartition, &'a History)>,
    ) {
        let place = place(&self.by_partition, id, hint);
        if let (Ok(place), Some(Position { next, end })) = (place, position)
            && end <= next
            && self.by_partition[place].1.is_caught_up_at(next)
        {
            return;
        }
        match (place, position.zip(log())) {
            (Ok(place), Some((Position { next, end }, (_, history)))) => {
                let standing = &mut self.by_partition[place].1;
                let earlier = std::mem::replace(standing, Standing::CaughtUp { at: next });
                *standing = Standing::of(next, end, history, Some(earlier));
                self.open(place);
            }
            (Err(place), Some((Position { next, end }, (id, history)))) => {
                let standing = Standing::of(next, end, history, None);
                // The log's own name: one allocation for all groups.
                self.by_partition.insert(place, (id.clone(), standing));
                self.have_shifted = true;
            }
            (Ok(place), None) => {
                self.by_partition.remove(place);
                self.have_shifted = true;
            }
            (Err(_), None) => {}
        }
    }

    /// Returns since when the first unconsumed record of a partition is pending; nothing without a commit. The partition is
    /// looked up at `hint` first.
    pub(in crate::collect) fn wait(&self, id: &TopicPartition, hint: usize) -> Option<Wait> {
        let place = place(&self.by_partition, id, hint).ok()?;
        Some(self.by_partition[place].1.wait())
    }

    /// Returns whether brokers were asked about a partition in this cycle: its wait may have changed although the group has not
    /// moved.
    pub(in crate::collect) fn was_asked(&self, id: &TopicPartition) -> bool {
        let by_id = |asked: &usize| self.by_partition[*asked].0.cmp(id);
        self.have_shifted || self.asked.binary_search_by(by_id).is_ok()
    }

    /// Returns the partitions that brokers were asked about in this cycle; nothing where these are not known.
    pub(in crate::collect) fn asked(&self) -> Option<impl Iterator<Item = &TopicPartition>> {
        let asked = self.asked.iter().map(|place| &self.by_partition[*place].0);
        (!self.have_shifted).then_some(asked)
    }

    /// Starts the questions of one cycle, which are asked in one round or several.
    pub(super) fn begin_asking(&mut self) {
        if std::mem::take(&mut self.have_shifted) {
            let standings = self.by_partition.iter().zip(0..);
            let behind = standings.filter(|((_, standing), _)| is_behind(standing));
            self.open = behind.map(|(_, place)| place).collect();
        }
        self.asked.clone_from(&self.open);
    }

    /// Passes the questions of one round to `ask`, and closes the partitions that have none.
    pub(super) fn ask(
        &mut self,
        now: Timestamp,
        poll_interval: Duration,
        mut ask: impl FnMut(&TopicPartition, Timestamp),
    ) {
        debug_assert!(!self.have_shifted, "asking has begun");
        let by_partition = &mut self.by_partition;
        self.open.retain(|&place| {
            let (id, standing) = &mut by_partition[place];
            let question = standing.question(now, poll_interval);
            question.is_some_and(|question| {
                ask(id, question);
                true
            })
        });
    }

    /// Applies the answers of one round. An answer to another group's question on the same partition helps, too.
    pub(super) fn answer(
        &mut self,
        answers: &IndexAnswers,
        now: Timestamp,
        poll_interval: Duration,
    ) {
        debug_assert!(!self.have_shifted, "asking has begun");
        for &place in &self.open {
            let (id, standing) = &mut self.by_partition[place];
            let Some(answers) = answers.get(id) else {
                continue;
            };
            let question = standing.question(now, poll_interval);
            let (own, others): (Vec<_>, Vec<_>) = answers
                .iter()
                .copied()
                .partition(|(asked, _)| Some(*asked) == question);
            // Its own first: after another's it would have asked for something else.
            for (asked, answer) in own {
                standing.answer(asked, answer, Asker::Itself);
            }
            for (asked, answer) in others {
                standing.answer(asked, answer, Asker::Another);
            }
        }
    }

    /// Opens all pending partitions again: after the clock was set back, an interval may no longer be narrow enough.
    pub(super) fn reopen(&mut self) {
        self.have_shifted = true;
    }

    /// Returns the offset of the first unconsumed record of each partition.
    pub(super) fn positions(&self) -> impl Iterator<Item = (&TopicPartition, Offset)> {
        let standings = self.by_partition.iter();
        standings.map(|(id, standing)| (id, standing.position()))
    }

    /// Forgets the partitions that are not shown.
    pub(super) fn retain_shown(&mut self, shown: &PartitionRows) {
        let before = self.by_partition.len();
        retain_shown(&mut self.by_partition, shown);
        self.have_shifted |= self.by_partition.len() != before;
    }

    /// Forgets partitions.
    pub(super) fn forget(&mut self, is_forgotten: impl Fn(&TopicPartition) -> bool) {
        let before = self.by_partition.len();
        self.by_partition.retain(|(id, _)| !is_forgotten(id));
        self.have_shifted |= self.by_partition.len() != before;
    }

    fn open(&mut self, place: usize) {
        if !self.have_shifted
            && is_behind(&self.by_partition[place].1)
            && let Err(index) = self.open.binary_search(&place)
        {
            self.open.insert(index, place);
        }
    }
}

fn is_behind(standing: &Standing) -> bool {
    matches!(standing, Standing::Behind(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::Sighting;

    const POLL_INTERVAL: Duration = Duration::from_secs(10);

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second * 1_000).expect("tests use times after the epoch")
    }

    fn offset(raw: i64) -> Offset {
        Offset::new(raw).expect("tests use offsets from 0")
    }

    fn id(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    /// A log whose end was 100 when it was first seen, at second 1,000.
    fn log() -> History {
        History::new(Sighting {
            end: offset(100),
            asked_at: at(1_000),
            answered_at: at(1_000),
        })
    }

    /// Lets the group stand at `next` on a partition of such a log.
    fn update(standings: &mut Standings, number: i32, next: i64) {
        let (id, log) = (id(number), log());
        let position = Position {
            next: offset(next),
            end: offset(100),
        };
        standings.update((&id, 0), Some(position), || Some((&id, &log)));
    }

    /// Returns the partitions that brokers are asked about in one round at second 2,000.
    fn asked(standings: &mut Standings) -> Vec<i32> {
        let mut asked = Vec::new();
        standings.ask(at(2_000), POLL_INTERVAL, |id, _| {
            asked.push(id.partition.0);
        });
        asked
    }

    fn standings(positions: &[(i32, i64)]) -> Standings {
        let mut standings = Standings::default();
        for &(number, next) in positions {
            update(&mut standings, number, next);
        }
        standings.begin_asking();
        standings
    }

    /// Answers every question with a record at the offset 50 of second 900, which is that of a group that stands there.
    fn answer(standings: &mut Standings, number: i32) {
        let record = IndexAnswer::Record {
            offset: offset(50),
            timestamp: at(900),
        };
        let answers = [(id(number), vec![(Timestamp::EPOCH, record)])];
        standings.answer(&answers.into_iter().collect(), at(2_000), POLL_INTERVAL);
    }

    #[test]
    fn brokers_are_asked_until_the_age_is_known_and_only_where_records_wait() {
        let mut standings = standings(&[(0, 100), (1, 50), (2, 50)]);
        assert_eq!(asked(&mut standings), [1, 2]);
        let bound = standings.wait(&id(1), 0);
        answer(&mut standings, 1);
        assert_ne!(standings.wait(&id(1), 0), bound);
        assert_eq!(asked(&mut standings), [2]);
        // A partition that was asked about is checked in this cycle, and not in the next one.
        assert_eq!(
            [0, 1, 2].map(|number| standings.was_asked(&id(number))),
            [false, true, true]
        );
        standings.begin_asking();
        assert_eq!(
            [0, 1, 2].map(|number| standings.was_asked(&id(number))),
            [false, false, true]
        );
    }

    #[test]
    fn a_group_that_moves_is_asked_about_again() {
        let mut standings = standings(&[(0, 50), (1, 100)]);
        assert_eq!(asked(&mut standings), [0]);
        answer(&mut standings, 0);
        assert_eq!(asked(&mut standings), [0; 0]);
        for (number, next) in [(0, 60), (0, 60), (1, 70)] {
            update(&mut standings, number, next);
        }
        standings.begin_asking();
        assert_eq!(asked(&mut standings), [0, 1]);
        update(&mut standings, 0, 100);
        assert_eq!(asked(&mut standings), [1]);
    }

    #[test]
    fn partitions_that_come_and_go_leave_the_others_where_they_are() {
        let mut standings = standings(&[(1, 50), (3, 50), (5, 50)]);
        update(&mut standings, 2, 40);
        let waits =
            |standings: &Standings| [1, 2, 3, 5].map(|number| standings.wait(&id(number), 0));
        let before = waits(&standings);
        assert!(
            standings.was_asked(&id(5)),
            "its place is not known until questions are asked again"
        );
        standings.begin_asking();
        assert_eq!(asked(&mut standings), [1, 2, 3, 5]);
        standings.forget(|id| id.partition.0 == 1);
        standings.begin_asking();
        assert_eq!(asked(&mut standings), [2, 3, 5]);
        assert_eq!(waits(&standings)[1..], before[1..]);
        standings.update((&id(2), 0), None, || None);
        standings.begin_asking();
        assert_eq!(asked(&mut standings), [3, 5]);
        assert_eq!(waits(&standings)[2..], before[2..]);
        let positions: Vec<_> = standings
            .positions()
            .map(|(id, at)| (id.partition.0, at.value()))
            .collect();
        assert_eq!(positions, [(3, 50), (5, 50)]);
    }
}
