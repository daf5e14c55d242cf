//! The `log` section, checked: the level, and the form of a line.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::error::SettingProblem;
use super::schema::{LogFile, LogFormat};
use super::setting::value_or;

/// The log's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A level or directives, checked.
    pub directives: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// Returns the settings of the log.
pub(super) fn resolve(file: &LogFile) -> Result<LogConfig, SettingProblem> {
    if let Some(level) = &file.level {
        let value = &level.value;
        parse_directives(value)
            .map_err(|problem| level.problem(format!("log level `{value}`: {problem}")))?;
    }
    Ok(LogConfig {
        directives: value_or(&file.level, "info".to_owned()),
        format: value_or(&file.format, LogFormat::default()),
    })
}

/// Parses a level (`info`) or directives (`info,lagwatch::kafka=debug`).
///
/// # Errors
///
/// What is wrong, in words that name the levels.
pub fn parse_directives(text: &str) -> Result<EnvFilter, &'static str> {
    const EXPECTED: &str = "expected `error`, `warn`, `info`, `debug`, `trace`, `off`, or directives such as `info,lagwatch::kafka=debug`";
    // The parser takes any word for a target at level trace: a misspelt level would make the log very loud.
    let is_level = |word: &str| {
        ["error", "warn", "info", "debug", "trace", "off"].contains(&word.to_lowercase().as_str())
    };
    let is_directive = |part: &str| match part.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(part),
    };
    if !text.split(',').all(is_directive) {
        return Err(EXPECTED);
    }
    EnvFilter::try_new(text).map_err(|_: ParseError| EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_accepted_and_misspelt_levels_are_not() {
        for text in [
            "info",
            "WARN",
            "off",
            "info,lagwatch::kafka=debug",
            "warn,lagwatch=trace",
        ] {
            assert!(parse_directives(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "loud",
            "inof",
            "info,lagwatch",
            "info, warn",
            "lagwatch=loud",
            "=info",
            "info,",
        ] {
            assert!(parse_directives(text).is_err(), "{text}");
        }
    }
}
