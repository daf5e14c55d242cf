//! `deploy/` as the programs see it that it is for: kustomize, Docker Compose, Prometheus and hadolint; and whoever defines
//! the kinds of its objects.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::files::{documents, in_repository, list, read, text};
use super::objects::{Objects, containers};
use crate::support::{Scratch, compose, hadolint, kubectl, run, validate};
use crate::task::deployment::say;

pub(crate) const SIDECAR: &str = "deploy/kubernetes/sidecar";
pub(crate) const EXPORTER: &str = "deploy/kubernetes/exporter";

/// Returns what `kubectl kustomize` makes of a folder.
pub(crate) fn kustomize(path: &str) -> Objects {
    let built = run(kubectl()
        .args(["kustomize", path])
        .current_dir(in_repository("")));
    Objects(documents(&built))
}

/// Panics with all that the schemas refuse.
pub(crate) fn assert_valid(what: &str, objects: &Objects) {
    match validate(&objects.0) {
        Ok(counts) => say(&format!("{what}: {counts}")),
        Err(problems) => panic!("{what}:\n{problems}"),
    }
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn kustomize_builds_objects_that_are_valid_and_agree() {
    for folder in [SIDECAR, EXPORTER] {
        let objects = kustomize(folder);
        assert_valid(folder, &objects);
        objects.assert_agree(&[]);
        for object in &objects.0 {
            assert_eq!(text(object, "/metadata/namespace"), "kafka");
        }
        let config = objects
            .all("ConfigMap")
            .find_map(|map| map["data"]["lagwatch.yaml"].as_str());
        let config = config.expect("lagwatch has a configuration");
        assert!(
            config.contains("task-events-kafka-bootstrap:9092"),
            "{config}"
        );
        let deployment = objects.only("Deployment");
        let lagwatch = containers(&deployment["spec"]["template"]["spec"])
            .find(|one| text(one, "/name") == "lagwatch");
        assert!(lagwatch.is_some(), "lagwatch runs");
    }
    let exporter = kustomize(EXPORTER);
    assert_eq!(exporter.only("Deployment")["spec"]["replicas"], 3);
    assert_eq!(
        exporter.only("PodDisruptionBudget")["spec"]["maxUnavailable"],
        1
    );
    let sidecar = kustomize(SIDECAR);
    assert_consumer_depends_on_nobody(&sidecar);
}

/// Looks for what would keep a consumer from running because of its sidecar.
pub(crate) fn assert_consumer_depends_on_nobody(objects: &Objects) {
    let pod = &objects.only("Deployment")["spec"]["template"]["spec"];
    let sidecar = &pod["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    for probe in ["startupProbe", "readinessProbe"] {
        assert!(
            sidecar[probe].is_null(),
            "the consumer waits for {probe} of its sidecar"
        );
    }
    for volume in list(pod, "/volumes") {
        if volume["name"] == "lagwatch-password" {
            assert_eq!(volume["secret"]["optional"], true);
        }
    }
    assert_eq!(pod["containers"][0]["name"], "consumer");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_takes_the_configuration_of_compose() {
    let scratch = Scratch::new();
    let config = scratch.write("prometheus.yaml", read("deploy/compose/prometheus.yaml"));
    let alerts = scratch.path().join("lagwatch");
    std::os::unix::fs::symlink(in_repository("alerts"), alerts).expect("the folder is writable");
    let checked = run(Command::new("promtool")
        .args(["check", "config"])
        .arg(config));
    assert!(checked.contains("SUCCESS: 2 rule files found"), "{checked}");
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn the_kafka_to_try_it_on_is_valid_and_listens_where_the_others_look() {
    let objects = kustomize("deploy/kubernetes/kafka");
    assert_valid("deploy/kubernetes/kafka", &objects);
    let kafka = objects.only("Kafka");
    let name = text(kafka, "/metadata/name");
    let listeners = list(kafka, "/spec/kafka/listeners");
    let ports: Vec<_> = listeners.iter().map(|listener| &listener["port"]).collect();
    assert_eq!(ports, [9092, 9093, 9094]);
    assert_eq!(
        listeners[2]["configuration"]["bootstrap"]["nodePort"],
        30092
    );
    assert_eq!(
        objects.only("KafkaNodePool")["metadata"]["labels"]["strimzi.io/cluster"],
        name
    );
    for folder in [SIDECAR, EXPORTER] {
        let objects = kustomize(folder);
        for kind in ["KafkaUser", "KafkaTopic"] {
            for object in objects.all(kind) {
                assert_eq!(object["metadata"]["labels"]["strimzi.io/cluster"], name);
            }
        }
    }
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn the_schemas_refuse_what_they_should() {
    let core = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "a" } });
    let monitor = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": { "name": "b" },
        "spec": { "selector": {}, "podMetricsEndpoints": [{ "port": "metrics", "interval": "15s" }] },
    });
    let user = json!({
        "apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaUser", "metadata": { "name": "c" },
        "spec": { "authorization": { "type": "simple", "acls": [{
            "resource": { "type": "topic", "name": "t", "patternType": "literal" }, "operations": ["Read"],
        }] } },
    });
    for sound in [&core, &monitor, &user] {
        assert!(validate(std::slice::from_ref(sound)).is_ok(), "{sound}");
    }
    for (object, pointer, value) in [
        (&core, "/automount", json!(false)),
        (&core, "/automountServiceAccountToken", json!("no")),
        (
            &monitor,
            "/spec/podMetricsEndpoints/0/intervall",
            json!("15s"),
        ),
        (
            &monitor,
            "/spec/podMetricsEndpoints/0/interval",
            json!("15 seconds"),
        ),
        (
            &user,
            "/spec/authorization/acls/0/resource/topic",
            json!("t"),
        ),
        (
            &user,
            "/spec/authorization/acls/0/resource/patternType",
            json!("exact"),
        ),
        (
            &user,
            "/spec/authorization/acls/0/operations/0",
            json!("Raed"),
        ),
    ] {
        let mut broken = object.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("it is a pointer");
        let parent = broken.pointer_mut(parent).expect("the pointer fits");
        match parent {
            Value::Array(items) => items[0] = value,
            parent => parent[key] = value,
        }
        assert!(validate(&[broken]).is_err(), "{pointer} is let through");
    }
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn docker_compose_takes_its_file_and_its_services_agree() {
    let config = run(compose()
        .args([
            "--file",
            "deploy/compose.yaml",
            "config",
            "--format",
            "json",
        ])
        .current_dir(in_repository("")));
    let config: Value = serde_json::from_str(&config).expect("it is JSON");
    let services = config["services"].as_object().expect("there are services");
    for (name, service) in services {
        let image = text(service, "/image");
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        assert!(tag.split('.').count() >= 3, "{name}: {image} is not pinned");
        for port in list(service, "/ports") {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name} listens to everybody");
        }
        for volume in list(service, "/volumes") {
            if volume["type"] == "bind" {
                let source = text(volume, "/source");
                assert!(Path::new(source).exists(), "{name}: there is no {source}");
                assert_eq!(volume["read_only"], true, "{name}: {source}");
            }
        }
        if name != "kafka" && name != "topics" {
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"][0], "ALL", "{name}");
            assert_eq!(
                service["security_opt"][0], "no-new-privileges:true",
                "{name}"
            );
        }
    }
    assert_eq!(services["lagwatch"]["network_mode"], "service:consumer");
}

#[test]
#[ignore = "needs pip, npm and Maven for the tools"]
fn hadolint_finds_nothing_in_the_dockerfile() {
    let checked = run(hadolint()
        .args(["--failure-threshold", "style", "Dockerfile"])
        .current_dir(in_repository("deploy")));
    assert_eq!(checked, "");
}
