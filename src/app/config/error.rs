//! What is wrong with the configuration: one line that says what, where and the nearest valid thing.

use std::path::Path;

use thiserror::Error;

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
    /// A value that the file, a flag or the environment gives cannot be used.
    #[error("{place}: {problem}")]
    Setting {
        /// `lagwatch.yaml:4`, or `--poll-interval (or LAGWATCH_POLL_INTERVAL)`
        place: String,
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

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file, at this line, from 1.
    Line(u64),
    /// A flag, or the environment variable of the same name.
    Flag(String),
    /// An environment variable that has no flag.
    Variable(String),
}

/// What is wrong with a setting. The file that lines refer to is named by [`SettingProblem::in_file`].
pub(super) struct SettingProblem {
    /// Nothing: it concerns the settings as a whole.
    origin: Option<Origin>,
    text: String,
}

impl SettingProblem {
    /// Returns a problem with the value that was given at `origin`.
    pub(super) fn at(origin: &Origin, text: impl ToString) -> Self {
        Self {
            origin: Some(origin.clone()),
            text: text.to_string(),
        }
    }

    /// Returns a problem that no single value is to blame for.
    pub(super) fn of_all(text: impl ToString) -> Self {
        Self {
            origin: None,
            text: text.to_string(),
        }
    }

    /// Returns the error for a configuration whose file is `path`.
    pub(super) fn in_file(self, path: &Path) -> ConfigError {
        let Self { origin, text } = self;
        match origin {
            None => ConfigError::Whole(text),
            Some(origin) => ConfigError::Setting {
                place: origin.place(path),
                problem: text,
            },
        }
    }
}

impl Origin {
    fn place(self, file: &Path) -> String {
        match self {
            Self::Line(line) => format!("{}:{line}", file.display()),
            Self::Flag(flag) if flag.starts_with("--") => {
                let variable = environment_name(&flag);
                format!("{flag} (or {variable})")
            }
            Self::Flag(name) | Self::Variable(name) => name,
        }
    }
}

impl From<YamlProblem> for SettingProblem {
    fn from(YamlProblem { line, problem }: YamlProblem) -> Self {
        Self::at(&Origin::Line(line), problem)
    }
}

/// Returns the environment variable of a flag: `--web.listen-address` is `LAGWATCH_WEB_LISTEN_ADDRESS`.
pub fn environment_name(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace(['.', '-'], "_");
    format!("LAGWATCH_{}", name.to_uppercase())
}
