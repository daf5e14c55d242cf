//! How far each partition of `__consumer_offsets` was read, and whether that is far enough to rely on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::lag::{Offset, PartitionId, partition_of};

/// How long a partition may take to be read up to an end that was seen. A transaction that holds its offsets open, or
/// a leader that is away, takes longer: then coordinators are asked instead.
const PATIENCE: Duration = Duration::from_secs(3);

/// The partitions and how far each was read.
#[derive(Debug, Default)]
pub(super) struct Progress {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// The offset that will be read next; nothing while the partition is not being read.
    position: Option<Offset>,
    /// An end that was seen, and when, which the reading may not have reached yet.
    goal: Option<(Offset, Instant)>,
    /// The end that has to be reached first: what coordinators said before it was seen has been shown already.
    resume: Option<Offset>,
    sight: Sight,
    usage: Usage,
    survey: Survey,
}

/// Whether the groups of a partition were all listed since it is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Survey {
    #[default]
    Pending,
    Done,
}

/// Whether a partition holds groups that are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Usage {
    #[default]
    Read,
    LeftOut,
}

/// Whether the end of a partition could be seen the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sight {
    #[default]
    Lost,
    Clear,
}

/// Whether the groups of a partition can be told by its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// They can: all that was written up to a moment ago was read.
    Live,
    /// They cannot.
    Behind,
}

impl Progress {
    /// Returns the progress of so many partitions, none of which is being read.
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            parts: vec![Part::default(); partitions],
        }
    }

    /// Leaves out every partition that is not wanted, and takes in the others. Returns those that are to be read no
    /// longer.
    pub(super) fn restrict(&mut self, is_wanted: impl Fn(PartitionId) -> bool) -> Vec<PartitionId> {
        let mut stopped = Vec::new();
        for (id, part) in (0..).map(PartitionId).zip(&mut self.parts) {
            let usage = if is_wanted(id) {
                Usage::Read
            } else {
                Usage::LeftOut
            };
            if usage == Usage::LeftOut && part.position.is_some() {
                stopped.push(id);
            }
            if usage != part.usage {
                *part = Part {
                    usage,
                    ..Part::default()
                };
            }
        }
        stopped
    }

    /// Tells whether a partition is to be read.
    pub(super) fn wants(&self, partition: PartitionId) -> bool {
        self.part(partition)
            .is_some_and(|part| part.usage == Usage::Read)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Returns the partition that holds a group.
    pub(super) fn partition_of(&self, group: &str) -> PartitionId {
        partition_of(group, self.parts.len())
    }

    /// Returns the partitions that are not being read.
    pub(super) fn unread(&self) -> Vec<PartitionId> {
        let unread = (0..).map(PartitionId).zip(&self.parts);
        unread
            .filter(|(_, part)| part.position.is_none() && part.usage == Usage::Read)
            .map(|(id, _)| id)
            .collect()
    }

    /// Notes that a partition is being read from an offset.
    pub(super) fn begin(&mut self, partition: PartitionId, at: Offset) {
        if let Some(part) = self.part_mut(partition) {
            *part = Part {
                position: Some(at),
                ..*part
            };
        }
    }

    /// Notes that a partition is no longer being read.
    pub(super) fn lose(&mut self, partition: PartitionId) {
        if let Some(part) = self.part_mut(partition) {
            *part = Part {
                usage: part.usage,
                ..Part::default()
            };
        }
    }

    /// Notes that all groups were listed: one that is not known by now has yet to come.
    pub(super) fn survey(&mut self) {
        for part in &mut self.parts {
            if part.position.is_some() {
                part.survey = Survey::Done;
            }
        }
    }

    /// Tells whether every group of the partition that there was when it was begun has been listed.
    pub(super) fn is_surveyed(&self, partition: PartitionId) -> bool {
        self.part(partition)
            .is_some_and(|part| part.survey == Survey::Done)
    }

    /// Notes that everything before `next` was read. Returns whether that is news: what was read before is not again.
    pub(super) fn advance(&mut self, partition: PartitionId, next: Offset) -> bool {
        let Some(part) = self.part_mut(partition) else {
            return false;
        };
        match &mut part.position {
            Some(position) if *position < next => {
                *position = next;
                true
            }
            _ => false,
        }
    }

    /// Notes where the partitions end, after coordinators were asked about the groups of those that are behind. Those
    /// that are missing could not be asked.
    pub(super) fn see_ends(&mut self, ends: &BTreeMap<PartitionId, Offset>, now: Instant) {
        for (id, part) in (0..).map(PartitionId).zip(&mut self.parts) {
            let Some(end) = ends.get(&id) else {
                part.sight = Sight::Lost;
                continue;
            };
            if part.standing(now) == Standing::Behind {
                part.resume = Some(*end);
            }
            part.sight = Sight::Clear;
            let is_reached = part
                .goal
                .is_none_or(|(goal, _)| part.position.is_some_and(|position| goal <= position));
            // One that is not reached stays, so that its age shows.
            if is_reached {
                part.goal = Some((*end, now));
            }
        }
    }

    /// Returns the offset that will be read next, where the groups of the partition can be told by its records.
    pub(super) fn live_position(&self, partition: PartitionId, now: Instant) -> Option<Offset> {
        let part = self.part(partition)?;
        let position = part.position?;
        (part.standing(now) == Standing::Live).then_some(position)
    }

    /// Returns how many partitions are live, and how many are not.
    pub(super) fn standings(&self, now: Instant) -> (usize, usize) {
        let read = self.parts.iter().filter(|part| part.usage == Usage::Read);
        let (live, behind): (Vec<&Part>, Vec<&Part>) =
            read.partition(|part| part.standing(now) == Standing::Live);
        (live.len(), behind.len())
    }

    fn part(&self, partition: PartitionId) -> Option<&Part> {
        self.parts.get(usize::try_from(partition.0).ok()?)
    }

    fn part_mut(&mut self, partition: PartitionId) -> Option<&mut Part> {
        self.parts.get_mut(usize::try_from(partition.0).ok()?)
    }
}

impl Part {
    fn standing(&self, now: Instant) -> Standing {
        let Some(position) = self.position else {
            return Standing::Behind;
        };
        let is_late = self.goal.is_none_or(|(goal, seen)| {
            position < goal && now.saturating_duration_since(seen) > PATIENCE
        });
        let is_back = self.resume.is_none_or(|resume| resume <= position);
        if self.sight == Sight::Lost || is_late || !is_back {
            Standing::Behind
        } else {
            Standing::Live
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: PartitionId = PartitionId(0);

    fn at(offset: i64) -> Offset {
        Offset::new(offset).expect("not negative")
    }

    fn ends(end: i64) -> BTreeMap<PartitionId, Offset> {
        [(P, at(end))].into()
    }

    #[test]
    fn a_partition_is_live_while_it_follows_its_end() {
        let start = Instant::now();
        let mut progress = Progress::new(1);
        assert_eq!(progress.live_position(P, start), None);
        progress.begin(P, at(10));
        progress.see_ends(&ends(12), start);
        assert_eq!(progress.live_position(P, start), None);
        progress.advance(P, at(12));
        assert_eq!(progress.live_position(P, start), Some(at(12)));
        let later = start + 2 * PATIENCE;
        assert_eq!(progress.live_position(P, later), Some(at(12)));
        progress.see_ends(&ends(15), later);
        assert_eq!(progress.live_position(P, later + PATIENCE), Some(at(12)));
    }

    #[test]
    fn a_partition_whose_end_it_does_not_reach_in_time_is_behind_until_it_does() {
        let start = Instant::now();
        let mut progress = Progress::new(1);
        progress.begin(P, at(10));
        progress.see_ends(&ends(12), start);
        let late = start + 2 * PATIENCE;
        assert_eq!(progress.live_position(P, late), None);
        // A newer end does not make it younger, and coordinators have told what lies before that.
        progress.see_ends(&ends(20), late);
        assert_eq!(progress.live_position(P, late), None);
        progress.advance(P, at(12));
        assert_eq!(progress.live_position(P, late), None);
        progress.advance(P, at(20));
        assert_eq!(progress.live_position(P, late), Some(at(20)));
        progress.see_ends(&ends(21), late);
        assert_eq!(progress.live_position(P, late), Some(at(20)));
    }

    #[test]
    fn a_partition_whose_end_cannot_be_seen_is_behind() {
        let now = Instant::now();
        let mut progress = Progress::new(1);
        progress.begin(P, at(10));
        progress.see_ends(&ends(10), now);
        assert_eq!(progress.live_position(P, now), Some(at(10)));
        progress.see_ends(&BTreeMap::new(), now);
        assert_eq!(progress.live_position(P, now), None);
        progress.see_ends(&ends(15), now);
        assert_eq!(progress.live_position(P, now), None);
        progress.advance(P, at(15));
        assert_eq!(progress.live_position(P, now), Some(at(15)));
        progress.see_ends(&BTreeMap::new(), now);
        assert_eq!(progress.standings(now), (0, 1));
    }

    #[test]
    fn partitions_without_a_watched_group_are_left_out() {
        let mut progress = Progress::new(50);
        progress.begin(P, at(0));
        assert_eq!(progress.restrict(|id| id == PartitionId(47)), [P]);
        assert_eq!(progress.unread(), [PartitionId(47)]);
        assert!(progress.wants(PartitionId(47)) && !progress.wants(PartitionId(0)));
        assert_eq!(progress.standings(Instant::now()), (0, 1));
    }

    #[test]
    fn what_was_read_before_is_no_news() {
        let mut progress = Progress::new(1);
        assert!(!progress.advance(P, at(1)), "it is not being read");
        progress.begin(P, at(10));
        assert!(progress.advance(P, at(11)));
        assert!(!progress.advance(P, at(11)));
        assert!(!progress.advance(P, at(5)));
        progress.survey();
        assert!(progress.is_surveyed(P));
        progress.lose(P);
        assert_eq!(progress.unread(), [P]);
        progress.survey();
        assert!(!progress.is_surveyed(P), "it is not being read");
    }
}
