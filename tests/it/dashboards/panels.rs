//! The dashboards by themselves: what needs no Grafana and no Prometheus to be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use super::files::{Dashboard, dashboards, folder, list, text, walk};

/// The one way in which anything names its data source.
const DATASOURCE: &str = "${DS_PROMETHEUS}";

/// Okabe and Ito's colours, and the two that are added to them.
const COLOURS: [&str; 9] = [
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999",
    "#8B5A2B",
];

/// Units of Grafana, each of which 10.4 and 13.2 know.
const UNITS: [&str; 9] = [
    "none",
    "short",
    "s",
    "bytes",
    "Bps",
    "recps",
    "cps",
    "reqps",
    "percentunit",
];

#[test]
fn a_dashboard_is_named_like_its_file_and_numbers_name_one_panel() {
    let all = dashboards();
    let names: Vec<&str> = all
        .iter()
        .map(|dashboard| dashboard.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "lagwatch-fleet",
            "lagwatch-group",
            "lagwatch-self",
            "lagwatch-task"
        ]
    );
    let mut titles = BTreeSet::new();
    for Dashboard { name, json } in &all {
        assert_eq!(text(json, "uid"), name);
        assert!(
            name.len() <= 40,
            "Grafana takes no longer one than 40: {name}"
        );
        assert!(
            titles.insert(text(json, "title")),
            "{name}: its title is taken"
        );
        assert!(!text(json, "description").is_empty());
        assert_eq!(json["id"], Value::Null, "{name}: Grafana gives the number");
        let mut ids = BTreeSet::new();
        for panel in list(json, "panels") {
            let id = panel["id"].as_u64().expect("a panel has a number");
            assert!(ids.insert(id), "{name}: two panels are number {id}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_no_data_means() {
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let place = format!("{}, `{}`", dashboard.name, text(panel, "title"));
            let description = text(panel, "description");
            assert!(
                description.ends_with('.') && !description.contains('\n'),
                "{place}: {description}"
            );
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(text(defaults, "noValue").len() > 1, "{place}");
            let mut units = vec![text(defaults, "unit")];
            for property in list(&panel["fieldConfig"], "overrides")
                .iter()
                .flat_map(|rule| list(rule, "properties"))
                .filter(|property| property["id"] == "unit")
            {
                units.push(text(property, "value"));
            }
            for unit in units {
                assert!(UNITS.contains(&unit), "{place}: unit `{unit}`");
            }
            assert!(!list(panel, "targets").is_empty(), "{place}");
        }
    }
}

#[test]
fn everything_asks_the_data_source_of_the_variable() {
    let expected = json!({ "type": "prometheus", "uid": DATASOURCE });
    let of_grafana = json!({ "type": "grafana", "uid": "-- Grafana --" });
    for Dashboard { name, json } in dashboards() {
        let first = &json["templating"]["list"][0];
        assert_eq!(
            (&first["type"], &first["query"]),
            (&json!("datasource"), &json!("prometheus"))
        );
        assert_eq!(format!("${{{}}}", text(first, "name")), DATASOURCE);
        let mut count = 0;
        walk(&json, &mut |value| {
            let Some(datasource) = value.get("datasource") else {
                return;
            };
            if value["builtIn"] == 1 {
                assert_eq!(*datasource, of_grafana);
            } else {
                assert_eq!(*datasource, expected, "{name}: {value}");
                count += 1;
            }
        });
        let panels = list(&json, "panels").len();
        assert!(count > panels, "{name}: {count} sources of {panels} panels");
    }
}

#[test]
fn a_placeholder_for_the_data_source_can_be_filled_in_as_importers_do() {
    for Dashboard { name, json } in dashboards() {
        assert_eq!(json["__inputs"], json!([]), "{name} asks for nothing");
        let filled = json.to_string().replace(DATASOURCE, "P1809F7CD0C75ACF3");
        let filled: Value = serde_json::from_str(&filled).expect("it is JSON as before");
        walk(&filled, &mut |value| {
            if let Some(uid) = value.pointer("/datasource/uid").and_then(Value::as_str) {
                assert!(
                    ["P1809F7CD0C75ACF3", "-- Grafana --"].contains(&uid),
                    "{name}: {uid}"
                );
            }
        });
        let panels = list(&json, "panels")
            .iter()
            .map(|panel| text(panel, "type"));
        let shown: BTreeSet<&str> = panels.filter(|kind| *kind != "row").collect();
        let required = list(&json, "__requires").iter();
        let required: BTreeSet<&str> = required
            .filter(|part| part["type"] == "panel")
            .map(|part| text(part, "id"))
            .collect();
        assert_eq!(required, shown, "{name}");
    }
}

#[test]
fn panels_fill_the_grid_without_lying_over_each_other() {
    for Dashboard { name, json } in dashboards() {
        let mut taken: BTreeMap<(u64, u64), &str> = BTreeMap::new();
        for panel in list(&json, "panels") {
            let title = text(panel, "title");
            let number = |key: &str| {
                let number = panel["gridPos"][key].as_u64();
                number.unwrap_or_else(|| panic!("{name}, `{title}`: no {key}"))
            };
            let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
            assert!(w >= 4 && x + w <= 24, "{name}, `{title}`: {x} + {w}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                if let Some(other) = taken.insert(cell, title) {
                    panic!("{name}: `{title}` lies over `{other}` at {cell:?}");
                }
            }
        }
        let bottom = taken
            .keys()
            .map(|(_, y)| y + 1)
            .max()
            .expect("there are panels");
        for y in 0..bottom {
            assert!(
                taken.contains_key(&(0, y)),
                "{name}: nothing at the left of line {y}"
            );
        }
    }
}

#[test]
fn links_lead_to_every_other_dashboard_and_keep_the_variables_and_the_times() {
    let all = dashboards();
    let uids: BTreeSet<&str> = all
        .iter()
        .map(|dashboard| text(&dashboard.json, "uid"))
        .collect();
    let address = Regex::new(r"^/d/([\w-]+)(\?.*)?$").expect("it is valid");
    let given = Regex::new(r"var-(\w+)=|\$\{(\w+):queryparam\}").expect("it is valid");
    for dashboard in &all {
        let uid = text(&dashboard.json, "uid");
        let mut linked = BTreeSet::new();
        for link in list(&dashboard.json, "links") {
            let target = address
                .captures(text(link, "url"))
                .expect("it is a dashboard");
            let target = target.get(1).expect("it has a uid").as_str();
            assert!(uids.contains(target), "{uid}: no dashboard {target}");
            assert_eq!(
                (&link["includeVars"], &link["keepTime"]),
                (&json!(true), &json!(true))
            );
            linked.insert(target.to_owned());
        }
        linked.insert(uid.to_owned());
        assert_eq!(linked.len(), uids.len(), "{uid}: {linked:?}");
        walk(&dashboard.json["panels"], &mut |value| {
            let Some(url) = value.get("url").and_then(Value::as_str) else {
                return;
            };
            let target = address.captures(url).expect("it is a dashboard");
            assert!(uids.contains(&target[1]), "{uid}: {url}");
            assert!(
                url.contains("${__url_time_range}") && url.contains("${DS_PROMETHEUS:queryparam}")
            );
            let target = all
                .iter()
                .find(|other| other.name == target[1])
                .expect("it exists");
            let known: BTreeSet<String> = target
                .variables()
                .into_iter()
                .map(|variable| variable.name)
                .collect();
            for name in given.captures_iter(url) {
                let name = name
                    .get(1)
                    .or(name.get(2))
                    .expect("one of them matches")
                    .as_str();
                assert!(
                    known.contains(name) || name == "DS_PROMETHEUS",
                    "{url}: no variable {name}"
                );
            }
        });
    }
    let fleet = all
        .iter()
        .find(|dashboard| dashboard.name == "lagwatch-fleet")
        .expect("it exists");
    assert!(
        fleet.json.to_string().contains("/d/lagwatch-group?"),
        "groups can be clicked on"
    );
}

#[test]
fn colours_are_told_apart_by_everybody() {
    let colour = Regex::new(r"^(#[0-9A-Fa-f]{3,8}|rgba?\(.*|hsla?\(.*)$").expect("it is valid");
    for Dashboard { name, json } in dashboards() {
        let mut keys = BTreeSet::new();
        walk(&json, &mut |value| {
            if let Some(text) = value.as_str().filter(|text| colour.is_match(text)) {
                assert!(COLOURS.contains(&text), "{name}: {text}");
            }
            for key in ["color", "fixedColor", "iconColor", "fill"] {
                if let Some(named) = value.get(key).and_then(Value::as_str) {
                    keys.insert(key);
                    assert!(COLOURS.contains(&named), "{name}: {key} `{named}`");
                }
            }
        });
        assert!(keys.contains("fixedColor"), "{name}: {keys:?}");
        for panel in list(&json, "panels")
            .iter()
            .filter(|panel| panel["type"] != "row")
        {
            let title = text(panel, "title");
            let mode = text(&panel["fieldConfig"]["defaults"]["color"], "mode");
            assert!(
                ["fixed", "shades", "thresholds"].contains(&mode),
                "{name}, `{title}`: {mode}"
            );
            if panel["type"] == "heatmap" {
                assert_eq!(
                    panel["options"]["color"]["scheme"], "Cividis",
                    "{name}, `{title}`"
                );
            }
            if panel["type"] == "state-timeline" {
                assert_eq!(
                    panel["options"]["showValue"], "auto",
                    "{name}, `{title}`: words stand in it"
                );
            }
        }
    }
}

#[test]
fn whoever_reads_the_whole_folder_finds_dashboards_alone_each_small_enough_for_a_config_map() {
    /// What `kubectl apply` keeps of an object in an annotation of it.
    const LIMIT: u64 = 256 * 1024;
    let mut folders = vec![folder()];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let size = fs::metadata(&path).expect("it is there").len();
                // Half of it: an object holds the text in quotes, and something around it.
                assert!(size < LIMIT / 2, "{}: {size} bytes", path.display());
                found += 1;
            }
        }
    }
    assert_eq!(found, dashboards().len());
}

#[test]
fn the_readme_lists_every_dashboard() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("there is a README");
    for Dashboard { name, json } in dashboards() {
        let title = text(&json, "title");
        let title = title
            .strip_prefix("lagwatch / ")
            .expect("titles begin alike");
        let row = format!("| [{title}]({name}.json) | ");
        assert!(readme.contains(&row), "no row `{row}`");
    }
}
