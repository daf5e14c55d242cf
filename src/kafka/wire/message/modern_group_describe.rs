//! One request for the groups of the new protocols (KIP-848, KIP-932, KIP-1071): each kind has an API of its own, of one shape.

use std::marker::PhantomData;

use kafka_protocol::messages::GroupId as WireGroupId;
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::described_group::{
    DescribedGroup, DescribedGroups, GroupResult, ReadMember, read_groups, read_members,
    read_operations,
};
use super::names::wire_group;
use super::request::{Request, Throttled, succeeded};
use crate::kafka::admin::GroupDescription;
use crate::kafka::api::Api;
use crate::lag::GroupId;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;
use crate::snapshot::{GroupState, GroupType};

/// A kind of groups whose coordinator makes the assignment, and what its request has of its own.
pub(in crate::kafka) trait ModernGroups: Send + Sync + 'static {
    /// The API that describes them.
    const API: Api;
    /// The oldest and the newest version that are known here. All versions are flexible.
    const VERSIONS: (i16, i16);
    /// The type of the groups.
    const GROUP_TYPE: GroupType;
    /// The request as kafka-protocol encodes it.
    type Message: Encodable + HeaderVersion;

    /// Returns the request about `groups`.
    fn message(groups: Vec<WireGroupId>) -> Self::Message;

    /// Reads the fields between the epochs and the members of a group, and returns the assignor's name.
    fn read_assignor(body: &mut Reader<'_>) -> Result<String, Malformed> {
        Ok(body.lossy_string("Groups.AssignorName")?.into_owned())
    }

    /// Reads a member.
    fn read_member(body: &mut Reader<'_>) -> Result<ReadMember, Malformed>;
}

/// Asks a coordinator to describe groups of one kind. A group of another type is `GROUP_ID_NOT_FOUND`.
pub(in crate::kafka) struct ModernGroupDescribe<K> {
    groups: Vec<GroupId>,
    kind: PhantomData<K>,
}

impl<K: ModernGroups> ModernGroupDescribe<K> {
    /// Returns the request about `groups`.
    pub(in crate::kafka) fn new(groups: Vec<GroupId>) -> Self {
        Self {
            groups,
            kind: PhantomData,
        }
    }
}

impl<K: ModernGroups> Request for ModernGroupDescribe<K> {
    const API: Api = K::API;
    const VERSIONS: (i16, i16) = K::VERSIONS;
    const FLEXIBLE: i16 = 0;
    type Message = K::Message;
    type Response = DescribedGroups;

    fn message(&self, _version: i16) -> K::Message {
        K::message(self.groups.iter().map(wire_group).collect())
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = body.i32("ThrottleTimeMs")?;
        let groups = read_groups(body, read_group::<K>)?;
        body.end()?;
        Ok(Throttled::new(throttle_time_ms, groups))
    }
}

/// Reads a group; nothing for one whose id is not UTF-8.
fn read_group<K: ModernGroups>(body: &mut Reader<'_>) -> Result<Option<GroupResult>, Malformed> {
    let code = body.i16("Groups.ErrorCode")?;
    let message = body.nullable_lossy_string("Groups.ErrorMessage")?;
    let id = str::from_utf8(body.string_bytes("Groups.GroupId")?).ok();
    let state = GroupState::from_kafka(&body.lossy_string("Groups.GroupState")?);
    body.i32("Groups.GroupEpoch")?;
    body.i32("Groups.AssignmentEpoch")?;
    let mut description = GroupDescription {
        state,
        group_type: K::GROUP_TYPE,
        protocol_type: K::GROUP_TYPE.as_str().to_owned(),
        assignor: K::read_assignor(body)?,
        coordinator: None,
        members: Vec::new(),
        malformed: None,
    };
    read_members(body, &mut description, K::read_member)?;
    let group = DescribedGroup {
        description,
        authorized_operations: read_operations(body)?,
    };
    body.end()?;
    let group = succeeded(code, message.as_deref()).map(|()| group);
    Ok(id.map(|id| (GroupId::from(id), group)))
}
