//! How connections behave, by librdkafka's own property names.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kafka::connection_error::{ConnectionError, invalid};

/// The longest response that is accepted, unless the connection sets it: librdkafka's default.
const MAX_RESPONSE_BYTES: usize = 100_000_000;

/// How connections behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// What brokers see in their logs and quotas: `client.id`.
    pub(super) client_id: String,
    /// A longer response ends the connection: `receive.message.max.bytes`.
    pub(super) max_response_bytes: usize,
    /// How long a connection may take to be made and to log in: `socket.connection.setup.timeout.ms`.
    pub(super) setup_timeout: Duration,
    /// How long after a failed attempt the next one is made, before it doubles: `reconnect.backoff.ms`.
    pub(super) backoff: Duration,
    /// The most that it doubles to: `reconnect.backoff.max.ms`.
    pub(super) max_backoff: Duration,
    /// Whether the system asks silent connections for a sign of life: `socket.keepalive.enable`.
    pub(super) keepalive: bool,
    /// Which addresses of a host are used: `broker.address.family`.
    pub(super) family: AddressFamily,
}

/// Which addresses of a host are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressFamily {
    /// All of them, in the system's order.
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl Settings {
    /// Reads the properties; those that librdkafka has checked already have values of the right kind.
    ///
    /// # Errors
    ///
    /// A property whose value is not a number.
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Self, ConnectionError> {
        let number = |name: &str, default: u64| match properties.get(name) {
            None => Ok(default),
            Some(value) => value
                .trim()
                .parse()
                .map_err(|_| invalid(name, format!("expected a number, found `{value}`"))),
        };
        let millis = |name: &str, default: u64| number(name, default).map(Duration::from_millis);
        let text = |name: &str| properties.get(name).map(|value| value.to_ascii_lowercase());
        Ok(Self {
            client_id: properties
                .get("client.id")
                .cloned()
                .unwrap_or_else(|| "lagwatch".to_owned()),
            max_response_bytes: usize::try_from(number(
                "receive.message.max.bytes",
                MAX_RESPONSE_BYTES as u64,
            )?)
            .unwrap_or(MAX_RESPONSE_BYTES),
            setup_timeout: millis("socket.connection.setup.timeout.ms", 30_000)?,
            backoff: millis("reconnect.backoff.ms", 100)?,
            // A broker that is back is asked again within a poll cycle, not within librdkafka's ten seconds.
            max_backoff: millis("reconnect.backoff.max.ms", 2_000)?,
            keepalive: !matches!(
                text("socket.keepalive.enable").as_deref(),
                Some("false" | "0" | "f")
            ),
            family: match text("broker.address.family").as_deref() {
                Some("v4") => AddressFamily::V4,
                Some("v6") => AddressFamily::V6,
                _ => AddressFamily::Any,
            },
        })
    }
}
