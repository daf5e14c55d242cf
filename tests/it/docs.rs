//! The documents say what the program does.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use lagwatch::metrics::table::TABLE;
use lagwatch::metrics::{Kind, Metric};

use crate::support::Lagwatch;

const BEGIN: &str = "<!-- metrics: begin -->\n";
const END: &str = "<!-- metrics: end -->\n";

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_readme_lists_every_metric() {
    let path = in_repository("README.md");
    let readme = fs::read_to_string(&path).expect("there is a README");
    let (before, rest) = readme.split_once(BEGIN).expect("the table has a beginning");
    let (table, after) = rest.split_once(END).expect("the table has an end");
    let expected = metrics_table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let readme = format!("{before}{BEGIN}{expected}{END}{after}");
        fs::write(&path, readme).expect("the README is writable");
        return;
    }
    assert!(
        table == expected,
        "the metrics of README.md differ; UPDATE_GOLDEN=1 writes them anew\n--- expected\n{expected}\n--- got\n{table}"
    );
}

fn metrics_table() -> String {
    let mut table = String::from("| metric | type | labels | |\n| --- | --- | --- | --- |\n");
    for Metric {
        name,
        kind,
        help,
        labels,
        ..
    } in TABLE
    {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Gauge => "gauge",
            Kind::Untyped => "untyped",
        };
        let labels = labels.join(", ");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |")
            .expect("writing to a string cannot fail");
    }
    table
}

#[test]
fn the_sample_configuration_is_valid_with_and_without_its_comments() {
    let sample =
        fs::read_to_string(in_repository("deploy/lagwatch.yaml")).expect("there is a sample");
    let whole: String = sample
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // The section that is commented out begins in the first column; prose has no colon or dash there.
            Some(key) if key.starts_with("consumer:") || key.starts_with("  ") => {
                format!("{key}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    for (yaml, expected) in [
        (&sample, "1 cluster\n"),
        (
            &whole,
            "a task consumer in group `task-notification-service`\n",
        ),
    ] {
        let checked = Lagwatch::new("check")
            .config(yaml)
            .args(["--config-only"])
            .run();
        let stdout = checked.expect_success().stdout;
        assert!(stdout.ends_with(expected), "{stdout}");
    }
}
