//! The recent past of one group, and what it says of each of its partitions.

use std::collections::BTreeSet;

use super::{Judged, Setting};
use crate::collect::places::{Map, place, retain_shown};
use crate::collect::renewal::Renewal;
use crate::lag::{
    AbandonedTopics, Committed, Drain, Headroom, Lag, Members, Observation, Ownership, RuleInput,
    Timestamp, TopicName, TopicPartition, Unavailable, Window, judge, readable_end,
};
use crate::snapshot::{GroupRow, Judgement, MemberIndex, PartitionRow, Reading};

/// What is remembered of one group.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// By partition.
    windows: Vec<(TopicPartition, Window)>,
    /// When the newest cycle was. Windows of partitions that stand still are not told; see [`Past::catch_up`].
    cycle_at: Option<Timestamp>,
    pub(super) abandoned: AbandonedTopics,
}

/// When commits were last seen that show whoever made them to be alive.
#[derive(Debug, Default)]
pub(super) struct Neighbours<'a> {
    /// By the place of the member.
    owners: Vec<Option<Timestamp>>,
    /// Of partitions whose owner is not known.
    topics: Map<&'a TopicName, Timestamp>,
}

impl Past {
    /// Judges one partition; `next_door` tells when whoever reads it was last seen to commit anything, `headroom` how long its
    /// first unread record is safe.
    pub(super) fn judge(
        &self,
        partition: &PartitionRow,
        window: Option<&Window>,
        setting: &Setting<'_>,
        next_door: impl FnOnce(&PartitionRow) -> Option<Timestamp>,
        headroom: impl FnOnce(&Window, &Reading) -> Headroom,
    ) -> Judgement {
        let at = Timestamp::from(setting.now.time);
        let ownership = self.ownership(partition, setting, at);
        let input = RuleInput {
            now: at,
            lag: lag(partition),
            window,
            members: setting.members,
            ownership,
        };
        let finding = judge(&input, || next_door(partition));
        let (drain, headroom) = match (window, &partition.reading) {
            (Some(window), Some(_)) if window.newest().lag() == 0 => {
                (Drain::CaughtUp, Headroom::NothingUnread)
            }
            (Some(window), Some(reading)) => {
                (Drain::of_partition(window), headroom(window, reading))
            }
            _ => (Drain::Unknown, Headroom::Unknown),
        };
        Judgement {
            finding,
            drain,
            headroom,
            ownership,
        }
    }

    fn ownership(
        &self,
        partition: &PartitionRow,
        setting: &Setting<'_>,
        at: Timestamp,
    ) -> Ownership {
        if self.abandoned.contains(&partition.id.topic, at) {
            return Ownership::Abandoned;
        }
        let owner = setting
            .membership
            .and_then(|membership| membership.owner(partition));
        match (owner, setting.members) {
            (Some(_), _) => Ownership::Owned,
            (None, Members::Settled) => Ownership::Unowned,
            (None, Members::Unknown | Members::Absent | Members::Rebalancing) => Ownership::Unknown,
        }
    }

    /// Returns what is remembered of a partition; it is looked for at `hint` first.
    pub(super) fn window(&self, id: &TopicPartition, hint: usize) -> Option<&Window> {
        let index = place(&self.windows, id, hint).ok()?;
        Some(&self.windows[index].1)
    }

    /// Notes, of a cycle, that it has seen everything that stands still as it is.
    pub(super) fn see(&mut self, judged: Judged, at: Timestamp) {
        if judged == Judged::All {
            self.cycle_at = Some(at);
        }
    }

    /// Makes good, before something is observed, what cycles have seen of partitions that stood still until now.
    pub(super) fn catch_up(&mut self, before: &GroupRow, renewal: &Renewal) {
        let Some(until) = self.cycle_at else {
            return;
        };
        let mut catch_up = |place: usize| {
            let row = &before.partitions[place];
            if !row.stands_still() {
                return;
            }
            if let Ok(index) = self::place(&self.windows, &row.id, place) {
                self.windows[index].1.stand_still(until);
            }
        };
        match renewal {
            Renewal::Whole => (0..before.partitions.len()).for_each(catch_up),
            Renewal::Only(touched) => touched.iter().for_each(|touched| catch_up(touched.place)),
        }
    }

    /// Adds what was read of partitions, each with a hint at its place; one that the group has never committed on has no
    /// past.
    pub(super) fn observe<'a>(
        &mut self,
        partitions: impl Iterator<Item = (&'a PartitionRow, usize)>,
        setting: &Setting<'_>,
        at: Timestamp,
    ) {
        for (partition, hint) in partitions {
            self.observe_partition(partition, hint, setting, at);
        }
    }

    fn observe_partition(
        &mut self,
        partition: &PartitionRow,
        hint: usize,
        setting: &Setting<'_>,
        at: Timestamp,
    ) {
        // A pair that was kept tells nothing of now.
        let Some(reading) = partition.reading.as_ref() else {
            return;
        };
        if !setting.is_new(reading) {
            return;
        }
        let observation = observation(reading, at);
        match (place(&self.windows, &partition.id, hint), observation) {
            (Ok(index), None) => drop(self.windows.remove(index)),
            (Err(_), None) => {}
            (Ok(index), Some(next)) => {
                let window = &mut self.windows[index].1;
                window.observe_every(setting.poll_interval, next);
                // Between two cycles only what was committed is read, whether or not it moved.
                if setting.judged == Judged::Changed {
                    window.note_commit(at);
                }
            }
            (Err(index), Some(first)) => {
                let window = (partition.id.clone(), Window::new(first));
                self.windows.insert(index, window);
            }
        }
    }

    /// Returns when each owner was last seen to commit, and each topic that has none.
    pub(super) fn neighbours<'a>(&self, row: &'a GroupRow) -> Neighbours<'a> {
        let mut neighbours = Neighbours::default();
        let mut place = 0;
        for (topic, partitions) in row.partitions.by_topic() {
            let mut of_topic = None;
            for partition in partitions.iter() {
                let window = self.window(&partition.id, place);
                place += 1;
                let at = window.and_then(Window::last_commit);
                let newest = match partition.owner {
                    Some(owner) => neighbours.of_owner(owner),
                    None => &mut of_topic,
                };
                *newest = at.max(*newest);
            }
            if let Some(at) = of_topic {
                neighbours.topics.insert(topic, at);
            }
        }
        neighbours
    }

    /// Forgets what was seen of topics that were made anew.
    pub(super) fn forget_topics(&mut self, topics: &BTreeSet<TopicName>) {
        self.windows.retain(|(id, _)| !topics.contains(&id.topic));
    }

    /// Forgets the partitions that are not shown.
    pub(super) fn retain(&mut self, row: &GroupRow) {
        retain_shown(&mut self.windows, &row.partitions);
    }
}

impl Neighbours<'_> {
    fn of_owner(&mut self, owner: MemberIndex) -> &mut Option<Timestamp> {
        let index = owner.index();
        if self.owners.len() <= index {
            self.owners.resize(index + 1, None);
        }
        &mut self.owners[index]
    }

    /// Returns when whoever reads the partition was last seen to commit anything.
    pub(super) fn newest(&self, partition: &PartitionRow) -> Option<Timestamp> {
        match partition.owner {
            Some(owner) => self.owners.get(owner.index()).copied().flatten(),
            None => self.topics.get(&partition.id.topic).copied(),
        }
    }
}

/// Returns the lag that is shown, or why there is none.
fn lag(row: &PartitionRow) -> Lag {
    match (&row.reading, row.latest()) {
        (Some(reading), _) => reading.lag(),
        (None, Lag::Unavailable(reason)) => Lag::Unavailable(reason),
        (None, Lag::Known(_) | Lag::NoCommit { .. }) => Lag::Unavailable(Unavailable::Committed),
    }
}

fn observation(reading: &Reading, at: Timestamp) -> Option<Observation> {
    let Committed::At(committed) = reading.committed else {
        return None;
    };
    let end = readable_end(reading.marks, reading.isolation)?;
    Some(Observation { at, committed, end })
}
