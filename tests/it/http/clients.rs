//! Scrapes as the ecosystem's own programs read them.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use lagwatch::http::HttpConfig;

use super::server::Server;
use super::world::rich;

/// Runs a program with `input` on its standard input.
fn run(command: &mut Command, input: &[u8]) -> Output {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program is installed");
    let mut stdin = child.stdin.take().expect("it is piped");
    thread::scope(|scope| {
        // A program that fails early reads no more; its output tells.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("the program ends")
    })
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}

/// Returns a server of everything, every family of its own counted at least once.
fn busy_server() -> Server {
    let server = Server::start(rich(Instant::now()), HttpConfig::default());
    let prod = server.own.cluster(Some(&"prod".into()));
    prod.polls("complete").inc();
    prod.poll_duration("total").observe(1.5);
    prod.errors("metadata", "_TIMED_OUT").inc();
    prod.group_collection_errors().inc();
    prod.kafka_requests("list_offsets").inc();
    let streams = &server.own.http().event_streams_dropped;
    streams.with_label_values(&["stalled"]).inc();
    let task = server.own.task();
    task.messages.with_label_values(&["t", "processed"]).inc();
    task.commits.with_label_values(&["t", "sync", "ok"]).inc();
    task.commit_duration.with_label_values(&["t"]).observe(0.01);
    task.rebalances.with_label_values(&["t", "assigned"]).inc();
    task.assigned_partitions.with_label_values(&["t"]).set(3);
    task.processing.with_label_values(&["t"]).observe(0.01);
    task.duplicates.with_label_values(&["t"]).inc();
    task.dead_letters.with_label_values(&["t"]).inc();
    task.retries.with_label_values(&["t"]).inc();
    task.errors.with_label_values(&["_ALL_BROKERS_DOWN"]).inc();
    server.get("/metrics");
    server
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_nothing_in_a_scrape() {
    let scrape = busy_server().get("/metrics");
    let output = run(
        Command::new("promtool").args(["check", "metrics"]),
        &scrape.body,
    );
    assert_eq!(said(&output), "");
    assert!(output.status.success());
}

/// Reads a scrape strictly and prints each sample, one a line.
const PARSE: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
text = sys.stdin.buffer.read().decode('utf-8')
for family in text_string_to_metric_families(text):
    for sample in family.samples:
        print(sample.name, sorted(sample.labels.items()), float(sample.value))
";

#[test]
#[ignore = "needs Python's prometheus_client"]
fn a_strict_parser_reads_openmetrics() {
    let python = std::env::var("LAGWATCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
    let scrape = busy_server().get_with("/metrics", &accept);
    let output = run(
        Command::new(python)
            .env("PYTHONIOENCODING", "utf-8")
            .args(["-c", PARSE]),
        &scrape.body,
    );
    let printed = said(&output);
    assert!(output.status.success(), "{printed}");
    let samples = scrape.text().lines().filter(|line| !line.starts_with('#'));
    assert_eq!(printed.lines().count(), samples.count());
    let lag = "kafka_consumergroup_lag [('cluster', 'prod'), ('consumergroup', 'billing'), ('partition', '0'), \
               ('topic', 'orders')] 17.0";
    assert!(printed.lines().any(|line| line == lag), "{printed}");
}
