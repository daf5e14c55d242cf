//! The chart's own files: copies that are equal to their originals, and values that are documented and checked.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::files::{documents, in_repository, list, read};

const CHART: &str = "deploy/helm/lagwatch";

/// A chart cannot reach outside its folder, so it has copies.
fn copies() -> BTreeMap<String, String> {
    let mut copies = BTreeMap::new();
    let rule = "alerts/prometheusrule.yaml".to_owned();
    copies.insert(format!("{CHART}/files/prometheusrule.yaml"), rule);
    for name in names_in("dashboards") {
        if name.ends_with(".json") {
            copies.insert(
                format!("{CHART}/files/dashboards/{name}"),
                format!("dashboards/{name}"),
            );
        }
    }
    copies
}

fn names_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(in_repository(folder));
    let entries = entries.unwrap_or_else(|error| panic!("{folder}: {error}"));
    entries
        .map(|entry| entry.expect("the folder is readable").file_name())
        .map(|name| name.into_string().expect("names are text"))
        .collect()
}

#[test]
fn the_chart_has_equal_copies_of_alerts_and_dashboards_and_no_others() {
    let copies = copies();
    assert!(copies.len() > 2, "{copies:?}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let folder = in_repository(&format!("{CHART}/files"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("dashboards")).expect("the chart is writable");
        for (copy, original) in &copies {
            fs::copy(in_repository(original), in_repository(copy)).expect("the chart is writable");
        }
        return;
    }
    for (copy, original) in &copies {
        let is_equal = fs::read(in_repository(copy)).ok() == fs::read(in_repository(original)).ok();
        assert!(
            is_equal,
            "{copy} differs from {original}; UPDATE_GOLDEN=1 writes it anew"
        );
    }
    let there = names_in(&format!("{CHART}/files")).len()
        + names_in(&format!("{CHART}/files/dashboards")).len();
    assert_eq!(
        there - 1,
        copies.len(),
        "a file of the chart has no original; UPDATE_GOLDEN=1 removes it"
    );
}

#[test]
fn kustomize_has_every_dashboard() {
    let kustomization = documents(&read("dashboards/kustomization.yaml"));
    let mut listed: Vec<_> = list(&kustomization[0], "/configMapGenerator")
        .iter()
        .flat_map(|map| list(map, "/files"))
        .filter_map(Value::as_str)
        .collect();
    let mut names = names_in("dashboards");
    names.retain(|name| name.ends_with(".json"));
    names.sort();
    listed.sort_unstable();
    assert_eq!(listed, names);
}

#[test]
fn every_value_is_in_the_schema_with_the_type_of_its_default() {
    let values = documents(&read(&format!("{CHART}/values.yaml")));
    let schema = read(&format!("{CHART}/values.schema.json"));
    let mut schema: Value = serde_json::from_str(&schema).expect("it is JSON");
    let properties = schema["properties"]
        .as_object_mut()
        .expect("it is an object's");
    properties
        .remove("global")
        .expect("helm itself adds it to the values of every chart");
    compare(&values[0], &schema, "");
}

fn compare(value: &Value, schema: &Value, path: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert_eq!(schema["type"], kind, "{path}");
    let (Some(values), Some(properties)) = (value.as_object(), schema["properties"].as_object())
    else {
        // A map of the user's own keys.
        return;
    };
    assert_eq!(
        schema["additionalProperties"], false,
        "{path} takes keys that nobody reads"
    );
    let mut keys: Vec<_> = values.keys().collect();
    let mut known: Vec<_> = properties.keys().collect();
    keys.sort();
    known.sort();
    assert_eq!(keys, known, "{path}");
    for (key, value) in values {
        compare(value, &properties[key], &format!("{path}/{key}"));
    }
}

#[test]
fn every_value_is_used_by_a_template() {
    let templates: String = names_in(&format!("{CHART}/templates"))
        .iter()
        .map(|name| read(&format!("{CHART}/templates/{name}")))
        .collect();
    let values = documents(&read(&format!("{CHART}/values.yaml")));
    let values = values[0].as_object().expect("a map");
    for key in values.keys() {
        let is_used = [".Values.", "$values.", "$top.Values."]
            .iter()
            .any(|prefix| templates.contains(&format!("{prefix}{key}")));
        assert!(is_used, "no template reads {key}");
    }
}
