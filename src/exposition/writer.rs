//! Families, labels and samples as lines of either text format.
//!
//! Source: the Prometheus text format 0.0.4 and OpenMetrics 1.0.

use std::io::Write;
use std::time::Duration;

use crate::metrics::{Kind, Metric};

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
    /// Milliseconds, written exactly and as seconds.
    Millis(u64),
    /// Written with as many digits as tell it from its neighbours.
    Float(f64),
}

/// Writes the samples of one family into a text; its head comes with the first of them.
pub(super) struct FamilyWriter<'a> {
    format: Format,
    head: Head<'a>,
    text: &'a mut Vec<u8>,
    is_open: bool,
}

/// Rendered labels, without braces. Grows and is cut back like a stack, so that a common prefix is made once.
#[derive(Default)]
pub(super) struct Labels(Vec<u8>);

impl Format {
    /// Writes what ends a whole answer: OpenMetrics says so.
    pub(super) fn end(self, text: &mut Vec<u8>) {
        match self {
            Self::Text => {}
            Self::OpenMetrics => text.extend_from_slice(b"# EOF\n"),
        }
    }
}

impl<'a> FamilyWriter<'a> {
    /// Starts a family.
    pub(super) fn new(format: Format, head: Head<'a>, text: &'a mut Vec<u8>) -> Self {
        Self {
            format,
            head,
            text,
            is_open: false,
        }
    }

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
            labels.push_bound(bound, self.format);
            self.line("_bucket", labels, Value::Integer(cumulative));
            labels.cut(mark);
        }
        labels.push_bound(f64::INFINITY, self.format);
        self.line("_bucket", labels, Value::Integer(count));
        labels.cut(mark);
        self.line("_sum", labels, Value::Float(sum));
        self.line("_count", labels, Value::Integer(count));
    }

    fn line(&mut self, suffix: &str, labels: &Labels, value: Value) {
        if !self.is_open {
            self.is_open = true;
            self.head.write(self.format, self.text);
        }
        self.text.extend_from_slice(self.head.name.as_bytes());
        write_line(self.text, suffix, labels, value);
    }
}

/// Writes a line.
pub(super) fn write_line(text: &mut Vec<u8>, name: &str, labels: &Labels, value: Value) {
    // Once for the whole line: it is what most of the time goes into.
    text.reserve(name.len() + labels.0.len() + VALUE_BYTES);
    text.extend_from_slice(name.as_bytes());
    if labels.0.is_empty() {
        text.push(b' ');
    } else {
        text.push(b'{');
        text.extend_from_slice(&labels.0);
        text.extend_from_slice(b"} ");
    }
    value.write(text);
    text.push(b'\n');
}

/// The braces, the space, the line break and nearly every value.
const VALUE_BYTES: usize = 28;

impl<'a> Head<'a> {
    /// Returns the head of a metric's family.
    pub(super) fn of(metric: &'a Metric) -> Self {
        Self {
            name: metric.name,
            kind: metric.kind,
            help: metric.help,
        }
    }

    /// Writes the help and the type.
    pub(super) fn write(self, format: Format, text: &mut Vec<u8>) {
        let Self { name, kind, help } = self;
        // OpenMetrics names the family of a counter without the suffix that its samples have.
        let name = match (format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            (Format::Text | Format::OpenMetrics, _) => name,
        };
        text.extend_from_slice(b"# HELP ");
        text.extend_from_slice(name.as_bytes());
        text.push(b' ');
        match format {
            // The text format leaves quotes in help texts alone.
            Format::Text => escape(text, help, |byte| byte != b'"'),
            Format::OpenMetrics => escape(text, help, |_| true),
        }
        text.extend_from_slice(b"\n# TYPE ");
        text.extend_from_slice(name.as_bytes());
        text.push(b' ');
        text.extend_from_slice(type_word(kind, format).as_bytes());
        text.push(b'\n');
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
    /// The most milliseconds that a float tells from their neighbours: it has 15 digits at least.
    pub(super) const MAX_MILLIS: u64 = 1_000_000_000_000_000;

    /// Returns a time in seconds, to the millisecond.
    pub(super) fn seconds(time: Duration) -> Self {
        Self::millis(time.as_millis())
    }

    /// Returns milliseconds since the epoch in seconds.
    pub(super) fn timestamp(millis: i64) -> Self {
        match u64::try_from(millis) {
            Ok(millis) => Self::millis(millis.into()),
            Err(_) => Self::Float(millis as f64 / 1_000.0),
        }
    }

    /// Returns milliseconds in seconds.
    fn millis(millis: u128) -> Self {
        match u64::try_from(millis) {
            Ok(millis) if millis < Self::MAX_MILLIS => Self::Millis(millis),
            Ok(_) | Err(_) => Self::Float(millis as f64 / 1_000.0),
        }
    }

    fn write(self, buffer: &mut Vec<u8>) {
        match self {
            Self::Integer(value) => {
                buffer.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Self::Millis(millis) => write_millis(buffer, millis),
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

/// Writes milliseconds as seconds, as the nearest float would be written.
fn write_millis(buffer: &mut Vec<u8>, millis: u64) {
    buffer.extend_from_slice(itoa::Buffer::new().format(millis / 1_000).as_bytes());
    let mut rest = millis % 1_000;
    if rest == 0 {
        return;
    }
    let mut digits = [b'.', b'0', b'0', b'0'];
    for place in (1..4).rev() {
        digits[place] += u8::try_from(rest % 10).expect("it is one digit");
        rest /= 10;
    }
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0');
    buffer.extend_from_slice(&digits[..4 - zeros.count()]);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: Value) -> String {
        let mut text = Vec::new();
        value.write(&mut text);
        String::from_utf8(text).expect("digits are ASCII")
    }

    #[test]
    fn milliseconds_are_written_without_zeros_at_their_end() {
        for (millis, expected) in [
            (0, "0"),
            (1, "0.001"),
            (20, "0.02"),
            (300, "0.3"),
            (4_000, "4"),
            (50_607, "50.607"),
        ] {
            assert_eq!(written(Value::Millis(millis)), expected);
        }
    }

    proptest! {
        #[test]
        fn milliseconds_look_like_the_float_that_is_nearest(millis in 0..Value::MAX_MILLIS) {
            let float = Value::Float(millis as f64 / 1_000.0);
            prop_assert_eq!(written(Value::Millis(millis)), written(float));
        }
    }
}
