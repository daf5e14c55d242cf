//! What is wrong with the configuration: one line that says what, where and the nearest valid thing.

use std::path::Path;

use serde_saphyr::Error as YamlError;
use thiserror::Error;

use super::setting::{Origin, nearest};
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
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| location.line());
        Self::File {
            path: path.display().to_string(),
            line: line.max(1),
            problem: problem_of(error),
        }
    }
}

/// Returns the environment variable of a flag: `--web.listen-address` is `LAGWATCH_WEB_LISTEN_ADDRESS`.
pub fn environment_name(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace(['.', '-'], "_");
    format!("LAGWATCH_{}", name.to_uppercase())
}

fn problem_of(error: &YamlError) -> String {
    match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => {
            let mut known: Vec<&str> = expected.clone();
            known.sort_unstable();
            match nearest(field, known.iter().copied()) {
                Some(key) => format!("unknown key `{field}`; did you mean `{key}`?"),
                None => format!("unknown key `{field}`; known here: {}", known.join(", ")),
            }
        }
        YamlError::DuplicateMappingKey { key: Some(key), .. } => {
            format!("key `{key}` is given twice")
        }
        // `unexpected` may quote the value, which may be a secret: its first word is its type.
        YamlError::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | YamlError::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => {
            let found = unexpected.split_whitespace().next().unwrap_or("nothing");
            format!("expected {}, found {found}", plain_words(expected))
        }
        YamlError::Unexpected { expected, .. } => format!("expected {}", plain_words(expected)),
        YamlError::MultipleDocuments { .. } => {
            "a second YAML document begins here; the file must hold one".to_owned()
        }
        YamlError::Message { msg, .. } => one_line(msg),
        other => without_location(&one_line(&other.to_string())),
    }
}

/// Replaces the parser's words by those of people who write YAML.
fn plain_words(expected: &str) -> &str {
    match expected {
        "string scalar" => "a single value, not a list or a mapping",
        "sequence start" | "a sequence" => "a list such as `[a, b]`",
        "mapping start" | "a map" => "a mapping such as `{ key: value }`",
        words if words.starts_with("struct ") => "a mapping such as `{ key: value }`",
        words => words,
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cuts the parser's own " at line 1, column 2", which is said in front already.
fn without_location(text: &str) -> String {
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    text[..cut].to_owned()
}
