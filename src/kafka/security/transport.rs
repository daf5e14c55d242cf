//! A connection to a broker whose errors say what the broker's listener may expect.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::kafka::error::{ErrorCode, KafkaError};

/// Bytes to and from a broker, in the clear or encrypted.
pub(in crate::kafka) trait Transport:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection over which the client speaks first.
///
/// A broker that closes it before its first byte expects another protocol, or keeps the client out. Such errors, and those
/// of encryption, are a [`KafkaError`] inside the [`io::Error`]; [`broken`] takes it out.
pub(super) struct Explained<S> {
    inner: S,
    answered: Answered,
    hints: Hints,
}

/// What errors of a connection mean.
pub(super) struct Hints {
    /// Why the broker may have closed the connection without an answer.
    pub(super) unanswered: String,
    /// What of it is an error of encryption.
    pub(super) encryption: Encryption,
}

/// Returns the error of encryption that an I/O error holds.
pub(super) type Encryption = Box<dyn Fn(&io::Error) -> Option<KafkaError> + Send>;

/// Whether the broker has sent a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Yes,
    NotYet,
}

impl<S> Explained<S> {
    pub(super) fn new(inner: S, hints: Hints) -> Self {
        Self {
            inner,
            answered: Answered::NotYet,
            hints,
        }
    }

    fn explain(&self, error: io::Error) -> io::Error {
        if let Some(error) = (self.hints.encryption)(&error) {
            return io::Error::other(error);
        }
        match self.answered {
            Answered::Yes => error,
            Answered::NotYet => self.unanswered(),
        }
    }

    fn unanswered(&self) -> io::Error {
        io::Error::other(KafkaError {
            code: ErrorCode::TRANSPORT,
            message: self.hints.unanswered.clone(),
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Err(error) = ready!(Pin::new(&mut self.inner).poll_read(context, buffer)) {
            return Poll::Ready(Err(self.explain(error)));
        }
        if buffer.filled().len() > before {
            self.answered = Answered::Yes;
        } else if self.answered == Answered::NotYet && buffer.remaining() > 0 {
            return Poll::Ready(Err(self.unanswered()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes));
        Poll::Ready(written.map_err(|error| self.explain(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Returns the error of a connection that broke: the one that explains it, where there is one.
pub(in crate::kafka) fn broken(error: &io::Error) -> KafkaError {
    let explained = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<KafkaError>());
    match explained {
        Some(error) => error.clone(),
        None => KafkaError {
            code: ErrorCode::TRANSPORT,
            message: format!("the connection broke: {error}"),
        },
    }
}
