//! Groups whose assignment one of their members makes: JoinGroup and SyncGroup.

use super::error::{Malformed, Schema};
use super::protocol::{TopicPartitions, read_assignment};
use super::reader::Reader;

/// A classic group after a rebalance, or after its last member has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata<'a> {
    /// `consumer`, or what else the members agree on; empty for a group that never had members.
    pub protocol_type: &'a str,
    /// Counts the rebalances. A new one is a rebalance; the same one again tells of a state or a member that changed.
    pub generation: i32,
    /// The assignor that the members agreed on; nothing without members.
    pub protocol: Option<&'a str>,
    /// The members, in no particular order.
    pub members: Vec<ClassicMember<'a>>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember<'a> {
    /// The id that the coordinator gave it.
    pub id: &'a str,
    /// `group.instance.id`, for static members; from version 3.
    pub instance_id: Option<&'a str>,
    /// `client.id`.
    pub client_id: &'a str,
    /// Where it connects from: `/10.0.0.1`.
    pub client_host: &'a str,
    /// The partitions it has. An error is the fault of the member that left them, not of the record.
    pub assignment: Result<Vec<TopicPartitions<'a>>, Malformed>,
}

impl<'a> GroupMetadata<'a> {
    pub(super) fn read(mut value: Reader<'a>) -> Result<Self, Malformed> {
        let protocol_type = value.string("protocolType")?;
        let generation = value.i32("generation")?;
        let protocol = value.nullable_string("protocol")?;
        value.nullable_string("leader")?;
        if value.version() >= 2 {
            value.i64("currentStateTimestamp")?;
        }
        let members = value.list("members", |value| ClassicMember::read(value, protocol_type))?;
        value.end()?;
        Ok(Self {
            protocol_type,
            generation,
            protocol,
            members,
        })
    }
}

impl<'a> ClassicMember<'a> {
    fn read(value: &mut Reader<'a>, protocol_type: &str) -> Result<Self, Malformed> {
        let id = value.string("members.memberId")?;
        let instance_id = match value.version() {
            3.. => value.nullable_string("members.groupInstanceId")?,
            _ => None,
        };
        let client_id = value.string("members.clientId")?;
        let client_host = value.string("members.clientHost")?;
        if value.version() >= 1 {
            value.i32("members.rebalanceTimeout")?;
        }
        value.i32("members.sessionTimeout")?;
        value.nullable_bytes("members.subscription")?;
        let assignment = value.embedded("members.assignment", Schema::Assignment)?;
        value.end()?;
        Ok(Self {
            id,
            instance_id,
            client_id,
            client_host,
            assignment: read_assignment(assignment, protocol_type),
        })
    }
}
