//! Every output format of one rich world, byte by byte.
//!
//! After a change that is meant: `UPDATE_GOLDEN=1 cargo test --test it http::golden`, and read the difference.

use std::path::Path;
use std::time::Instant;

use lagwatch::exposition::{Encoding, Format, body, html, json, render, render_own};
use lagwatch::metrics::OwnMetrics;
use prometheus::Registry;

use super::world::{ODD_GROUP, rich};

/// Compares `got` with the file of that name, or writes it where `UPDATE_GOLDEN` is set.
fn assert_golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).expect("the folder is part of the repository");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected == got {
        return;
    }
    let mut lines = expected.lines().zip(got.lines()).enumerate();
    let first = lines.find(|(_, (expected, got))| expected != got).map_or(
        expected.lines().count().min(got.lines().count()) + 1,
        |(index, _)| index + 1,
    );
    panic!(
        "{} differs from line {first}\n--- expected\n{expected}\n--- got\n{got}\n--- if it is meant: \
         UPDATE_GOLDEN=1 cargo test --test it http::golden",
        path.display(),
    );
}

fn text(chunks: &[bytes::Bytes]) -> String {
    String::from_utf8(chunks.concat()).expect("output is UTF-8")
}

/// Returns a scrape of the rich world and of `registry`.
fn scrape(registry: &Registry, format: Format) -> String {
    let now = Instant::now();
    let world = render(&rich(now), now, format, Encoding::Identity);
    let own = render_own(registry, format, Encoding::Identity);
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    text(&body(&world.part, &own)).replace(&version, "version=\"VERSION\"")
}

/// Returns a registry with a family of every kind and nothing that depends on the machine.
fn registry() -> Registry {
    let metrics = OwnMetrics::new("2.0.0");
    let prod = metrics.cluster(Some(&"prod".into()));
    prod.polls("complete").inc_by(3);
    prod.poll_duration("total").observe(0.02);
    prod.poll_duration("total").observe(60.0);
    metrics.cluster(None).errors("metadata", "_TIMED_OUT").inc();
    metrics.http().connections.set(2);
    let families = metrics.registry().gather().into_iter();
    let stable = families.filter(|family| !family.name().starts_with("process_"));
    let registry = Registry::new();
    let gathered = Gathered(stable.collect());
    registry
        .register(Box::new(gathered))
        .expect("the only collector");
    registry
}

/// Families that were gathered before.
struct Gathered(Vec<prometheus::proto::MetricFamily>);

impl prometheus::core::Collector for Gathered {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.0.clone()
    }
}

#[test]
fn text_of_everything() {
    assert_golden("scrape.txt", &scrape(&registry(), Format::Text));
}

#[test]
fn openmetrics_of_everything() {
    let scrape = scrape(&registry(), Format::OpenMetrics);
    assert_golden("scrape.openmetrics.txt", &scrape);
}

fn pretty(answer: &impl serde::Serialize) -> String {
    let value: serde_json::Value =
        serde_json::from_slice(&json::to_bytes(answer)).expect("the answer is JSON");
    serde_json::to_string_pretty(&value).expect("it was JSON") + "\n"
}

#[test]
fn json_of_the_clusters() {
    let now = Instant::now();
    assert_golden("clusters.json", &pretty(&json::clusters(&rich(now), now)));
}

#[test]
fn json_of_the_groups() {
    let now = Instant::now();
    let page = json::Page {
        offset: 0,
        limit: 100,
    };
    let world = rich(now);
    let groups = json::group_summaries(&world, None, page, now);
    assert_golden("groups.json", &pretty(&groups));
}

#[test]
fn json_of_single_groups() {
    let now = Instant::now();
    let world = rich(now);
    let (name, snapshot) = &world.clusters[0];
    let snapshot = snapshot.as_ref().expect("the first cluster has a snapshot");
    for (file, id) in [
        ("group.json", "billing"),
        ("group-odd.json", ODD_GROUP),
        ("group-unreadable.json", "unreadable"),
    ] {
        let groups = &snapshot.groups;
        let row = groups.iter().find(|row| row.id.as_str() == id);
        let row = row.expect("the rich world has it");
        let detail = json::group_detail(name.as_ref(), snapshot, row, now);
        assert_golden(file, &pretty(&detail));
    }
}

#[test]
fn html_of_the_index() {
    let now = Instant::now();
    let links = [html::RouteLink {
        path: "/metrics".to_owned(),
        summary: "Prometheus text or OpenMetrics",
    }];
    let page = html::index(&rich(now), &links, now);
    let page = page.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    assert_golden("index.html", &page);
}
