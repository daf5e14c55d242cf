//! The recent past of one group, and what it says of each of its partitions.

use std::collections::BTreeSet;

use super::context::{GroupContext, JudgedGroups};
use crate::collect::places::{Map, place, retain_shown};
use crate::collect::rebuild::Rebuild;
use crate::lag::{
    AbandonedTopics, Committed, Observation, Timestamp, TopicName, TopicPartition, Window,
    readable_end,
};
use crate::snapshot::{GroupRow, MemberIndex, PartitionRow, Reading};

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
    /// Records which topics the group may have abandoned, by its assignments and commits.
    pub(super) fn observe_topics(&mut self, context: &GroupContext<'_>) {
        let GroupContext { members, group, .. } = context;
        let assigned = group.membership.iter().flat_map(|membership| {
            let members = membership.members.iter();
            members.flat_map(|member| &member.assignment)
        });
        let topics = group.partitions.by_topic();
        let committed = topics.filter(|(_, partitions)| partitions.iter().any(has_commit));
        let committed = committed.map(|(topic, _)| topic);
        self.abandoned
            .observe(context.at, *members, assigned, committed);
    }

    /// Returns what is remembered of a partition; it is looked for at `hint` first.
    pub(super) fn window(&self, id: &TopicPartition, hint: usize) -> Option<&Window> {
        let index = place(&self.windows, id, hint).ok()?;
        Some(&self.windows[index].1)
    }

    /// Notes, of a cycle, that it has seen everything that stands still as it is.
    pub(super) fn note_cycle(&mut self, judged: JudgedGroups, at: Timestamp) {
        if judged == JudgedGroups::All {
            self.cycle_at = Some(at);
        }
    }

    /// Makes good, before something is observed, what cycles have seen of partitions that stood still until now.
    pub(super) fn catch_up(&mut self, before: &GroupRow, rebuild: &Rebuild) {
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
        match rebuild {
            Rebuild::Whole => (0..before.partitions.len()).for_each(catch_up),
            // What is pending, and has not changed, did not stand still.
            Rebuild::Only(touched) => touched
                .iter()
                .filter(|touched| touched.changed.is_some())
                .for_each(|touched| catch_up(touched.place)),
        }
    }

    /// Adds what was read of a partition, which is looked for at `hint` first; one that the group has never committed on has no
    /// past.
    pub(super) fn observe(
        &mut self,
        partition: &PartitionRow,
        hint: usize,
        context: &GroupContext<'_>,
    ) {
        let at = context.at;
        // A pair that was kept tells nothing of now.
        let Some(reading) = partition.reading.as_ref() else {
            return;
        };
        if !context.is_new(reading) {
            return;
        }
        let observation = observation(reading, at);
        match (place(&self.windows, &partition.id, hint), observation) {
            (Ok(index), None) => drop(self.windows.remove(index)),
            (Err(_), None) => {}
            (Ok(index), Some(next)) => {
                let window = &mut self.windows[index].1;
                window.observe_every(context.poll_interval, next);
                // Between two cycles only what was committed is read, whether or not it moved.
                if context.judged == JudgedGroups::Changed {
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

    /// Forgets what was seen of topics that were recreated.
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

fn observation(reading: &Reading, at: Timestamp) -> Option<Observation> {
    let Committed::At(committed) = reading.committed else {
        return None;
    };
    let end = readable_end(reading.marks, reading.isolation)?;
    Some(Observation { at, committed, end })
}

fn has_commit(row: &PartitionRow) -> bool {
    let reading = row.reading.as_ref();
    reading.is_some_and(|reading| reading.committed != Committed::Never)
}
