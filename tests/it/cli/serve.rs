//! `serve` as a sidecar on an embedded cluster: signals, reload, clusters that come and go.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lagwatch::kafka::EmbeddedCluster;
use lagwatch::lag::BrokerId;

use crate::support::{Lagwatch, Running, Scratch, Signal, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "task-created";
const GROUP: &str = "task-notification-service";

fn cluster() -> EmbeddedCluster {
    let cluster = EmbeddedCluster::start(1).expect("an embedded cluster starts anywhere");
    for topic in [TOPIC, "task-created.dlq"] {
        cluster.create_topic(topic, 4, 1).expect("the topic is new");
    }
    cluster
}

fn produce(cluster: &EmbeddedCluster, count: u32) {
    Lagwatch::new("produce")
        .args(["--bootstrap-server", &cluster.bootstrap_servers()])
        .args(["--count", &count.to_string()])
        .run()
        .expect_success();
}

/// A configuration file that can be written again while somebody uses it.
struct ConfigFile {
    path: PathBuf,
    _scratch: Scratch,
}

impl ConfigFile {
    fn new(yaml: &str) -> Self {
        let scratch = Scratch::new();
        let path = scratch.write("lagwatch.yaml", yaml);
        Self {
            path,
            _scratch: scratch,
        }
    }

    fn rewrite(&self, yaml: &str) {
        fs::write(&self.path, yaml).expect("the folder is writable");
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

fn serve(config: &ConfigFile) -> Running {
    Lagwatch::new("serve")
        .args(["--config".as_ref(), config.path().as_os_str()])
        .start()
}

fn lag(running: &Running, group: &str) -> Option<f64> {
    let labels = [("consumergroup", group), ("topic", TOPIC)];
    running
        .scrape()
        .value("kafka_consumergroup_lag_sum", &labels)
}

#[test]
fn a_sidecar_consumes_and_watches_its_own_group_and_ends_in_order() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let config = ConfigFile::new(&format!(
        "clusters: [{{ bootstrap-servers: [\"{servers}\"], poll-interval: 200ms }}]\nconsumer: {{}}\n"
    ));
    let sidecar = serve(&config);
    produce(&cluster, 50);
    eventually("fifty tasks", LIMIT, || {
        let samples = sidecar.scrape();
        samples.sum("lagwatch_task_messages_total", &[("outcome", "processed")]) == 50.0
    });
    eventually("a lag of 0", LIMIT, || lag(&sidecar, GROUP) == Some(0.0));
    let groups = sidecar.get("/api/v1/groups");
    assert!(groups.text().contains(GROUP));
    let finished = sidecar.stop().expect_success();
    assert!(
        finished.stderr.contains("consumer closed"),
        "{}",
        finished.stderr
    );
}

#[test]
fn without_a_broker_it_stays_up_and_tells_the_truth() {
    let config = ConfigFile::new(
        "clusters: [{ bootstrap-servers: [\"127.0.0.1:1\"], poll-interval: 200ms, request-timeout: 500ms }]\n",
    );
    let running = serve(&config);
    eventually("a failed cycle", LIMIT, || {
        running
            .scrape()
            .sum("lagwatch_polls_total", &[("result", "failed")])
            > 0.0
    });
    assert_eq!(running.scrape().value("lagwatch_up", &[]), Some(0.0));
    assert_eq!(
        (running.status("/healthz"), running.status("/readyz")),
        (Some(200), Some(503))
    );
    running.stop().expect_success();
}

/// A request that nobody answers ends no sooner than its deadline.
const PATIENT: &str = "poll-interval: 200ms, request-timeout: 30s";

fn assert_ends_at_once(running: Running) {
    running.signal(Signal::Terminate);
    let told = Instant::now();
    running.finish(LIMIT).expect_success();
    // A second, and what a busy machine adds.
    assert!(
        told.elapsed() < Duration::from_secs(5),
        "{:?}",
        told.elapsed()
    );
}

#[test]
fn it_ends_at_once_where_nobody_listens() {
    let config = ConfigFile::new(&format!(
        "clusters: [{{ bootstrap-servers: [\"127.0.0.1:1\"], {PATIENT} }}]\n"
    ));
    let running = serve(&config);
    running.wait_for_log("cannot connect to `127.0.0.1:1`");
    assert_ends_at_once(running);
}

#[test]
fn it_ends_at_once_while_a_broker_owes_an_answer() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let config = ConfigFile::new(&format!(
        "clusters: [{{ bootstrap-servers: [\"{servers}\"], {PATIENT}, groups: {{ names: [{GROUP}] }}, topics: {{ names: [{TOPIC}] }} }}]\n"
    ));
    let running = serve(&config);
    running.wait_until_ready();
    let slow = cluster.set_round_trip(BrokerId(1), Duration::from_secs(60));
    slow.expect("it exists");
    cluster.start_tracking();
    eventually("a request", LIMIT, || !cluster.requests().is_empty());
    assert_ends_at_once(running);
}

#[test]
fn a_reload_changes_clusters_and_keeps_what_stays() {
    let (one, other) = (cluster(), cluster());
    let entry = |name: &str, cluster: &EmbeddedCluster| {
        let servers = cluster.bootstrap_servers();
        format!(
            "- {{ name: {name}, bootstrap-servers: [\"{servers}\"], poll-interval: 200ms, groups: {{ names: [{GROUP}] }}, topics: {{ names: [{TOPIC}] }} }}\n"
        )
    };
    let config = ConfigFile::new(&format!("clusters:\n{}", entry("one", &one)));
    let running = serve(&config);
    let up = |name: &str| running.scrape().value("lagwatch_up", &[("cluster", name)]);
    eventually("cluster one", LIMIT, || up("one") == Some(1.0));
    let polls = || {
        running.scrape().sum(
            "lagwatch_polls_total",
            &[("cluster", "one"), ("result", "complete")],
        )
    };
    let before = polls();
    config.rewrite(&format!(
        "clusters:\n{}{}",
        entry("one", &one),
        entry("two", &other)
    ));
    running.signal(Signal::HangUp);
    running.wait_for_log("configuration reloaded");
    eventually("cluster two", LIMIT, || up("two") == Some(1.0));
    assert_eq!(up("one"), Some(1.0));
    eventually("further polls of cluster one", LIMIT, || {
        polls() > before + 1.0
    });
    config.rewrite(&format!("clusters:\n{}", entry("two", &other)));
    running.signal(Signal::HangUp);
    // Its own series with the others: also what its client counts while it ends.
    let is_there = |name: &str| {
        let label = format!("cluster=\"{name}\"");
        running.get("/metrics").text().contains(&label)
    };
    eventually("the end of cluster one", LIMIT, || !is_there("one"));
    assert_eq!(up("two"), Some(1.0));
    assert!(!is_there("one"));
    running.stop().expect_success();
}

#[test]
fn clients_of_kafka_are_closed_with_their_cluster_and_before_the_process_ends() {
    const CLOSED: &str = "Kafka client closed";
    let (one, other) = (cluster(), cluster());
    let entry = |name: &str, cluster: &EmbeddedCluster| {
        let servers = cluster.bootstrap_servers();
        format!(
            "- {{ name: {name}, bootstrap-servers: [\"{servers}\"], poll-interval: 200ms, groups: {{ names: [{GROUP}] }}, topics: {{ names: [{TOPIC}] }} }}\n"
        )
    };
    let two = format!("clusters:\n{}{}", entry("one", &one), entry("two", &other));
    let config = ConfigFile::new(&format!("log: {{ level: debug }}\n{two}"));
    let running = serve(&config);
    running.wait_until_ready();
    config.rewrite(&format!(
        "log: {{ level: debug }}\nclusters:\n{}",
        entry("two", &other)
    ));
    running.signal(Signal::HangUp);
    running.wait_for_log(CLOSED);
    assert_eq!(
        running.log().matches(CLOSED).count(),
        1,
        "cluster two goes on"
    );
    let finished = running.stop().expect_success();
    let closed = finished.stderr.matches(CLOSED).count();
    assert_eq!(closed, 2, "{}", finished.stderr);

    for command in [["describe", "--group=g"], ["check", "--timeout=10s"]] {
        let finished = Lagwatch::new(command[0])
            .args([command[1], "--bootstrap-server", &one.bootstrap_servers()])
            .args(["--log.level", "debug"])
            .run();
        assert!(finished.stderr.contains(CLOSED), "{finished:?}");
    }
}

#[test]
fn a_reload_of_an_invalid_file_leaves_the_old_one_running_and_says_why() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let valid = format!(
        "clusters: [{{ bootstrap-servers: [\"{servers}\"], poll-interval: 200ms, groups: {{ names: [{GROUP}] }}, topics: {{ names: [{TOPIC}] }} }}]\n"
    );
    let config = ConfigFile::new(&valid);
    let mut running = serve(&config);
    running.wait_until_ready();
    config.rewrite("clusters: [{ bootstrap-server: x }]\n");
    running.signal(Signal::HangUp);
    running.wait_for_log("configuration not reloaded, the old one stays in force");
    assert!(
        running
            .log()
            .contains("unknown key `bootstrap-server`; did you mean `bootstrap-servers`?"),
        "{}",
        running.log()
    );
    assert!(running.is_running());
    assert_eq!(running.status("/readyz"), Some(200));
    config.rewrite(&format!("{valid}log: {{ level: debug }}\n"));
    running.signal(Signal::HangUp);
    running.wait_for_log("DEBUG");
    config.rewrite(&format!("{valid}web: {{ telemetry-path: /prom }}\n"));
    running.signal(Signal::HangUp);
    running.wait_for_log("`web` changes only at the next start");
    assert_eq!(running.status("/metrics"), Some(200));
    running.stop().expect_success();
}

#[test]
fn a_second_signal_aborts() {
    let cluster = cluster();
    let config = ConfigFile::new(&format!(
        "clusters: [{{ bootstrap-servers: [\"{}\"] }}]\nconsumer: {{ processing-delay: 30s, grace-period: 50s }}\n",
        cluster.bootstrap_servers()
    ));
    let running = serve(&config);
    produce(&cluster, 20);
    running.wait_for_log("rebalance: given `");
    running.signal(Signal::Interrupt);
    running.wait_for_log("shutting down");
    running.signal(Signal::Interrupt);
    let finished = running.finish(Duration::from_secs(10));
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    assert!(
        finished
            .stderr
            .ends_with("error: aborted by a second signal\n"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_json_log_is_one_object_a_line() {
    let config = ConfigFile::new(
        "clusters: [{ bootstrap-servers: [\"127.0.0.1:1\"] }]\nlog: { format: json }\n",
    );
    let running = serve(&config);
    let finished = running.stop().expect_success();
    assert!(finished.stderr.lines().count() >= 2, "{}", finished.stderr);
    for line in finished.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        assert!(
            line["message"].is_string() && line["level"].is_string(),
            "{line}"
        );
    }
}
