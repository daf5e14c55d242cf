//! The harness itself on a real Prometheus: what the tests of rules and dashboards build on.

use std::time::Duration;

use crate::support::{AlertState, Prometheus, eventually, wait_for};

const LIMIT: Duration = Duration::from_secs(30);

const RULES: &str = r#"
groups:
  - name: targets
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetsUp
        expr: job:up:sum == 1
        labels: { severity: info }
        annotations: { summary: 'All of {{ $labels.job }} is up at {{ $externalLabels.site }}.' }
      - alert: NotYet
        expr: job:up:sum == 1
        for: 1h
"#;

#[test]
#[ignore = "needs Prometheus"]
fn prometheus_scrapes_evaluates_and_tells_its_alerts() {
    let other = Prometheus::builder().start();
    let prometheus = Prometheus::builder()
        .job("other", &[other.address()])
        .rules(RULES)
        .external_label("site", "lab")
        .start();
    prometheus.wait_for_targets(1);
    let alert = |name: &str| {
        let alerts = prometheus.alerts().into_iter();
        alerts
            .filter(|alert| alert.labels["alertname"] == name)
            .collect::<Vec<_>>()
    };
    let fired = wait_for("the alert", LIMIT, || alert("TargetsUp").pop());
    assert_eq!(fired.state, AlertState::Firing);
    assert_eq!(fired.labels["severity"], "info");
    assert_eq!(fired.annotations["summary"], "All of other is up at lab.");
    assert_eq!(alert("NotYet")[0].state, AlertState::Pending);

    let recorded = prometheus.query("job:up:sum or vector(+Inf)");
    assert_eq!(recorded.len(), 2, "{recorded:?}");
    assert_eq!(recorded[0].labels["job"], "other");
    assert_eq!((recorded[0].value, recorded[1].value), (1.0, f64::INFINITY));

    let now = prometheus.query("vector(time())")[0].value;
    let range = prometheus.query_range("up", (now - 60.0, now), Duration::from_secs(1));
    assert_eq!(range[0].labels["__name__"], "up");
    assert!(
        range[0]
            .values
            .iter()
            .any(|&(at, up)| at <= now && up == 1.0),
        "{range:?}"
    );

    let groups = prometheus.rule_groups();
    assert_eq!(groups[0].name, "targets");
    let names: Vec<&str> = groups[0]
        .rules
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    assert_eq!(names, ["job:up:sum", "TargetsUp", "NotYet"]);
    assert_eq!(groups[0].rules[0].query, "sum by (job) (up)");
    eventually("every rule to be evaluated", LIMIT, || {
        let groups = prometheus.rule_groups();
        groups[0]
            .rules
            .iter()
            .all(|rule| rule.health == "ok" && rule.last_error.is_none())
    });
}
