//! What every request has: its versions, how it is encoded, and how its response is read.

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};

use crate::kafka::api::Api;
use crate::kafka::error::{ErrorCode, KafkaError};
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

    /// Reads the body of a response, whose version is that of the reader.
    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed>;
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
    pub(super) fn new(throttle_time_ms: i32, response: T) -> Self {
        let throttle = u64::try_from(throttle_time_ms).unwrap_or_default();
        Self {
            response,
            throttle: Duration::from_millis(throttle),
        }
    }

    /// Returns a response of a version without `throttle_time_ms`.
    pub(super) fn none(response: T) -> Self {
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
    let encoding = match version >= R::FLEXIBLE {
        true => FieldEncoding::Flexible,
        false => FieldEncoding::Fixed,
    };
    reader.set_version(version, encoding);
    // Every broker answers ApiVersions with the oldest header, as it cannot know what the client reads.
    if R::API != Api::API_VERSIONS {
        reader.end().map_err(bad_message)?;
    }
    request.read(&mut reader).map_err(bad_message)
}

/// Returns the error of a response that does not follow Kafka's schema.
pub(super) fn bad_message(malformed: Malformed) -> KafkaError {
    KafkaError {
        code: ErrorCode::BAD_MSG,
        message: format!("{malformed}: {}", malformed.problem),
    }
}

/// Reads how long the broker asks the client to be silent, in milliseconds; 0 before the version `first`, the first that has
/// the field.
pub(super) fn read_throttle_time(body: &mut Reader<'_>, first: i16) -> Result<i32, Malformed> {
    match body.version() >= first {
        true => body.i32("ThrottleTimeMs"),
        false => Ok(0),
    }
}

/// Returns the error that a code of a response, which is not 0, and the text beside it stand for.
pub(super) fn succeeded(code: i16, text: Option<&str>) -> Result<(), KafkaError> {
    if code == 0 {
        return Ok(());
    }
    let known = KafkaError::of(ErrorCode::new(i32::from(code)));
    Err(match text {
        Some(text) if !text.is_empty() => KafkaError {
            message: format!("Broker: {text}"),
            ..known
        },
        _ => known,
    })
}
