//! What every request and every reader of a response is tried with: kafka-protocol as the broker, and bytes that no broker
//! sends.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::request::{Request, decode, encode};

/// Returns a response as kafka-protocol encodes it, behind the end of its header.
pub(super) fn body<R: Request>(version: i16, response: &impl Encodable) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    if version >= R::FLEXIBLE {
        // No tagged fields.
        bytes.put_u8(0);
    }
    let encoded = response.encode(&mut bytes, version);
    encoded.unwrap_or_else(|error| panic!("version {version}: {error}"));
    bytes.to_vec()
}

/// Returns what is read from a response that kafka-protocol encodes.
pub(super) fn read<R: Request>(
    request: &R,
    version: i16,
    response: &impl Encodable,
) -> R::Response {
    let bytes = body::<R>(version, response);
    let decoded = decode(request, version, &bytes);
    let decoded = decoded.unwrap_or_else(|error| panic!("version {version}: {error}"));
    decoded.response
}

/// Returns what [`read`] returns, and tries the reader with what [`survives_bytes`] makes of the response.
pub(super) fn survives<R: Request>(
    request: &R,
    version: i16,
    response: &impl Encodable,
) -> R::Response {
    survives_bytes(request, version, &body::<R>(version, response));
    read(request, version, response)
}

/// Asserts that a response that is cut anywhere is an error, and that one with other bytes does no harm.
pub(super) fn survives_bytes<R: Request>(request: &R, version: i16, bytes: &[u8]) {
    for end in 0..bytes.len() {
        let cut = decode(request, version, &bytes[..end]);
        assert!(cut.is_err(), "version {version} without {end}..");
    }
    // Lengths that are null, large or the largest, at every place.
    for at in 0..bytes.len() {
        for length in [
            [0xff; 4],
            [0x7f, 0xff, 0xff, 0xff],
            [0xff, 0xff, 0xff, 0x07],
        ] {
            let mut bytes = bytes.to_vec();
            let end = bytes.len().min(at + length.len());
            bytes[at..end].copy_from_slice(&length[..end - at]);
            drop(decode(request, version, &bytes));
        }
    }
    let changes = vec((any::<Index>(), any::<u8>()), 1..6);
    proptest!(ProptestConfig::with_cases(64), |(changes in changes)| {
        let mut bytes = bytes.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        drop(decode(request, version, &bytes));
    });
}

/// Returns a request as a broker reads it.
pub(super) fn sent<R: Request>(request: &R, version: i16) -> R::Message
where
    R::Message: Decodable,
{
    let mut buffer = BytesMut::new();
    encode(request, version, 7, "lagwatch", &mut buffer).expect("it can be encoded");
    let mut bytes: Bytes = buffer.freeze();
    let header = RequestHeader::decode(&mut bytes, R::Message::header_version(version));
    let header = header.expect("the header is one");
    assert_eq!(header.request_api_key, R::API.key());
    assert_eq!(header.request_api_version, version);
    assert_eq!(header.correlation_id, 7);
    let message = R::Message::decode(&mut bytes, version).expect("the message is one");
    assert!(bytes.is_empty(), "version {version} leaves {bytes:?}");
    message
}
