//! Where a cycle learns of each group: from the records of `__consumer_offsets`, or from its coordinator.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::collect::fetch::groups::{GroupAnswer, Seen};
use crate::collect::fetch::listing::{Coverage, Target};
use crate::collect::stream::Follower;
use crate::lag::{GroupId, Offset, PartitionId};
use crate::snapshot::ClusterSnapshot;

/// The groups of a cycle, by where it learns of them.
pub(super) struct GroupSources {
    /// Known by their records.
    from_records: BTreeMap<GroupId, GroupAnswer>,
    /// Their coordinators are asked: those that no records describe, and those to compare.
    pub(super) to_ask: Vec<Target>,
    /// Asked about only to compare: everything before the offset was read before they were asked.
    to_check: BTreeMap<GroupId, Offset>,
}

impl GroupSources {
    /// Splits the groups of a cycle. Where it `reconciles`, coordinators are asked about all of them.
    pub(super) fn split(
        follower: Option<&Follower>,
        targets: Vec<Target>,
        reconciles: bool,
        now: Instant,
    ) -> Self {
        let mut sources = Self {
            from_records: BTreeMap::new(),
            to_ask: Vec::new(),
            to_check: BTreeMap::new(),
        };
        for target in targets {
            let answer =
                follower.and_then(|follower| follower.answer(&target.id, target.listed, now));
            let Some(answer) = answer else {
                sources.to_ask.push(target);
                continue;
            };
            sources.from_records.insert(target.id.clone(), answer);
            let position = follower.and_then(|follower| follower.position(&target.id, now));
            if let Some(position) = position.filter(|_| reconciles) {
                sources.to_check.insert(target.id.clone(), position);
                sources.to_ask.push(target);
            }
        }
        sources
    }

    /// Returns whether records describe any group.
    pub(super) fn has_records(&self) -> bool {
        !self.from_records.is_empty()
    }

    /// Joins what records show and what coordinators answered to `asked`. The follower goes on from the latter.
    ///
    /// `ends` are those of `__consumer_offsets`, read after the answers.
    pub(super) fn join(
        self,
        asked: BTreeMap<GroupId, GroupAnswer>,
        ends: &BTreeMap<PartitionId, Offset>,
        coverage: Coverage,
        previous: &ClusterSnapshot,
        follower: &mut Follower,
    ) -> BTreeMap<GroupId, GroupAnswer> {
        let Self {
            from_records: mut groups,
            to_ask: _,
            mut to_check,
        } = self;
        follower.clear_checks();
        let mut seeds = Vec::new();
        for (id, answer) in asked {
            match to_check.remove(&id) {
                Some(from) => follower.check(id, answer, from, ends),
                None => {
                    seeds.push(id.clone());
                    groups.insert(id, answer);
                }
            }
        }
        let seeds = seeds.iter().filter_map(|id| Some((id, groups.get(id)?)));
        follower.seed(seeds, ends);
        if coverage != Coverage::InPart {
            follower.survey();
        }
        for (id, answer) in &mut groups {
            let shown = previous.group(id).map(|row| &row.activity);
            answer.seen = Seen::InRecords(follower.activity(id, shown));
        }
        follower.retain(|id| groups.contains_key(id) || previous.group(id).is_some());
        groups
    }
}
