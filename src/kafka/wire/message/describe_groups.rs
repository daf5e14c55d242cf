//! DescribeGroups: groups whose members share the partitions among themselves, by the classic protocol.

use kafka_protocol::messages::DescribeGroupsRequest;

use super::described_group::{
    DescribedGroup, DescribedGroups, GroupResult, ReadMember, read_groups, read_members,
    read_operations,
};
use super::names::wire_group;
use super::request::{Request, Throttled, read_throttle_time, succeeded};
use crate::kafka::admin::GroupDescription;
use crate::kafka::api::Api;
use crate::lag::GroupId;
use crate::offsets_topic::protocol::{read_assignment, sorted_partitions};
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, Schema};
use crate::snapshot::{GroupState, GroupType, Member};

/// Whether the broker is asked which operations the credentials may perform on a group (KIP-430).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kafka) enum AuthorizedOperations {
    /// It is.
    Asked,
    /// It is not.
    NotAsked,
}

/// Asks a coordinator to describe classic groups.
///
/// A group that does not exist is `Dead` without members before version 6, and `GROUP_ID_NOT_FOUND` from there on.
#[derive(Clone, Debug)]
pub(in crate::kafka) struct DescribeGroups {
    /// The groups.
    pub(in crate::kafka) groups: Vec<GroupId>,
    /// Whether their operations are asked for. Before version 3 they never are.
    pub(in crate::kafka) authorized_operations: AuthorizedOperations,
}

impl AuthorizedOperations {
    /// Returns the value of the field `IncludeAuthorizedOperations`.
    fn is_asked(self) -> bool {
        self == Self::Asked
    }
}

impl DescribeGroups {
    /// Returns the request about `groups`, without their operations.
    pub(in crate::kafka) fn new(groups: Vec<GroupId>) -> Self {
        Self {
            groups,
            authorized_operations: AuthorizedOperations::NotAsked,
        }
    }
}

impl Request for DescribeGroups {
    const API: Api = Api::DESCRIBE_GROUPS;
    const VERSIONS: (i16, i16) = (0, 6);
    const FLEXIBLE: i16 = 5;
    type Message = DescribeGroupsRequest;
    type Response = DescribedGroups;

    /// Version 6 says of a group that does not exist nothing but that, and leaves out what the credentials may do with it.
    fn newest(&self) -> i16 {
        match self.authorized_operations {
            AuthorizedOperations::Asked => 5,
            AuthorizedOperations::NotAsked => Self::VERSIONS.1,
        }
    }

    fn message(&self, version: i16) -> DescribeGroupsRequest {
        let is_asked = version >= 3 && self.authorized_operations.is_asked();
        DescribeGroupsRequest::default()
            .with_groups(self.groups.iter().map(wire_group).collect())
            .with_include_authorized_operations(is_asked)
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = read_throttle_time(body, 1)?;
        let groups = read_groups(body, read_group)?;
        body.end()?;
        Ok(Throttled::new(throttle_time_ms, groups))
    }
}

/// Reads a group; nothing for one whose id is not UTF-8.
fn read_group(body: &mut Reader<'_>) -> Result<Option<GroupResult>, Malformed> {
    let code = body.i16("Groups.ErrorCode")?;
    let message = match body.version() {
        6.. => body.nullable_lossy_string("Groups.ErrorMessage")?,
        _ => None,
    };
    let id = str::from_utf8(body.string_bytes("Groups.GroupId")?).ok();
    let state = GroupState::from_kafka(&body.lossy_string("Groups.GroupState")?);
    let protocol_type = body.lossy_string("Groups.ProtocolType")?;
    let mut description = GroupDescription {
        state,
        group_type: GroupType::Classic,
        protocol_type: protocol_type.clone().into_owned(),
        assignor: body.lossy_string("Groups.ProtocolData")?.into_owned(),
        coordinator: None,
        members: Vec::new(),
        malformed: None,
    };
    read_members(body, &mut description, |body| {
        read_member(body, &protocol_type)
    })?;
    let authorized_operations = match body.version() {
        3.. => read_operations(body)?,
        _ => None,
    };
    body.end()?;
    let group = DescribedGroup {
        description,
        authorized_operations,
    };
    let group = succeeded(code, message.as_deref()).map(|()| group);
    Ok(id.map(|id| (GroupId::from(id), group)))
}

fn read_member(body: &mut Reader<'_>, protocol_type: &str) -> Result<ReadMember, Malformed> {
    let id = body.lossy_string("Members.MemberId")?.into();
    let instance_id = match body.version() {
        4.. => body
            .nullable_lossy_string("Members.GroupInstanceId")?
            .map(Into::into),
        _ => None,
    };
    let client_id = body.lossy_string("Members.ClientId")?.into();
    let host = body.lossy_string("Members.ClientHost")?.into();
    body.nullable_bytes("Members.MemberMetadata")?;
    let assignment = body.embedded("Members.MemberAssignment", Schema::Assignment)?;
    body.end()?;
    let member = Member {
        id,
        client_id,
        host,
        instance_id,
        assignment: Vec::new(),
    };
    let assignment = read_assignment(assignment, protocol_type);
    Ok((member, assignment.map(|topics| sorted_partitions(&topics))))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::DescribeGroupsResponse;
    use kafka_protocol::messages::describe_groups_response::{
        DescribedGroup as WireDescribedGroup, DescribedGroupMember,
    };

    use super::super::names::wire_string;
    use super::super::tests::{read, sent, survives};
    use super::*;
    use crate::kafka::error::ErrorCode;
    use crate::lag::TopicPartition;

    /// Version 1: partitions 3 and 0 of `t`, no user data.
    const ASSIGNMENT: &[u8] =
        b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\x03\0\0\0\0\xff\xff\xff\xff";

    fn request() -> DescribeGroups {
        DescribeGroups {
            groups: vec!["g".into(), "a\0b".into()],
            authorized_operations: AuthorizedOperations::Asked,
        }
    }

    /// Returns a stable group `g` with a member for each of `assignments`.
    fn group(
        version: i16,
        protocol_type: &'static str,
        assignments: &[&'static [u8]],
    ) -> WireDescribedGroup {
        let member = |assignment: &&'static [u8]| {
            let mut member = DescribedGroupMember::default()
                .with_member_id(wire_string("m"))
                .with_client_id(wire_string("client"))
                .with_client_host(wire_string("/10.0.0.1"))
                .with_member_metadata(Bytes::from_static(b"any"))
                .with_member_assignment(Bytes::from_static(assignment));
            if version >= 4 {
                member.group_instance_id = Some(wire_string("static"));
            }
            member
        };
        let mut group = WireDescribedGroup::default()
            .with_group_id(wire_group(&"g".into()))
            .with_group_state(wire_string("Stable"))
            .with_protocol_type(wire_string(protocol_type))
            .with_protocol_data(wire_string("range"))
            .with_members(assignments.iter().map(member).collect());
        if version >= 3 {
            group.authorized_operations = 0x108;
        }
        group
    }

    fn described(version: i16, group: WireDescribedGroup) -> GroupResult {
        let response = DescribeGroupsResponse::default().with_groups(vec![group]);
        let mut groups = read(&request(), version, &response);
        assert_eq!(groups.len(), 1);
        groups.remove(0)
    }

    #[test]
    fn groups_of_every_version_are_read_with_their_members() {
        for version in 0..=6 {
            let group = group(version, "consumer", &[ASSIGNMENT, b""]);
            let response = DescribeGroupsResponse::default().with_groups(vec![group]);
            let member = |assignment| Member {
                id: "m".into(),
                client_id: "client".into(),
                host: "/10.0.0.1".into(),
                instance_id: (version >= 4).then(|| "static".into()),
                assignment,
            };
            let assigned = vec![TopicPartition::new("t", 0), TopicPartition::new("t", 3)];
            let expected = DescribedGroup {
                description: GroupDescription {
                    state: GroupState::Stable,
                    group_type: GroupType::Classic,
                    protocol_type: "consumer".to_owned(),
                    assignor: "range".to_owned(),
                    coordinator: None,
                    members: vec![member(assigned), member(Vec::new())],
                    malformed: None,
                },
                authorized_operations: (version >= 3).then_some(0x108),
            };
            let groups = survives(&request(), version, &response);
            assert_eq!(groups, [("g".into(), Ok(expected))], "version {version}");
        }
    }

    #[test]
    fn operations_that_the_broker_does_not_list_are_absent() {
        for version in 3..=6 {
            let mut group = group(version, "consumer", &[]);
            group.authorized_operations = i32::MIN;
            let (_, described) = described(version, group);
            let operations = described.map(|group| group.authorized_operations);
            assert_eq!(operations, Ok(None), "version {version}");
        }
    }

    #[test]
    fn a_malformed_assignment_costs_its_member_alone() {
        for version in 0..=6 {
            let assignments: [&[u8]; 4] = [b"\0", ASSIGNMENT, b"\xff\xff", b"\0\0\x7f\xff\xff\xff"];
            let (_, described) = described(version, group(version, "consumer", &assignments));
            let description = described.expect("the group is sound").description;
            let lengths = description
                .members
                .iter()
                .map(|member| member.assignment.len());
            assert_eq!(lengths.collect::<Vec<_>>(), [0, 2, 0, 0]);
            let malformed = description.malformed.expect("three are malformed");
            assert_eq!(malformed.count, 3);
            assert!(
                malformed
                    .first
                    .ends_with("it needs 2 bytes where 1 are left")
            );
        }
    }

    #[test]
    fn what_members_of_another_protocol_leave_is_not_read() {
        for protocol_type in ["connect", "sr", ""] {
            let (_, described) = described(6, group(6, protocol_type, &[ASSIGNMENT, b"\0"]));
            let description = described.expect("the group is sound").description;
            assert_eq!(description.protocol_type, protocol_type);
            assert_eq!(description.malformed, None);
            assert!(
                description
                    .members
                    .iter()
                    .all(|member| member.assignment.is_empty())
            );
        }
    }

    #[test]
    fn a_group_that_failed_is_an_error_at_its_place() {
        for version in 0..=6 {
            let mut failed = group(version, "", &[]).with_error_code(69);
            if version >= 6 {
                failed.error_message = Some(wire_string("Group g not found."));
            }
            let (id, described) = described(version, failed);
            let error = described.expect_err("it has a code");
            assert_eq!(
                (id, error.code),
                ("g".into(), ErrorCode::GROUP_ID_NOT_FOUND)
            );
            assert_eq!(error.message == "Broker: Group g not found.", version >= 6);
        }
    }

    #[test]
    fn groups_are_named_in_every_version() {
        for version in 0..=6 {
            let sent = sent(&request(), version);
            let names: Vec<_> = sent.groups.iter().map(|group| group.as_str()).collect();
            assert_eq!(names, ["g", "a\0b"]);
            assert_eq!(sent.include_authorized_operations, version >= 3);
        }
    }
}
