//! What the dashboards' queries name, against what lagwatch exposes.

use std::collections::{BTreeMap, BTreeSet};

use lagwatch::lag::Status;
use lagwatch::metrics::table;
use lagwatch::metrics::table::{Kind, Source};
use lagwatch::snapshot::GroupState;
use regex::Regex;
use serde_json::Value;

use super::files::{All, Dashboard, Query, Reach, dashboards, list, text, walk};
use super::promql::{Names, Selector};

/// Labels that Prometheus adds.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// What else a process exposes, besides the table.
const PROCESS: [&str; 5] = [
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

/// Returns the row of the table that a name in a query is of, and the labels of its series.
fn family(name: &str) -> Option<(Source, Vec<&'static str>)> {
    let suffixes = ["_bucket", "_sum", "_count"];
    let histogram = suffixes.iter().find_map(|suffix| {
        let metric = table::find(name.strip_suffix(suffix)?)?;
        (metric.kind == Kind::Histogram).then_some((metric, *suffix))
    });
    if let Some((metric, suffix)) = histogram {
        let mut labels = metric.labels.to_vec();
        labels.extend((suffix == "_bucket").then_some("le"));
        return Some((metric.source, labels));
    }
    let metric = table::find(name)?;
    (metric.kind != Kind::Histogram).then(|| (metric.source, metric.labels.to_vec()))
}

fn is_of_a_cluster(source: Source) -> bool {
    matches!(source, Source::Snapshot | Source::Cluster)
}

fn each_selector(mut look: impl FnMut(&Query, &Selector)) {
    for query in dashboards().iter().flat_map(Dashboard::queries) {
        for selector in &Names::of(&query.expression).selectors {
            look(&query, selector);
        }
    }
}

#[test]
fn every_metric_and_every_label_is_in_the_table() {
    let mut seen = BTreeSet::new();
    each_selector(|Query { place, .. }, selector| {
        let name = selector.metric.as_str();
        let labels = match family(name) {
            Some((source, mut labels)) => {
                labels.extend(is_of_a_cluster(source).then_some("cluster"));
                labels
            }
            None => {
                assert!(PROCESS.contains(&name), "{place}: no metric `{name}`");
                Vec::new()
            }
        };
        for (label, ..) in &selector.matchers {
            let label = label.as_str();
            assert!(
                labels.contains(&label) || TARGET_LABELS.contains(&label),
                "{place}: `{name}` has no label `{label}`"
            );
        }
        seen.insert(name.to_owned());
    });
    // Not a list of everything: what the dashboards are for.
    for metric in table::TABLE
        .iter()
        .filter(|metric| metric.name.starts_with("lagwatch_task_"))
    {
        let name = metric.name;
        assert!(
            seen.iter().any(|seen| seen.starts_with(name)),
            "no panel shows `{name}`"
        );
    }
}

#[test]
fn grouping_is_by_labels_that_series_have() {
    for query in dashboards().iter().flat_map(Dashboard::queries) {
        let names = Names::of(&query.expression);
        let mut labels: BTreeSet<&str> = TARGET_LABELS.into();
        labels.insert("cluster");
        for selector in &names.selectors {
            labels.extend(
                family(&selector.metric)
                    .into_iter()
                    .flat_map(|(_, labels)| labels),
            );
        }
        for label in &names.grouping {
            assert!(
                labels.contains(label.as_str()),
                "{}: by `{label}`",
                query.place
            );
        }
    }
}

#[test]
fn every_query_keeps_to_the_chosen_jobs_and_clusters() {
    each_selector(
        |Query {
             place, expression, ..
         },
         selector| {
            let is_for_jobs = place.contains("variable `job`");
            assert!(
                is_for_jobs || selector.has("job", "=~", "$job"),
                "{place}: every job: {expression}"
            );
            let of_cluster =
                family(&selector.metric).is_some_and(|(source, _)| is_of_a_cluster(source));
            let filters = selector.has("cluster", "=~", "$cluster");
            let is_for_clusters = place.contains("variable `cluster`");
            assert_eq!(
                filters,
                of_cluster && !is_for_clusters,
                "{place}: {expression}"
            );
        },
    );
    for dashboard in dashboards() {
        let variables = dashboard.variables();
        for name in ["job", "cluster"] {
            let variable = variables.iter().find(|variable| variable.name == name);
            let variable = variable.unwrap_or_else(|| panic!("{}: no {name}", dashboard.name));
            // It matches series without the label, too: a single cluster may have no name.
            assert_eq!(
                variable.all,
                All::Pattern(".*".to_owned()),
                "{}",
                dashboard.name
            );
        }
        let text = dashboard.json["panels"].to_string();
        for variable in &variables {
            assert_eq!(variable.label, variable.name, "{}", dashboard.name);
            let name = format!("${}", variable.name);
            assert!(
                text.contains(&name),
                "{}: nothing uses {name}",
                dashboard.name
            );
        }
    }
}

#[test]
fn charts_ask_for_the_whole_time_and_figures_for_the_newest_value() {
    for query in dashboards().iter().flat_map(Dashboard::panel_queries) {
        let figures = [", stat `", ", table `", ", bargauge `"];
        let is_figure = figures.iter().any(|kind| query.place.contains(kind));
        let expected = if is_figure {
            Reach::Newest
        } else {
            Reach::OverTime
        };
        assert_eq!(query.reach, expected, "{}", query.place);
    }
}

/// Returns the text of each number that a panel has one for.
fn texts(panel: &Value) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    walk(&panel["fieldConfig"], &mut |value| {
        if value["type"] == "value"
            && let Some(options) = value["options"].as_object()
        {
            let told = options.iter();
            texts
                .extend(told.map(|(number, told)| (number.clone(), text(told, "text").to_owned())));
        }
    });
    texts
}

/// Returns the number that an expression makes of each word of a label.
fn numbers(expression: &str, label: &str) -> BTreeMap<String, u32> {
    let term = Regex::new(&format!(r#"{label}="(\w+)"\}} \* (\d+)"#)).expect("it is valid");
    let terms = term.captures_iter(expression).map(|term| term.extract());
    terms
        .map(|(_, [word, number])| (word.to_owned(), number.parse().expect("digits")))
        .collect()
}

#[test]
fn every_word_of_a_status_and_of_a_state_has_its_number_in_queries_and_its_text_in_panels() {
    let statuses = Status::ALL.map(|status| status.as_str()).to_vec();
    let states = GroupState::ALL.map(|state| state.as_str()).to_vec();
    let dashboards = dashboards();
    let panels = dashboards.iter().flat_map(Dashboard::panels);
    let targets = panels.flat_map(|panel| {
        let targets = list(panel, "targets").iter();
        targets.map(move |target| (panel, text(target, "expr")))
    });
    let mut found = [0, 0];
    for (panel, expression) in targets {
        let (title, texts) = (text(panel, "title"), texts(panel));
        for (index, (label, words)) in [("status", &statuses), ("state", &states)]
            .into_iter()
            .enumerate()
        {
            let numbers = numbers(expression, label);
            if numbers.is_empty() {
                continue;
            }
            found[index] += 1;
            let told: Vec<u32> = words.iter().map(|word| numbers[*word]).collect();
            assert_eq!(told.len(), numbers.len(), "`{title}`: a word that is none");
            assert!(told.is_sorted(), "`{title}`: the gravest is the highest");
            for (word, number) in &numbers {
                assert_eq!(texts.get(&number.to_string()), Some(word), "`{title}`");
            }
        }
    }
    assert!(
        found[0] >= 5 && found[1] >= 1,
        "{found:?} queries of statuses and states"
    );
}
