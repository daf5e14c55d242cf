//! SaslHandshake and SaslAuthenticate: logging in.

use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::request::{Request, Throttled, succeeded};
use crate::kafka::api::Api;
use crate::kafka::error::KafkaError;
use crate::offsets_topic::Malformed;
use crate::offsets_topic::reader::Reader;

/// Names the mechanism.
pub(in crate::kafka) struct SaslHandshake {
    /// As brokers name it.
    pub(in crate::kafka) mechanism: &'static str,
}

/// Hands the broker bytes of the mechanism.
pub(in crate::kafka) struct SaslAuthenticate {
    /// The bytes.
    pub(in crate::kafka) bytes: Vec<u8>,
}

/// What the broker answers to [`SaslAuthenticate`].
#[derive(Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Authenticated {
    /// Bytes of the mechanism.
    pub(in crate::kafka) bytes: Vec<u8>,
    /// How long the log-in lasts, in milliseconds (KIP-368); 0 for as long as the connection.
    pub(in crate::kafka) session_lifetime_ms: i64,
}

impl Request for SaslHandshake {
    const API: Api = Api::SASL_HANDSHAKE;
    // Version 0 goes on without Kafka's frames.
    const VERSIONS: (i16, i16) = (1, 1);
    const FLEXIBLE: i16 = i16::MAX;
    type Message = SaslHandshakeRequest;
    /// The mechanisms that the broker knows where it does not know the one named.
    type Response = Result<(), (KafkaError, Vec<String>)>;

    fn message(&self, _version: i16) -> SaslHandshakeRequest {
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(self.mechanism))
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let code = body.i16("ErrorCode")?;
        let mechanisms = body.list("Mechanisms", |body| {
            body.string("Mechanisms").map(str::to_owned)
        })?;
        let response = succeeded(code, None).map_err(|error| (error, mechanisms));
        Ok(Throttled::none(response))
    }
}

impl Request for SaslAuthenticate {
    const API: Api = Api::SASL_AUTHENTICATE;
    const VERSIONS: (i16, i16) = (0, 2);
    const FLEXIBLE: i16 = 2;
    type Message = SaslAuthenticateRequest;
    type Response = Result<Authenticated, KafkaError>;

    fn message(&self, _version: i16) -> SaslAuthenticateRequest {
        SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(&self.bytes))
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let code = body.i16("ErrorCode")?;
        let text = body.nullable_string("ErrorMessage")?;
        let bytes = body.nullable_bytes("AuthBytes")?.unwrap_or_default();
        let session_lifetime_ms = match body.version() {
            1.. => body.i64("SessionLifetimeMs")?,
            _ => 0,
        };
        let response = succeeded(code, text).map(|()| Authenticated {
            bytes: bytes.to_owned(),
            session_lifetime_ms,
        });
        Ok(Throttled::none(response))
    }
}
