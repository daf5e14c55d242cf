//! The tables: every figure of every exporter, and how many times as much the others take.

use std::fmt::Write;

use crate::args::Mode;
use crate::exporter::{Product, Subject};
use crate::figures::Figures;

/// An exporter with what was measured of it.
pub(crate) type Column<'a> = (&'a Subject, Figures);

/// A line of the tables.
struct Row {
    name: &'static str,
    unit: Unit,
    of: fn(&Figures) -> Option<f64>,
}

#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Bytes,
    Mebibytes,
    Count,
}

const ROWS: [Row; 22] = [
    row("lag series", Unit::Count, |of| Some(of.lag_series as f64)),
    row("start to first complete snapshot", Unit::Seconds, |of| {
        of.first_snapshot.map(|time| time.as_secs_f64())
    }),
    row("start to first complete scrape", Unit::Seconds, |of| {
        of.first_scrape.map(|time| time.as_secs_f64())
    }),
    row("scrape after a cycle, p50", Unit::Seconds, |of| {
        of.fresh.percentile(50)
    }),
    row("scrape after a cycle, p99", Unit::Seconds, |of| {
        of.fresh.percentile(99)
    }),
    row("scrapes in a row, p50", Unit::Seconds, |of| {
        of.again.percentile(50)
    }),
    row("scrapes in a row, p99", Unit::Seconds, |of| {
        of.again.percentile(99)
    }),
    row("text of a scrape", Unit::Bytes, |of| {
        Some(of.identity_bytes as f64)
    }),
    row("bytes that Prometheus fetches", Unit::Bytes, |of| {
        Some(of.gzip_bytes.unwrap_or(of.identity_bytes) as f64)
    }),
    row("resident after the first snapshot", Unit::Mebibytes, |of| {
        of.resident_first
    }),
    row("resident after scrapes", Unit::Mebibytes, |of| {
        of.resident_scraped
    }),
    row("most resident ever", Unit::Mebibytes, |of| of.peak),
    row("CPU of a cycle without a scrape", Unit::Seconds, |of| {
        of.quiet_cpu
    }),
    row("CPU of a cycle with a scrape", Unit::Seconds, |of| {
        of.scraped_cpu
    }),
    row("CPU of a round of all scrapers", Unit::Seconds, |of| {
        of.crowd.as_ref().map(|crowd| crowd.cpu)
    }),
    row("all scrapers at once, p99", Unit::Seconds, |of| {
        of.crowd
            .as_ref()
            .and_then(|crowd| crowd.latencies.percentile(99))
    }),
    row("the same beside a slow reader, p99", Unit::Seconds, |of| {
        of.beside_slow
            .as_ref()
            .and_then(|crowd| crowd.latencies.percentile(99))
    }),
    row("resident beside a slow reader", Unit::Mebibytes, |of| {
        of.beside_slow.as_ref().map(|crowd| crowd.resident)
    }),
    row("Kafka requests of a cycle", Unit::Count, |of| {
        (!of.requests.is_empty()).then(|| of.requests.values().sum())
    }),
    row("commit to scrape, p50", Unit::Seconds, |of| {
        of.visible.percentile(50)
    }),
    row("commit to scrape, p99", Unit::Seconds, |of| {
        of.visible.percentile(99)
    }),
    row("scrapes of one kind", Unit::Count, |of| {
        Some(of.fresh.len() as f64)
    }),
];

const fn row(name: &'static str, unit: Unit, of: fn(&Figures) -> Option<f64>) -> Row {
    Row { name, unit, of }
}

/// Returns the table of all figures.
pub(crate) fn figures(columns: &[Column<'_>]) -> String {
    let mut text = head("figure", columns);
    for Row { name, unit, of } in &ROWS {
        line(&mut text, name, columns, |figures| {
            of(figures).map(|value| unit.format(value))
        });
    }
    text
}

/// Returns a table for each mode of lagwatch: how many times as much the other builds and the peers take as the first one.
pub(crate) fn ratios(columns: &[Column<'_>]) -> String {
    [Mode::Poll, Mode::Stream]
        .into_iter()
        .filter_map(|mode| ratios_to(mode, columns))
        .collect()
}

/// Returns a line that tells the Kafka requests of a cycle by API.
pub(crate) fn requests(subject: &Subject, figures: &Figures) -> String {
    let each: Vec<String> = figures
        .requests
        .iter()
        .map(|(api, count)| format!("{api} {count:.1}"))
        .collect();
    format!(
        "{} asks Kafka in a cycle: {}",
        subject.name(),
        each.join(", ")
    )
}

fn ratios_to(mode: Mode, columns: &[Column<'_>]) -> Option<String> {
    let is_compared = |product: Product| match product {
        Product::Lagwatch(other) => other == mode,
        _ => true,
    };
    let mut compared = columns
        .iter()
        .filter(|(subject, _)| is_compared(subject.product))
        .cloned();
    let (subject, base) = compared
        .next()
        .filter(|(subject, _)| subject.product == Product::Lagwatch(mode))?;
    let others: Vec<Column<'_>> = compared.collect();
    if others.is_empty() {
        return None;
    }
    let mut text = head(&format!("times as much as {}", subject.name()), &others);
    for Row { name, of, .. } in &ROWS {
        let Some(base) = of(&base).filter(|value| *value > 0.0) else {
            continue;
        };
        line(&mut text, name, &others, |figures| {
            of(figures).map(|value| format!("{:.2}", value / base))
        });
    }
    Some(text)
}

fn head(corner: &str, columns: &[Column<'_>]) -> String {
    let names: Vec<String> = columns.iter().map(|(subject, _)| subject.name()).collect();
    let rules = " --- |".repeat(columns.len());
    format!("\n| {corner} | {} |\n| --- |{rules}\n", names.join(" | "))
}

fn line(
    text: &mut String,
    name: &str,
    columns: &[Column<'_>],
    cell: impl Fn(&Figures) -> Option<String>,
) {
    let cells: Vec<String> = columns
        .iter()
        .map(|(_, figures)| cell(figures).unwrap_or_else(|| "-".to_owned()))
        .collect();
    writeln!(text, "| {name} | {} |", cells.join(" | ")).expect("a string takes everything");
}

impl Unit {
    fn format(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 0.1 => format!("{:.1} ms", value * 1e3),
            Self::Seconds if value < 1.0 => format!("{:.0} ms", value * 1e3),
            Self::Seconds => format!("{value:.2} s"),
            Self::Bytes => format!("{:.2} MB", value / 1e6),
            Self::Mebibytes => format!("{:.0} MiB", value / f64::from(1 << 20)),
            Self::Count if value < 100.0 => format!("{value:.1}"),
            Self::Count => format!("{value:.0}"),
        }
    }
}
