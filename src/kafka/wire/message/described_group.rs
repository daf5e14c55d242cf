//! What the requests that describe groups have in common.

use crate::kafka::admin::{GroupDescription, MalformedMembers};
use crate::kafka::error::KafkaError;
use crate::lag::{GroupId, TopicPartition};
use crate::offsets_topic::protocol::{problem_of, sorted_partitions};
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, TopicPartitions};
use crate::snapshot::Member;

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

/// A member without its assignment, and that assignment. The inner error is one that costs no more than the assignment.
pub(super) type ReadMember = (Member, Result<Vec<TopicPartition>, Malformed>);

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

/// Reads the members of a group into its description. A malformed assignment is counted, and its member has none.
pub(super) fn read_members(
    body: &mut Reader<'_>,
    description: &mut GroupDescription,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<ReadMember, Malformed>,
) -> Result<(), Malformed> {
    body.each("Groups.Members", |body| {
        let (member, assignment) = read(body)?;
        let assignment = assignment.unwrap_or_else(|malformed| {
            MalformedMembers::add(&mut description.malformed, &malformed);
            Vec::new()
        });
        description.members.push(Member {
            assignment,
            ..member
        });
        Ok(())
    })
}

/// Reads the operations; nothing for the number that stands for "not asked".
pub(super) fn read_operations(body: &mut Reader<'_>) -> Result<Option<i32>, Malformed> {
    let operations = body.i32("Groups.AuthorizedOperations")?;
    Ok((operations != i32::MIN).then_some(operations))
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
