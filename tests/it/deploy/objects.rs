//! What the objects of one deployment have to agree on: labels, ports, volumes, files, users.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::files::{list, text};
use crate::support::{Authority, Credential, Lagwatch, Scratch};

/// The objects of one deployment.
#[derive(Debug)]
pub(crate) struct Objects(pub(crate) Vec<Value>);

impl Objects {
    /// Returns the objects of a kind.
    pub(crate) fn all<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// Returns the one object of a kind.
    pub(crate) fn only<'a>(&'a self, kind: &'a str) -> &'a Value {
        let mut all = self.all(kind);
        let only = all.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(all.next().is_none(), "several {kind}");
        only
    }

    fn names<'a>(&'a self, kind: &'a str) -> BTreeSet<&'a str> {
        self.all(kind)
            .map(|object| text(object, "/metadata/name"))
            .collect()
    }

    /// Panics at the first thing that does not fit; `secrets` are those that somebody else makes.
    pub(crate) fn assert_agree(&self, secrets: &[&str]) {
        for object in &self.0 {
            let kind = text(object, "/kind");
            if kind != "ConfigMap" {
                assert_eq!(object.pointer("/data"), None, "{kind} holds data");
            }
        }
        for deployment in self.all("Deployment") {
            let pod = &deployment["spec"]["template"];
            assert_selects(
                deployment,
                "/spec/selector/matchLabels",
                &pod["metadata"]["labels"],
            );
            self.assert_pod_is_sound(&pod["spec"], secrets);
            for constraint in list(pod, "/spec/topologySpreadConstraints") {
                assert_selects(
                    constraint,
                    "/labelSelector/matchLabels",
                    &pod["metadata"]["labels"],
                );
            }
        }
        let pod = &self.only("Deployment")["spec"]["template"];
        let labels = &pod["metadata"]["labels"];
        let ports = ports(&pod["spec"]);
        let assert_port = |port: &Value| {
            let port = port.as_str().expect("ports have names");
            assert!(ports.contains_key(port), "no container has a port {port}");
        };
        for budget in self.all("PodDisruptionBudget") {
            assert_selects(budget, "/spec/selector/matchLabels", labels);
        }
        for policy in self.all("NetworkPolicy") {
            assert_selects(policy, "/spec/podSelector/matchLabels", labels);
            let ingress = list(policy, "/spec/ingress").iter();
            let open: Vec<_> = ingress.flat_map(|rule| list(rule, "/ports")).collect();
            assert_eq!(
                open.len(),
                ports.len(),
                "every port is open to Prometheus, and no other"
            );
            open.iter().for_each(|port| assert_port(&port["port"]));
            self.assert_brokers_can_be_reached(policy);
        }
        for monitor in self.all("PodMonitor") {
            assert_selects(monitor, "/spec/selector/matchLabels", labels);
            let endpoints = list(monitor, "/spec/podMetricsEndpoints");
            assert_eq!(endpoints.len(), ports.len(), "every port is scraped");
            endpoints
                .iter()
                .for_each(|endpoint| assert_port(&endpoint["port"]));
        }
        for service in self.all("Service") {
            assert_selects(service, "/spec/selector", labels);
            let of_service = list(service, "/spec/ports");
            assert_eq!(of_service.len(), ports.len(), "every port is served");
            of_service
                .iter()
                .for_each(|port| assert_port(&port["targetPort"]));
        }
        for monitor in self.all("ServiceMonitor") {
            let service = self.only("Service");
            assert_selects(
                monitor,
                "/spec/selector/matchLabels",
                &service["metadata"]["labels"],
            );
            let named: BTreeSet<_> = list(service, "/spec/ports")
                .iter()
                .map(|port| text(port, "/name"))
                .collect();
            let scraped: BTreeSet<_> = list(monitor, "/spec/endpoints")
                .iter()
                .map(|port| text(port, "/port"))
                .collect();
            assert_eq!(scraped, named);
        }
    }

    fn assert_pod_is_sound(&self, pod: &Value, secrets: &[&str]) {
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["enableServiceLinks"], false);
        let context = &pod["securityContext"];
        assert_eq!(context["runAsNonRoot"], true);
        assert!(
            context["runAsUser"].as_u64() > Some(0),
            "the user is a number"
        );
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
        let volumes: BTreeMap<&str, &Value> = list(pod, "/volumes")
            .iter()
            .map(|volume| (text(volume, "/name"), volume))
            .collect();
        let (users, maps) = (self.names("KafkaUser"), self.names("ConfigMap"));
        for volume in volumes.values() {
            if let Some(name) = volume["configMap"]["name"].as_str() {
                assert!(maps.contains(name), "no ConfigMap {name}");
            } else if let Some(name) = volume["secret"]["secretName"].as_str() {
                assert!(
                    users.contains(name) || secrets.contains(&name),
                    "no Secret {name}"
                );
            } else {
                assert!(volume["emptyDir"]["sizeLimit"].is_string(), "{volume}");
            }
        }
        let mut used = BTreeSet::new();
        for container in containers(pod) {
            let name = text(container, "/name");
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["capabilities"]["drop"][0], "ALL", "{name}");
            let (_, tag) = text(container, "/image")
                .rsplit_once([':', '@'])
                .expect("images are pinned");
            assert_ne!(tag, "latest", "{name}");
            assert!(
                container["resources"]["requests"]["cpu"].is_string(),
                "{name}"
            );
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{name}"
            );
            let own: BTreeSet<&str> = list(container, "/ports")
                .iter()
                .map(|port| text(port, "/name"))
                .collect();
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let probe = &container[probe];
                let asked = probe["httpGet"]["port"]
                    .as_str()
                    .or(probe["tcpSocket"]["port"].as_str());
                assert!(
                    probe.is_null() || asked.is_some_and(|port| own.contains(port)),
                    "{name}: {probe}"
                );
            }
            for mount in list(container, "/volumeMounts") {
                let volume = text(mount, "/name");
                used.insert(volume);
                let volume = volumes
                    .get(volume)
                    .unwrap_or_else(|| panic!("{name}: no volume {volume}"));
                let is_read_only = mount["readOnly"] == true;
                assert_eq!(
                    is_read_only,
                    volume["emptyDir"].is_null(),
                    "{name}: {mount}"
                );
            }
            self.assert_runs(container, &volumes);
        }
        assert_eq!(used.len(), volumes.len(), "every volume is used");
    }

    /// Runs `lagwatch check --config-only` with the file that the container is given, and looks for its ports in it.
    fn assert_runs(&self, container: &Value, volumes: &BTreeMap<&str, &Value>) {
        let args: Vec<&str> = list(container, "/args")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let ["serve" | "consume", "--config", path, flags @ ..] = args.as_slice() else {
            // Somebody else's consumer.
            assert_eq!(container["ports"], Value::Null);
            return;
        };
        let mount_of = |path: &str| {
            list(container, "/volumeMounts")
                .iter()
                .find(|mount| path.starts_with(text(mount, "/mountPath")))
                .unwrap_or_else(|| panic!("nothing is mounted at {path}"))
        };
        let (_, key) = path.rsplit_once('/').expect("the path is absolute");
        let map = text(volumes[text(mount_of(path), "/name")], "/configMap/name");
        let map = self
            .all("ConfigMap")
            .find(|one| text(one, "/metadata/name") == map)
            .expect("it was looked for");
        let config = map["data"][key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in the ConfigMap"));
        // Every file that the configuration names is mounted; there is none here.
        let secrets = config
            .split_whitespace()
            .filter(|word| word.starts_with("/run/") || word.starts_with("/var/"));
        let secrets: BTreeSet<&str> = secrets
            .map(|word| word.trim_matches(['"', '}', ',']))
            .collect();
        secrets.iter().for_each(|path| drop(mount_of(path).clone()));
        assert_config(config);
        let address = flags
            .iter()
            .find_map(|flag| flag.strip_prefix("--web.listen-address=:"));
        let port: u64 = address.unwrap_or("9308").parse().expect("a port");
        assert_eq!(container["ports"][0]["containerPort"], port);
    }

    /// Compares the ports of the bootstrap servers with those that a policy opens.
    fn assert_brokers_can_be_reached(&self, policy: &Value) {
        let egress = list(policy, "/spec/egress").iter();
        let open: BTreeSet<u64> = egress
            .flat_map(|rule| list(rule, "/ports"))
            .filter_map(|port| port["port"].as_u64())
            .collect();
        assert!(open.contains(&53), "names can be resolved");
        for map in self.all("ConfigMap") {
            for config in map["data"].as_object().into_iter().flatten() {
                let (_, config) = config;
                let server = config
                    .as_str()
                    .and_then(|config| config.split("-kafka-bootstrap:").nth(1));
                let port = server.map(|port| {
                    port.chars()
                        .take_while(char::is_ascii_digit)
                        .collect::<String>()
                });
                let port = port.and_then(|port| port.parse().ok());
                assert!(
                    port.is_none_or(|port| open.contains(&port)),
                    "{port:?} is closed"
                );
            }
        }
    }
}

/// Returns the sidecars and the containers of a Pod.
pub(crate) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "/initContainers")
        .iter()
        .chain(list(pod, "/containers"))
}

/// Returns the ports of a Pod by name.
fn ports(pod: &Value) -> BTreeMap<&str, u64> {
    let ports = containers(pod).flat_map(|container| list(container, "/ports"));
    let ports: Vec<_> = ports
        .map(|port| {
            (
                text(port, "/name"),
                port["containerPort"].as_u64().expect("a number"),
            )
        })
        .collect();
    let named: BTreeMap<_, _> = ports.iter().copied().collect();
    let numbers: BTreeSet<u64> = named.values().copied().collect();
    assert_eq!(
        numbers.len(),
        ports.len(),
        "containers of a Pod share its ports: {ports:?}"
    );
    named
}

#[track_caller]
fn assert_selects(object: &Value, pointer: &str, labels: &Value) {
    let selector = object.pointer(pointer).and_then(Value::as_object);
    let selector = selector.unwrap_or_else(|| panic!("no {pointer} in {object:#}"));
    assert!(!selector.is_empty(), "{pointer} selects everything");
    for (key, value) in selector {
        assert_eq!(labels.get(key), Some(value), "{pointer} of {object:#}");
    }
}

/// Panics where `lagwatch check --config-only` does not take a configuration; its files are made up.
#[track_caller]
pub(crate) fn assert_config(config: &str) {
    let scratch = Scratch::new();
    let authority = Authority::new("brokers");
    let Credential { certificate, key } = authority.issue("lagwatch");
    let mut config = config.to_owned();
    for (path, content) in [
        ("/run/secrets/kafka/password", "secret"),
        ("/run/secrets/kafka-ca/ca.crt", &authority.pem()),
        ("/run/secrets/kafka-client/tls.crt", &certificate),
        ("/run/secrets/kafka-client/tls.key", &key),
        (
            "/run/secrets/web/web.yaml",
            "http_server_config: { http2: false }\n",
        ),
    ] {
        let file = scratch.write(&path.replace('/', "-"), content);
        config = config.replace(path, &file.display().to_string());
    }
    let checked = Lagwatch::new("check")
        .config(&config)
        .args(["--config-only"])
        .run();
    assert!(checked.status.success(), "{}\n{config}", checked.stderr);
}
