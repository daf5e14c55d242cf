//! A response's body: chunks that exist already and are shared, so that nothing is copied, or a stream of events.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

/// The body of any response.
pub(super) type Payload = UnsyncBoxBody<Bytes, Infallible>;

/// Returns a body whose size is known.
pub(super) fn whole(bytes: Vec<u8>) -> Payload {
    Full::from(bytes).boxed_unsync()
}

/// Returns a body of chunks. Where their size is known, the response has to say it.
pub(super) fn streamed(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Payload {
    StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync()
}
