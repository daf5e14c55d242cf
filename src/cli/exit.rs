//! How a command ends: its exit code, and the one line that says why.

use std::fmt;
use std::process::ExitCode;

use crate::app::config::ConfigError;

/// What every command returns.
pub(super) type Outcome = Result<ExitCode, Failure>;

/// Why a command ended early. Prints as one line.
#[derive(Debug)]
pub struct Failure {
    error: anyhow::Error,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Running,
    Usage,
}

impl Failure {
    /// Returns a failure while running: exit code 1.
    pub fn running(error: anyhow::Error) -> Self {
        let kind = Kind::Running;
        Self { error, kind }
    }

    /// Returns a wrong command line or configuration: exit code 2.
    pub fn usage(error: anyhow::Error) -> Self {
        let kind = Kind::Usage;
        Self { error, kind }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self.kind {
            Kind::Running => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

impl From<anyhow::Error> for Failure {
    /// A configuration may show only at the start that it cannot be used.
    fn from(error: anyhow::Error) -> Self {
        if error.is::<ConfigError>() {
            return Self::usage(error);
        }
        Self::running(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:#}", self.error);
        // Whatever a message quotes, it stays one line.
        for character in text.chars() {
            if character.is_control() {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
