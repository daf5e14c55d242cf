//! What an honest broker answers: a cluster of one node, one topic, and one group with one member.
//!
//! kafka-protocol encodes it, not lagwatch: the same mistake is not made on both sides.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse, DescribeClusterResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, DescribeGroupsRequest, DescribeGroupsResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, GroupId, ListGroupsResponse, ListOffsetsRequest, ListOffsetsResponse,
    MetadataRequest, MetadataResponse, OffsetFetchRequest, OffsetFetchResponse, RequestHeader,
    RequestKind, ResponseHeader, ResponseKind, TopicName,
};
use kafka_protocol::messages::{
    consumer_group_describe_response, describe_cluster_response, describe_configs_response,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

const TOPIC: &str = "orders";
const TOPIC_ID: &str = "00000000-0000-0000-0000-00000000002a";
const GROUP: &str = "billing";
const NODE: BrokerId = BrokerId(1);
/// The committed offset of each partition; every log starts at 0 and ends at 10.
const COMMITTED: [i64; 2] = [4, 7];
const LOG_END: i64 = 10;
const HOST: &str = "127.0.0.1";

const UNKNOWN_TOPIC: i16 = 3;
const UNSUPPORTED_VERSION: i16 = 35;
const GROUP_ID_NOT_FOUND: i16 = 69;

/// Which versions a broker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The newest that kafka-protocol knows.
    Modern,
    /// As Kafka 2.3: nothing is flexible, and a newer ApiVersions request is answered with error 35 in version 0.
    Old,
}

/// An answer on its way out; a lie changes it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) body: ResponseKind,
    /// Where the broker was reached.
    pub(crate) port: u16,
}

impl Profile {
    fn apis(self) -> &'static [(ApiKey, i16, i16)] {
        match self {
            Self::Modern => &[
                (ApiKey::ListOffsets, 1, 10),
                (ApiKey::Metadata, 0, 13),
                (ApiKey::OffsetFetch, 1, 9),
                (ApiKey::FindCoordinator, 0, 6),
                (ApiKey::DescribeGroups, 0, 6),
                (ApiKey::ListGroups, 0, 5),
                (ApiKey::ApiVersions, 0, 4),
                (ApiKey::DescribeConfigs, 1, 4),
                (ApiKey::DescribeCluster, 0, 1),
                (ApiKey::ConsumerGroupDescribe, 0, 1),
            ],
            Self::Old => &[
                (ApiKey::ListOffsets, 1, 5),
                (ApiKey::Metadata, 0, 8),
                (ApiKey::OffsetFetch, 1, 5),
                (ApiKey::FindCoordinator, 0, 2),
                (ApiKey::DescribeGroups, 0, 3),
                (ApiKey::ListGroups, 0, 2),
                (ApiKey::ApiVersions, 0, 2),
                (ApiKey::DescribeConfigs, 1, 2),
            ],
        }
    }

    fn knows(self, api: ApiKey, version: i16) -> bool {
        self.apis()
            .iter()
            .any(|&(key, min, max)| key == api && (min..=max).contains(&version))
    }
}

impl Answer {
    /// Returns the truth; nothing where a broker of the profile would close the connection.
    pub(super) fn new(request: &[u8], profile: Profile, port: u16) -> Option<Self> {
        let api = i16::from_be_bytes(request.get(..2)?.try_into().ok()?);
        let version = i16::from_be_bytes(request.get(2..4)?.try_into().ok()?);
        let correlation_id = i32::from_be_bytes(request.get(4..8)?.try_into().ok()?);
        let api = ApiKey::try_from(api).ok()?;
        let (version, body) = match profile.knows(api, version) {
            true => {
                let mut bytes = Bytes::copy_from_slice(request);
                RequestHeader::decode(&mut bytes, api.request_header_version(version)).ok()?;
                let request = RequestKind::decode(api, &mut bytes, version).ok()?;
                let ground = Ground {
                    profile,
                    version,
                    port,
                };
                (version, ground.answer(request)?)
            }
            false if api == ApiKey::ApiVersions => {
                let refusal = ApiVersionsResponse::default().with_error_code(UNSUPPORTED_VERSION);
                (0, ResponseKind::ApiVersions(refusal))
            }
            false => return None,
        };
        Some(Self {
            api,
            version,
            correlation_id,
            body,
            port,
        })
    }

    /// Returns the length, the header and the body.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut bytes = BytesMut::zeroed(4);
        ResponseHeader::default()
            .with_correlation_id(self.correlation_id)
            .encode(&mut bytes, self.api.response_header_version(self.version))
            .expect("the version is known");
        self.body
            .encode(&mut bytes, self.version)
            .expect("fields fit the version");
        let length = i32::try_from(bytes.len() - 4).expect("it is short");
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        bytes.to_vec()
    }

    /// Returns where in the frame the count of the first array lies.
    pub(crate) fn first_count(&self) -> std::ops::Range<usize> {
        let has_throttle_time = match self.api {
            ApiKey::ApiVersions => false,
            ApiKey::Metadata | ApiKey::OffsetFetch => self.version >= 3,
            ApiKey::ListOffsets => self.version >= 2,
            _ => self.version >= 1,
        };
        let has_error = matches!(self.api, ApiKey::ApiVersions | ApiKey::ListGroups);
        let header = match self.api.response_header_version(self.version) {
            0 => 8,
            _ => 9,
        };
        let start = header + 4 * usize::from(has_throttle_time) + 2 * usize::from(has_error);
        // Short arrays are counted in one byte where a version is flexible.
        start..start + if self.is_flexible() { 1 } else { 4 }
    }

    /// Returns whether its version has compact arrays (KIP-482).
    pub(crate) fn is_flexible(&self) -> bool {
        let first = match self.api {
            ApiKey::ApiVersions | ApiKey::ListGroups | ApiKey::FindCoordinator => 3,
            ApiKey::Metadata => 9,
            ApiKey::ListOffsets | ApiKey::OffsetFetch => 6,
            ApiKey::DescribeGroups => 5,
            ApiKey::DescribeConfigs => 4,
            _ => 0,
        };
        self.version >= first
    }
}

/// What an answer rests on.
#[derive(Clone, Copy)]
struct Ground {
    profile: Profile,
    version: i16,
    port: u16,
}

impl Ground {
    fn answer(self, request: RequestKind) -> Option<ResponseKind> {
        Some(match request {
            RequestKind::ApiVersions(_) => ResponseKind::ApiVersions(self.versions()),
            RequestKind::Metadata(request) => ResponseKind::Metadata(self.metadata(request)),
            RequestKind::FindCoordinator(request) => {
                ResponseKind::FindCoordinator(self.coordinator(request))
            }
            RequestKind::ListGroups(_) => ResponseKind::ListGroups(self.groups()),
            RequestKind::DescribeGroups(request) => {
                ResponseKind::DescribeGroups(self.described(request))
            }
            RequestKind::ConsumerGroupDescribe(request) => {
                ResponseKind::ConsumerGroupDescribe(no_consumer_groups(request))
            }
            RequestKind::OffsetFetch(request) => ResponseKind::OffsetFetch(self.commits(request)),
            RequestKind::ListOffsets(request) => ResponseKind::ListOffsets(offsets(request)),
            RequestKind::DescribeConfigs(request) => {
                ResponseKind::DescribeConfigs(no_configs(request))
            }
            RequestKind::DescribeCluster(_) => ResponseKind::DescribeCluster(self.cluster()),
            _ => return None,
        })
    }

    fn port(self) -> i32 {
        i32::from(self.port)
    }

    fn versions(self) -> ApiVersionsResponse {
        let known = self.profile.apis().iter().map(|&(api, min, max)| {
            ApiVersion::default()
                .with_api_key(api as i16)
                .with_min_version(min)
                .with_max_version(max)
        });
        ApiVersionsResponse::default().with_api_keys(known.collect())
    }

    fn metadata(self, request: MetadataRequest) -> MetadataResponse {
        let broker = MetadataResponseBroker::default()
            .with_node_id(NODE)
            .with_host(text(HOST))
            .with_port(self.port());
        // Version 0 has no null list: the empty one means every topic.
        let wanted = request
            .topics
            .filter(|names| self.version > 0 || !names.is_empty());
        let topics = match wanted {
            None => vec![self.topic()],
            Some(wanted) => wanted
                .into_iter()
                .map(|topic| match topic.name {
                    Some(name) if name.as_str() == TOPIC => self.topic(),
                    name => MetadataResponseTopic::default()
                        .with_error_code(UNKNOWN_TOPIC)
                        .with_name(name),
                })
                .collect(),
        };
        let metadata = MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_controller_id(NODE)
            .with_topics(topics);
        match self.version {
            2.. => metadata.with_cluster_id(Some(text("a-cluster"))),
            _ => metadata,
        }
    }

    fn topic(self) -> MetadataResponseTopic {
        let partitions = partitions().map(|(partition, _)| {
            MetadataResponsePartition::default()
                .with_partition_index(partition)
                .with_leader_id(NODE)
                .with_replica_nodes(vec![NODE])
                .with_isr_nodes(vec![NODE])
        });
        let topic = MetadataResponseTopic::default()
            .with_name(Some(topic_name()))
            .with_partitions(partitions.collect());
        match self.version {
            10.. => topic.with_topic_id(TOPIC_ID.parse().expect("it is a UUID")),
            _ => topic,
        }
    }

    fn coordinator(self, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let answer = FindCoordinatorResponse::default();
        if self.version < 4 {
            return answer
                .with_node_id(NODE)
                .with_host(text(HOST))
                .with_port(self.port());
        }
        let coordinators = request.coordinator_keys.into_iter().map(|key| {
            Coordinator::default()
                .with_key(key)
                .with_node_id(NODE)
                .with_host(text(HOST))
                .with_port(self.port())
        });
        answer.with_coordinators(coordinators.collect())
    }

    fn groups(self) -> ListGroupsResponse {
        let mut group = ListedGroup::default()
            .with_group_id(group_id())
            .with_protocol_type(text("consumer"));
        if self.version >= 4 {
            group = group.with_group_state(text("Stable"));
        }
        if self.version >= 5 {
            group = group.with_group_type(text("classic"));
        }
        ListGroupsResponse::default().with_groups(vec![group])
    }

    fn described(self, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        let groups = request.groups.into_iter().map(|id| {
            if id != group_id() {
                return DescribedGroup::default()
                    .with_group_id(id)
                    .with_group_state(text("Dead"));
            }
            let member = DescribedGroupMember::default()
                .with_member_id(text("reader-1"))
                .with_client_id(text("reader"))
                .with_client_host(text("/127.0.0.1"))
                .with_member_metadata(Bytes::from(subscription()))
                .with_member_assignment(Bytes::from(assignment()));
            DescribedGroup::default()
                .with_group_id(id)
                .with_group_state(text("Stable"))
                .with_protocol_type(text("consumer"))
                .with_protocol_data(text("range"))
                .with_members(vec![member])
        });
        DescribeGroupsResponse::default().with_groups(groups.collect())
    }

    /// Answers every partition of the topic, whichever of them were named: nothing else was committed.
    fn commits(self, request: OffsetFetchRequest) -> OffsetFetchResponse {
        let answer = OffsetFetchResponse::default();
        if self.version < 8 {
            let partitions = partitions().map(|(partition, offset)| {
                OffsetFetchResponsePartition::default()
                    .with_partition_index(partition)
                    .with_committed_offset(offset)
                    .with_metadata(Some(text("")))
            });
            let topic = OffsetFetchResponseTopic::default()
                .with_name(topic_name())
                .with_partitions(partitions.collect());
            let is_known = request.group_id == group_id();
            return answer.with_topics(is_known.then_some(topic).into_iter().collect());
        }
        let groups = request.groups.into_iter().map(|group| {
            let partitions = partitions().map(|(partition, offset)| {
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(partition)
                    .with_committed_offset(offset)
                    .with_metadata(Some(text("")))
            });
            let topic = OffsetFetchResponseTopics::default()
                .with_name(topic_name())
                .with_partitions(partitions.collect());
            let is_known = group.group_id == group_id();
            OffsetFetchResponseGroup::default()
                .with_group_id(group.group_id)
                .with_topics(is_known.then_some(topic).into_iter().collect())
        });
        answer.with_groups(groups.collect())
    }

    fn cluster(self) -> DescribeClusterResponse {
        let broker = describe_cluster_response::DescribeClusterBroker::default()
            .with_broker_id(NODE)
            .with_host(text(HOST))
            .with_port(self.port());
        DescribeClusterResponse::default()
            .with_cluster_id(text("a-cluster"))
            .with_controller_id(NODE)
            .with_brokers(vec![broker])
    }
}

/// Says of each group that it is not one of KIP-848.
fn no_consumer_groups(request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|id| {
        consumer_group_describe_response::DescribedGroup::default()
            .with_group_id(id)
            .with_error_code(GROUP_ID_NOT_FOUND)
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn offsets(request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|asked| {
            let offset = match asked.timestamp {
                -1 => LOG_END,
                -2 => 0,
                _ => -1,
            };
            ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_timestamp(-1)
                .with_offset(offset)
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn no_configs(request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        describe_configs_response::DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn partitions() -> impl Iterator<Item = (i32, i64)> {
    (0..).zip(COMMITTED)
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic_name() -> TopicName {
    TopicName(text(TOPIC))
}

fn group_id() -> GroupId {
    GroupId(text(GROUP))
}

fn subscription() -> Vec<u8> {
    crate::support::subscription(&[TOPIC.as_bytes()])
}

fn assignment() -> Vec<u8> {
    crate::support::assignment(&[(TOPIC.as_bytes(), &[0, 1])])
}
