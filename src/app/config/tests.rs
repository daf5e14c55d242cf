//! What the file, the flags and the environment come to, and what is said when they are wrong.

use std::time::Duration;

use super::*;
use crate::kafka::OffsetReset;
use crate::lag::UncommittedPolicy;
use crate::snapshot::{Granularity, OwnerInfo};
use crate::task::{CommitMode, CommitStrategy};

fn load_with(yaml: &str, overrides: Overrides) -> Result<Config, String> {
    parse(yaml)
        .and_then(|file| resolve(file, overrides))
        .map_err(|problem| problem.in_file(Path::new("f.yaml")).to_string())
}

fn load(yaml: &str) -> Result<Config, String> {
    load_with(yaml, Overrides::default())
}

fn servers(list: &str) -> Overrides {
    let mut overrides = Overrides::default();
    let setting = Setting::from_flag("--bootstrap-server", list.to_owned());
    overrides.cluster.bootstrap_servers = vec![setting];
    overrides
}

#[test]
fn everything_but_the_servers_has_a_default() {
    let config = load("clusters: [{ bootstrap-servers: [a:1] }]").expect("it is complete");
    let [cluster] = config.clusters.as_slice() else {
        panic!("{config:?}");
    };
    assert_eq!(cluster.poll.cluster, None);
    assert_eq!(cluster.poll.poll_interval, Duration::from_secs(10));
    assert_eq!(cluster.poll.stale_after, Duration::from_secs(30));
    assert!(cluster.poll.topics.admits("orders"));
    assert!(!cluster.poll.topics.admits("__consumer_offsets"));
    assert_eq!(config.web.listen_address.to_string(), ":9308");
    assert_eq!(config.web.telemetry_path, "/metrics");
    assert!(config.consumer.is_none());
}

#[test]
fn every_key_is_read() {
    let config = load(EVERY_KEY).expect("every key is valid");
    let poll = &config.clusters[0].poll;
    assert_eq!(poll.cluster, Some("prod".into()));
    assert_eq!(
        config.clusters[0].connection.bootstrap_servers,
        ["k1:9092", "k2:9092", "k3:9092"]
    );
    let properties = &config.clusters[0].connection.properties;
    assert_eq!(properties["client.id"], "lagwatch-prod");
    assert_eq!(poll.poll_interval, Duration::from_secs(5));
    assert_eq!(poll.request_timeout, Duration::from_secs(2));
    assert_eq!(poll.max_in_flight, 8);
    assert!(poll.groups.admits("team-a") && !poll.groups.admits("team-a-test"));
    assert_eq!(poll.topic_names, ["task-created".into()]);
    assert_eq!(poll.exposure.granularity, Granularity::Topic);
    assert_eq!(poll.exposure.max_series, 1000);
    assert_eq!(poll.exposure.max_series_bytes, 400_000);
    assert_eq!(poll.exposure.owner_info, OwnerInfo::Exposed);
    assert_eq!(poll.uncommitted, UncommittedPolicy::LogStart);
    assert!(poll.read_committed.matches("tx-1"));
    assert_eq!(poll.stale_after, Duration::from_secs(60));
    let task = &config.consumer.as_ref().expect("there is a section").task;
    assert_eq!(task.topics, ["task-created".into()]);
    assert_eq!(task.group.as_str(), "notifications");
    assert_eq!(task.auto_offset_reset, OffsetReset::Latest);
    let CommitStrategy::PerBatch {
        records,
        interval,
        mode,
    } = task.commit
    else {
        panic!("{task:?}");
    };
    assert_eq!(
        (records.get(), interval, mode),
        (50, Duration::from_millis(200), CommitMode::Sync)
    );
    assert_eq!(task.max_attempts.get(), 3);
    assert_eq!(task.backoff.initial, Duration::from_millis(50));
    assert_eq!(task.backoff.max, Duration::from_secs(5));
    assert_eq!(task.dead_letter_topic.as_str(), "dead");
    assert_eq!(task.audit_log, Path::new("/tmp/audit.sqlite"));
    assert_eq!(task.processing_delay, Duration::from_millis(1));
    assert_eq!(task.grace_period, Duration::from_secs(9));
    assert_eq!(task.client_id, "notifier");
    assert_eq!(task.properties["session.timeout.ms"], "6000");
    assert_eq!(config.web.listen_address.to_string(), "127.0.0.1:9999");
    assert_eq!(config.web.telemetry_path, "/prom");
    assert_eq!(config.log.directives, "debug");
    assert_eq!(config.log.format, LogFormat::Json);
}

const EVERY_KEY: &str = "
clusters:
  - name: prod
    bootstrap-servers: [\"k1:9092\", \"k2:9092,k3:9092\"]
    kafka-properties: { client.id: lagwatch-prod }
    mode: poll
    poll-interval: 5s
    request-timeout: 2s
    max-in-flight: 8
    groups: { include: [\"^team-\"], exclude: [\"-test$\"] }
    topics: { names: [task-created] }
    granularity: topic
    uncommitted: log-start
    read-committed-groups: [\"^tx-\"]
    owner-info: exposed
    stale-after: 1m
    max-series: 1000
    max-series-bytes: 400000
consumer:
  cluster: prod
  topics: [task-created]
  group: notifications
  preset: dashboard
  auto-offset-reset: latest
  commit: { strategy: per-batch, records: 50, interval: 200ms, mode: sync }
  max-attempts: 3
  backoff: { initial: 50ms, max: 5s }
  dead-letter-topic: dead
  audit-log: { path: /tmp/audit.sqlite }
  processing-delay: 1ms
  grace-period: 9s
  client-id: notifier
  kafka-properties: { session.timeout.ms: 6000 }
web: { listen-address: \"127.0.0.1:9999\", telemetry-path: /prom, config-file: null }
log: { level: debug, format: json }
";

#[test]
fn whatever_is_wrong_is_said_in_one_line_with_its_place() {
    let one = "clusters:\n- bootstrap-servers: [a:1]\n  ";
    let mut wrong = Vec::new();
    for (yaml, expected) in [
        (
            "",
            "no cluster: give `--bootstrap-server host:9092`, or a config file with `clusters`",
        ),
        (
            "# nothing\n",
            "no cluster: give `--bootstrap-server host:9092`, or a config file with `clusters`",
        ),
        (
            "cluster: []",
            "f.yaml:1: unknown key `cluster`; did you mean `clusters`?",
        ),
        (
            "zzz: 1",
            "f.yaml:1: unknown key `zzz`; known here: clusters, consumer, log, web",
        ),
        ("clusters: 5", "f.yaml:1: expected a list such as `[a, b]`"),
        (
            "clusters: [5]",
            "f.yaml:1: expected a mapping such as `{ key: value }`",
        ),
        (
            "clusters:\n- name: a\n  name: b",
            "f.yaml:3: key `name` is given twice",
        ),
        (
            "web: {}\n---\nweb: {}",
            "f.yaml:3: a second YAML document starts here; the file must hold one",
        ),
        (
            "clusters: [{ name: a }]",
            "cluster `a`: no bootstrap server: give `bootstrap-servers` in the config file, or `--bootstrap-server`",
        ),
        (
            "clusters:\n- bootstrap-servers: [kafka]",
            "f.yaml:2: bootstrap server `kafka`: the port is missing, such as in `kafka-1:9092`",
        ),
        (
            "clusters:\n- bootstrap-servers: [a:1]\n- bootstrap-servers: [b:1]",
            "f.yaml:2: cluster 1 of 2 has no `name`: each needs one where there are several",
        ),
        (
            "clusters:\n- name: a\n  bootstrap-servers: [a:1]\n- name: a\n  bootstrap-servers: [b:1]",
            "f.yaml:4: two clusters are named `a` (the first is on line 2)",
        ),
        (
            "@poll-intervall: 1s",
            "f.yaml:3: unknown key `poll-intervall`; did you mean `poll-interval`?",
        ),
        (
            "@poll-interval: soon",
            "f.yaml:3: expected a duration such as `10s` or `500ms`, found `soon`",
        ),
        (
            "@poll-interval: [1s]",
            "f.yaml:3: expected a single value, not a list or a mapping",
        ),
        (
            "@poll-interval: 0s",
            "f.yaml:3: `poll-interval` must be more than 0",
        ),
        (
            "@stale-after: 1s",
            "f.yaml:3: `stale-after` (1s) is shorter than `poll-interval` (10s): figures would vanish between two polls",
        ),
        (
            "@max-series: -1",
            "f.yaml:3: expected a whole number, 1 or more, found `-1`",
        ),
        (
            "@max-series-bytes: 512MiB",
            "f.yaml:3: expected a whole number, 1 or more, found `512MiB`",
        ),
        (
            "@granularity: partion",
            "f.yaml:3: expected `partition` (one of `partition`, `topic`, `group`), found `partion`",
        ),
        (
            "@mode: streaming",
            "f.yaml:3: expected `stream` (one of `auto`, `poll`, `stream`), found `streaming`",
        ),
        (
            "@shard: { index: 3, count: 3 }",
            "f.yaml:3: `shard.index` is 3, and with `shard.count` 3 it goes from 0 to 2",
        ),
        (
            "@shard: { group: lagwatch, index: 0 }",
            "f.yaml:3: `shard` has both `group` and `index`: Kafka shares out what a group's members collect",
        ),
        (
            "@shard: { count: 3 }",
            "f.yaml:3: `shard` has `count` but no `index`",
        ),
        (
            "@shard: { index: -1, count: 3 }",
            "f.yaml:3: expected a whole number, 0 or more, found `-1`",
        ),
        (
            "@shard: { grup: lagwatch }",
            "f.yaml:3: unknown key `grup`; did you mean `group`?",
        ),
        (
            "@shard: { group: team }\nconsumer: { group: team }",
            "`shard.group` is the consumer's own group `team`: the replicas need one of their own",
        ),
        (
            "@groups:\n    include: [ok, \"(\"]",
            "f.yaml:4: `groups.include`: `(` is no regular expression: unclosed group",
        ),
        (
            "@name: prod\n  topics:\n    exclude: [\"[\"]",
            "f.yaml:5: cluster `prod`: `topics.exclude`: `[` is no regular expression: unclosed character class",
        ),
        (
            "@read-committed-groups: [\"*\"]",
            "f.yaml:3: `read-committed-groups`: `*` is no regular expression: repetition operator missing expression",
        ),
        (
            "@groups: { names: [a], include: [b] }",
            "f.yaml:3: `groups` has both patterns and `names`: names are watched without listing, so no pattern would be asked",
        ),
        (
            "@kafka-properties: { sasl.pasword: x }",
            "f.yaml:3: unknown librdkafka property `sasl.pasword`; did you mean `sasl.password`?",
        ),
        (
            "@kafka-properties: { sasl.password: \"${LAGWATCH_UNSET}\" }",
            "f.yaml:3: environment variable `LAGWATCH_UNSET` is not set",
        ),
        (
            "@kafka-properties: { sasl.password: x, sasl.password_file: y }",
            "f.yaml:3: both `sasl.password` and `sasl.password_file` are given",
        ),
        (
            "@kafka-properties: { sasl.password_file: /nowhere }",
            "f.yaml:3: reading `sasl.password_file` from `/nowhere`: No such file or directory (os error 2)",
        ),
        (
            "@\nconsumer: { cluster: prod }",
            "f.yaml:4: no cluster is named `prod`; no cluster has a name",
        ),
        (
            "@\nconsumer:\n  commit: { strategy: per-message, records: 5 }",
            "f.yaml:5: `commit.records` is for strategy `per-batch` alone",
        ),
        (
            "@\nconsumer:\n  commit: { strategy: per-message, interval: 5s }",
            "f.yaml:5: `commit.interval` says nothing for strategy `per-message`, which commits each record at once",
        ),
        (
            "@\nconsumer:\n  commit: { strategy: batch }",
            "f.yaml:5: expected one of `auto`, `auto-store`, `per-message`, `per-batch`, found `batch`",
        ),
        (
            "@\nconsumer:\n  dead-letter-topic: task-created",
            "f.yaml:5: `dead-letter-topic` `task-created` is consumed itself: a dead letter would come back for ever",
        ),
        (
            "@\nconsumer:\n  backoff: { initial: 2s, max: 1s }",
            "f.yaml:5: `backoff.max` (1s) is shorter than `backoff.initial` (2s)",
        ),
        (
            "@\nconsumer:\n  kafka-properties: { sesion.timeout.ms: 1 }",
            "f.yaml:5: unknown librdkafka property `sesion.timeout.ms`; did you mean `session.timeout.ms`?",
        ),
        (
            "@\nweb: { listen-address: 9308 }",
            "f.yaml:4: `listen-address` `9308`: expected `:9308`, `127.0.0.1:9308` or `[::1]:9308`",
        ),
        (
            "@\nweb: { telemetry-path: metrics }",
            "f.yaml:4: telemetry path `metrics` is not a path such as `/metrics`",
        ),
        (
            "@\nweb: { telemetry-path: /healthz }",
            "f.yaml:4: telemetry path `/healthz` is taken by another route",
        ),
        (
            "@\nlog: { format: xml }",
            "f.yaml:4: expected one of `text`, `json`, found `xml`",
        ),
    ] {
        let yaml = yaml.replace('@', one);
        let error = load(&yaml).err().unwrap_or_default();
        if error != expected {
            wrong.push(format!(
                "{yaml}\n  expected: {expected}\n  got:      {error}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_log_level_names_the_right_ones() {
    let error = load("clusters: [{ bootstrap-servers: [a:1] }]\nlog: { level: loud }");
    let error = error.err().unwrap_or_default();
    assert!(
        error.starts_with("f.yaml:2: log level `loud`: expected `error`, `warn`,"),
        "{error}"
    );
}

#[test]
fn a_flag_wins_over_the_file_and_is_blamed_by_name() {
    let yaml = "clusters: [{ bootstrap-servers: [a:1], poll-interval: 5s }]";
    let config = load_with(yaml, servers("b:1,c:1")).expect("it is valid");
    assert_eq!(
        config.clusters[0].connection.bootstrap_servers,
        ["b:1", "c:1"]
    );
    assert_eq!(
        config.clusters[0].poll.poll_interval,
        Duration::from_secs(5)
    );
    let error = load_with("", servers("b")).err().unwrap_or_default();
    assert_eq!(
        error,
        "--bootstrap-server (or LAGWATCH_BOOTSTRAP_SERVER): bootstrap server `b`: the port is missing, such as in `kafka-1:9092`"
    );
}

#[test]
fn one_of_several_clusters_can_be_chosen_by_name() {
    let yaml = "clusters:\n- { name: prod, bootstrap-servers: [a:1] }\n- { name: dev, bootstrap-servers: [b:1] }";
    let error = load_with(yaml, servers("c:1")).err().unwrap_or_default();
    assert_eq!(
        error,
        "--bootstrap-server (or LAGWATCH_BOOTSTRAP_SERVER): one cluster is given, but the config file has 2: choose one with `--cluster`"
    );
    let only = |name: &str| Overrides {
        only_cluster: Some(Setting::from_flag("--cluster", name.to_owned())),
        ..Overrides::default()
    };
    let config = load_with(yaml, only("dev")).expect("it is there");
    assert_eq!(config.clusters.len(), 1);
    assert_eq!(config.clusters[0].connection.bootstrap_servers, ["b:1"]);
    let error = load_with(yaml, only("prd")).err().unwrap_or_default();
    assert_eq!(
        error,
        "--cluster (or LAGWATCH_CLUSTER): no cluster is named `prd`; did you mean `prod`?"
    );
}

#[test]
fn a_sidecar_watches_its_own_group_unless_told_otherwise() {
    let one = "clusters: [{ bootstrap-servers: [a:1] GROUPS }]\nconsumer: { group: mine }";
    let config = load(&one.replace("GROUPS", "")).expect("it is valid");
    assert_eq!(config.clusters[0].poll.group_names, ["mine".into()]);
    assert_eq!(config.clusters[0].poll.topic_names, ["task-created".into()]);
    let config = load(&one.replace("GROUPS", ", groups: { include: [\"\"] }"));
    let poll = &config.expect("it is valid").clusters[0].poll;
    assert!(poll.group_names.is_empty() && poll.topic_names.is_empty());
}

#[test]
fn the_shard_group_is_not_watched_unless_it_is_named() {
    let watched = |groups: &str| {
        let cluster = format!("bootstrap-servers: [a:1], shard: {{ group: lagwatch }}{groups}");
        let config = load(&format!("clusters: [{{ {cluster} }}]")).expect("it is complete");
        config.clusters[0].poll.clone()
    };
    let listed = watched("");
    assert!(!listed.groups.admits("lagwatch") && listed.groups.admits("lagwatch-2"));
    let included = watched(", groups: { include: [\"^lag\"] }");
    assert!(!included.groups.admits("lagwatch"));
    let named = watched(", groups: { names: [lagwatch] }");
    assert_eq!(named.group_names, ["lagwatch".into()]);
}

#[test]
fn a_preset_is_the_ground_for_single_settings() {
    let yaml = "clusters: [{ bootstrap-servers: [a:1] }]\nconsumer: { preset: audit, group: mine }";
    let task = load(yaml)
        .expect("it is valid")
        .consumer
        .expect("there is one")
        .task;
    assert_eq!(task.commit, CommitStrategy::PerMessage);
    assert_eq!(task.auto_offset_reset, OffsetReset::Earliest);
    assert_eq!(task.group.as_str(), "mine");
}

#[test]
fn secrets_come_from_files_and_are_shown_nowhere() {
    let directory = tempfile::tempdir().expect("the temporary folder is writable");
    let file = directory.path().join("password");
    std::fs::write(&file, "hunter2\n").expect("the folder is writable");
    let yaml = format!(
        "clusters: [{{ bootstrap-servers: [a:1], kafka-properties: {{ sasl.password_file: {} }} }}]",
        file.display()
    );
    let config = load(&yaml).expect("it is valid");
    assert_eq!(
        config.clusters[0].connection.properties["sasl.password"],
        "hunter2"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    let yaml = "clusters: [{ bootstrap-servers: [a:1] }]\nconsumer: { kafka-properties: { sasl.password: hunter2 } }";
    let config = load(yaml).expect("it is valid");
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// Returns `deploy/lagwatch.yaml`, which shows users every key and its default.
fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/lagwatch.yaml");
    std::fs::read_to_string(path).expect("there is a sample")
}

/// Each section of the file; `@` is where its keys go.
const SECTIONS: [&str; 10] = [
    "@",
    "clusters: [{ @ }]",
    "clusters: [{ groups: { @ } }]",
    "clusters: [{ shard: { @ } }]",
    "consumer: { @ }",
    "consumer: { commit: { @ } }",
    "consumer: { backoff: { @ } }",
    "consumer: { audit-log: { @ } }",
    "web: { @ }",
    "log: { @ }",
];

#[test]
fn the_sample_file_shows_every_key() {
    let sample = sample();
    let is_key = |word: &&str| word.ends_with(':');
    let words = sample.split(|c: char| c.is_whitespace() || "{,#".contains(c));
    let shown: Vec<&str> = words.filter(is_key).collect();
    for section in SECTIONS {
        let error = load(&section.replace('@', "zzz: 1")).err();
        let error = error.unwrap_or_default();
        let (_, known) = error.split_once("known here: ").expect("`zzz` is no key");
        for key in known.split(", ") {
            let key = format!("{key}:");
            assert!(shown.contains(&key.as_str()), "no `{key}` of `{section}`");
        }
    }
}

#[test]
fn the_sample_file_shows_the_defaults() {
    let defaults = "clusters: [{ name: prod, bootstrap-servers: [\"localhost:9092\"] }]\n";
    let sample = sample();
    assert_eq!(load(&sample), load(defaults));
    let (_, consumer) = sample
        .split_once("\n# consumer:\n")
        .expect("the section is commented out");
    let keys = consumer
        .lines()
        .map_while(|line| line.strip_prefix('#'))
        // It changes the defaults.
        .filter(|line| !line.contains(" preset:"));
    let keys: Vec<&str> = keys.collect();
    let shown = format!("{defaults}consumer:\n{}\n", keys.join("\n"));
    assert_eq!(load(&shown), load(&format!("{defaults}consumer: {{}}\n")));
}
