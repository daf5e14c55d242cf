//! An answer's body: chunks that exist already and are shared, so that nothing is copied, or a stream of events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::stream::EventStream;

/// The body of any answer.
pub(super) enum Payload {
    /// All of it is there.
    Whole(Chunks),
    /// It goes on, and nobody knows for how long.
    Events(EventStream),
}

/// Chunks sent one after the other; their sum is known.
#[derive(Debug, Default)]
pub(super) struct Chunks(VecDeque<Bytes>);

impl Chunks {
    /// Returns how many bytes are left.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|chunk| chunk.len() as u64).sum()
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes.into())
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(chunks) => Pin::new(chunks).poll_frame(cx),
            Self::Events(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(chunks) => chunks.is_end_stream(),
            Self::Events(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(chunks) => chunks.size_hint(),
            Self::Events(stream) => stream.size_hint(),
        }
    }
}

impl From<Vec<Bytes>> for Chunks {
    fn from(chunks: Vec<Bytes>) -> Self {
        Self(
            chunks
                .into_iter()
                .filter(|chunk| !chunk.is_empty())
                .collect(),
        )
    }
}

impl From<Vec<u8>> for Chunks {
    fn from(bytes: Vec<u8>) -> Self {
        vec![Bytes::from(bytes)].into()
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
