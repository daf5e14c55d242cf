//! The requests that lagwatch sends and the responses it reads: one file each.
//!
//! Every request states the versions it is known in; the newest that the broker knows, too, is sent. A response is read
//! into lagwatch's own types at once. What a broker sends is not trusted: nothing is allocated from a length field.

mod api_versions;
mod consumer_group_describe;
mod describe_configs;
mod describe_groups;
mod described_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_fetch;
mod sasl;
mod share_group_describe;
mod streams_group_describe;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::{GroupId as WireGroupId, RequestHeader, TopicName as WireTopicName};
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

pub(in crate::kafka) use self::api_versions::{ApiVersions, SupportedVersions};
pub(in crate::kafka) use self::consumer_group_describe::ConsumerGroupDescribe;
pub(in crate::kafka) use self::describe_configs::DescribeConfigs;
pub(in crate::kafka) use self::describe_groups::DescribeGroups;
pub(in crate::kafka) use self::described_group::{AuthorizedOperations, DescribedGroup};
pub(in crate::kafka) use self::list_groups::ListGroups;
pub(in crate::kafka) use self::list_offsets::ListOffsets;
pub(in crate::kafka) use self::metadata::{Metadata, MetadataResponse, TopicMetadata};
pub(in crate::kafka) use self::offset_fetch::OffsetFetch;
pub(in crate::kafka) use self::sasl::{SaslAuthenticate, SaslHandshake};
pub(in crate::kafka) use self::share_group_describe::ShareGroupDescribe;
pub(in crate::kafka) use self::streams_group_describe::StreamsGroupDescribe;
use crate::kafka::api::Api;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{GroupId, TopicName, TopicPartition};
use crate::offsets_topic::encoding::FieldEncoding;
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, Schema};

/// A request, and how its response is read.
pub(in crate::kafka) trait Request: Send + Sync + 'static {
    /// Its API.
    const API: Api;
    /// The oldest and the newest version that are known here.
    const VERSIONS: (i16, i16);
    /// The first version whose fields are of variable size (KIP-482).
    const FLEXIBLE: i16;
    /// The request as kafka-protocol encodes it.
    type Message: Encodable + HeaderVersion;
    /// What is read from the response.
    type Response: Send + 'static;

    /// Returns the oldest version that can carry what this request asks.
    fn oldest(&self) -> i16 {
        Self::VERSIONS.0
    }

    /// Returns the newest version that answers what this request asks.
    fn newest(&self) -> i16 {
        Self::VERSIONS.1
    }

    /// Returns the request in `version`, one of [`Request::VERSIONS`].
    fn message(&self, version: i16) -> Self::Message;

    /// Reads the body of a response to a request of `version`.
    fn read(
        &self,
        version: i16,
        body: &mut Reader<'_>,
    ) -> Result<Throttled<Self::Response>, Malformed>;
}

/// A response, and how long the broker asks the client to be silent after it (KIP-219).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Throttled<T> {
    /// The response.
    pub(in crate::kafka) response: T,
    /// Zero where the broker asks for nothing.
    pub(in crate::kafka) throttle: Duration,
}

impl<T> Throttled<T> {
    /// Returns a response with its field `throttle_time_ms`.
    fn new(throttle_time_ms: i32, response: T) -> Self {
        let throttle = u64::try_from(throttle_time_ms).unwrap_or_default();
        Self {
            response,
            throttle: Duration::from_millis(throttle),
        }
    }

    /// Returns a response of a version without `throttle_time_ms`.
    fn none(response: T) -> Self {
        Self::new(0, response)
    }
}

/// Appends a request to `buffer`: its header and its body, without the length before both.
///
/// # Errors
///
/// A field is too long for the protocol, such as a group id of more than 32,767 bytes.
pub(in crate::kafka) fn encode<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    buffer: &mut BytesMut,
) -> Result<(), KafkaError> {
    let header = RequestHeader::default()
        .with_request_api_key(R::API.key())
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    header
        .encode(buffer, R::Message::header_version(version))
        .and_then(|()| request.message(version).encode(buffer, version))
        .map_err(|error| KafkaError {
            code: ErrorCode::INVALID_ARG,
            message: format!("the request `{}` cannot be encoded: {error}", R::API),
        })
}

/// Reads a response to a request of `version`, without the length and the correlation id before it.
///
/// # Errors
///
/// `_BAD_MSG` with the field that does not follow Kafka's schema.
pub(in crate::kafka) fn decode<R: Request>(
    request: &R,
    version: i16,
    bytes: &[u8],
) -> Result<Throttled<R::Response>, KafkaError> {
    let mut reader = Reader::new(bytes, Schema::Response(R::API.name()));
    if version >= R::FLEXIBLE {
        reader.set_version(version, FieldEncoding::Flexible);
        // Every broker answers ApiVersions with the oldest header, as it cannot know what the client reads.
        if R::API != Api::API_VERSIONS {
            reader.end().map_err(bad_message)?;
        }
    } else {
        reader.set_version(version, FieldEncoding::Fixed);
    }
    request.read(version, &mut reader).map_err(bad_message)
}

fn bad_message(malformed: Malformed) -> KafkaError {
    KafkaError {
        code: ErrorCode::BAD_MSG,
        message: format!("{malformed}: {}", malformed.problem),
    }
}

/// Returns what an error code of a response and the text beside it say; nothing for code 0.
fn error(code: i16, text: Option<&str>) -> Option<KafkaError> {
    if code == 0 {
        return None;
    }
    let known = KafkaError::of(ErrorCode::new(i32::from(code)));
    Some(match text {
        Some(text) if !text.is_empty() => KafkaError {
            message: format!("Broker: {text}"),
            ..known
        },
        _ => known,
    })
}

fn wire_string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn wire_group(group: &GroupId) -> WireGroupId {
    WireGroupId(wire_string(group.as_str()))
}

fn wire_topic(topic: &TopicName) -> WireTopicName {
    WireTopicName(wire_string(topic.as_str()))
}

/// Returns elements topic by topic, as requests name partitions; `partition` says which one an element is about.
fn by_topic<'a, T>(
    elements: impl Iterator<Item = &'a T>,
    partition: impl Fn(&'a T) -> &'a TopicPartition,
) -> Vec<(&'a TopicName, Vec<&'a T>)> {
    let mut elements: Vec<&T> = elements.collect();
    elements.sort_by_key(|element| partition(element));
    let mut topics: Vec<(&TopicName, Vec<&T>)> = Vec::new();
    for element in elements {
        let name = &partition(element).topic;
        match topics.last_mut() {
            Some((topic, of_topic)) if *topic == name => of_topic.push(element),
            _ => topics.push((name, vec![element])),
        }
    }
    topics
}
