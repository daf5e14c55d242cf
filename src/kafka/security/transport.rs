//! A connection to a broker, and what its errors say of what the broker's listener may expect.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::kafka::error::{ErrorCode, KafkaError};

/// Bytes to and from a broker, in the clear or encrypted.
pub(in crate::kafka) trait ByteStream:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection over which the client speaks first.
///
/// A broker that closes it before its first byte expects another protocol, or keeps the client out.
pub(in crate::kafka) struct Transport {
    pub(in crate::kafka) stream: Box<dyn ByteStream>,
    /// Whether the broker has sent a byte.
    pub(in crate::kafka) is_answered: bool,
    /// Why the broker may close the connection without an answer.
    unanswered: String,
    encryption: EncryptionError,
}

/// Returns the error of encryption that an I/O error holds.
pub(super) type EncryptionError = Box<dyn Fn(&io::Error) -> Option<KafkaError> + Send>;

impl Transport {
    pub(super) fn new(
        stream: impl ByteStream + 'static,
        unanswered: String,
        encryption: EncryptionError,
    ) -> Self {
        Self {
            stream: Box::new(stream),
            is_answered: false,
            unanswered,
            encryption,
        }
    }

    /// Returns the error of a connection that the broker closed in an orderly way.
    pub(in crate::kafka) fn closed(&self) -> KafkaError {
        self.explained("the broker closed the connection".to_owned())
    }

    /// Returns the error of a connection that broke while something was sent or received.
    pub(in crate::kafka) fn broken(&self, error: &io::Error) -> KafkaError {
        let encryption = (self.encryption)(error);
        encryption.unwrap_or_else(|| self.explained(format!("the connection broke: {error}")))
    }

    fn explained(&self, reason: String) -> KafkaError {
        KafkaError {
            code: ErrorCode::TRANSPORT,
            message: match self.is_answered {
                true => reason,
                false => self.unanswered.clone(),
            },
        }
    }
}
