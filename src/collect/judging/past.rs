//! The recent past of one group, and what it says of each of its partitions.

use std::collections::{BTreeSet, HashMap};

use super::{Judged, Setting};
use crate::collect::places::{place, retain_shown};
use crate::lag::{
    AbandonedTopics, Circumstances, Committed, Drain, Headroom, Lag, Members, Observation,
    Ownership, Timestamp, TopicName, TopicPartition, Unavailable, Window, judge, readable_end,
};
use crate::snapshot::{GroupRow, Judgement, MemberIndex, PartitionRow, Reading};

/// What is remembered of one group.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// By partition.
    windows: Vec<(TopicPartition, Window)>,
    /// Until when nothing has moved and nothing waited, where the windows have not been told so yet.
    stood_still_until: Option<Timestamp>,
    pub(super) abandoned: AbandonedTopics,
}

/// When commits were last seen that show whoever made them to be alive.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    owners: HashMap<MemberIndex, Timestamp>,
    /// Of partitions whose owner is not known.
    topics: HashMap<TopicName, Timestamp>,
}

impl Past {
    /// Judges one partition; `headroom` tells how long its first unread record is safe.
    pub(super) fn judge(
        &self,
        partition: &PartitionRow,
        window: Option<&Window>,
        setting: &Setting<'_>,
        neighbours: &Neighbours,
        headroom: impl FnOnce(&Window, &Reading) -> Headroom,
    ) -> Judgement {
        let at = Timestamp::from(setting.now.time);
        let ownership = self.ownership(partition, setting, at);
        let finding = judge(&Circumstances {
            now: at,
            lag: lag(partition),
            window,
            members: setting.members,
            ownership,
            topic_commit: neighbours.newest(partition),
        });
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

    /// Notes that nothing of the group has moved, and that nothing waits.
    pub(super) fn stand_still(&mut self, until: Timestamp) {
        self.stood_still_until = Some(until);
    }

    /// Adds what was read of the partitions; one that the group has never committed on has no past.
    pub(super) fn observe(
        &mut self,
        partitions: &[PartitionRow],
        setting: &Setting<'_>,
        at: Timestamp,
    ) {
        if let Some(until) = self.stood_still_until.take() {
            for (_, window) in &mut self.windows {
                window.stand_still(until);
            }
        }
        for (partition, hint) in partitions.iter().zip(0..) {
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
                if matches!(setting.judged, Judged::Changed(_)) {
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
    pub(super) fn neighbours(&self, row: &GroupRow) -> Neighbours {
        let mut neighbours = Neighbours::default();
        for (partition, hint) in row.partitions.iter().zip(0..) {
            let Some(at) = self
                .window(&partition.id, hint)
                .and_then(Window::last_commit)
            else {
                continue;
            };
            let newest = match partition.owner {
                Some(owner) => neighbours.owners.entry(owner).or_insert(at),
                None => {
                    let topic = partition.id.topic.clone();
                    neighbours.topics.entry(topic).or_insert(at)
                }
            };
            *newest = at.max(*newest);
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

impl Neighbours {
    /// Returns when whoever reads the partition was last seen to commit anything.
    fn newest(&self, partition: &PartitionRow) -> Option<Timestamp> {
        match partition.owner {
            Some(owner) => self.owners.get(&owner).copied(),
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
