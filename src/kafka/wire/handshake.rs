//! The first words on a connection: TLS, which requests the broker knows, and logging in.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::common::Common;
use super::endpoint::Endpoint;
use super::frames::{Frames, Response};
use super::message::{
    self, ApiVersions, Request, SaslAuthenticate, SaslHandshake, SupportedVersions, Throttled,
};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::kafka::security::{Conversation, SaslStep};

/// The most messages that logging in may take.
const MOST_STEPS: usize = 8;

/// Sessions that are shorter, of a broker that is set up wrongly, would be spent with logging in.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

/// A connection that is ready for requests.
pub(super) struct Session {
    pub(super) frames: Frames,
    pub(super) versions: SupportedVersions,
    /// When the client has to log in again (KIP-368); nothing where it never has to.
    pub(super) expires: Option<Instant>,
    common: Arc<Common>,
    next_correlation_id: i32,
}

impl Session {
    /// Connects and makes the connection ready.
    ///
    /// # Errors
    ///
    /// `_RESOLVE`, `_TRANSPORT`, `_SSL`, `_AUTHENTICATION` or the broker's own word for a refused log-in, `_TIMED_OUT`.
    pub(super) async fn open(
        endpoint: &Endpoint,
        common: Arc<Common>,
        deadline: Instant,
    ) -> Result<Self, KafkaError> {
        let tcp = endpoint.connect(&common.settings, deadline).await?;
        let opening = async {
            let transport = common.security.secure(tcp, &endpoint.host).await?;
            let mut session = Self {
                frames: Frames::new(transport, common.settings.max_response_bytes),
                versions: SupportedVersions::default(),
                expires: None,
                common,
                next_correlation_id: 0,
            };
            session.learn_versions().await?;
            session.log_in().await?;
            Ok(session)
        };
        match timeout_at(deadline, opening).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(at(endpoint, error)),
            Err(_) => Err(at(
                endpoint,
                KafkaError {
                    code: ErrorCode::TIMED_OUT,
                    message: "it accepts connections and does not answer".to_owned(),
                },
            )),
        }
    }

    /// Returns the correlation id of the next request.
    pub(super) fn next_correlation_id(&mut self) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id = id.checked_add(1).unwrap_or(0);
        id
    }

    async fn learn_versions(&mut self) -> Result<(), KafkaError> {
        // A broker that does not know the version answers in the oldest format of all.
        let [.., high, low] = ErrorCode::UNSUPPORTED_VERSION.value().to_be_bytes();
        let (oldest, newest) = ApiVersions::VERSIONS;
        let mut version = newest;
        let mut response = self.send(&ApiVersions, version).await?;
        if response.bytes.starts_with(&[high, low]) {
            version = oldest;
            response = self.send(&ApiVersions, version).await?;
        }
        self.versions = message::decode(&ApiVersions, version, &response.bytes)?.response?;
        Ok(())
    }

    /// Logs in, for the first time or again.
    ///
    /// # Errors
    ///
    /// As [`Session::open`]. Never holds a secret.
    pub(super) async fn log_in(&mut self) -> Result<(), KafkaError> {
        let Some(mut conversation) = self.common.security.log_in()? else {
            return Ok(());
        };
        let handshake = SaslHandshake {
            mechanism: conversation.mechanism,
        };
        let started = Instant::now();
        let answer = self.call(&handshake).await?;
        if let Err((error, mechanisms)) = answer {
            return Err(KafkaError {
                message: format!(
                    "the broker does not accept `{}`, only: {}",
                    handshake.mechanism,
                    mechanisms.join(", ")
                ),
                ..error
            });
        }
        let lifetime = self.converse(&mut conversation).await?;
        // Some time before it ends, as Kafka's own client does: a request that comes too late ends the connection.
        let lifetime = lifetime.map(|lifetime| lifetime.max(SHORTEST_SESSION));
        self.expires = lifetime.map(|lifetime| started + lifetime.mul_f64(0.85));
        Ok(())
    }

    async fn converse(
        &mut self,
        conversation: &mut Conversation,
    ) -> Result<Option<Duration>, KafkaError> {
        let mut answer: Option<Vec<u8>> = None;
        let mut lifetime = None;
        for _ in 0..MOST_STEPS {
            match conversation.next(answer.as_deref())? {
                SaslStep::Done => return Ok(lifetime),
                SaslStep::Send(bytes) => {
                    let request = SaslAuthenticate { bytes };
                    let authenticated = self.call(&request).await?;
                    // By the name that librdkafka has for it, so that both halves count the same error.
                    let authenticated = authenticated.map_err(|error| KafkaError {
                        code: ErrorCode::AUTHENTICATION,
                        ..error
                    })?;
                    lifetime = u64::try_from(authenticated.session_lifetime_ms)
                        .ok()
                        .filter(|millis| *millis > 0)
                        .map(Duration::from_millis);
                    answer = Some(authenticated.bytes);
                }
            }
        }
        Err(KafkaError {
            code: ErrorCode::AUTHENTICATION,
            message: "the broker never ends the log-in".to_owned(),
        })
    }

    /// Sends a request while no other is in flight, and returns its response.
    async fn call<R: Request>(&mut self, request: &R) -> Result<R::Response, KafkaError> {
        let version = self.versions.newest(request).ok_or_else(unsupported::<R>)?;
        let response = self.send(request, version).await?;
        let Throttled { response, .. } = message::decode(request, version, &response.bytes)?;
        Ok(response)
    }

    async fn send<R: Request>(
        &mut self,
        request: &R,
        version: i16,
    ) -> Result<Response, KafkaError> {
        let id = self.next_correlation_id();
        let client_id = &self.common.settings.client_id;
        self.frames
            .push(|buffer| message::encode(request, version, id, client_id, buffer))?;
        self.common.requests.sent(R::API.name(), 1);
        let response = self.frames.exchange().await?;
        if response.correlation_id == id {
            Ok(response)
        } else {
            Err(wrong_correlation_id())
        }
    }
}

/// Returns the error of a broker that is too old, or too unlike Kafka, for a request.
pub(super) fn unsupported<R: Request>() -> KafkaError {
    KafkaError {
        code: ErrorCode::UNSUPPORTED_FEATURE,
        message: format!(
            "the broker knows no version of `{}` that lagwatch knows",
            R::API
        ),
    }
}

/// Returns the error of a broker that answers what it was not asked.
pub(super) fn wrong_correlation_id() -> KafkaError {
    KafkaError {
        code: ErrorCode::BAD_MSG,
        message: "the broker answers another request than it was sent".to_owned(),
    }
}

/// Adds the broker to an error that does not name it.
fn at(endpoint: &Endpoint, error: KafkaError) -> KafkaError {
    KafkaError {
        message: format!("broker `{endpoint}`: {}", error.message),
        ..error
    }
}
