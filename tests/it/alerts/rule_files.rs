//! Files of Prometheus rules as the tests read them: groups, rules, and what an expression names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A file of rules, or the `spec` of a PrometheusRule.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFile {
    pub(crate) groups: Vec<Group>,
}

/// A group of rules, with every field that the shipped files use.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) interval: Option<String>,
    pub(crate) rules: Vec<Rule>,
}

/// A recording rule or an alert.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) record: Option<String>,
    pub(crate) alert: Option<String>,
    pub(crate) expr: String,
    #[serde(rename = "for")]
    pub(crate) lasting: Option<String>,
    pub(crate) keep_firing_for: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What an expression is made of.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parts {
    /// Names of metrics and of recorded series.
    pub(crate) names: BTreeSet<String>,
    /// Numbers and durations as they are written, but for 0, which is no threshold.
    pub(crate) numbers: BTreeSet<String>,
}

pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(in_repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn parse<T: DeserializeOwned>(path: &str) -> T {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the paths of the YAML files of a folder, from the repository's root.
pub(crate) fn yaml_files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(in_repository(folder)).expect("the folder exists");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    let mut paths: Vec<String> = names
        .map(|name| format!("{folder}/{}", name.to_string_lossy()))
        .filter(|path| path.ends_with(".yaml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no file in {folder}");
    paths
}

impl RuleFile {
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }
}

impl Rule {
    /// Returns what its expression is made of.
    pub(crate) fn parts(&self) -> Parts {
        Parts::of(&self.expr)
    }

    /// Returns the name of the series it records; panics at an alert.
    pub(crate) fn recorded(&self) -> &str {
        self.record
            .as_deref()
            .unwrap_or_else(|| panic!("no recording rule: {self:?}"))
    }
}

impl Parts {
    /// Takes an expression apart. It has to be valid PromQL, which promtool tells.
    pub(crate) fn of(expression: &str) -> Self {
        const WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "Inf", "NaN"];
        const LABEL_LISTS: [&str; 6] = [
            "by",
            "without",
            "on",
            "ignoring",
            "group_left",
            "group_right",
        ];
        let mut parts = Self::default();
        let mut rest = expression;
        let mut is_range = false;
        while let Some(first) = rest.chars().next() {
            let is_inside = |char: char| {
                char.is_ascii_alphanumeric() || "_.".contains(char) || (char == ':' && !is_range)
            };
            if first.is_ascii_alphanumeric() || first == '_' || (first == ':' && !is_range) {
                let end = rest.find(|char| !is_inside(char)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                let is_called = ["(", "by ", "without "]
                    .iter()
                    .any(|next| after.trim_start().starts_with(next));
                rest = after;
                if first.is_ascii_digit() {
                    parts.numbers.insert(word.to_owned());
                } else if LABEL_LISTS.contains(&word) {
                    rest = after.split_once(')').map_or("", |(_, after)| after);
                } else if !is_called && !WORDS.contains(&word) {
                    parts.names.insert(word.to_owned());
                }
                continue;
            }
            rest = match first {
                '{' => skip_matchers(rest),
                '"' => skip_string(rest),
                _ => &rest[first.len_utf8()..],
            };
            is_range = match first {
                '[' => true,
                ']' => false,
                _ => is_range,
            };
        }
        parts.numbers.remove("0");
        parts
    }
}

fn skip_matchers(mut text: &str) -> &str {
    loop {
        match text.chars().next() {
            None => return text,
            Some('}') => return &text[1..],
            Some('"') => text = skip_string(text),
            Some(other) => text = &text[other.len_utf8()..],
        }
    }
}

/// Skips a string in double quotes, which holds no escaped quote in the shipped files.
fn skip_string(text: &str) -> &str {
    let (_, after) = text[1..].split_once('"').expect("the string ends");
    after
}

#[test]
fn an_expression_is_taken_apart() {
    let parts = Parts::of(
        r#"sum by (job) (max_over_time(a:b:sum{x="c} d", y=~"5m"}[3h:15m] offset 10m)) > bool 14.4 * 0.01
           and on (cluster) group_left () up == 0 or absent(m_total[5m]) == +Inf"#,
    );
    let names: Vec<&str> = parts.names.iter().map(String::as_str).collect();
    assert_eq!(names, ["a:b:sum", "m_total", "up"]);
    let numbers: Vec<&str> = parts.numbers.iter().map(String::as_str).collect();
    assert_eq!(numbers, ["0.01", "10m", "14.4", "15m", "3h", "5m"]);
}
