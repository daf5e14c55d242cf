//! How a command ends: its exit code, and the one line that says why.

use std::fmt;
use std::process::ExitCode;

use crate::app::config::ConfigError;
use crate::app::describe::escape;

/// What every command returns.
pub(super) type CommandResult = Result<ExitCode, CommandError>;

/// Why a command ended early. Prints as one line.
#[derive(Debug)]
pub enum CommandError {
    /// It failed while running: exit code 1.
    Running(anyhow::Error),
    /// The command line or the configuration is wrong: exit code 2.
    Usage(anyhow::Error),
}

impl CommandError {
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Running(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
        }
    }
}

impl From<anyhow::Error> for CommandError {
    /// A configuration may show only at the start that it cannot be used.
    fn from(error: anyhow::Error) -> Self {
        if error.is::<ConfigError>() {
            return Self::Usage(error);
        }
        Self::Running(error)
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.into())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Running(error) | Self::Usage(error)) = self;
        // Whatever a message quotes, it stays one line.
        f.write_str(&escape(&format!("{error:#}")))
    }
}
