//! What is wrong with a web configuration file.

use std::path::Path;

use serde_saphyr::{Error as YamlError, Location};
use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::server::VerifierBuilderError;

/// A web configuration that cannot be used. Never quotes a value that may be a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebConfigError {
    /// A file could not be read.
    #[error("reading {what} `{path}`")]
    Read {
        /// What the file is.
        what: &'static str,
        /// The file, as seen from the working directory.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What stands in the file cannot be used.
    #[error("{path}:{line}: {problem}")]
    Invalid {
        /// The file as it was named.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What should be PEM is not, or has nothing that is needed.
    #[error("{what} in {place}: {problem}")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// The file, or the line of the web configuration.
        place: String,
        /// Why it was not found.
        problem: &'static str,
    },
    /// The certificate and the key cannot be used, or not together.
    #[error("certificate in {certificate} with private key in {key}")]
    Pair {
        /// Where the certificate is.
        certificate: String,
        /// Where the key is.
        key: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// A certificate of an authority cannot be used.
    #[error("client authority in {place}")]
    Authority {
        /// Where it is.
        place: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The authorities cannot be used together.
    #[error("client authorities in {place}")]
    Authorities {
        /// Where they are.
        place: String,
        /// Why not.
        #[source]
        source: VerifierBuilderError,
    },
    /// What was read again would change what a running server must not change.
    #[error("{path}: {problem} takes a restart")]
    NeedsRestart {
        /// The file as it was named.
        path: String,
        /// The change.
        problem: &'static str,
    },
}

impl WebConfigError {
    /// Returns the error for what stands at `location`.
    pub(super) fn invalid(path: &Path, location: Location, problem: impl ToString) -> Self {
        Self::Invalid {
            path: path.display().to_string(),
            line: location.line().max(1),
            problem: problem.to_string(),
        }
    }

    /// Returns the error for a file that is no YAML, or not of the schema.
    pub(super) fn from_yaml(path: &Path, error: &YamlError) -> Self {
        let error = error.without_snippet();
        let problem = match error {
            YamlError::SerdeUnknownField {
                field, expected, ..
            } => unknown("key", field, expected),
            YamlError::DuplicateMappingKey { key: Some(key), .. } => {
                format!("key `{key}` is given twice")
            }
            YamlError::SerdeInvalidType { expected, .. }
            | YamlError::SerdeInvalidValue { expected, .. } => format!("expected {expected}"),
            YamlError::Unexpected { expected, .. } => format!("expected {expected}"),
            _ => "this is no YAML of a web configuration".to_owned(),
        };
        let line = error.location().map_or(1, |location| location.line());
        Self::Invalid {
            path: path.display().to_string(),
            line: line.max(1),
            problem,
        }
    }

    /// Returns the error and its causes in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut error: &dyn std::error::Error = self;
        while let Some(source) = error.source() {
            text.push_str(": ");
            text.push_str(&source.to_string());
            error = source;
        }
        text
    }
}

/// Says that there is no such thing, and which one is most like it.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    const NEAR: f64 = 0.75;
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((_, name)) => format!("unknown {what} `{word}`; did you mean `{name}`?"),
        None => {
            let mut known = known.to_vec();
            known.sort_unstable();
            format!("unknown {what} `{word}`; known here: {}", known.join(", "))
        }
    }
}
