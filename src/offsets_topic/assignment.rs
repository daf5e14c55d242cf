//! What the coordinator assigns to the members of the groups that it assigns for.

use crate::lag::ids::{PartitionId, TopicId};

use super::error::Malformed;
use super::reader::Reader;
use super::record_type::GroupKind;

/// The assignment that the members of a group are on the way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The group's epoch that it was made for.
    pub epoch: i32,
    /// When it was made, in milliseconds since 1970; from Kafka 4.3.
    pub timestamp_ms: Option<i64>,
}

/// What a member has at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentAssignment<'a> {
    /// The epoch it has reached.
    pub member_epoch: i32,
    /// The epoch before.
    pub previous_member_epoch: i32,
    /// What it waits for.
    pub state: MemberState,
    /// What it has.
    pub assigned: Assigned<'a>,
    /// What it has yet to give up. Members of share groups give up at once.
    pub pending_revocation: Assigned<'a>,
}

/// What a member waits for before it is where the coordinator wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// Nothing.
    Stable,
    /// It has to give something up.
    Unrevoked,
    /// Others have to give up what it is to get.
    Unreleased,
    /// A state of the future.
    Unknown(i8),
}

/// What a member has or is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned<'a> {
    /// Of a consumer or a share group.
    Partitions(Vec<TopicIdPartitions>),
    /// Of a Streams group.
    Tasks(Tasks<'a>),
}

/// Partitions of one topic, which is told by its id alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicIdPartitions {
    /// The topic.
    pub topic: TopicId,
    /// Its partitions.
    pub partitions: Vec<PartitionId>,
}

/// The tasks of a member of a Streams group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tasks<'a> {
    /// Those that process records.
    pub active: Vec<SubtopologyTasks<'a>>,
    /// Those that keep a copy of a state.
    pub standby: Vec<SubtopologyTasks<'a>>,
    /// Those that copy a state to take it over.
    pub warmup: Vec<SubtopologyTasks<'a>>,
}

/// Tasks of one subtopology: one a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtopologyTasks<'a> {
    /// The subtopology.
    pub subtopology: &'a str,
    /// The partitions of its input.
    pub partitions: Vec<PartitionId>,
}

impl TargetEpoch {
    pub(super) fn read(value: &mut Reader<'_>) -> Result<Self, Malformed> {
        let epoch = value.i32("AssignmentEpoch")?;
        let mut timestamp_ms = None;
        value.tagged(|tag, field| {
            if tag == 0 {
                timestamp_ms = field.optional_i64("AssignmentTimestamp")?;
            }
            Ok(())
        })?;
        Ok(Self {
            epoch,
            timestamp_ms,
        })
    }
}

impl<'a> Assigned<'a> {
    /// Reads the value of a target assignment.
    pub(super) fn read_target(value: &mut Reader<'a>, kind: GroupKind) -> Result<Self, Malformed> {
        let assigned = match kind {
            GroupKind::Consumer | GroupKind::Share => {
                Self::read_partitions(value, "TopicPartitions")?
            }
            GroupKind::Streams => Self::Tasks(Tasks::read(
                value,
                ["ActiveTasks", "StandbyTasks", "WarmupTasks"],
            )?),
        };
        value.end()?;
        Ok(assigned)
    }

    fn read_partitions(value: &mut Reader<'a>, field: &'static str) -> Result<Self, Malformed> {
        let partitions = value.list(field, |value| {
            let read = TopicIdPartitions {
                topic: value.topic_id(field)?,
                partitions: value.partitions(field)?,
            };
            value.end()?;
            Ok(read)
        })?;
        Ok(Self::Partitions(partitions))
    }
}

impl<'a> CurrentAssignment<'a> {
    pub(super) fn read(value: &mut Reader<'a>, kind: GroupKind) -> Result<Self, Malformed> {
        let member_epoch = value.i32("MemberEpoch")?;
        let previous_member_epoch = value.i32("PreviousMemberEpoch")?;
        let state = MemberState::new(value.i8("State")?, kind);
        let (assigned, pending_revocation) = match kind {
            GroupKind::Consumer => (
                Assigned::read_partitions(value, "AssignedPartitions")?,
                Assigned::read_partitions(value, "PartitionsPendingRevocation")?,
            ),
            GroupKind::Share => (
                Assigned::read_partitions(value, "AssignedPartitions")?,
                Assigned::Partitions(Vec::new()),
            ),
            GroupKind::Streams => (
                Tasks::read(value, ["ActiveTasks", "StandbyTasks", "WarmupTasks"])
                    .map(Assigned::Tasks)?,
                Tasks::read(
                    value,
                    [
                        "ActiveTasksPendingRevocation",
                        "StandbyTasksPendingRevocation",
                        "WarmupTasksPendingRevocation",
                    ],
                )
                .map(Assigned::Tasks)?,
            ),
        };
        value.end()?;
        Ok(Self {
            member_epoch,
            previous_member_epoch,
            state,
            assigned,
            pending_revocation,
        })
    }
}

impl MemberState {
    /// Streams groups number their states from 1, the others from 0.
    fn new(number: i8, kind: GroupKind) -> Self {
        let states = [Self::Stable, Self::Unrevoked, Self::Unreleased];
        let first = match kind {
            GroupKind::Consumer | GroupKind::Share => 0,
            GroupKind::Streams => 1,
        };
        let index = number
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        let state = index.and_then(|index| states.get(index));
        state.copied().unwrap_or(Self::Unknown(number))
    }
}

impl<'a> Tasks<'a> {
    fn read(value: &mut Reader<'a>, fields: [&'static str; 3]) -> Result<Self, Malformed> {
        let [active, standby, warmup] = fields;
        Ok(Self {
            active: SubtopologyTasks::read_all(value, active)?,
            standby: SubtopologyTasks::read_all(value, standby)?,
            warmup: SubtopologyTasks::read_all(value, warmup)?,
        })
    }
}

impl<'a> SubtopologyTasks<'a> {
    fn read_all(value: &mut Reader<'a>, field: &'static str) -> Result<Vec<Self>, Malformed> {
        value.list(field, |value| {
            let read = Self {
                subtopology: value.string(field)?,
                partitions: value.partitions(field)?,
            };
            value.end()?;
            Ok(read)
        })
    }
}
