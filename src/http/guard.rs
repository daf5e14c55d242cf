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

use super::Limits;

/// A connection with deadlines.
pub(super) struct Guarded<S> {
    io: S,
    limits: Limits,
    phase: Phase,
    deadline: Pin<Box<Sleep>>,
    exchange: Exchange,
}

/// What the service tells the connection that it serves.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    /// A request's head is there; until its answer is written, nobody is waited for.
    has_request: AtomicBool,
    /// The answer is a stream that goes on: that all of it is written yet is no end of it.
    is_streaming: AtomicBool,
}

/// Held for as long as an answer goes on as a stream.
#[derive(Debug)]
pub(super) struct StreamUnderWay(Exchange);

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The rest of a request's head; the deadline runs.
    Head,
    /// This process; no deadline runs.
    Answer,
    /// The client, to read the answer; the deadline runs.
    Drain,
    /// The next request; the deadline runs.
    Idle,
}

impl Exchange {
    /// Tells the connection that a request's head is there.
    pub(super) fn begin(&self) {
        self.0.has_request.store(true, Ordering::Relaxed);
    }

    /// Tells the connection that the answer is a stream, until what is returned is dropped.
    pub(super) fn stream(&self) -> StreamUnderWay {
        self.0.is_streaming.store(true, Ordering::Relaxed);
        StreamUnderWay(self.clone())
    }

    /// Tells whether the answer under way is a stream.
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
    pub(super) fn new(io: S, limits: Limits, exchange: Exchange) -> Self {
        Self {
            io,
            limits,
            phase: Phase::Head,
            deadline: Box::pin(sleep_until(Instant::now() + limits.header_timeout)),
            exchange,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        let timeout = match phase {
            Phase::Head => self.limits.header_timeout,
            Phase::Drain => self.limits.write_timeout,
            Phase::Idle => self.limits.idle_timeout,
            Phase::Answer => return,
        };
        self.deadline.as_mut().reset(Instant::now() + timeout);
    }

    /// Waits with the caller; fails once the deadline of what is waited for has passed.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
            if self.phase != Phase::Drain {
                self.phase = Phase::Answer;
            }
            return written;
        }
        if self.phase != Phase::Drain {
            self.enter(Phase::Drain);
        }
        self.wait(cx)
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
            guarded.phase = Phase::Answer;
        }
        let read = Pin::new(&mut guarded.io).poll_read(cx, buffer);
        match (guarded.phase, &read) {
            (Phase::Idle, Poll::Ready(_)) => guarded.enter(Phase::Head),
            (Phase::Head | Phase::Idle, Poll::Pending) => return guarded.wait(cx),
            (Phase::Head | Phase::Answer | Phase::Drain, _) => {}
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
            (Phase::Head | Phase::Idle, _) => {}
            (Phase::Answer | Phase::Drain, Poll::Ready(_)) if guarded.exchange.is_streaming() => {
                guarded.enter(Phase::Answer);
            }
            (Phase::Answer | Phase::Drain, Poll::Ready(_)) => guarded.enter(Phase::Idle),
            (Phase::Answer, Poll::Pending) => {
                guarded.enter(Phase::Drain);
                return guarded.wait(cx);
            }
            (Phase::Drain, Poll::Pending) => return guarded.wait(cx),
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        let shut = Pin::new(&mut guarded.io).poll_shutdown(cx);
        // TLS says good-bye, and a client that does not read may not hear it.
        if shut.is_pending() {
            if guarded.phase != Phase::Drain {
                guarded.enter(Phase::Drain);
            }
            return guarded.wait(cx);
        }
        shut
    }
}
