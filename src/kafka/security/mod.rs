//! How a connection is secured: encrypted by TLS, and logged in to by SASL, by librdkafka's own property names.
//!
//! A property means what it means for librdkafka (2.12); one that only librdkafka knows is an error that names it.

mod conversation;
mod login;
mod properties;
mod sasl;
mod scram;
mod tls;
mod transport;
mod unsecured;

use std::collections::BTreeMap;
use std::fmt;

use tokio::net::TcpStream;

pub(in crate::kafka) use self::conversation::Conversation;
use self::login::Login;
use self::properties::Properties;
pub(in crate::kafka) use self::sasl::SaslStep;
use self::tls::Tls;
pub(in crate::kafka) use self::transport::Transport;
use crate::kafka::connection_error::ConnectionError;
use crate::kafka::error::KafkaError;

/// How the connections to a cluster are secured. `Debug` shows nothing of it.
pub(in crate::kafka) struct Security {
    tls: Option<Tls>,
    login: Option<Login>,
}

impl Security {
    /// Reads the properties that are about security, and the files that they name.
    ///
    /// # Errors
    ///
    /// A property that this half of the Kafka layer cannot honour, or a file that cannot be used.
    pub(in crate::kafka) fn new(
        properties: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectionError> {
        let properties = Properties::new(properties)?;
        let protocol = properties.protocol()?;
        Ok(Self {
            tls: protocol
                .is_encrypted()
                .then(|| Tls::new(properties))
                .transpose()?,
            login: protocol
                .has_login()
                .then(|| Login::new(properties))
                .transpose()?,
        })
    }

    /// Returns the connection as it is to be used: encrypted where the protocol says so. `host` is the broker's name or
    /// address, which its certificate has to hold.
    ///
    /// # Errors
    ///
    /// `_SSL` with what is wrong; `_TRANSPORT` where the broker closed the connection.
    pub(in crate::kafka) async fn secure(
        &self,
        tcp: TcpStream,
        host: &str,
    ) -> Result<Transport, KafkaError> {
        let Some(tls) = &self.tls else {
            let unanswered = "the broker closed the connection before it answered: connecting to a SSL broker listener? \
                 (see `security.protocol`)";
            return Ok(Transport::new(
                tcp,
                unanswered.to_owned(),
                Box::new(|_| None),
            ));
        };
        let stream = tls.connect(tcp, host).await?;
        Ok(Transport::new(
            stream,
            tls.unanswered(),
            tls.encryption_error(),
        ))
    }

    /// Starts to log in; nothing where the listener asks for no log-in.
    ///
    /// # Errors
    ///
    /// `_AUTHENTICATION` where the system has no random numbers.
    pub(in crate::kafka) fn log_in(&self) -> Result<Option<Conversation>, KafkaError> {
        self.login.as_ref().map(Login::start).transpose()
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").finish_non_exhaustive()
    }
}
