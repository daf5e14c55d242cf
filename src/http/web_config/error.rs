//! What is wrong with a web configuration file.

use std::path::Path;

use serde_saphyr::Location;
use thiserror::Error;
use tokio_rustls::rustls;
use tokio_rustls::rustls::server::VerifierBuilderError;

use crate::diagnostics::YamlProblem;

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
    pub(super) fn not_yaml(path: &Path, YamlProblem { line, problem }: YamlProblem) -> Self {
        Self::Invalid {
            path: path.display().to_string(),
            line,
            problem,
        }
    }
}
