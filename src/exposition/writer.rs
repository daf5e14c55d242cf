//! Families, labels and samples as lines of either text format.
//!
//! Source: the Prometheus text format 0.0.4 and OpenMetrics 1.0.

use std::io::Write;

use super::gzip::Follows;
use super::output::{Encoding, Output, Part};
use crate::metrics::Kind;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Returns the value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What stands above the samples of a family.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// The name, with a counter's `_total`.
    pub(super) name: &'a str,
    /// The type.
    pub(super) kind: Kind,
    /// One sentence.
    pub(super) help: &'a str,
}

/// A sample's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Written exactly.
    Integer(u64),
    /// Written with as many digits as tell it from its neighbours.
    Float(f64),
}

/// Writes families, one after the other.
pub(super) struct Writer {
    format: Format,
    output: Output,
}

/// Writes the samples of one family; its head comes with the first of them.
pub(super) struct Family<'w> {
    writer: &'w mut Writer,
    head: Head<'w>,
    is_open: bool,
}

/// Rendered labels, without braces. Grows and is cut back like a stack, so that a common prefix is made once.
#[derive(Default)]
pub(super) struct Labels(Vec<u8>);

impl Writer {
    /// Returns a writer that has written nothing.
    pub(super) fn new(format: Format, encoding: Encoding) -> Self {
        Self {
            format,
            output: Output::new(encoding),
        }
    }

    /// Starts a family.
    pub(super) fn family<'w>(&'w mut self, head: Head<'w>) -> Family<'w> {
        Family {
            writer: self,
            head,
            is_open: false,
        }
    }

    /// Ends the part. The last part of OpenMetrics says so.
    pub(super) fn finish(mut self, follows: Follows) -> Part {
        if (self.format, follows) == (Format::OpenMetrics, Follows::Nothing) {
            self.output.buffer().extend_from_slice(b"# EOF\n");
        }
        self.output.finish(follows)
    }
}

impl Family<'_> {
    /// Writes a sample.
    pub(super) fn sample(&mut self, labels: &Labels, value: Value) {
        self.line("", labels, value);
    }

    /// Writes the samples of a histogram: `buckets` holds upper bounds and cumulative counts, `+Inf` left out.
    pub(super) fn histogram(
        &mut self,
        labels: &mut Labels,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        let mark = labels.mark();
        for (bound, cumulative) in buckets {
            labels.push_bound(bound, self.writer.format);
            self.line("_bucket", labels, Value::Integer(cumulative));
            labels.cut(mark);
        }
        labels.push_bound(f64::INFINITY, self.writer.format);
        self.line("_bucket", labels, Value::Integer(count));
        labels.cut(mark);
        self.line("_sum", labels, Value::Float(sum));
        self.line("_count", labels, Value::Integer(count));
    }

    fn line(&mut self, suffix: &str, labels: &Labels, value: Value) {
        if !self.is_open {
            self.is_open = true;
            self.open();
        }
        let buffer = self.writer.output.buffer();
        buffer.extend_from_slice(self.head.name.as_bytes());
        buffer.extend_from_slice(suffix.as_bytes());
        if !labels.0.is_empty() {
            buffer.push(b'{');
            buffer.extend_from_slice(&labels.0);
            buffer.push(b'}');
        }
        buffer.push(b' ');
        value.write(buffer);
        buffer.push(b'\n');
    }

    fn open(&mut self) {
        let Head { name, kind, help } = self.head;
        let format = self.writer.format;
        // OpenMetrics names the family of a counter without the suffix that its samples have.
        let name = match (format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            (Format::Text | Format::OpenMetrics, _) => name,
        };
        let buffer = self.writer.output.buffer();
        buffer.extend_from_slice(b"# HELP ");
        buffer.extend_from_slice(name.as_bytes());
        buffer.push(b' ');
        match format {
            // The text format leaves quotes in help texts alone.
            Format::Text => escape(buffer, help, |byte| byte != b'"'),
            Format::OpenMetrics => escape(buffer, help, |_| true),
        }
        buffer.extend_from_slice(b"\n# TYPE ");
        buffer.extend_from_slice(name.as_bytes());
        buffer.push(b' ');
        buffer.extend_from_slice(type_word(kind, format).as_bytes());
        buffer.push(b'\n');
    }
}

impl Labels {
    /// Returns where the labels end now, to cut back to.
    pub(super) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Cuts the labels back to `mark`.
    pub(super) fn cut(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Adds a label. One with an empty value is left out: to Prometheus, the two are the same.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.start(name);
        escape(&mut self.0, value, |_| true);
        self.0.push(b'"');
    }

    /// Adds a label whose value is a number.
    pub(super) fn push_number(&mut self, name: &str, value: i32) {
        self.start(name);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.0.push(b'"');
    }

    fn push_bound(&mut self, bound: f64, format: Format) {
        self.start("le");
        Value::Float(bound).write(&mut self.0);
        // OpenMetrics wants bounds to look like floats.
        if format == Format::OpenMetrics && bound.is_finite() && bound.fract() == 0.0 {
            self.0.extend_from_slice(b".0");
        }
        self.0.push(b'"');
    }

    fn start(&mut self, name: &str) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"=\"");
    }
}

impl Value {
    fn write(self, buffer: &mut Vec<u8>) {
        match self {
            Self::Integer(value) => {
                buffer.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Self::Float(value) if value == f64::INFINITY => buffer.extend_from_slice(b"+Inf"),
            Self::Float(value) if value == f64::NEG_INFINITY => buffer.extend_from_slice(b"-Inf"),
            Self::Float(value) => write!(buffer, "{value}").expect("writing to memory cannot fail"),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

/// Returns the word that names a type in a format.
fn type_word(kind: Kind, format: Format) -> &'static str {
    match (kind, format) {
        (Kind::Counter, _) => "counter",
        (Kind::Gauge, _) => "gauge",
        (Kind::Histogram, _) => "histogram",
        (Kind::Untyped, Format::Text) => "untyped",
        (Kind::Untyped, Format::OpenMetrics) => "unknown",
    }
}

/// Appends `text` with backslashes, line feeds and, where `is_special` says so, quotes escaped.
fn escape(buffer: &mut Vec<u8>, text: &str, is_special: impl Fn(u8) -> bool) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => continue,
        };
        if is_special(byte) {
            buffer.extend_from_slice(&bytes[copied..at]);
            buffer.extend_from_slice(escaped);
            copied = at + 1;
        }
    }
    buffer.extend_from_slice(&bytes[copied..]);
}
