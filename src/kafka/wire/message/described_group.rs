//! What the requests that describe groups have in common.

use std::borrow::Cow;
use std::sync::Arc;

use super::error;
use crate::kafka::admin::{GroupDescription, MalformedMembers};
use crate::kafka::error::KafkaError;
use crate::lag::{GroupId, TopicPartition};
use crate::offsets_topic::protocol::{problem_of, sorted_partitions};
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, TopicPartitions};
use crate::snapshot::{GroupState, GroupType, Member};

/// Whether the broker is asked which operations the credentials may perform on a group (KIP-430).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) enum AuthorizedOperations {
    /// It is.
    Asked,
    /// It is not.
    NotAsked,
}

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct DescribedGroup {
    /// The group. Its coordinator is the broker that was asked, which the response does not name.
    pub(in crate::kafka) description: GroupDescription,
    /// The operations that the credentials may perform, one bit each; nothing where the broker does not say.
    pub(in crate::kafka) authorized_operations: Option<i32>,
}

/// The groups of a response, as the broker orders them; without those whose id is not UTF-8, as no request can name them.
pub(in crate::kafka) type DescribedGroups = Vec<GroupResult>;

/// A group that was asked for, and what its coordinator says of it.
pub(in crate::kafka) type GroupResult = (GroupId, Result<DescribedGroup, KafkaError>);

impl AuthorizedOperations {
    /// Returns the value of the field `IncludeAuthorizedOperations`.
    pub(super) fn is_asked(self) -> bool {
        self == Self::Asked
    }
}

/// The members of a group while they are read.
#[derive(Debug, Default)]
pub(super) struct DescribedMembers {
    members: Vec<Member>,
    malformed: Option<MalformedMembers>,
}

impl DescribedMembers {
    /// Adds a member with its assignment. A malformed one is counted, and the member has none.
    pub(super) fn push(
        &mut self,
        member: Member,
        assignment: Result<Vec<TopicPartition>, Malformed>,
    ) {
        let assignment = assignment.unwrap_or_else(|malformed| {
            MalformedMembers::add(&mut self.malformed, &malformed);
            Vec::new()
        });
        self.members.push(Member {
            assignment,
            ..member
        });
    }

    /// Returns them, and which of them are malformed.
    pub(super) fn into_parts(self) -> (Vec<Member>, Option<MalformedMembers>) {
        (self.members, self.malformed)
    }
}

/// The fields that a group of every kind begins with, from the requests of KIP-848 on.
pub(super) struct GroupStart<'a> {
    code: i16,
    message: Option<Cow<'a, str>>,
    id: Option<&'a str>,
    state: GroupState,
}

/// The fields that a group of every kind has behind its start.
pub(super) struct GroupRest {
    pub(super) group_type: GroupType,
    pub(super) protocol_type: &'static str,
    pub(super) assignor: String,
    pub(super) members: DescribedMembers,
    pub(super) authorized_operations: Option<i32>,
}

impl<'a> GroupStart<'a> {
    /// Reads them up to the epochs, which nobody needs yet.
    pub(super) fn read(body: &mut Reader<'a>) -> Result<Self, Malformed> {
        let code = body.i16("Groups.ErrorCode")?;
        let message = body.nullable_lossy_string("Groups.ErrorMessage")?;
        let id = str::from_utf8(body.string_bytes("Groups.GroupId")?).ok();
        let state = GroupState::from_kafka(&body.lossy_string("Groups.GroupState")?);
        body.i32("Groups.GroupEpoch")?;
        body.i32("Groups.AssignmentEpoch")?;
        Ok(Self {
            code,
            message,
            id,
            state,
        })
    }

    /// Returns the group; nothing for one whose id is not UTF-8.
    pub(super) fn finish(self, rest: GroupRest) -> Option<GroupResult> {
        let GroupRest {
            group_type,
            protocol_type,
            assignor,
            members: DescribedMembers { members, malformed },
            authorized_operations,
        } = rest;
        let group = match error(self.code, self.message.as_deref()) {
            Some(error) => Err(error),
            None => Ok(DescribedGroup {
                description: GroupDescription {
                    state: self.state,
                    group_type,
                    protocol_type: protocol_type.to_owned(),
                    assignor,
                    coordinator: None,
                    members,
                    malformed,
                },
                authorized_operations,
            }),
        };
        self.id.map(|id| (GroupId::from(id), group))
    }
}

/// Reads the array `Groups`; `read` returns nothing for a group whose id is not UTF-8.
pub(super) fn read_groups(
    body: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<Option<GroupResult>, Malformed>,
) -> Result<DescribedGroups, Malformed> {
    let mut groups = Vec::new();
    body.each("Groups", |body| {
        groups.extend(read(body)?);
        Ok(())
    })?;
    Ok(groups)
}

/// Reads the operations; nothing for the number that stands for "not asked".
pub(super) fn read_operations(body: &mut Reader<'_>) -> Result<Option<i32>, Malformed> {
    let operations = body.i32("Groups.AuthorizedOperations")?;
    Ok((operations != i32::MIN).then_some(operations))
}

/// Reads a string into shared memory; bytes that are not UTF-8 become replacement characters.
pub(super) fn read_shared(
    body: &mut Reader<'_>,
    field: &'static str,
) -> Result<Arc<str>, Malformed> {
    Ok(body.lossy_string(field)?.into())
}

/// Reads a string that may be null as [`read_shared`] does.
pub(super) fn read_nullable_shared(
    body: &mut Reader<'_>,
    field: &'static str,
) -> Result<Option<Arc<str>>, Malformed> {
    Ok(body.nullable_lossy_string(field)?.map(Arc::from))
}

/// Reads an assignment by names, as coordinators write it since KIP-848. The inner error is one that costs no more than
/// this assignment.
pub(super) fn read_assignment(
    body: &mut Reader<'_>,
) -> Result<Result<Vec<TopicPartition>, Malformed>, Malformed> {
    const FIELD: &str = "Assignment.TopicPartitions";
    let position = body.position();
    let topics = body.list(FIELD, |body| {
        body.optional_topic_id("TopicPartitions.TopicId")?;
        let topic = body.string_bytes("TopicPartitions.TopicName")?;
        let partitions = body.partitions("TopicPartitions.Partitions")?;
        body.end()?;
        Ok(TopicPartitions {
            // Without a name it is no valid topic, either.
            topic: str::from_utf8(topic).unwrap_or_default(),
            partitions,
        })
    })?;
    body.end()?;
    Ok(match problem_of(&topics) {
        Some(problem) => Err(body.malformed(position, FIELD, problem)),
        None => Ok(sorted_partitions(&topics)),
    })
}

/// Skips an assignment by names.
pub(super) fn skip_assignment(body: &mut Reader<'_>) -> Result<(), Malformed> {
    body.each("Assignment.TopicPartitions", |body| {
        body.optional_topic_id("TopicPartitions.TopicId")?;
        body.string_bytes("TopicPartitions.TopicName")?;
        skip_numbers(body, "TopicPartitions.Partitions")?;
        body.end()
    })?;
    body.end()
}

/// Skips a list of strings.
pub(super) fn skip_strings(body: &mut Reader<'_>, field: &'static str) -> Result<(), Malformed> {
    body.each(field, |body| body.string_bytes(field).map(drop))
}

/// Skips a list of numbers of four bytes.
pub(super) fn skip_numbers(body: &mut Reader<'_>, field: &'static str) -> Result<(), Malformed> {
    body.each(field, |body| body.i32(field).map(drop))
}
