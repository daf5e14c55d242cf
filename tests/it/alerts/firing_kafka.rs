//! The alerts as users meet them: a real Kafka, lagwatch, and a real Prometheus with the shipped rules.
//!
//! Nothing but time is changed in the rules: each minute of `for`, `keep_firing_for`, `interval`, ranges and offsets is a
//! second. Expressions, labels and texts are those that ship. lagwatch's own patience is real: a group is called empty
//! after a minute, which is most of what this test takes.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::{Captures, Regex};

use super::rule_files::read;
use crate::support::{
    Alert, AlertState, Kafka, Lagwatch, Prometheus, eventually, unique, wait_for,
};

/// Longer than lagwatch waits before it calls a group empty.
const LIMIT: Duration = Duration::from_secs(120);

/// Makes seconds of minutes, minutes of hours, and 24 minutes of days.
fn hurried(path: &str) -> String {
    let duration = Regex::new(r"\b(\d+)([mhd])\b").expect("it is valid");
    let shorter = |found: &Captures<'_>| match &found[2] {
        "m" => format!("{}s", &found[1]),
        "h" => format!("{}m", &found[1]),
        _ => {
            let days: u32 = found[1].parse().expect("it is a number");
            format!("{}m", 24 * days)
        }
    };
    duration.replace_all(&read(path), shorter).into_owned()
}

#[test]
fn only_durations_are_hurried() {
    let alerts = hurried("alerts/lagwatch.alerts.yaml");
    assert!(alerts.contains("kafka_consumergroup_rebalances_total[15s])"));
    assert!(alerts.contains("[3m:15s] offset 15s)"));
    assert!(alerts.contains("late_ratio5m > 14.4 * 0.01"));
    assert!(alerts.contains("        for: 2s\n        keep_firing_for: 5s\n"));
    assert!(alerts.contains("[24m]"));
}

/// Returns the alerts of a group that are pending or firing.
fn alerts_of(prometheus: &Prometheus, group: &str) -> Vec<Alert> {
    let mut alerts = prometheus.alerts();
    alerts.retain(|alert| {
        alert
            .labels
            .get("consumergroup")
            .is_some_and(|of| of == group)
    });
    alerts
}

/// Waits until the alerts of a group are one alone, and that fires.
fn wait_for_alert(prometheus: &Prometheus, group: &str) -> Alert {
    wait_for(&format!("an alert of {group}"), LIMIT, || {
        let mut alerts = alerts_of(prometheus, group);
        let alert = alerts.pop()?;
        assert!(alerts.is_empty(), "several: {alert:?} and {alerts:?}");
        (alert.state == AlertState::Firing).then_some(alert)
    })
}

fn assert_tells(alert: &Alert, labels: &[(&str, &str)], summary: &str) {
    let labels: BTreeMap<String, String> = labels
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    assert_eq!(alert.labels, labels);
    assert_eq!(alert.annotations["summary"], summary);
    let anchor = labels["alertname"].to_lowercase();
    let url = &alert.annotations["runbook_url"];
    assert!(
        url.ends_with(&format!("alerts/RUNBOOK.md#{anchor}")),
        "{url}"
    );
}

#[test]
#[ignore = "needs Java 17, Maven and Prometheus"]
fn a_stopped_consumer_is_told_and_its_return_resolves_the_alert() {
    let kafka = Kafka::shared();
    let orders = kafka.create_topic(&unique("orders"), 1);
    let (billing, audit) = (unique("alerts-billing"), unique("alerts-audit"));
    kafka.produce(&orders, 0, 100);
    let member = kafka.member(&billing).subscribe(&[&orders]).open();
    member.wait_for_partitions(1);
    member.consume(&orders, 0, 100);
    kafka.commit_for(&audit, &orders, 0, 100);

    // Two that watch the same groups, as sidecars do.
    let serve = || {
        let config = format!(
            "clusters:
  - name: prod
    bootstrap-servers: [\"{}\"]
    poll-interval: 500ms
    stale-after: 5s
    groups: {{ include: [\"^{billing}$\", \"^{audit}$\"] }}
",
            kafka.bootstrap_servers()
        );
        let lagwatch = Lagwatch::new("serve").config(&config).start();
        lagwatch.wait_until_ready();
        lagwatch
    };
    let (lagwatch, spare) = (serve(), serve());
    member.close();
    kafka.produce(&orders, 0, 7);

    let prometheus = Prometheus::builder()
        .job("kafka", &[lagwatch.address(), spare.address()])
        .rules(&hurried("alerts/lagwatch.rules.yaml"))
        .rules(&hurried("alerts/lagwatch.alerts.yaml"))
        .start();
    let well = "cluster_consumergroup_status:kafka_consumergroup_lag:sum{status=\"ok\"}";
    // Before its first scrape Prometheus misses lagwatch.
    eventually("both groups to be well, and nothing to tell", LIMIT, || {
        prometheus.query(well).len() == 2 && prometheus.alerts().is_empty()
    });

    // While lagwatch waits for the group to come back, another one goes back.
    kafka.commit_for(&audit, &orders, 0, 10);
    assert_tells(
        &wait_for_alert(&prometheus, &audit),
        &[
            ("alertname", "KafkaConsumerGroupRewound"),
            ("severity", "warning"),
            ("cluster", "prod"),
            ("consumergroup", &audit),
            ("status", "rewound"),
        ],
        &format!("{audit} went back in prod and reads again what it has read: 97 records wait."),
    );
    kafka.commit_for(&audit, &orders, 0, 107);
    eventually("the rewound group to be regained", LIMIT, || {
        alerts_of(&prometheus, &audit).is_empty()
    });

    // And whoever watches is watched.
    let address = spare.address();
    drop(spare);
    let down = wait_for("an alert of lagwatch", LIMIT, || {
        let mut alerts = prometheus.alerts().into_iter();
        alerts.find(|alert| {
            alert.state == AlertState::Firing && !alert.labels.contains_key("consumergroup")
        })
    });
    assert_tells(
        &down,
        &[
            ("alertname", "LagwatchDown"),
            ("severity", "critical"),
            ("job", "kafka"),
            ("instance", &address.to_string()),
        ],
        &format!(
            "lagwatch at {address} cannot be scraped: nobody watches the lag of its consumer groups."
        ),
    );

    assert_tells(
        &wait_for_alert(&prometheus, &billing),
        &[
            ("alertname", "KafkaConsumerGroupEmpty"),
            ("severity", "warning"),
            ("cluster", "prod"),
            ("consumergroup", &billing),
            ("status", "empty"),
        ],
        &format!("{billing} has no members in prod while 7 records wait."),
    );
    let member = kafka.member(&billing).subscribe(&[&orders]).open();
    member.wait_for_partitions(1);
    member.consume(&orders, 0, 7);
    eventually("the alert to resolve", LIMIT, || {
        alerts_of(&prometheus, &billing).is_empty()
    });

    let groups = prometheus.rule_groups();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        assert_eq!(rule.health, "ok", "{}: {:?}", rule.name, rule.last_error);
    }
}
