//! What Grafana does with a dashboard, as far as its queries go: fill the variables, and ask Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regex::{Captures, Regex};

use super::files::{All, Query, Reach, Variable};
use crate::support::Prometheus;

/// How far a panel looks back.
const RANGE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_secs(5);

/// What Grafana makes of a scrape interval that nobody has told the data source: four times 15 seconds.
const RATE_INTERVAL: &str = "1m";

/// The values of variables, as they stand in expressions.
pub(crate) type Chosen = BTreeMap<String, String>;

pub(crate) fn fill(expression: &str, chosen: &Chosen) -> String {
    interpolate(expression, |name| match name {
        "__rate_interval" => Some(RATE_INTERVAL.to_owned()),
        "__range" => Some(format!("{}s", RANGE.as_secs())),
        name => chosen.get(name).cloned(),
    })
}

/// Puts values in for variables as Grafana does; what `value` does not know stays as it is.
fn interpolate(expression: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let variable = Regex::new(r"\$(\w+)|\$\{(\w+)\}").expect("it is valid");
    let replaced = variable.replace_all(expression, |found: &Captures<'_>| {
        let name = found.get(1).or(found.get(2)).expect("one of them matches");
        value(name.as_str()).unwrap_or_else(|| found[0].to_owned())
    });
    replaced.into_owned()
}

/// Returns the values of a label, as `label_values` does.
pub(crate) fn label_values(prometheus: &Prometheus, series: &str, label: &str) -> BTreeSet<String> {
    let found = prometheus.query(&format!("group by ({label}) ({series})"));
    let values = found
        .into_iter()
        .filter_map(|mut point| point.labels.remove(label));
    values.collect()
}

/// Returns the choices a user of the dashboard has: one, or one for each value of a variable without "All".
pub(crate) fn choices(prometheus: &Prometheus, variables: &[Variable], job: &str) -> Vec<Chosen> {
    let mut choices = vec![Chosen::new()];
    for variable in variables {
        let Variable {
            name,
            label,
            series,
            all,
        } = variable;
        choices = choices
            .into_iter()
            .flat_map(|chosen| {
                let listed = label_values(prometheus, &fill(series, &chosen), label);
                let values = match all {
                    All::Pattern(_) if name == "job" => vec![job.to_owned()],
                    All::Pattern(pattern) => vec![pattern.clone()],
                    All::Listed => {
                        let escaped: Vec<_> =
                            listed.iter().map(|value| regex::escape(value)).collect();
                        // In a string of PromQL.
                        vec![format!("({})", escaped.join("|").replace('\\', "\\\\"))]
                    }
                    All::None => listed.into_iter().collect(),
                };
                values.into_iter().map(move |value| {
                    let mut chosen = chosen.clone();
                    chosen.insert(name.clone(), value);
                    chosen
                })
            })
            .collect();
    }
    choices
}

pub(crate) fn finds_something(prometheus: &Prometheus, query: &Query, chosen: &Chosen) -> bool {
    let expression = fill(&query.expression, chosen);
    match query.reach {
        Reach::Newest => prometheus
            .query(&expression)
            .iter()
            .any(|point| point.value.is_finite()),
        Reach::OverTime => {
            let now = prometheus.query("vector(time())")[0].value;
            let times = (now - RANGE.as_secs_f64(), now);
            let series = prometheus.query_range(&expression, times, STEP);
            series
                .iter()
                .any(|series| series.values.iter().any(|(_, value)| value.is_finite()))
        }
    }
}
