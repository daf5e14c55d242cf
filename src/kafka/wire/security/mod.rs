//! How a connection is made safe: TLS, and logging in by SASL, by librdkafka's own property names.

mod conversation;

use std::collections::BTreeMap;
use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub(in crate::kafka) use self::conversation::{Conversation, Step};
use crate::kafka::connection::ConnectionError;
use crate::kafka::error::KafkaError;

/// Bytes to and from a broker, in the clear or encrypted.
pub(in crate::kafka) trait Transport:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// How the connections to a cluster are made safe.
pub(in crate::kafka) struct Security {}

impl Security {
    /// Reads the properties that are about security.
    ///
    /// # Errors
    ///
    /// A property that this half of the Kafka layer cannot honour, or a file that cannot be used.
    pub(in crate::kafka) fn new(
        _properties: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectionError> {
        Ok(Self {})
    }

    /// Returns the connection as it is to be used: encrypted where the protocol says so. `host` is the broker's name, which
    /// its certificate has to hold.
    ///
    /// # Errors
    ///
    /// `_SSL` with what is wrong.
    pub(in crate::kafka) async fn secure(
        &self,
        tcp: TcpStream,
        _host: &str,
    ) -> Result<Box<dyn Transport>, KafkaError> {
        Ok(Box::new(tcp))
    }

    /// Begins to log in; nothing where nobody has to.
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION` where there is no token.
    pub(in crate::kafka) fn log_in(&self) -> Result<Option<Conversation>, KafkaError> {
        Ok(None)
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").finish_non_exhaustive()
    }
}
