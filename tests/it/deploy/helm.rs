//! The chart as Helm's own engine sees it: linted and rendered for a matrix of values.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::files::{documents, grants, in_repository, text};
use super::objects::Objects;
use super::programs::{
    EXPORTER, SIDECAR, assert_consumer_depends_on_nobody, assert_valid, kustomize,
};
use crate::support::helm;

const CHART: &str = "deploy/helm/lagwatch";

/// Renders the chart once for each set of values; panics with what Helm has to say.
fn charts(name: &str, values: &[Value]) -> Vec<Objects> {
    let charts = helm(&in_repository(CHART), name, values);
    assert_eq!(charts.len(), values.len());
    let objects = charts.iter().zip(values).map(|(chart, values)| {
        assert!(chart.problems.is_empty(), "{values}: {:#?}", chart.problems);
        let files = chart.rendered.iter();
        let yaml = files.filter(|(name, _)| !name.ends_with("NOTES.txt"));
        Objects(yaml.flat_map(|(_, text)| documents(text)).collect())
    });
    objects.collect()
}

/// Values of every kind that the chart is used with, and the Secrets that they name.
fn matrix() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let servers = json!({ "bootstrapServers": ["kafka-1:9092", "kafka-2:9092"] });
    let all = json!({ "enabled": true });
    vec![
        ("plain", json!({ "kafka": servers }), vec![]),
        (
            "one replica",
            json!({ "kafka": servers, "replicas": 1, "shard": { "enabled": false }, "podDisruptionBudget": { "enabled": false }, "service": { "enabled": false }, "serviceAccount": { "create": false } }),
            vec![],
        ),
        (
            "TLS and SCRAM",
            json!({ "kafka": {
                "name": "prod", "bootstrapServers": ["kafka:9093"],
                "tls": { "enabled": true, "caSecret": "authority", "clientSecret": "client" },
                "sasl": { "mechanism": "SCRAM-SHA-512", "username": "lagwatch", "secret": "login", "passwordKey": "pw" },
                "properties": { "socket.timeout.ms": "10000" },
            } }),
            vec!["authority", "client", "login"],
        ),
        (
            "TLS of the web",
            json!({ "kafka": { "bootstrapServers": ["kafka:9093"], "tls": all, "sasl": { "mechanism": "PLAIN", "username": "key", "secret": "login" } } }),
            vec!["login"],
        ),
        (
            "Strimzi",
            json!({ "strimzi": { "cluster": "task-events" }, "networkPolicy": all }),
            vec![],
        ),
        (
            "Strimzi with TLS",
            json!({ "strimzi": { "cluster": "task-events" }, "kafka": { "tls": all } }),
            vec!["task-events-cluster-ca-cert"],
        ),
        (
            "everything",
            json!({
                "strimzi": { "cluster": "task-events" }, "networkPolicy": all, "serviceMonitor": { "enabled": true, "labels": { "release": "prometheus" }, "endpoint": { "honorLabels": true } },
                "prometheusRule": { "enabled": true, "labels": { "release": "prometheus" } }, "dashboards": all,
                "cluster": { "mode": "stream", "poll-interval": "30s", "groups": { "exclude": ["^console-"] } },
                "web": { "configSecret": "web", "tls": true }, "log": { "level": "debug", "format": "text" },
                "image": { "repository": "registry.example.org/lagwatch", "digest": format!("sha256:{}", "0".repeat(64)), "pullSecrets": [{ "name": "pull" }] },
                "podLabels": { "team": "data" }, "podAnnotations": { "a": "b" }, "nodeSelector": { "kubernetes.io/os": "linux" },
                "tolerations": [{ "operator": "Exists" }], "priorityClassName": "high",
                "affinity": { "podAntiAffinity": {} }, "serviceAccount": { "annotations": { "c": "d" } },
            }),
            vec!["web"],
        ),
        (
            "sidecar",
            json!({ "mode": "sidecar", "kafka": servers, "networkPolicy": all, "serviceMonitor": all }),
            vec![],
        ),
        (
            "sidecar with one login",
            json!({ "mode": "sidecar", "kafka": { "bootstrapServers": ["kafka:9093"], "sasl": { "mechanism": "PLAIN", "username": "key", "secret": "login" } }, "web": { "configSecret": "web" } }),
            vec!["login", "web"],
        ),
        (
            "sidecar with Strimzi",
            json!({ "mode": "sidecar", "strimzi": { "cluster": "task-events" }, "kafka": { "tls": all }, "networkPolicy": all }),
            vec!["task-events-cluster-ca-cert"],
        ),
        (
            "sidecar of another consumer",
            json!({ "mode": "sidecar", "kafka": servers, "networkPolicy": all, "serviceMonitor": all, "consumer": {
                "group": "billing", "topics": ["orders", "refunds"], "gracePeriodSeconds": 60,
                "image": { "repository": "billing", "tag": "1.2.3" }, "command": ["/billing"], "args": ["--verbose"], "env": [{ "name": "A", "value": "b" }],
            } }),
            vec![],
        ),
    ]
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn the_chart_renders_objects_that_are_valid_and_agree() {
    let mut rendered = Vec::new();
    let mut kinds = BTreeSet::new();
    let matrix = matrix();
    let values: Vec<Value> = matrix.iter().map(|(_, values, _)| values.clone()).collect();
    for ((what, values, secrets), objects) in matrix.into_iter().zip(charts("lag", &values)) {
        objects.assert_agree(&secrets);
        let pod = &objects.only("Deployment")["spec"]["template"]["spec"];
        if values["mode"] == "sidecar" {
            assert_consumer_depends_on_nobody(&objects);
        }
        let grace = values["consumer"]["gracePeriodSeconds"]
            .as_u64()
            .unwrap_or(20);
        assert_eq!(pod["terminationGracePeriodSeconds"], grace + 10, "{what}");
        kinds.extend(
            objects
                .0
                .iter()
                .map(|object| text(object, "/kind").to_owned()),
        );
        // Objects of different values have the same names: the schemas do not mind.
        rendered.extend(objects.0);
    }
    assert_valid("every rendering of the chart", &Objects(rendered));
    let expected = [
        "ConfigMap",
        "Deployment",
        "KafkaTopic",
        "KafkaUser",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PrometheusRule",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ];
    assert_eq!(
        kinds,
        expected.map(str::to_owned).into(),
        "the matrix has every kind"
    );
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn the_chart_refuses_values_that_cannot_be_meant() {
    let servers = json!({ "bootstrapServers": ["kafka:9092"] });
    let refused = [
        (json!({}), "kafka.bootstrapServers"),
        (
            json!({ "kafka": servers, "replicaCount": 3 }),
            "replicaCount",
        ),
        (json!({ "kafka": servers, "mode": "daemon" }), "mode"),
        (
            json!({ "kafka": { "bootstrapServers": "kafka:9092" } }),
            "bootstrapServers",
        ),
        (
            json!({ "kafka": { "bootstrapServers": ["kafka"] } }),
            "bootstrapServers",
        ),
        (
            json!({ "kafka": { "bootstrapServers": ["kafka:9092"], "sasl": { "mechanism": "GSSAPI" } } }),
            "mechanism",
        ),
        (
            json!({ "kafka": { "bootstrapServers": ["kafka:9092"], "sasl": { "mechanism": "PLAIN" } } }),
            "kafka.sasl.secret",
        ),
        (
            json!({ "kafka": servers, "service": { "enabled": false }, "serviceMonitor": { "enabled": true } }),
            "service.enabled",
        ),
        (
            json!({ "mode": "sidecar", "kafka": servers, "consumer": { "image": { "repository": "billing" } } }),
            "consumer.image.tag",
        ),
    ];
    let values = refused.clone().map(|(values, _)| values);
    let charts = helm(&in_repository(CHART), "lag", &values);
    for ((values, word), chart) in refused.iter().zip(charts) {
        let problems = chart.problems.join("\n");
        assert!(problems.contains(word), "{values}: {problems}");
    }
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn the_chart_grants_what_the_manifests_grant() {
    let strimzi = json!({ "cluster": "task-events" });
    let sidecar = json!({ "mode": "sidecar", "strimzi": strimzi, "fullnameOverride": "task-notification-service" });
    let exporter = json!({ "strimzi": strimzi });
    let charts = charts("lagwatch", &[sidecar, exporter]);
    for (folder, chart) in [SIDECAR, EXPORTER].into_iter().zip(charts) {
        let manifests = kustomize(folder);
        let mut users = 0;
        for user in manifests.all("KafkaUser") {
            let name = text(user, "/metadata/name");
            let other = chart
                .all("KafkaUser")
                .find(|one| text(one, "/metadata/name") == name);
            let other = other.unwrap_or_else(|| panic!("the chart has no user {name}"));
            assert_eq!(grants(other), grants(user), "{name}");
            users += 1;
        }
        assert_eq!(chart.all("KafkaUser").count(), users);
    }
}
