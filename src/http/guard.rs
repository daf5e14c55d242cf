//! Deadlines on a connection, so that a client that is slow, silent or gone cannot hold it.
//!
//! The deadlines are those of [`Limits`]: for a request's head, for the next request, and for reading an answer.
//! The last one covers the whole answer: a client that takes one byte at a time makes progress, but no way. An answer
//! that goes on as a stream is covered in parts, each of them being what is written before the client has read it all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::config::Limits;

/// A connection with deadlines.
pub(super) struct Guarded<S> {
    io: S,
    limits: Limits,
    phase: ConnectionPhase,
    deadline: Pin<Box<Sleep>>,
    exchange: HttpExchange,
}

/// The state of the request and the response in progress, which the service shares with its connection.
#[derive(Clone, Debug, Default)]
pub(super) struct HttpExchange(Arc<ExchangeFlags>);

#[derive(Debug, Default)]
struct ExchangeFlags {
    /// A request's head was received; until its response starts to be written, no deadline runs.
    has_request: AtomicBool,
    /// The response is an open stream: it has not ended when everything so far is written.
    is_streaming: AtomicBool,
}

/// Held for as long as an answer goes on as a stream.
#[derive(Debug)]
pub(super) struct StreamUnderWay(HttpExchange);

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionPhase {
    /// The rest of a request's head; the deadline runs.
    Head,
    /// This process; no deadline runs.
    Answer,
    /// The client, to read the answer; the deadline runs.
    Drain,
    /// The next request; the deadline runs.
    Idle,
}

impl HttpExchange {
    /// Marks that a request's head was received.
    pub(super) fn begin(&self) {
        self.0.has_request.store(true, Ordering::Relaxed);
    }

    /// Marks the response as a stream until what is returned is dropped.
    pub(super) fn stream(&self) -> StreamUnderWay {
        self.0.is_streaming.store(true, Ordering::Relaxed);
        StreamUnderWay(self.clone())
    }

    /// Returns whether the response in progress is a stream.
    pub(super) fn is_streaming(&self) -> bool {
        self.0.is_streaming.load(Ordering::Relaxed)
    }

    fn take_request(&self) -> bool {
        self.0.has_request.swap(false, Ordering::Relaxed)
    }
}

impl Drop for StreamUnderWay {
    fn drop(&mut self) {
        self.0.0.is_streaming.store(false, Ordering::Relaxed);
    }
}

impl<S> Guarded<S> {
    /// Returns a connection that was just accepted, and waits for its first request.
    pub(super) fn new(io: S, limits: Limits, exchange: HttpExchange) -> Self {
        Self {
            io,
            limits,
            phase: ConnectionPhase::Head,
            deadline: Box::pin(sleep_until(Instant::now() + limits.header_timeout)),
            exchange,
        }
    }

    fn enter(&mut self, phase: ConnectionPhase) {
        self.phase = phase;
        let timeout = match phase {
            ConnectionPhase::Head => self.limits.header_timeout,
            ConnectionPhase::Drain => self.limits.write_timeout,
            ConnectionPhase::Idle => self.limits.idle_timeout,
            ConnectionPhase::Answer => return,
        };
        self.deadline.as_mut().reset(Instant::now() + timeout);
    }

    /// Waits with the caller; fails once the deadline of what is waited for has passed.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Gives the client until the deadline to read all that was written.
    fn drain<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.phase != ConnectionPhase::Drain {
            self.enter(ConnectionPhase::Drain);
        }
        self.wait(cx)
    }

    /// Looks at what came of writing: a client that does not keep up has until the deadline for all of it.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        // An answer that is written at once was never waited for in `poll_read`.
        self.exchange.take_request();
        if written.is_ready() {
            if self.phase != ConnectionPhase::Drain {
                self.phase = ConnectionPhase::Answer;
            }
            return written;
        }
        self.drain(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        if guarded.exchange.take_request() {
            guarded.phase = ConnectionPhase::Answer;
        }
        let read = Pin::new(&mut guarded.io).poll_read(cx, buffer);
        match (guarded.phase, &read) {
            (ConnectionPhase::Idle, Poll::Ready(_)) => guarded.enter(ConnectionPhase::Head),
            (ConnectionPhase::Head | ConnectionPhase::Idle, Poll::Pending) => {
                return guarded.wait(cx);
            }
            (ConnectionPhase::Head | ConnectionPhase::Answer | ConnectionPhase::Drain, _) => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guarded = self.get_mut();
        let written = Pin::new(&mut guarded.io).poll_write(cx, bytes);
        guarded.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        chunks: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guarded = self.get_mut();
        let written = Pin::new(&mut guarded.io).poll_write_vectored(cx, chunks);
        guarded.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        let flushed = Pin::new(&mut guarded.io).poll_flush(cx);
        match (guarded.phase, &flushed) {
            // hyper also flushes when it has written nothing: that is no end of an answer.
            (ConnectionPhase::Head | ConnectionPhase::Idle, _) => {}
            (ConnectionPhase::Answer | ConnectionPhase::Drain, Poll::Ready(_)) => {
                let is_streaming = guarded.exchange.is_streaming();
                guarded.enter(if is_streaming {
                    ConnectionPhase::Answer
                } else {
                    ConnectionPhase::Idle
                });
            }
            (ConnectionPhase::Answer | ConnectionPhase::Drain, Poll::Pending) => {
                return guarded.drain(cx);
            }
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        let shut = Pin::new(&mut guarded.io).poll_shutdown(cx);
        // TLS says good-bye, and a client that does not read may not hear it.
        if shut.is_pending() {
            return guarded.drain(cx);
        }
        shut
    }
}
