//! ShareGroupDescribe: groups whose members share the records of a partition (KIP-932).

use kafka_protocol::messages::{GroupId as WireGroupId, ShareGroupDescribeRequest};

use super::described_group::{ReadMember, read_assignment, skip_strings};
use super::modern_group_describe::{ModernGroupDescribe, ModernGroups};
use crate::kafka::api::Api;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;
use crate::snapshot::{GroupType, Member};

/// Asks a coordinator to describe share groups.
pub(in crate::kafka) type ShareGroupDescribe = ModernGroupDescribe<ShareGroups>;

/// Share groups.
pub(in crate::kafka) enum ShareGroups {}

impl ModernGroups for ShareGroups {
    const API: Api = Api::SHARE_GROUP_DESCRIBE;
    // Version 0 was an early access in Kafka 4.0.
    const VERSIONS: (i16, i16) = (1, 1);
    const GROUP_TYPE: GroupType = GroupType::Share;
    type Message = ShareGroupDescribeRequest;

    fn message(groups: Vec<WireGroupId>) -> ShareGroupDescribeRequest {
        ShareGroupDescribeRequest::default().with_group_ids(groups)
    }

    fn read_member(body: &mut Reader<'_>) -> Result<ReadMember, Malformed> {
        let id = body.lossy_string("Members.MemberId")?.into();
        body.nullable_string_bytes("Members.RackId")?;
        body.i32("Members.MemberEpoch")?;
        let client_id = body.lossy_string("Members.ClientId")?.into();
        let host = body.lossy_string("Members.ClientHost")?.into();
        skip_strings(body, "Members.SubscribedTopicNames")?;
        let assignment = read_assignment(body)?;
        body.end()?;
        let member = Member {
            id,
            client_id,
            host,
            instance_id: None,
            assignment: Vec::new(),
        };
        Ok((member, assignment))
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ShareGroupDescribeResponse;
    use kafka_protocol::messages::share_group_describe_response::{
        Assignment, DescribedGroup as WireDescribedGroup, Member as WireMember, TopicPartitions,
    };

    use super::super::described_group::DescribedGroup;
    use super::super::names::{wire_group, wire_string, wire_topic};
    use super::super::tests::{read, sent, survives};
    use super::*;
    use crate::kafka::admin::GroupDescription;
    use crate::kafka::error::ErrorCode;
    use crate::lag::TopicPartition;
    use crate::snapshot::GroupState;

    fn request() -> ShareGroupDescribe {
        ShareGroupDescribe::new(vec!["g".into(), "a\0b".into()])
    }

    fn assignment(topics: &[(&str, &[i32])]) -> Assignment {
        let topic = |&(name, partitions): &(&str, &[i32])| {
            TopicPartitions::default()
                .with_topic_name(wire_topic(&name.into()))
                .with_partitions(partitions.to_vec())
        };
        Assignment::default().with_topic_partitions(topics.iter().map(topic).collect())
    }

    /// Returns a group `g` with a member for each of `assignments`.
    fn response(assignments: Vec<Assignment>) -> ShareGroupDescribeResponse {
        let member = |assignment| {
            WireMember::default()
                .with_member_id(wire_string("m"))
                .with_rack_id(Some(wire_string("r1")))
                .with_client_id(wire_string("client"))
                .with_client_host(wire_string("/10.0.0.1"))
                .with_subscribed_topic_names(vec![wire_topic(&"t".into())])
                .with_assignment(assignment)
        };
        let group = WireDescribedGroup::default()
            .with_group_id(wire_group(&"g".into()))
            .with_group_state(wire_string("Stable"))
            .with_group_epoch(3)
            .with_assignment_epoch(3)
            .with_assignor_name(wire_string("uniform"))
            .with_members(assignments.into_iter().map(member).collect());
        ShareGroupDescribeResponse::default().with_groups(vec![group])
    }

    #[test]
    fn groups_of_every_version_are_read_with_their_members() {
        for version in 1..=1 {
            let response = response(vec![assignment(&[("t", &[3, 0]), ("s", &[7])])]);
            let expected = DescribedGroup {
                description: GroupDescription {
                    state: GroupState::Stable,
                    group_type: GroupType::Share,
                    protocol_type: "share".to_owned(),
                    assignor: "uniform".to_owned(),
                    coordinator: None,
                    members: vec![Member {
                        id: "m".into(),
                        client_id: "client".into(),
                        host: "/10.0.0.1".into(),
                        instance_id: None,
                        assignment: vec![
                            TopicPartition::new("s", 7),
                            TopicPartition::new("t", 0),
                            TopicPartition::new("t", 3),
                        ],
                    }],
                    malformed: None,
                },
                authorized_operations: None,
            };
            let groups = survives(&request(), version, &response);
            assert_eq!(groups, [("g".into(), Ok(expected))], "version {version}");
        }
    }

    #[test]
    fn an_assignment_that_kafka_cannot_make_costs_its_member_alone() {
        let (sound, wrong) = (assignment(&[("t", &[0])]), assignment(&[("/", &[0])]));
        let response = response(vec![wrong, sound, assignment(&[("t", &[-1])])]);
        for version in 1..=1 {
            let mut groups = read(&request(), version, &response);
            let (_, group) = groups.remove(0);
            let description = group.expect("the group is sound").description;
            let lengths = description
                .members
                .iter()
                .map(|member| member.assignment.len());
            assert_eq!(lengths.collect::<Vec<_>>(), [0, 1, 0]);
            assert_eq!(
                description.malformed.map(|malformed| malformed.count),
                Some(2)
            );
        }
    }

    #[test]
    fn a_group_of_another_type_is_not_found() {
        let mut response = response(Vec::new());
        response.groups[0].error_code = 69;
        response.groups[0].error_message = Some(wire_string("Group g is not of this type."));
        for version in 1..=1 {
            let (_, group) = read(&request(), version, &response).remove(0);
            let error = group.expect_err("it has a code");
            assert_eq!(error.code, ErrorCode::GROUP_ID_NOT_FOUND);
            assert_eq!(error.message, "Broker: Group g is not of this type.");
        }
    }

    #[test]
    fn groups_are_named_in_every_version() {
        for version in 1..=1 {
            let sent = sent(&request(), version);
            let names: Vec<_> = sent.group_ids.iter().map(|group| group.as_str()).collect();
            assert_eq!(names, ["g", "a\0b"]);
            assert!(!sent.include_authorized_operations);
        }
    }
}
