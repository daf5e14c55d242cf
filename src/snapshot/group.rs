//! A consumer group's row: its members, its state and its partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::{
    GroupState, GroupType, Member, MemberList, Moment, PartitionRow, PartitionRows, Revision,
};
use crate::lag::{BrokerId, GroupId, Isolation, Status, Timestamp, TopicName, Verdict};

/// One group as the newest cycle left it.
#[derive(Clone, Debug)]
pub struct GroupRow {
    /// The revision of what it shows.
    pub revision: Revision,
    /// The group.
    pub id: GroupId,
    /// Its members and state; nothing where the cluster cannot describe groups or the last good answer is too old.
    pub membership: Option<Arc<Membership>>,
    /// When the pairs of its partitions were read, but for those that are older.
    pub measured: Moment,
    /// Every partition that is assigned to a member or has a commit, by topic and number.
    pub partitions: PartitionRows,
    /// The partitions that are judged in every cycle; nothing where these are not known.
    pub to_judge: Option<RowsToJudge>,
    /// How far its consumers read.
    pub isolation: Isolation,
    /// What the rules say of it: the status of its worst partition.
    pub verdict: Verdict,
    /// When the rules were asked: times in what they say are told up to it.
    pub judged_at: Timestamp,
    /// What failed for this group in the newest cycle.
    pub failures: Vec<GroupFailure>,
    /// What it was seen to do.
    pub activity: Arc<Activity>,
}

/// The partitions of a group that are judged in every cycle, changed or not: records are pending, the newest cycle could not
/// read them, or they were not read together with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsToJudge {
    /// Their places among the partitions of the group's row, sorted.
    pub places: Arc<[usize]>,
    /// Whether the newest cycle could not read one of them.
    pub has_gap: bool,
    /// Whether one of them was not read together with the others.
    pub has_apart: bool,
}

/// What a group was seen to do since it is watched. Counts only grow while its row stays.
///
/// Read from `__consumer_offsets` it is everything; from polls it is what one poll after the other shows, a lower bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Its commits, by topic.
    pub commits: BTreeMap<TopicName, Commits>,
    /// Times that partitions were given to members anew.
    pub rebalances: u64,
    /// When it last was rebalanced, in milliseconds since the epoch.
    pub last_rebalance_ms: Option<i64>,
    /// Members that joined.
    pub member_joins: u64,
    /// Members that left or were put out.
    pub member_leaves: u64,
}

/// A group's commits on one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commits {
    /// Committed partition offsets: a request that commits three partitions counts three.
    pub count: u64,
    /// When the last one was made, in milliseconds since the epoch.
    pub last_ms: Option<i64>,
}

impl GroupRow {
    /// Returns its status in one word; `unknown` for a group of which nothing could be read.
    pub fn status(&self) -> Status {
        if self.partitions.is_empty() && !self.failures.is_empty() {
            return Status::Unknown;
        }
        self.verdict.status()
    }

    /// Sets the revision that follows `before`: the same if it shows the same.
    pub(super) fn revise(&mut self, before: Option<&Self>) {
        let known = before.filter(|before| self.shows_the_same_as(before));
        self.revision = known.map_or_else(Revision::next, |before| before.revision);
    }

    /// Returns whether it shows the same as `other` where both are fresh: when it was measured matters only if figures change
    /// with time alone.
    ///
    /// Cheap where the two share what they hold.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        let Self {
            revision: _,
            id,
            membership,
            measured,
            to_judge: _,
            partitions,
            isolation,
            verdict,
            judged_at,
            failures,
            activity,
        } = self;
        let is_same_time = measured.time == other.measured.time && *judged_at == other.judged_at;
        let has_same_membership = match (membership, &other.membership) {
            (Some(membership), Some(other)) => membership.shows_the_same_as(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        // First, as it is quick: nearly every group that has changed has pending records, and their age changes with time.
        (is_same_time || !self.changes_with_time())
            && has_same_membership
            && *id == other.id
            && *isolation == other.isolation
            && *verdict == other.verdict
            && *failures == other.failures
            && *activity == other.activity
            && *partitions == other.partitions
    }

    /// Returns the rows at the places of `to_judge`; all rows where these are not known.
    pub fn rows_to_judge(&self) -> impl Iterator<Item = &PartitionRow> {
        let known = self.to_judge.iter();
        let known = known.flat_map(|to_judge| to_judge.places.iter());
        let known = known.map(|place| &self.partitions[*place]);
        let all = self.to_judge.is_none().then(|| self.partitions.iter());
        known.chain(all.into_iter().flatten())
    }

    /// Returns whether no partition has to be judged while nothing changes.
    pub fn stands_still(&self) -> bool {
        self.to_judge
            .as_ref()
            .is_some_and(|to_judge| to_judge.places.is_empty())
    }

    fn changes_with_time(&self) -> bool {
        self.rows_to_judge().any(PartitionRow::changes_with_time)
    }

    /// Returns whether the newest cycle could read everything about the group.
    pub fn is_read_in_full(&self) -> bool {
        let has_gap = match &self.to_judge {
            Some(to_judge) => to_judge.has_gap,
            None => self.partitions.iter().any(|row| row.failure.is_some()),
        };
        self.failures.is_empty() && !has_gap
    }
}

/// What a describe call says of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// When it was read.
    pub measured: Instant,
    /// The group's state.
    pub state: GroupState,
    /// Classic or KIP-848.
    pub group_type: GroupType,
    /// The assignor of a consumer group (`range`, `cooperative-sticky`, `uniform`); empty where it has none.
    pub assignor: String,
    /// The broker that coordinates the group; nothing where the answer names none.
    pub coordinator: Option<BrokerId>,
    /// The members, as the coordinator orders them.
    pub members: MemberList,
}

impl Membership {
    /// Returns whether it says the same as `other`, but for when that was read.
    fn shows_the_same_as(&self, other: &Self) -> bool {
        let Self {
            measured: _,
            state,
            group_type,
            assignor,
            coordinator,
            members,
        } = self;
        *state == other.state
            && *group_type == other.group_type
            && *assignor == other.assignor
            && *coordinator == other.coordinator
            && (Arc::ptr_eq(members, &other.members) || *members == other.members)
    }

    /// Returns the member that owns a partition of the same group's row; nothing where none does.
    pub fn owner(&self, row: &PartitionRow) -> Option<&Member> {
        self.members.get(row.owner?.index())
    }
}

/// A fetch of the newest cycle that failed for this group alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupFailure {
    /// What was tried: `describe_group`, `committed_offsets`.
    pub operation: &'static str,
    /// Kafka's name of the error: `GROUP_AUTHORIZATION_FAILED`.
    pub error: &'static str,
    /// One line for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{Committed, Method, Offset, TopicPartition, Unavailable, Wait, Watermarks};
    use crate::snapshot::Reading;

    fn row(partitions: &[(&str, i32, Option<Unavailable>)]) -> GroupRow {
        let partition = |&(topic, number, failure): &(&str, i32, Option<Unavailable>)| {
            let id = TopicPartition::new(topic, number);
            let uncommitted = Reading::new(
                Committed::Never,
                Watermarks {
                    log_start: None,
                    log_end: Offset::ZERO,
                    last_stable: None,
                },
                Isolation::ReadUncommitted,
                None,
            );
            let reading = failure.map_or(Ok(uncommitted), |failure| Err((failure, None)));
            PartitionRow::new(id, reading, None)
        };
        GroupRow {
            revision: Revision::next(),
            id: "g".into(),
            membership: None,
            measured: Moment {
                instant: Instant::now(),
                time: Timestamp::EPOCH,
            },
            to_judge: None,
            partitions: partitions.iter().map(partition).collect(),
            isolation: Isolation::default(),
            verdict: Verdict::Ok,
            judged_at: Timestamp::EPOCH,
            failures: Vec::new(),
            activity: Arc::default(),
        }
    }

    const WAITING: Option<Unavailable> = None;
    const UNREAD: Option<Unavailable> = Some(Unavailable::EndOffset);

    #[test]
    fn partitions_are_told_topic_by_topic() {
        let row = row(&[("a", 0, WAITING), ("a", 1, WAITING), ("b", 0, WAITING)]);
        let topics: Vec<(&str, usize)> = row
            .partitions
            .by_topic()
            .map(|(topic, partitions)| (topic.as_str(), partitions.len()))
            .collect();
        assert_eq!(topics, [("a", 2), ("b", 1)]);
    }

    #[test]
    fn a_row_is_read_in_full_without_failures_and_gaps() {
        let full = row(&[("a", 0, WAITING)]);
        assert!(full.is_read_in_full());
        assert!(!row(&[("a", 0, WAITING), ("a", 1, UNREAD)]).is_read_in_full());
        let failure = GroupFailure {
            operation: "describe_group",
            error: "_TIMED_OUT",
            message: String::new(),
        };
        let failed = GroupRow {
            failures: vec![failure],
            ..full
        };
        assert!(!failed.is_read_in_full());
    }

    #[test]
    fn a_row_that_was_only_measured_anew_shows_the_same() {
        let before = row(&[("a", 0, WAITING), ("a", 1, UNREAD)]);
        let later = std::time::Duration::from_secs(10);
        let measured = Moment {
            instant: before.measured.instant + later,
            time: before.measured.time.after(later),
        };
        let again = GroupRow {
            measured,
            judged_at: measured.time,
            partitions: before.partitions.iter().cloned().collect(),
            ..before.clone()
        };
        assert!(again.shows_the_same_as(&before));
        for changed in [
            row(&[("a", 0, WAITING), ("a", 1, WAITING)]),
            row(&[("a", 0, WAITING)]),
            GroupRow {
                isolation: Isolation::ReadCommitted,
                ..before.clone()
            },
            GroupRow {
                activity: Arc::new(Activity {
                    rebalances: 1,
                    ..Activity::default()
                }),
                ..before.clone()
            },
        ] {
            assert!(!changed.shows_the_same_as(&before), "{changed:?}");
        }
    }

    #[test]
    fn while_records_wait_time_alone_changes_what_is_shown() {
        let since = Wait::Since {
            earliest: None,
            likely: Timestamp::EPOCH,
            latest: Timestamp::EPOCH,
            method: Method::History,
        };
        for (wait, is_shown) in [(since, true), (Wait::Over, false)] {
            let mut before = row(&[("a", 0, WAITING)]);
            let marks = Watermarks {
                log_start: None,
                log_end: Offset::new(1).expect("it is positive"),
                last_stable: None,
            };
            let at = Committed::At(Offset::ZERO);
            let reading = Reading::new(at, marks, Isolation::ReadUncommitted, Some(wait));
            let id = TopicPartition::new("a", 0);
            before.partitions = [PartitionRow::new(id, Ok(reading), None)]
                .into_iter()
                .collect();
            let mut again = before.clone();
            assert!(again.shows_the_same_as(&before));
            again.measured.time = before
                .measured
                .time
                .after(std::time::Duration::from_secs(1));
            assert_eq!(again.shows_the_same_as(&before), !is_shown, "{wait:?}");
        }
    }
}
