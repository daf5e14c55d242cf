//! StreamsGroupDescribe: Streams applications whose coordinator assigns the tasks (KIP-1071).
//!
//! Source: Kafka's schema files, as kafka-protocol does not have this request.

use kafka_protocol::messages::{ConsumerGroupDescribeRequest, GroupId as WireGroupId};

use super::described_group::{ReadMember, skip_numbers, skip_strings};
use super::modern_group_describe::{ModernGroupDescribe, ModernGroups};
use crate::kafka::api::Api;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;
use crate::snapshot::{GroupType, Member};

/// Asks a coordinator to describe Streams groups.
///
/// The members have no partitions: their tasks are not read yet.
pub(in crate::kafka) type StreamsGroupDescribe = ModernGroupDescribe<StreamsGroups>;

/// Streams groups.
pub(in crate::kafka) enum StreamsGroups {}

impl ModernGroups for StreamsGroups {
    const API: Api = Api::STREAMS_GROUP_DESCRIBE;
    const VERSIONS: (i16, i16) = (0, 0);
    const GROUP_TYPE: GroupType = GroupType::Streams;
    // Its fields and its header in version 0 are those of this one, which kafka-protocol has.
    type Message = ConsumerGroupDescribeRequest;

    fn message(groups: Vec<WireGroupId>) -> ConsumerGroupDescribeRequest {
        ConsumerGroupDescribeRequest::default().with_group_ids(groups)
    }

    fn read_assignor(body: &mut Reader<'_>) -> Result<String, Malformed> {
        if is_present(body, "Groups.Topology")? {
            skip_topology(body)?;
        }
        // The response names none.
        Ok(String::new())
    }

    fn read_member(body: &mut Reader<'_>) -> Result<ReadMember, Malformed> {
        let id = body.lossy_string("Members.MemberId")?.into();
        body.i32("Members.MemberEpoch")?;
        let instance_id = body
            .nullable_lossy_string("Members.InstanceId")?
            .map(Into::into);
        body.nullable_string_bytes("Members.RackId")?;
        let client_id = body.lossy_string("Members.ClientId")?.into();
        let host = body.lossy_string("Members.ClientHost")?.into();
        body.i32("Members.TopologyEpoch")?;
        body.string_bytes("Members.ProcessId")?;
        if is_present(body, "Members.UserEndpoint")? {
            body.string_bytes("Endpoint.Host")?;
            body.i16("Endpoint.Port")?;
            body.end()?;
        }
        body.each("Members.ClientTags", skip_key_value)?;
        body.each("Members.TaskOffsets", skip_task_offset)?;
        body.each("Members.TaskEndOffsets", skip_task_offset)?;
        // What it has, and what it will have once the others have let go of it.
        skip_tasks(body)?;
        skip_tasks(body)?;
        body.bool("Members.IsClassic")?;
        body.end()?;
        let member = Member {
            id,
            client_id,
            host,
            instance_id,
            assignment: Vec::new(),
        };
        Ok((member, Ok(Vec::new())))
    }
}

/// Reads the byte before a structure that may be null.
fn is_present(body: &mut Reader<'_>, field: &'static str) -> Result<bool, Malformed> {
    Ok(body.i8(field)? >= 0)
}

fn skip_topology(body: &mut Reader<'_>) -> Result<(), Malformed> {
    body.i32("Topology.Epoch")?;
    body.each_of_nullable("Topology.Subtopologies", |body| {
        body.string_bytes("Subtopologies.SubtopologyId")?;
        skip_strings(body, "Subtopologies.SourceTopics")?;
        skip_strings(body, "Subtopologies.RepartitionSinkTopics")?;
        body.each("Subtopologies.StateChangelogTopics", skip_topic)?;
        body.each("Subtopologies.RepartitionSourceTopics", skip_topic)?;
        body.end()
    })?;
    body.end()
}

fn skip_topic(body: &mut Reader<'_>) -> Result<(), Malformed> {
    body.string_bytes("TopicInfo.Name")?;
    body.i32("TopicInfo.Partitions")?;
    body.i16("TopicInfo.ReplicationFactor")?;
    body.each("TopicInfo.TopicConfigs", skip_key_value)?;
    body.end()
}

fn skip_key_value(body: &mut Reader<'_>) -> Result<(), Malformed> {
    body.string_bytes("KeyValue.Key")?;
    body.string_bytes("KeyValue.Value")?;
    body.end()
}

fn skip_task_offset(body: &mut Reader<'_>) -> Result<(), Malformed> {
    body.string_bytes("TaskOffset.SubtopologyId")?;
    body.i32("TaskOffset.Partition")?;
    body.i64("TaskOffset.Offset")?;
    body.end()
}

fn skip_tasks(body: &mut Reader<'_>) -> Result<(), Malformed> {
    for field in [
        "Assignment.ActiveTasks",
        "Assignment.StandbyTasks",
        "Assignment.WarmupTasks",
    ] {
        body.each(field, |body| {
            body.string_bytes("TaskIds.SubtopologyId")?;
            skip_numbers(body, "TaskIds.Partitions")?;
            body.end()
        })?;
    }
    body.end()
}

#[cfg(test)]
mod tests {
    use super::super::described_group::DescribedGroup;
    use super::super::request::decode;
    use super::super::tests::{sent, survives_bytes};
    use super::*;
    use crate::kafka::admin::GroupDescription;
    use crate::snapshot::GroupState;

    /// The end of a structure: no tagged fields.
    const END: &[u8] = &[0];
    const NULL: &[u8] = &[0xff];
    const NONE: &[u8] = &[1];

    fn request() -> StreamsGroupDescribe {
        StreamsGroupDescribe::new(vec!["g".into()])
    }

    fn string(text: &str) -> Vec<u8> {
        [&[text.len() as u8 + 1], text.as_bytes()].concat()
    }

    fn list(elements: &[&[u8]]) -> Vec<u8> {
        [&[elements.len() as u8 + 1], &*elements.concat()].concat()
    }

    fn topology() -> Vec<u8> {
        let config = [&string("cleanup.policy"), &string("compact"), END].concat();
        let number = 4_i32.to_be_bytes();
        let topic = [
            &string("changelog"),
            &number[..],
            &[0, 1],
            &list(&[&config]),
            END,
        ]
        .concat();
        let names = list(&[&string("in"), &string("in-2")]);
        let topics = list(&[&topic, &topic]);
        let subtopology = [&string("0"), &names, &names, &topics, &topics, END].concat();
        [&[1], &5_i32.to_be_bytes()[..], &list(&[&subtopology]), END].concat()
    }

    fn member(endpoint: &[u8]) -> Vec<u8> {
        let (epoch, offset) = (3_i32.to_be_bytes(), 9_i64.to_be_bytes());
        let tag = [&string("zone"), &string("a"), END].concat();
        let offset = [&string("0"), &epoch[..], &offset[..], END].concat();
        let task = [&string("0"), &list(&[&[0, 0, 0, 1], &[0, 0, 0, 2]]), END].concat();
        let tasks = list(&[&task]);
        let assignment = [&tasks, &tasks, NONE, END].concat();
        [
            &string("m"),
            &epoch[..],
            &string("static"),
            &[0],
            &string("client"),
            &string("/10.0.0.1"),
            &epoch[..],
            &string("process"),
            endpoint,
            &list(&[&tag]),
            &list(&[&offset]),
            NONE,
            &assignment,
            &assignment,
            &[0],
            END,
        ]
        .concat()
    }

    fn response(topology: &[u8], members: &[&[u8]]) -> Vec<u8> {
        let epoch = 3_i32.to_be_bytes();
        let group = [
            &[0, 0, 0],
            &*string("g"),
            &string("NotReady"),
            &epoch,
            &epoch,
            topology,
            &list(members),
            &0x108_i32.to_be_bytes(),
            END,
        ]
        .concat();
        let header = END;
        [header, &0_i32.to_be_bytes(), &list(&[&group]), END].concat()
    }

    #[test]
    fn members_are_read_behind_topologies_endpoints_and_tasks() {
        let port = 8_080_u16.to_be_bytes();
        let endpoint = [&[1], &*string("host"), &port, END].concat();
        let expected = DescribedGroup {
            description: GroupDescription {
                state: GroupState::NotReady,
                group_type: GroupType::Streams,
                protocol_type: "streams".to_owned(),
                assignor: String::new(),
                coordinator: None,
                members: vec![
                    Member {
                        id: "m".into(),
                        client_id: "client".into(),
                        host: "/10.0.0.1".into(),
                        instance_id: Some("static".into()),
                        assignment: Vec::new(),
                    };
                    2
                ],
                malformed: None,
            },
            authorized_operations: Some(0x108),
        };
        let without_subtopologies = [&[1, 0, 0, 0, 5, 0], END].concat();
        for topology in [NULL, &topology(), &without_subtopologies] {
            let bytes = response(topology, &[&member(NULL), &member(&endpoint)]);
            survives_bytes(&request(), 0, &bytes);
            let groups = decode(&request(), 0, &bytes).map(|response| response.response);
            let expected = vec![("g".into(), Ok(expected.clone()))];
            assert_eq!(groups, Ok(expected));
        }
    }

    #[test]
    fn groups_are_named() {
        let sent = sent(&request(), 0);
        let names: Vec<_> = sent.group_ids.iter().map(|group| group.as_str()).collect();
        assert_eq!(names, ["g"]);
        assert!(!sent.include_authorized_operations);
    }
}
