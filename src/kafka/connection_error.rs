//! What is wrong with a connection: its bootstrap servers or its properties.

use thiserror::Error;

/// Why a [`Connection`](super::Connection) cannot be used. One line; never holds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No bootstrap server is given.
    #[error("no bootstrap server")]
    NoBootstrapServer,
    /// A bootstrap server is not `host:port`.
    #[error("bootstrap server `{server}`: {problem}")]
    BootstrapServer {
        /// As it was given.
        server: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// librdkafka has no such property.
    #[error("unknown librdkafka property `{name}`{}", did_you_mean(.nearest.as_deref()))]
    UnknownProperty {
        /// As it was given.
        name: String,
        /// The most similar property there is.
        nearest: Option<String>,
    },
    /// The property is there, but cannot have this value.
    #[error("librdkafka property `{name}`: {reason}")]
    InvalidProperty {
        /// The property.
        name: String,
        /// librdkafka's words; for a secret, words that do not quote it.
        reason: String,
    },
    /// The property may not be set from outside.
    #[error("librdkafka property `{name}` cannot be set: {instead}")]
    ReservedProperty {
        /// The property.
        name: String,
        /// What to set instead, or why.
        instead: &'static str,
    },
    /// The properties contradict each other, one is missing, or a file they name cannot be used.
    #[error("librdkafka refuses these properties together: {reason}")]
    Client {
        /// librdkafka's words.
        reason: String,
    },
}

/// Returns the error of a property that cannot have its value. `reason` holds no secret.
pub(in crate::kafka) fn invalid(name: &str, reason: impl Into<String>) -> ConnectionError {
    ConnectionError::InvalidProperty {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}
