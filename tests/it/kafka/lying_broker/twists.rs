//! How an answer becomes a lie: its fields before it is encoded, or its bytes afterwards.

use kafka_protocol::messages::ResponseKind;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::Answer;

/// In front of every frame.
pub(crate) const LENGTH: usize = 4;
/// The length, and the correlation id behind it.
pub(crate) const HEAD: usize = 8;

pub(crate) fn with_commits(answer: &mut Answer, offset: i64) {
    let ResponseKind::OffsetFetch(body) = &mut answer.body else {
        return;
    };
    for partition in body.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        partition.committed_offset = offset;
    }
    let topics = body.groups.iter_mut().flat_map(|group| &mut group.topics);
    for partition in topics.flat_map(|topic| &mut topic.partitions) {
        partition.committed_offset = offset;
    }
}

pub(crate) fn with_log_ends(answer: &mut Answer, offset: i64) {
    let ResponseKind::ListOffsets(body) = &mut answer.body else {
        return;
    };
    for partition in body.topics.iter_mut().flat_map(|t| &mut t.partitions) {
        partition.offset = offset;
    }
}

/// Puts the code wherever the answer has room for one.
pub(crate) fn fail(answer: &mut Answer, code: i16) {
    let version = answer.version;
    match &mut answer.body {
        ResponseKind::ApiVersions(body) => body.error_code = code,
        ResponseKind::Metadata(body) => {
            for topic in &mut body.topics {
                topic.error_code = code;
            }
        }
        ResponseKind::ListGroups(body) => body.error_code = code,
        ResponseKind::FindCoordinator(body) => {
            if version < 4 {
                body.error_code = code;
            }
            for coordinator in &mut body.coordinators {
                coordinator.error_code = code;
            }
        }
        ResponseKind::DescribeGroups(body) => {
            for group in &mut body.groups {
                group.error_code = code;
                group.members.clear();
            }
        }
        ResponseKind::OffsetFetch(body) => {
            if (2..8).contains(&version) {
                body.error_code = code;
            }
            for group in &mut body.groups {
                group.error_code = code;
            }
        }
        ResponseKind::ListOffsets(body) => {
            for partition in body.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                partition.error_code = code;
            }
        }
        other => unreachable!("nobody lets {other:?} fail"),
    }
}

/// Asks the client to wait as long as can be written, in the versions that have a throttle time.
pub(crate) fn throttle(answer: &mut Answer) {
    match &mut answer.body {
        ResponseKind::Metadata(body) => body.throttle_time_ms = i32::MAX,
        ResponseKind::ListGroups(body) => body.throttle_time_ms = i32::MAX,
        ResponseKind::FindCoordinator(body) => body.throttle_time_ms = i32::MAX,
        ResponseKind::DescribeGroups(body) => body.throttle_time_ms = i32::MAX,
        ResponseKind::OffsetFetch(body) => body.throttle_time_ms = i32::MAX,
        ResponseKind::ListOffsets(body) => body.throttle_time_ms = i32::MAX,
        _ => {}
    }
}

pub(crate) fn with_length(mut frame: Vec<u8>, length: i32) -> Vec<u8> {
    frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
    frame
}

pub(crate) fn half(mut frame: Vec<u8>) -> Vec<u8> {
    frame.truncate(HEAD + (frame.len() - HEAD) / 2);
    frame
}

/// Replaces the count of the first array; the length of the frame stays true.
pub(crate) fn with_first_count(answer: &Answer, change: fn(i32) -> i32) -> Vec<u8> {
    let mut frame = answer.frame();
    let range = answer.first_count();
    let count = if answer.is_flexible() {
        // A compact array counts one more, and 0 is null.
        let old = i32::from(frame[range.start]) - 1;
        assert!(
            (0..127).contains(&old),
            "{:?} counts in one byte",
            answer.api
        );
        unsigned_varint(change(old).wrapping_add(1).cast_unsigned())
    } else {
        let old = frame[range.clone()].try_into().expect("four bytes");
        change(i32::from_be_bytes(old)).to_be_bytes().to_vec()
    };
    frame.splice(range, count);
    let length = i32::try_from(frame.len() - LENGTH).expect("it is short");
    with_length(frame, length)
}

fn unsigned_varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

pub(crate) fn http() -> Vec<u8> {
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
}

pub(crate) fn garbage(seed: u64) -> Vec<u8> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..256).map(|_| random.random()).collect()
}
