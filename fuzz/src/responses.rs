//! Every request that lagwatch sends, and what it reads from any bytes as the response.

use std::time::Duration;

use super::admin::OffsetSpec;
use super::api::Api;
use super::committed::CommittedOffsets;
use super::error::{ErrorCode, KafkaError};
use super::wire::message::{
    ApiVersions, AuthorizedOperations, ConsumerGroupDescribe, DescribeConfigs, DescribeGroups,
    DescribedGroup, ListGroups, ListOffsets, MetadataRequest, OffsetFetch, Request,
    SaslAuthenticate, SaslHandshake, ShareGroupDescribe, StreamsGroupDescribe, decode,
};
use crate::lag::ids::is_valid_topic_name;
use crate::lag::{Committed, GroupId, Isolation, TopicPartition};
use crate::members;

/// The topics that are asked about.
pub const TOPICS: [&str; 2] = ["t", "u"];

/// The group that is asked about.
pub const GROUP: &str = "g";

/// What was read from a response.
pub struct Response(Content);

enum Content {
    Groups(Vec<(GroupId, Result<DescribedGroup, KafkaError>)>),
    Commits(Vec<Commits>),
    /// How many there are.
    Offsets(usize),
    Other,
}

/// The committed offsets of a group, and what they decode to.
type Commits = (
    CommittedOffsets,
    Vec<(TopicPartition, Result<Committed, KafkaError>)>,
);

/// Reads bytes as the response to the request of the API key `api` in `version`; nothing where lagwatch does not send it.
pub fn read(api: u8, version: u8, bytes: &[u8]) -> Option<Result<Response, KafkaError>> {
    let input = Input {
        version: version.into(),
        bytes,
    };
    let groups = vec![GroupId::from(GROUP)];
    match Api::new(api.into()) {
        Api::API_VERSIONS => input.read(&ApiVersions, other),
        Api::SASL_HANDSHAKE => input.read(&SaslHandshake { mechanism: "PLAIN" }, other),
        Api::SASL_AUTHENTICATE => input.read(&SaslAuthenticate { bytes: Vec::new() }, other),
        Api::METADATA => input.read(&MetadataRequest { topics: None }, other),
        Api::LIST_GROUPS => input.read(&ListGroups, other),
        Api::DESCRIBE_CONFIGS => {
            let request = DescribeConfigs {
                topics: TOPICS.map(Into::into).to_vec(),
            };
            input.read(&request, other)
        }
        Api::LIST_OFFSETS => {
            let request = ListOffsets::new(queries(), Isolation::default(), Duration::ZERO);
            input.read(&request, |answers| Content::Offsets(answers.len()))
        }
        Api::OFFSET_FETCH => {
            let request = OffsetFetch {
                groups,
                partitions: None,
            };
            input.read(&request, |groups| {
                let groups = groups.into_iter().filter_map(|(_, commits)| commits.ok());
                let decoded = groups.map(|commits| {
                    let decoded = commits.decode();
                    (commits, decoded)
                });
                Content::Commits(decoded.collect())
            })
        }
        Api::DESCRIBE_GROUPS => {
            let request = DescribeGroups {
                groups,
                authorized_operations: AuthorizedOperations::Asked,
            };
            input.read(&request, Content::Groups)
        }
        Api::CONSUMER_GROUP_DESCRIBE => {
            input.read(&ConsumerGroupDescribe::new(groups), Content::Groups)
        }
        Api::SHARE_GROUP_DESCRIBE => input.read(&ShareGroupDescribe::new(groups), Content::Groups),
        Api::STREAMS_GROUP_DESCRIBE => {
            input.read(&StreamsGroupDescribe::new(groups), Content::Groups)
        }
        _ => None,
    }
}

/// The bytes of a response, and the version of its request.
struct Input<'a> {
    version: i16,
    bytes: &'a [u8],
}

impl Input<'_> {
    fn read<R: Request>(
        self,
        request: &R,
        content: impl FnOnce(R::Response) -> Content,
    ) -> Option<Result<Response, KafkaError>> {
        let Self { version, bytes } = self;
        let (oldest, newest) = R::VERSIONS;
        if !(oldest..=newest).contains(&version) {
            return None;
        }
        let response = decode(request, version, bytes);
        Some(response.map(|throttled| Response(content(throttled.response))))
    }
}

fn other<T>(_response: T) -> Content {
    Content::Other
}

fn queries() -> Vec<(TopicPartition, OffsetSpec)> {
    let specs = [
        OffsetSpec::Latest,
        OffsetSpec::Timestamp(1),
        OffsetSpec::Earliest,
    ];
    let of_topic = |topic| {
        (0..)
            .zip(specs)
            .map(move |(number, spec)| (TopicPartition::new(topic, number), spec))
    };
    TOPICS.into_iter().flat_map(of_topic).collect()
}

/// Asserts what lagwatch relies on in a response or in the error in its place.
pub fn check(response: &Result<Response, KafkaError>) {
    match response {
        Err(error) => assert_eq!(error.code, ErrorCode::BAD_MSG),
        Ok(Response(Content::Groups(groups))) => {
            let groups = groups.iter().filter_map(|(_, group)| group.as_ref().ok());
            for member in groups.flat_map(|group| &group.description.members) {
                members::check_partitions(&member.assignment);
            }
        }
        Ok(Response(Content::Commits(groups))) => groups.iter().for_each(check_commits),
        Ok(Response(Content::Offsets(count))) => assert_eq!(*count, queries().len()),
        Ok(Response(Content::Other)) => {}
    }
}

/// Asserts that committed offsets are those of partitions that Kafka can have, each once and in order.
fn check_commits((commits, decoded): &Commits) {
    assert_eq!(commits.is_empty(), decoded.is_empty());
    assert!(decoded.is_sorted_by(|(one, _), (next, _)| one < next));
    for (TopicPartition { topic, partition }, _) in decoded {
        assert!(is_valid_topic_name(topic.as_str()), "{topic:?}");
        assert!(partition.0 >= 0, "{partition}");
    }
}
