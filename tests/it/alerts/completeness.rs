//! The alerts are complete: texts, runbook, table of thresholds, tests, and the same rules for the Prometheus Operator.
//!
//! Whether they fire when they should is for `promtool test rules` to tell, and for `firing_kafka`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use lagwatch::lag::Status;
use lagwatch::metrics::Kind;
use lagwatch::metrics::table::{self, TABLE};
use serde::Deserialize;
use serde_json::Value;

use super::rule_files::{Group, Rule, RuleFile, in_repository, parse, read, yaml_files};

const RULES: &str = "alerts/lagwatch.rules.yaml";
const ALERTS: &str = "alerts/lagwatch.alerts.yaml";
const OPERATOR: &str = "alerts/prometheusrule.yaml";
const RUNBOOK: &str = "alerts/RUNBOOK.md";
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];
const STATUS: &str = "cluster_consumergroup_status:kafka_consumergroup_lag:sum";
/// Of Prometheus itself.
const BUILT_IN: [&str; 2] = ["ALERTS", "up"];
/// What a phone shows of a notification without being unlocked.
const MOST_CHARACTERS: usize = 120;

/// A file of promtool's tests, as far as it is looked at here.
#[derive(Debug, Deserialize)]
struct TestFile {
    tests: Vec<AlertTest>,
}

#[derive(Debug, Deserialize)]
struct AlertTest {
    name: String,
    #[serde(default)]
    alert_rule_test: Vec<Expectation>,
}

#[derive(Debug, Deserialize)]
struct Expectation {
    alertname: String,
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Debug, Deserialize)]
struct ExpectedAlert {
    exp_annotations: BTreeMap<String, String>,
}

fn alerts() -> Vec<Rule> {
    let file: RuleFile = parse(ALERTS);
    file.groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

fn name(rule: &Rule) -> &str {
    let name = rule.alert.as_deref();
    name.unwrap_or_else(|| panic!("no alert: {rule:?}"))
}

fn names() -> BTreeSet<String> {
    alerts().iter().map(|rule| name(rule).to_owned()).collect()
}

/// Returns what comes before an alert's anchor in its `runbook_url`: the repository's address, if it has one.
fn runbook() -> String {
    match env!("CARGO_PKG_REPOSITORY") {
        "" => RUNBOOK.to_owned(),
        repository => format!("{repository}/blob/main/{RUNBOOK}"),
    }
}

#[test]
fn every_alert_has_a_severity_a_sentence_and_a_section_in_the_runbook() {
    for rule in alerts() {
        let name = name(&rule);
        let labels: Vec<_> = rule.labels.keys().collect();
        assert_eq!(labels, ["severity"], "{name}");
        assert!(
            SEVERITIES.contains(&rule.labels["severity"].as_str()),
            "{name}"
        );
        let annotations: Vec<_> = rule.annotations.keys().collect();
        assert_eq!(annotations, ["runbook_url", "summary"], "{name}");
        let summary = rule.annotations["summary"].replace("{{ . }}", "it");
        assert!(
            summary.ends_with('.') && !summary.contains(". ") && !summary.contains('\n'),
            "{name}: not one sentence: {summary}"
        );
        let url = format!("{}#{}", runbook(), name.to_lowercase());
        assert_eq!(rule.annotations["runbook_url"], url, "{name}");
    }
}

#[test]
fn every_section_of_the_runbook_is_of_an_alert_and_tells_meaning_look_and_cure() {
    let text = read(RUNBOOK);
    let sections: Vec<(&str, &str)> = text
        .split("\n## ")
        .skip(1)
        .map(|section| section.split_once('\n').expect("a section has a body"))
        .collect();
    let titles: BTreeSet<String> = sections.iter().map(|(title, _)| (*title).into()).collect();
    assert_eq!(titles, names());
    assert_eq!(titles.len(), sections.len(), "a section is there twice");
    for (title, body) in sections {
        let paragraphs: Vec<&str> = body.trim().split("\n\n").collect();
        assert_eq!(paragraphs.len(), 3, "{title}");
        for (paragraph, begin) in
            paragraphs
                .iter()
                .zip(["**Means.** ", "**Look at.** ", "**Mend.** "])
        {
            assert!(paragraph.starts_with(begin), "{title}: {paragraph}");
        }
    }
    for metric in words(&text).filter(|word| word.starts_with("kafka_") || is_own(word)) {
        assert!(is_exposed(metric), "{RUNBOOK} names {metric}");
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))
}

fn is_own(word: &str) -> bool {
    word.starts_with("lagwatch_")
}

/// Returns whether lagwatch exposes samples of that name.
fn is_exposed(sample: &str) -> bool {
    table::find(sample).is_some_and(|metric| metric.kind != Kind::Histogram)
        || TABLE.iter().any(|metric| {
            let suffix = sample.strip_prefix(metric.name);
            metric.kind == Kind::Histogram
                && suffix.is_some_and(|suffix| ["_bucket", "_sum", "_count"].contains(&suffix))
        })
}

#[test]
fn every_expression_names_what_is_exposed_or_recorded() {
    let rules: RuleFile = parse(RULES);
    let recorded: BTreeSet<&str> = rules.rules().map(Rule::recorded).collect();
    let alerts = alerts();
    let mut used = BTreeSet::new();
    for rule in rules.rules().chain(&alerts) {
        for name in rule.parts().names {
            assert!(
                is_exposed(&name)
                    || recorded.contains(name.as_str())
                    || BUILT_IN.contains(&name.as_str()),
                "nobody exposes or records {name}: {}",
                rule.expr
            );
            used.insert(name);
        }
    }
    for name in recorded {
        assert!(used.contains(name), "nobody uses {name}");
    }
}

#[test]
fn an_alert_on_a_status_yields_to_every_graver_one() {
    let alerts = alerts();
    let mut checked = 0;
    for (place, status) in Status::ALL.iter().enumerate() {
        let own = format!("{STATUS}{{status=\"{status}\"}}\n");
        let Some(rule) = alerts.iter().find(|rule| rule.expr.starts_with(&own)) else {
            continue;
        };
        checked += 1;
        let graver: Vec<&str> = Status::ALL[place + 1..]
            .iter()
            .rev()
            .map(|status| status.as_str())
            .collect();
        let matcher = match graver.as_slice() {
            [only] => format!("=\"{only}\""),
            several => format!("=~\"{}\"", several.join("|")),
        };
        let yields = format!("unless on (cluster, consumergroup) {STATUS}{{status{matcher}}}");
        assert!(rule.expr.contains(&yields), "{status}: {}", rule.expr);
    }
    assert_eq!(checked, 5, "stopped, stalled, empty, rewound and ahead");
}

#[test]
fn every_alert_fires_in_one_test_and_stays_silent_in_another() {
    let mut firing = BTreeSet::new();
    let mut silent = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for path in yaml_files("alerts/tests") {
        let file: TestFile = parse(&path);
        for test in file.tests {
            let mut fires: BTreeMap<&str, bool> = BTreeMap::new();
            for expected in &test.alert_rule_test {
                *fires.entry(&expected.alertname).or_default() |= !expected.exp_alerts.is_empty();
                for alert in &expected.exp_alerts {
                    let summary = &alert.exp_annotations["summary"];
                    let length = summary.chars().count();
                    assert!(length <= MOST_CHARACTERS, "{length} characters: {summary}");
                }
            }
            for (alert, fires) in fires {
                let set = if fires { &mut firing } else { &mut silent };
                set.insert(alert.to_owned());
            }
            assert!(titles.insert(test.name.clone()), "twice: {}", test.name);
        }
    }
    assert_eq!(firing, names(), "alerts with a test in which they fire");
    assert_eq!(silent, names(), "alerts with a test in which they do not");
}

#[test]
fn the_table_of_thresholds_says_what_the_rules_say() {
    let readme = read("alerts/README.md");
    let (alert_rows, rule_rows): (Vec<_>, Vec<_>) = readme
        .split_once("\n## Thresholds\n")
        .expect("there is a section")
        .1
        .lines()
        .filter(|line| line.starts_with("| [") || line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .partition(|cells| cells[1].starts_with('['));
    let alerts = alerts();
    let expected: Vec<Vec<String>> = alerts
        .iter()
        .map(|rule| {
            let name = name(rule);
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            vec![
                format!("[{name}](RUNBOOK.md#{})", name.to_lowercase()),
                rule.labels["severity"].clone(),
                text(&rule.lasting),
                text(&rule.keep_firing_for),
            ]
        })
        .collect();
    let told: Vec<Vec<String>> = alert_rows
        .iter()
        .map(|cells| cells[1..5].iter().map(|cell| (*cell).to_owned()).collect())
        .collect();
    assert_eq!(told, expected);
    for (rule, cells) in alerts.iter().zip(&alert_rows) {
        assert_eq!(numbers(cells[5]), rule.parts().numbers, "{}", cells[1]);
        assert!(!cells[6].is_empty(), "{} says not why", cells[1]);
    }

    let rules: RuleFile = parse(RULES);
    let decided: BTreeMap<String, BTreeSet<String>> = rules
        .rules()
        .map(|rule| (format!("`{}`", rule.recorded()), rule.parts().numbers))
        .filter(|(_, numbers)| !numbers.is_empty())
        .collect();
    let told: BTreeMap<String, BTreeSet<String>> = rule_rows
        .iter()
        .map(|cells| (cells[1].to_owned(), numbers(cells[2])))
        .collect();
    assert_eq!(told, decided);
}

/// Returns the numbers and durations that stand in backticks.
fn numbers(cell: &str) -> BTreeSet<String> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| text.starts_with(|char: char| char.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_prometheus_operator_gets_the_same_groups() {
    let mut expected = String::from(
        "# Written from lagwatch.rules.yaml and lagwatch.alerts.yaml by `UPDATE_GOLDEN=1 cargo test --test it alerts`.\n\
         apiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\n\
         metadata:\n  name: lagwatch\n  labels:\n    app.kubernetes.io/name: lagwatch\n\
         spec:\n  groups:\n",
    );
    for path in [RULES, ALERTS] {
        let text = read(path);
        let (_, groups) = text.split_once("\ngroups:\n").expect("a file has groups");
        for line in groups.lines() {
            let indent = if line.is_empty() { "" } else { "  " };
            writeln!(expected, "{indent}{line}").expect("writing to a string cannot fail");
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(in_repository(OPERATOR), &expected).expect("the file is writable");
    }
    assert!(
        read(OPERATOR) == expected,
        "{OPERATOR} differs; UPDATE_GOLDEN=1 writes it anew"
    );

    let resource: Value = parse(OPERATOR);
    assert_eq!(resource["kind"], "PrometheusRule");
    let spec: RuleFile = serde_json::from_value(resource["spec"].clone()).expect("it has groups");
    let files = [RULES, ALERTS].map(parse::<RuleFile>);
    let groups: Vec<Group> = files.into_iter().flat_map(|file| file.groups).collect();
    assert_eq!(spec.groups, groups);
}
