//! This process's own registry, written like everything else.

use prometheus::Registry;
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::gzip::Follows;
use super::output::{Encoding, Joiner, Part};
use super::writer::{FamilyWriter, Format, Head, Labels, Value};
use crate::metrics::{Kind, table};

/// Renders what a registry has gathered: the last part of a scrape's body.
///
/// Reads `/proc` for the families `process_*`.
pub fn render_own(registry: &Registry, format: Format, encoding: Encoding) -> Part {
    let mut joiner = Joiner::new(encoding);
    for family in registry.gather() {
        let Some(kind) = kind(&family) else {
            continue;
        };
        let order = table::find(family.name()).map_or(&[][..], |metric| metric.labels);
        let head = Head {
            name: family.name(),
            kind,
            help: family.help(),
        };
        let mut written = FamilyWriter::new(format, head, joiner.text());
        for metric in family.get_metric() {
            write(
                &mut written,
                kind,
                metric,
                &mut labels(metric.get_label(), order),
            );
        }
    }
    format.end(joiner.text());
    joiner.finish(Follows::Nothing)
}

/// Returns the type; nothing for those that the table does not know, which no test lets in.
fn kind(family: &MetricFamily) -> Option<Kind> {
    match family.get_field_type() {
        MetricType::COUNTER => Some(Kind::Counter),
        MetricType::GAUGE => Some(Kind::Gauge),
        MetricType::HISTOGRAM => Some(Kind::Histogram),
        MetricType::SUMMARY | MetricType::UNTYPED => None,
    }
}

/// Returns the labels, `cluster` first and then as the table orders them; the registry sorts them by name.
fn labels(pairs: &[LabelPair], order: &[&str]) -> Labels {
    let mut labels = Labels::default();
    for name in ["cluster"].iter().chain(order) {
        if let Some(pair) = pairs.iter().find(|pair| pair.name() == *name) {
            labels.push(name, pair.value());
        }
    }
    labels
}

fn write(family: &mut FamilyWriter<'_>, kind: Kind, metric: &Metric, labels: &mut Labels) {
    match kind {
        Kind::Counter => family.sample(labels, Value::Float(metric.get_counter().get_value())),
        Kind::Gauge | Kind::Untyped => {
            family.sample(labels, Value::Float(metric.get_gauge().get_value()));
        }
        Kind::Histogram => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            family.histogram(
                labels,
                buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())),
                histogram.get_sample_sum(),
                histogram.get_sample_count(),
            );
        }
    }
}
