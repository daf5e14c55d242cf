//! What is wrong with the configuration: one line that says what, where and the nearest valid thing.

use std::path::Path;

use serde_saphyr::Error as YamlError;
use thiserror::Error;

use super::setting::Origin;
use crate::diagnostics::YamlProblem;
use crate::http::WebConfigError;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("reading config file `{path}`")]
    Read {
        /// The file as it was named.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What stands in the file cannot be used.
    #[error("{path}:{line}: {problem}")]
    File {
        /// The file as it was named.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// What a flag or its environment variable says cannot be used.
    #[error("{flag}: {problem}")]
    Flag {
        /// `--poll-interval (or LAGWATCH_POLL_INTERVAL)`
        flag: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The web configuration file cannot be used.
    #[error(transparent)]
    Web(#[from] WebConfigError),
    /// The settings as a whole cannot be used.
    #[error("{0}")]
    Whole(String),
}

impl ConfigError {
    /// Returns the error for a value that was given at `origin`; `path` is the file, where one is used.
    pub(super) fn at(origin: &Origin, path: &Path, problem: impl ToString) -> Self {
        let problem = problem.to_string();
        let flag = match origin {
            Origin::Line(line) => {
                return Self::File {
                    path: path.display().to_string(),
                    line: *line,
                    problem,
                };
            }
            Origin::Flag(flag) if flag.starts_with("--") => {
                format!("{flag} (or {})", environment_name(flag))
            }
            Origin::Flag(flag) => (*flag).to_owned(),
            Origin::Variable(name) => name.clone(),
        };
        Self::Flag { flag, problem }
    }

    /// Returns the error for a file that is no YAML, or not of the schema.
    pub(super) fn from_yaml(path: &Path, error: &YamlError) -> Self {
        let YamlProblem { line, problem } = YamlProblem::of(error);
        Self::File {
            path: path.display().to_string(),
            line,
            problem,
        }
    }
}

/// Returns the environment variable of a flag: `--web.listen-address` is `LAGWATCH_WEB_LISTEN_ADDRESS`.
pub fn environment_name(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace(['.', '-'], "_");
    format!("LAGWATCH_{}", name.to_uppercase())
}
