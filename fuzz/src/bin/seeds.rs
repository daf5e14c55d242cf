//! Writes the first inputs of `responses` and `members`: responses and consumer protocol as kafka-protocol encodes them.
//!
//! `seeds DIRECTORY` writes to the folders `responses` and `members` in it, and what is too long to be mutated to `limits`.

use std::fs;
use std::path::{Path, PathBuf};
use std::{env, io};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::consumer_protocol_assignment as assignment;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_groups_response::{
    DescribedGroup as ClassicGroup, DescribedGroupMember,
};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response as offset_fetch;
use kafka_protocol::messages::*;
use kafka_protocol::messages::{
    consumer_group_describe_response as consumer_group,
    share_group_describe_response as share_group,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use lagwatch_fuzz::kafka::responses::{GROUP, TOPICS, read};
use lagwatch_fuzz::members::MOST_PARTITIONS;
// The instrumentation of this package calls it.
use libfuzzer_sys as _;

const TOPIC_ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).expect("the directory is named");
    let directory = PathBuf::from(directory);
    write_responses(&directory.join("responses"))?;
    write_members(&directory.join("members"))?;
    write_limits(&directory.join("limits"))
}

/// Writes assignments with as many partitions as a member may have and with one more.
fn write_limits(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for count in [MOST_PARTITIONS, MOST_PARTITIONS + 1] {
        let bytes = member_assignment(1, count as i32);
        fs::write(directory.join(format!("partitions-{count}")), bytes)?;
    }
    Ok(())
}

/// Writes assignments of every version.
fn write_members(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for version in 0..=3 {
        let bytes = member_assignment(version, 3);
        fs::write(directory.join(format!("assignment-{version}")), bytes)?;
    }
    Ok(())
}

fn member_assignment(version: i16, count: i32) -> Bytes {
    let partitions = assignment::TopicPartition::default()
        .with_topic(topic())
        .with_partitions((0..count).collect());
    let assignment = ConsumerProtocolAssignment::default()
        .with_assigned_partitions(vec![partitions])
        .with_user_data(Some(Bytes::from_static(b"data")));
    embedded(version, &assignment)
}

/// Returns a structure of the consumer protocol behind its version.
fn embedded(version: i16, content: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::from(&version.to_be_bytes()[..]);
    let encoded = content.encode(&mut bytes, version);
    encoded.expect("its fields are those of the version");
    bytes.freeze()
}

/// Writes a response of each version of every request that lagwatch sends.
fn write_responses(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let seeds = Seeds { directory };
    seeds.write(18, (0, 3), i16::MAX, |_| api_versions())?;
    seeds.write(17, (1, 1), i16::MAX, |_| {
        SaslHandshakeResponse::default().with_mechanisms(vec![text("PLAIN")])
    })?;
    seeds.write(36, (0, 2), 2, sasl_authenticate)?;
    seeds.write(3, (4, 13), 9, metadata)?;
    seeds.write(16, (0, 5), 3, list_groups)?;
    seeds.write(15, (0, 6), 5, describe_groups)?;
    seeds.write(69, (0, 1), 0, |_| consumer_group_describe())?;
    seeds.write(77, (1, 1), 0, |_| share_group_describe())?;
    seeds.write(9, (1, 9), 6, offset_fetch)?;
    seeds.write(2, (1, 10), 6, list_offsets)?;
    seeds.write(32, (1, 4), 4, describe_configs)?;
    // kafka-protocol does not have this one.
    seeds.write_one(&streams_group_describe())
}

struct Seeds<'a> {
    directory: &'a Path,
}

impl Seeds<'_> {
    /// Writes the responses to the request of the API key `api`, whose header is flexible from version `flexible` on.
    fn write<R: Encodable>(
        &self,
        api: u8,
        (oldest, newest): (i16, i16),
        flexible: i16,
        response: impl Fn(i16) -> R,
    ) -> io::Result<()> {
        for version in oldest..=newest {
            let mut bytes = BytesMut::from(&[api, version as u8][..]);
            if version >= flexible {
                // No tagged fields.
                bytes.extend_from_slice(&[0]);
            }
            let encoded = response(version).encode(&mut bytes, version);
            encoded.unwrap_or_else(|error| panic!("{api}, version {version}: {error}"));
            self.write_one(&bytes)?;
        }
        Ok(())
    }

    /// Writes an input, which has to be a response.
    fn write_one(&self, bytes: &[u8]) -> io::Result<()> {
        let (api, version) = (bytes[0], bytes[1]);
        let response = read(api, version, &bytes[2..]).expect("lagwatch sends the request");
        if let Err(error) = response {
            panic!("{api}, version {version}: {error}");
        }
        fs::write(self.directory.join(format!("{api}-{version}")), bytes)
    }
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn group() -> GroupId {
    GroupId(text(GROUP))
}

fn topic() -> TopicName {
    TopicName(text(TOPICS[0]))
}

fn api_versions() -> ApiVersionsResponse {
    let api = ApiVersion::default().with_api_key(9).with_max_version(9);
    ApiVersionsResponse::default().with_api_keys(vec![api.clone(), api])
}

fn sasl_authenticate(version: i16) -> SaslAuthenticateResponse {
    let response = SaslAuthenticateResponse::default()
        .with_error_message(Some(text("no")))
        .with_auth_bytes(Bytes::from_static(b"v=1"));
    match version {
        0 => response,
        _ => response.with_session_lifetime_ms(60_000),
    }
}

fn metadata(version: i16) -> MetadataResponse {
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(text("b"))
        .with_port(9_092)
        .with_rack(Some(text("r")));
    let partition = MetadataResponsePartition::default()
        .with_leader_id(BrokerId(1))
        .with_replica_nodes(vec![BrokerId(1)])
        .with_isr_nodes(vec![BrokerId(1)]);
    let mut topic = MetadataResponseTopic::default()
        .with_name(Some(topic()))
        .with_partitions(vec![partition.clone(), partition]);
    if version >= 10 {
        topic.topic_id = TOPIC_ID.parse().expect("it is a UUID");
    }
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text("c")))
        .with_topics(vec![topic.clone(), topic.with_error_code(3)])
}

fn list_groups(version: i16) -> ListGroupsResponse {
    let mut group = ListedGroup::default()
        .with_group_id(group())
        .with_protocol_type(text("consumer"));
    if version >= 4 {
        group.group_state = text("Stable");
    }
    if version >= 5 {
        group.group_type = text("classic");
    }
    ListGroupsResponse::default().with_groups(vec![group])
}

fn describe_groups(_version: i16) -> DescribeGroupsResponse {
    let member = DescribedGroupMember::default()
        .with_member_id(text("m"))
        .with_client_id(text("c"))
        .with_client_host(text("/h"))
        .with_member_metadata(Bytes::from_static(b"subscription"))
        .with_member_assignment(member_assignment(1, 2));
    let group = ClassicGroup::default()
        .with_group_id(group())
        .with_group_state(text("Stable"))
        .with_protocol_type(text("consumer"))
        .with_protocol_data(text("range"))
        .with_members(vec![member.clone(), member]);
    DescribeGroupsResponse::default().with_groups(vec![group])
}

fn consumer_group_describe() -> ConsumerGroupDescribeResponse {
    let partitions = consumer_group::TopicPartitions::default()
        .with_topic_id(TOPIC_ID.parse().expect("it is a UUID"))
        .with_topic_name(topic())
        .with_partitions(vec![1, 0]);
    let assignment = consumer_group::Assignment::default().with_topic_partitions(vec![partitions]);
    let member = consumer_group::Member::default()
        .with_member_id(text("m"))
        .with_client_id(text("c"))
        .with_client_host(text("/h"))
        .with_subscribed_topic_names(vec![topic()])
        .with_assignment(assignment.clone())
        .with_target_assignment(assignment);
    let group = consumer_group::DescribedGroup::default()
        .with_group_id(group())
        .with_group_state(text("Stable"))
        .with_assignor_name(text("uniform"))
        .with_members(vec![member]);
    ConsumerGroupDescribeResponse::default().with_groups(vec![group])
}

fn share_group_describe() -> ShareGroupDescribeResponse {
    let partitions = share_group::TopicPartitions::default()
        .with_topic_id(TOPIC_ID.parse().expect("it is a UUID"))
        .with_topic_name(topic())
        .with_partitions(vec![1, 0]);
    let assignment = share_group::Assignment::default().with_topic_partitions(vec![partitions]);
    let member = share_group::Member::default()
        .with_member_id(text("m"))
        .with_client_id(text("c"))
        .with_client_host(text("/h"))
        .with_subscribed_topic_names(vec![topic()])
        .with_assignment(assignment);
    let group = share_group::DescribedGroup::default()
        .with_group_id(group())
        .with_group_state(text("Stable"))
        .with_assignor_name(text("simple"))
        .with_members(vec![member]);
    ShareGroupDescribeResponse::default().with_groups(vec![group])
}

fn streams_group_describe() -> Vec<u8> {
    let topology = [
        &[1, 0, 0, 0, 5][..],
        // One subtopology with one source topic.
        &[2, 2, b'0', 2, 2, b't', 1, 1, 1, 0, 0],
    ];
    let member = [
        &[2, b'm', 0, 0, 0, 3, 0, 0, 2, b'c', 3, b'/', b'h'][..],
        &[0, 0, 0, 5, 2, b'p'],
        // No endpoint, tag or offset.
        &[0xff, 1, 1, 1],
        // One active task, and the same as the target.
        &[2, 2, b'0', 2, 0, 0, 0, 1, 0, 1, 1, 0],
        &[2, 2, b'0', 2, 0, 0, 0, 1, 0, 1, 1, 0],
        &[0, 0],
    ];
    [
        &[89, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, b'g', 7][..],
        b"Stable",
        &[0, 0, 0, 3, 0, 0, 0, 3],
        &topology.concat(),
        &[2],
        &member.concat(),
        &[0x80, 0, 0, 0, 0, 0],
    ]
    .concat()
}

fn offset_fetch(version: i16) -> OffsetFetchResponse {
    if version < 8 {
        let partition = offset_fetch::OffsetFetchResponsePartition::default()
            .with_partition_index(1)
            .with_committed_offset(42)
            .with_metadata(Some(text("x")));
        let failed = partition.clone().with_error_code(3);
        let topic = offset_fetch::OffsetFetchResponseTopic::default()
            .with_name(topic())
            .with_partitions(vec![partition, failed.with_partition_index(0)]);
        return OffsetFetchResponse::default().with_topics(vec![topic]);
    }
    let partition = offset_fetch::OffsetFetchResponsePartitions::default()
        .with_partition_index(1)
        .with_committed_offset(42)
        .with_metadata(Some(text("x")));
    let failed = partition.clone().with_error_code(3);
    let topic = offset_fetch::OffsetFetchResponseTopics::default()
        .with_name(topic())
        .with_partitions(vec![partition, failed.with_partition_index(0)]);
    let group = offset_fetch::OffsetFetchResponseGroup::default()
        .with_group_id(group())
        .with_topics(vec![topic]);
    OffsetFetchResponse::default().with_groups(vec![group])
}

fn list_offsets(_version: i16) -> ListOffsetsResponse {
    let partition = |number| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(number)
            .with_offset(42)
    };
    let topic = ListOffsetsTopicResponse::default()
        .with_name(topic())
        .with_partitions((0..3).map(partition).collect());
    ListOffsetsResponse::default().with_topics(vec![topic])
}

fn describe_configs(_version: i16) -> DescribeConfigsResponse {
    let synonym = DescribeConfigsSynonym::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1")));
    let property = DescribeConfigsResourceResult::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("1")))
        .with_synonyms(vec![synonym]);
    let result = DescribeConfigsResult::default()
        .with_resource_type(2)
        .with_resource_name(text(TOPICS[0]))
        .with_configs(vec![property]);
    DescribeConfigsResponse::default().with_results(vec![result])
}
