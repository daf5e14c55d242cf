//! Checks of single settings. An error points at the line or the flag that gave the value.

use std::path::Path;
use std::time::Duration;

use super::error::ConfigError;
use super::setting::{Origin, Setting};

/// Checks settings of one file.
pub(super) struct Validator<'a> {
    /// The file that lines refer to; without a file there are no lines.
    pub(super) path: &'a Path,
}

impl Validator<'_> {
    /// Returns the error for the value that was given at `origin`.
    pub(super) fn error(&self, origin: &Origin, problem: impl ToString) -> ConfigError {
        ConfigError::at(origin, self.path, problem)
    }

    /// Returns a duration that must not be zero.
    pub(super) fn positive_or(
        &self,
        key: &str,
        setting: Option<&Setting<Duration>>,
        default: Duration,
    ) -> Result<Duration, ConfigError> {
        match setting {
            Some(Setting { value, origin }) if value.is_zero() => {
                Err(self.error(origin, format!("`{key}` must be more than 0")))
            }
            setting => Ok(value_or(setting, default)),
        }
    }

    /// Returns a name that must not be empty.
    pub(super) fn name<'s>(
        &self,
        key: &str,
        setting: &'s Setting<String>,
    ) -> Result<&'s str, ConfigError> {
        if setting.value.is_empty() {
            return Err(self.error(&setting.origin, format!("`{key}` is empty")));
        }
        Ok(&setting.value)
    }
}

/// Returns a value that needs no check.
pub(super) fn value_or<T: Clone>(setting: Option<&Setting<T>>, default: T) -> T {
    setting.map_or(default, |setting| setting.value.clone())
}
