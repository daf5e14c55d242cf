//! The dashboards as tests look at them: their panels, their variables, and every query.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

/// A file of `dashboards/`.
#[derive(Debug)]
pub(crate) struct Dashboard {
    /// Without `.json`.
    pub(crate) name: String,
    pub(crate) json: Value,
}

/// One query of a dashboard: of a panel, a variable or an annotation.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Where it stands, for messages.
    pub(crate) place: String,
    pub(crate) expression: String,
    pub(crate) reach: Reach,
}

/// What a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Newest,
    OverTime,
}

/// A variable that is filled by a query.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    /// What the values are of.
    pub(crate) label: String,
    pub(crate) series: String,
    pub(crate) all: All,
}

/// What "All" of a variable stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum All {
    /// There is no such choice.
    None,
    /// Each value that is listed.
    Listed,
    /// This.
    Pattern(String),
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// Returns every dashboard, in the order of their names; panics where there is none.
pub(crate) fn dashboards() -> Vec<Dashboard> {
    let files = fs::read_dir(folder()).expect("there is a folder");
    let mut paths: Vec<PathBuf> = files
        .map(|file| file.expect("the folder is readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are no dashboards");
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("the file is readable");
        let json = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().expect("a file has a name");
        Dashboard {
            name: name.to_string_lossy().into_owned(),
            json,
        }
    };
    paths.iter().map(read).collect()
}

/// Returns the text of a key; panics where there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

/// Returns the list of a key; panics where there is none.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

/// Calls `look` with every value in a dashboard.
pub(crate) fn walk(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Array(values) => values.iter().for_each(|value| walk(value, look)),
        Value::Object(values) => values.values().for_each(|value| walk(value, look)),
        _ => {}
    }
}

impl Dashboard {
    /// Returns the panels that show something: all but rows.
    pub(crate) fn panels(&self) -> impl Iterator<Item = &Value> {
        let panels = list(&self.json, "panels").iter();
        panels.filter(|panel| panel["type"] != "row")
    }

    /// Returns the variables that queries fill.
    pub(crate) fn variables(&self) -> Vec<Variable> {
        let form = Regex::new(r"(?s)^label_values\((.*), *(\w+)\)$").expect("it is valid");
        let variables = list(&self.json["templating"], "list").iter();
        let queried = variables.filter(|variable| variable["type"] == "query");
        let read = |variable: &Value| {
            let query = text(variable, "query");
            let parts = form.captures(query);
            let parts = parts.unwrap_or_else(|| panic!("{}: {query}", self.name));
            let all = match (&variable["includeAll"], variable["allValue"].as_str()) {
                (Value::Bool(true), Some(pattern)) => All::Pattern(pattern.to_owned()),
                (Value::Bool(true), None) => All::Listed,
                _ => All::None,
            };
            Variable {
                name: text(variable, "name").to_owned(),
                label: parts[2].to_owned(),
                series: parts[1].to_owned(),
                all,
            }
        };
        queried.map(read).collect()
    }

    /// Returns the queries of panels.
    pub(crate) fn panel_queries(&self) -> Vec<Query> {
        let of_panel = |panel: &Value| {
            let (title, kind) = (text(panel, "title"), text(panel, "type"));
            let read = |target: &Value| {
                let reach = match (&target["instant"], &target["range"]) {
                    (Value::Bool(true), Value::Bool(false)) => Reach::Newest,
                    (Value::Bool(false), Value::Bool(true)) => Reach::OverTime,
                    other => panic!("{title}: {other:?}"),
                };
                Query {
                    place: format!("{}, {kind} `{title}`, {}", self.name, text(target, "refId")),
                    expression: text(target, "expr").to_owned(),
                    reach,
                }
            };
            list(panel, "targets").iter().map(read).collect::<Vec<_>>()
        };
        self.panels().flat_map(of_panel).collect()
    }

    /// Returns the queries of annotations.
    pub(crate) fn annotation_queries(&self) -> Vec<Query> {
        let annotations = list(&self.json["annotations"], "list").iter();
        annotations
            .filter(|annotation| annotation["builtIn"] != 1)
            .map(|annotation| Query {
                place: format!("{}, annotation `{}`", self.name, text(annotation, "name")),
                expression: text(&annotation["target"], "expr").to_owned(),
                reach: Reach::OverTime,
            })
            .collect()
    }

    /// Returns every query: of panels, annotations and variables.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let of_variables = self.variables().into_iter().map(|variable| Query {
            place: format!("{}, variable `{}`", self.name, variable.name),
            expression: variable.series,
            reach: Reach::Newest,
        });
        let mut queries = self.panel_queries();
        queries.extend(self.annotation_queries());
        queries.extend(of_variables);
        queries
    }
}
