//! Requests and responses as they follow each other on a connection: a length of four bytes, then as many bytes.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kafka::error::{ErrorCode, KafkaError};
use crate::kafka::security::Transport;

/// The bytes of a length, and of the correlation id that every response begins with.
const LENGTH: usize = 4;

/// How much room is made for what arrives, at most, before it has arrived: a broker that claims a long response and never
/// sends it costs no more.
const READ_AHEAD: usize = 64 * 1024;

/// The longest response whose buffer is reused for the next one. Allocating it again costs more than reading into it.
const MOST_KEPT: usize = 512 * 1024;

/// A connection that frames can be sent and received on.
pub(super) struct Frames {
    transport: Transport,
    outbox: BytesMut,
    inbox: BytesMut,
    /// Whether a long response was read into the memory of `inbox`.
    is_inbox_long: bool,
    max_response_bytes: usize,
}

/// A response: what it answers, and its bytes behind that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) correlation_id: i32,
    pub(super) bytes: Bytes,
}

impl Frames {
    /// Returns the frames of a connection. A response longer than `max_response_bytes` is an error.
    pub(super) fn new(transport: Transport, max_response_bytes: usize) -> Self {
        Self {
            transport,
            outbox: BytesMut::new(),
            inbox: BytesMut::new(),
            is_inbox_long: false,
            max_response_bytes,
        }
    }

    /// Appends a request, which [`Frames::exchange`] sends.
    ///
    /// # Errors
    ///
    /// Those of `write`, which gets the room for the request; nothing is appended then.
    pub(super) fn push<T>(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> Result<T, KafkaError>,
    ) -> Result<T, KafkaError> {
        let mut frame = BytesMut::zeroed(LENGTH);
        let written = write(&mut frame)?;
        let length = i32::try_from(frame.len() - LENGTH).map_err(|_| KafkaError {
            code: ErrorCode::INVALID_ARG,
            message: "the request has more than two gibibytes".to_owned(),
        })?;
        frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
        if self.outbox.is_empty() {
            self.outbox = frame;
        } else {
            self.outbox.extend_from_slice(&frame);
        }
        Ok(written)
    }

    /// Sends what was pushed until a response has arrived, and returns it.
    ///
    /// # Errors
    ///
    /// `_TRANSPORT` where the connection broke or the broker closed it; `_BAD_MSG` where the bytes are no response.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn exchange(&mut self) -> Result<Response, KafkaError> {
        loop {
            if let Some(response) = self.take_response()? {
                return Ok(response);
            }
            self.inbox.reserve(self.missing().min(READ_AHEAD));
            let (mut reading, mut writing) = tokio::io::split(&mut self.transport.stream);
            let sending = !self.outbox.is_empty();
            let received = tokio::select! {
                biased;
                read = reading.read_buf(&mut self.inbox) => read.map(Some),
                written = writing.write_buf(&mut self.outbox), if sending => written.map(|_| None),
            };
            match received {
                Ok(Some(0)) => return Err(self.transport.closed()),
                Ok(Some(_)) => self.transport.is_answered = true,
                Ok(None) if self.outbox.is_empty() => {
                    // Room for a long request is not kept.
                    self.outbox = BytesMut::new();
                    let flushed = self.transport.stream.flush().await;
                    flushed.map_err(|error| self.transport.broken(&error))?;
                }
                Ok(None) => {}
                Err(error) => return Err(self.transport.broken(&error)),
            }
        }
    }

    /// Returns how many bytes the response that has begun to arrive still lacks.
    fn missing(&self) -> usize {
        match self.length() {
            Some(length) => (LENGTH + length).saturating_sub(self.inbox.len()),
            None => LENGTH,
        }
    }

    fn length(&self) -> Option<usize> {
        let bytes: &[u8; LENGTH] = self.inbox.first_chunk()?;
        // A negative length is refused before this matters.
        Some(usize::try_from(i32::from_be_bytes(*bytes)).unwrap_or_default())
    }

    fn take_response(&mut self) -> Result<Option<Response>, KafkaError> {
        let Some(bytes) = self.inbox.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*bytes);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| (LENGTH..=self.max_response_bytes).contains(length))
            .ok_or_else(|| KafkaError {
                code: ErrorCode::BAD_MSG,
                message: format!(
                    "the broker announces a response of {length} bytes, which is not from {LENGTH} to {}: \
                     is it Kafka, and does it expect TLS?",
                    self.max_response_bytes
                ),
            })?;
        if self.inbox.len() < LENGTH + length {
            return Ok(None);
        }
        self.inbox.advance(LENGTH);
        let mut bytes = self.inbox.split_to(length).freeze();
        self.is_inbox_long |= length > MOST_KEPT;
        if self.inbox.is_empty() && std::mem::take(&mut self.is_inbox_long) {
            // What a long response has taken goes with it.
            self.inbox = BytesMut::new();
        }
        let correlation_id = bytes.get_i32();
        Ok(Some(Response {
            correlation_id,
            bytes,
        }))
    }
}
