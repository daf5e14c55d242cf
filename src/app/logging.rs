//! The log: what is written, in which form, to standard error; the level can change while the process runs.

use std::io;

use anyhow::Context;
use jiff::Timestamp;
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::config::{LogConfig, LogFormat, parse_directives};

/// Changes the level of the installed log.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<EnvFilter, Registry>);

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
