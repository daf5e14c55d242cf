//! How far each partition of `__consumer_offsets` was read, and whether that is far enough to know its groups.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::lag::{Offset, PartitionId, partition_of};

/// How long a partition may take to be read up to a listed end. An open transaction that holds offsets, or an
/// unreachable leader, takes longer: then coordinators are asked instead.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(3);

/// The partitions and how far each was read.
#[derive(Debug, Default)]
pub(super) struct TopicProgress {
    partitions: Vec<PartitionProgress>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PartitionProgress {
    /// The offset that will be read next; nothing while the partition is not being read.
    position: Option<Offset>,
    /// A listed end, and when it was listed. The position may be before it.
    goal: Option<(Offset, Instant)>,
    /// The end to reach before records replace coordinators again: their answers from before it was listed have been
    /// shown already.
    resume: Option<Offset>,
    /// Whether the newest request for its end succeeded.
    is_end_known: bool,
    /// Whether it holds no groups that are watched.
    is_left_out: bool,
    /// Whether all its groups were listed since its reading started.
    has_listed_groups: bool,
}

impl TopicProgress {
    /// Returns the progress of N partitions, none of which is being read.
    pub(super) fn new(partitions: usize) -> Self {
        Self {
            partitions: vec![PartitionProgress::default(); partitions],
        }
    }

    /// Leaves out every partition that is not wanted, and includes the others. Returns those whose reading has to stop.
    pub(super) fn restrict(&mut self, is_wanted: impl Fn(PartitionId) -> bool) -> Vec<PartitionId> {
        let mut stopped = Vec::new();
        for (id, progress) in (0..).map(PartitionId).zip(&mut self.partitions) {
            let is_left_out = !is_wanted(id);
            if is_left_out && progress.position.is_some() {
                stopped.push(id);
            }
            if is_left_out != progress.is_left_out {
                *progress = PartitionProgress {
                    is_left_out,
                    ..PartitionProgress::default()
                };
            }
        }
        stopped
    }

    /// Returns whether a partition is to be read.
    pub(super) fn is_wanted(&self, partition: PartitionId) -> bool {
        self.of(partition)
            .is_some_and(|progress| !progress.is_left_out)
    }

    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Returns the partition that holds a group.
    pub(super) fn partition_of(&self, group: &str) -> PartitionId {
        partition_of(group, self.partitions.len())
    }

    /// Returns the partitions that are to be read, but are not being read yet.
    pub(super) fn unread(&self) -> Vec<PartitionId> {
        let unread = (0..).map(PartitionId).zip(&self.partitions);
        unread
            .filter(|(_, progress)| progress.position.is_none() && !progress.is_left_out)
            .map(|(id, _)| id)
            .collect()
    }

    /// Notes that a partition is being read from an offset.
    pub(super) fn start(&mut self, partition: PartitionId, at: Offset) {
        if let Some(progress) = self.of_mut(partition) {
            progress.position = Some(at);
        }
    }

    /// Notes that a partition is no longer being read.
    pub(super) fn stop(&mut self, partition: PartitionId) {
        if let Some(progress) = self.of_mut(partition) {
            *progress = PartitionProgress {
                is_left_out: progress.is_left_out,
                ..PartitionProgress::default()
            };
        }
    }

    /// Notes that all groups were listed: one that is not known by now will be created later.
    pub(super) fn note_group_listing(&mut self) {
        for progress in &mut self.partitions {
            progress.has_listed_groups |= progress.position.is_some();
        }
    }

    /// Returns whether every group that the partition held when its reading started has been listed.
    pub(super) fn has_listed_groups(&self, partition: PartitionId) -> bool {
        self.of(partition)
            .is_some_and(|progress| progress.has_listed_groups)
    }

    /// Notes that everything before `next` was read. Returns whether the position moved: records may be read twice.
    pub(super) fn advance(&mut self, partition: PartitionId, next: Offset) -> bool {
        let Some(progress) = self.of_mut(partition) else {
            return false;
        };
        match &mut progress.position {
            Some(position) if *position < next => {
                *position = next;
                true
            }
            _ => false,
        }
    }

    /// Notes the ends of the partitions, listed after coordinators were asked about the groups of those that are
    /// behind. A partition is missing from `ends` if its request failed.
    pub(super) fn note_ends(&mut self, ends: &BTreeMap<PartitionId, Offset>, now: Instant) {
        for (id, progress) in (0..).map(PartitionId).zip(&mut self.partitions) {
            let Some(end) = ends.get(&id) else {
                progress.is_end_known = false;
                continue;
            };
            if !progress.is_live(now) {
                progress.resume = Some(*end);
            }
            progress.is_end_known = true;
            let is_reached = progress
                .goal
                .is_none_or(|(goal, _)| progress.position.is_some_and(|position| goal <= position));
            // One that is not reached stays, so that the partition is late if it takes too long.
            if is_reached {
                progress.goal = Some((*end, now));
            }
        }
    }

    /// Returns the offset that will be read next, if the partition is live: its records are enough to know its groups.
    pub(super) fn live_position(&self, partition: PartitionId, now: Instant) -> Option<Offset> {
        let progress = self.of(partition)?;
        let position = progress.position?;
        progress.is_live(now).then_some(position)
    }

    /// Returns how many partitions are live, and how many are not.
    pub(super) fn live_and_behind(&self, now: Instant) -> (usize, usize) {
        let is_read = |progress: &&PartitionProgress| !progress.is_left_out;
        let read: Vec<_> = self.partitions.iter().filter(is_read).collect();
        let live = read.iter().filter(|read| read.is_live(now)).count();
        (live, read.len() - live)
    }

    fn of(&self, partition: PartitionId) -> Option<&PartitionProgress> {
        self.partitions.get(usize::try_from(partition.0).ok()?)
    }

    fn of_mut(&mut self, partition: PartitionId) -> Option<&mut PartitionProgress> {
        self.partitions.get_mut(usize::try_from(partition.0).ok()?)
    }
}

impl PartitionProgress {
    /// Returns whether everything that was written until shortly before `now` was read.
    fn is_live(&self, now: Instant) -> bool {
        let Some(position) = self.position else {
            return false;
        };
        let is_late = self.goal.is_none_or(|(goal, listed)| {
            position < goal && now.saturating_duration_since(listed) > CATCH_UP_LIMIT
        });
        let has_resumed = self.resume.is_none_or(|resume| resume <= position);
        self.is_end_known && !is_late && has_resumed
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
        let mut progress = TopicProgress::new(1);
        assert_eq!(progress.live_position(P, start), None);
        progress.start(P, at(10));
        progress.note_ends(&ends(12), start);
        assert_eq!(progress.live_position(P, start), None);
        progress.advance(P, at(12));
        assert_eq!(progress.live_position(P, start), Some(at(12)));
        let later = start + 2 * CATCH_UP_LIMIT;
        assert_eq!(progress.live_position(P, later), Some(at(12)));
        progress.note_ends(&ends(15), later);
        assert_eq!(
            progress.live_position(P, later + CATCH_UP_LIMIT),
            Some(at(12))
        );
    }

    #[test]
    fn a_partition_whose_end_it_does_not_reach_in_time_is_behind_until_it_does() {
        let start = Instant::now();
        let mut progress = TopicProgress::new(1);
        progress.start(P, at(10));
        progress.note_ends(&ends(12), start);
        let late = start + 2 * CATCH_UP_LIMIT;
        assert_eq!(progress.live_position(P, late), None);
        // A newer end gives it no more time, and coordinators have answered for what was written before that.
        progress.note_ends(&ends(20), late);
        assert_eq!(progress.live_position(P, late), None);
        progress.advance(P, at(12));
        assert_eq!(progress.live_position(P, late), None);
        progress.advance(P, at(20));
        assert_eq!(progress.live_position(P, late), Some(at(20)));
        progress.note_ends(&ends(21), late);
        assert_eq!(progress.live_position(P, late), Some(at(20)));
    }

    #[test]
    fn a_partition_whose_end_cannot_be_listed_is_behind() {
        let now = Instant::now();
        let mut progress = TopicProgress::new(1);
        progress.start(P, at(10));
        progress.note_ends(&ends(10), now);
        assert_eq!(progress.live_position(P, now), Some(at(10)));
        progress.note_ends(&BTreeMap::new(), now);
        assert_eq!(progress.live_position(P, now), None);
        progress.note_ends(&ends(15), now);
        assert_eq!(progress.live_position(P, now), None);
        progress.advance(P, at(15));
        assert_eq!(progress.live_position(P, now), Some(at(15)));
        progress.note_ends(&BTreeMap::new(), now);
        assert_eq!(progress.live_and_behind(now), (0, 1));
    }

    #[test]
    fn partitions_without_a_watched_group_are_left_out() {
        let mut progress = TopicProgress::new(50);
        progress.start(P, at(0));
        assert_eq!(progress.restrict(|id| id == PartitionId(47)), [P]);
        assert_eq!(progress.unread(), [PartitionId(47)]);
        assert!(progress.is_wanted(PartitionId(47)) && !progress.is_wanted(PartitionId(0)));
        assert_eq!(progress.live_and_behind(Instant::now()), (0, 1));
    }

    #[test]
    fn records_that_were_read_before_do_not_move_the_position() {
        let mut progress = TopicProgress::new(1);
        assert!(!progress.advance(P, at(1)), "it is not being read");
        progress.start(P, at(10));
        assert!(progress.advance(P, at(11)));
        assert!(!progress.advance(P, at(11)));
        assert!(!progress.advance(P, at(5)));
        progress.note_group_listing();
        assert!(progress.has_listed_groups(P));
        progress.stop(P);
        assert_eq!(progress.unread(), [P]);
        progress.note_group_listing();
        assert!(!progress.has_listed_groups(P), "it is not being read");
    }
}
