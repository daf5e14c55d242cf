//! Groups whose assignment one of their members makes: JoinGroup and SyncGroup.

use super::error::{Malformed, Schema};
use super::protocol::{Assignment, Embedded, Subscription};
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
    /// The id of the member that made the assignment; nothing without members.
    pub leader: Option<&'a str>,
    /// Since when the group is in its state, in milliseconds since 1970; from version 2.
    pub state_timestamp_ms: Option<i64>,
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
    /// How long the others wait for it in a rebalance; from version 1.
    pub rebalance_timeout_ms: Option<i32>,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// The topics it wants.
    pub subscription: Embedded<'a, Subscription<'a>>,
    /// The partitions it has.
    pub assignment: Embedded<'a, Assignment<'a>>,
}

impl<'a> GroupMetadata<'a> {
    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, Malformed> {
        let protocol_type = value.string("protocolType")?;
        let generation = value.i32("generation")?;
        let protocol = value.nullable_string("protocol")?;
        let leader = value.nullable_string("leader")?;
        let state_timestamp_ms = match value.version() {
            2.. => value.optional_i64("currentStateTimestamp")?,
            _ => None,
        };
        let members = value.list("members", |value| ClassicMember::read(value, protocol_type))?;
        value.end()?;
        Ok(Self {
            protocol_type,
            generation,
            protocol,
            leader,
            state_timestamp_ms,
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
        let rebalance_timeout_ms = match value.version() {
            1.. => value.optional_i32("members.rebalanceTimeout")?,
            _ => None,
        };
        let session_timeout_ms = value.i32("members.sessionTimeout")?;
        let subscription = value.embedded("members.subscription", Schema::Subscription)?;
        let assignment = value.embedded("members.assignment", Schema::Assignment)?;
        value.end()?;
        Ok(Self {
            id,
            instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms,
            session_timeout_ms,
            subscription: Embedded::read_subscription(subscription, protocol_type),
            assignment: Embedded::read_assignment(assignment, protocol_type),
        })
    }
}
