//! The log: what is written, in which form, to standard error; the level can change while the process runs.

use std::io;

use anyhow::Context;
use jiff::Timestamp;
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::config::{LogConfig, LogFormat};

/// Changes the level of the installed log.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

/// Checks a level (`info`) or directives (`info,lagwatch::kafka=debug`).
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

/// Installs the log for the whole process.
///
/// # Errors
///
/// One is installed already.
pub fn install(config: &LogConfig) -> anyhow::Result<LogHandle> {
    let (filter, handle) = reload::Layer::new(filter(config)?);
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines
            .fmt_fields(format::debug_fn(text_field))
            .event_format(TextLine)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .context("installing the log")?;
    Ok(LogHandle(handle))
}

/// The name of the field of a span that says who speaks, where several speak at once.
pub const SPEAKER: &str = "speaker";

/// A line for people: time, level, who speaks, the message. Messages read alone, so their fields are left to JSON.
struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        write!(line, "{time} {:>5} ", event.metadata().level())?;
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(line, "{fields}: ")?;
            }
        }
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}

fn text_field(
    line: &mut Writer<'_>,
    field: &Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    match field.name() {
        "message" | SPEAKER => write!(line, "{value:?}"),
        _ => Ok(()),
    }
}

impl LogHandle {
    /// Applies another level; the form of a line stays as it is.
    ///
    /// # Errors
    ///
    /// The log is gone.
    pub fn apply(&self, config: &LogConfig) -> anyhow::Result<()> {
        self.0
            .reload(filter(config)?)
            .context("changing the log level")
    }
}

fn filter(config: &LogConfig) -> anyhow::Result<EnvFilter> {
    parse_directives(&config.directives).map_err(anyhow::Error::msg)
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
