//! Whatever is wrong is one line on standard error and a documented exit code, and nothing was started.

use std::net::{Ipv4Addr, TcpListener};

use crate::support::{Finished, Lagwatch, Scratch};

const USAGE: i32 = 2;
const FAILED: i32 = 1;

/// A cluster at which nobody listens: the port of a socket that was closed.
fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    address.to_string()
}

/// Checks that a run said one line, and nothing else, and ended with `code`.
#[track_caller]
fn assert_refused(finished: &Finished, code: i32, text: &str) {
    let Finished {
        status,
        stdout,
        stderr,
    } = finished;
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert_eq!(stdout, "");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(stderr.contains(text), "expected: {text}\ngot: {stderr}");
}

#[test]
fn a_wrong_configuration_is_refused_with_file_line_and_the_nearest_valid_thing() {
    let cluster = "clusters:\n- bootstrap-servers: [\"127.0.0.1:1\"]\n  name: prod\n";
    for (yaml, text) in [
        (
            "@  pol-interval: 3s\n",
            "lagwatch.yaml:4: unknown key `pol-interval`; did you mean `poll-interval`?",
        ),
        (
            "@  poll-interval: fast\n",
            "lagwatch.yaml:4: expected a duration such as `10s` or `500ms`, found `fast`",
        ),
        (
            "@  max-series: many\n",
            "lagwatch.yaml:4: expected a whole number, 1 or more, found `many`",
        ),
        (
            "@  max-series-bytes: 0\n",
            "lagwatch.yaml:4: expected a whole number, 1 or more, found `0`",
        ),
        (
            "@  groups: { include: [\"^(a\"] }\n",
            "lagwatch.yaml:4: cluster `prod`: `groups.include`: `^(a` is no regular expression: unclosed group",
        ),
        (
            "@  kafka-properties: { sasl.pasword: x }\n",
            "lagwatch.yaml:4: cluster `prod`: unknown librdkafka property `sasl.pasword`; did you mean `sasl.password`?",
        ),
        (
            "@  kafka-properties: { security.protocol: tls }\n",
            "lagwatch.yaml:4: cluster `prod`: librdkafka property `security.protocol`: expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, found `tls`",
        ),
        (
            "@  kafka-properties: { socket.timeout.ms: soon }\n",
            "lagwatch.yaml:4: cluster `prod`: librdkafka property `socket.timeout.ms`: expected a number, found `soon`",
        ),
        (
            "@  kafka-properties: { security.protocol: SASL_SSL }\n",
            "lagwatch.yaml:4: cluster `prod`: librdkafka property `security.protocol`: `SASL_SSL` needs `sasl.mechanism`: one of PLAIN,",
        ),
        (
            "@  kafka-properties: { security.protocol: SASL_SSL, sasl.mechanism: PLAIN }\n",
            "lagwatch.yaml:4: cluster `prod`: librdkafka refuses these properties together: sasl.username and sasl.password must be set",
        ),
        (
            "@  kafka-properties: { ssl.ca.location: /nowhere/ca.pem }\n",
            "lagwatch.yaml:4: cluster `prod`: librdkafka property `ssl.ca.location`: `/nowhere/ca.pem`: No such file or directory",
        ),
        (
            "@  kafka-properties: { group.id: mine }\n",
            "lagwatch.yaml:4: cluster `prod`: librdkafka property `group.id` cannot be set: set the group of the consumer instead",
        ),
        (
            "@  granularity: partitions\n",
            "lagwatch.yaml:4: expected `partition` (one of `partition`, `topic`, `group`), found `partitions`",
        ),
        (
            "@  groups: [billing]\n",
            "lagwatch.yaml:4: expected a mapping such as `{ key: value }`",
        ),
        (
            "@consumer: { topics: task-created }\n",
            "lagwatch.yaml:4: expected a list such as `[a, b]`",
        ),
        (
            "@consumer: { kafka-properties: { group.protocol: consumer, session.timeout.ms: 6000 } }\n",
            "lagwatch.yaml:4: librdkafka refuses these properties together: `session.timeout.ms`",
        ),
        (
            "@- name: prod\n  bootstrap-servers: [\"127.0.0.1:2\"]\n",
            "lagwatch.yaml:4: two clusters are named `prod` (the first is on line 3)",
        ),
        (
            "@  shard: { index: 2, count: 2 }\n",
            "lagwatch.yaml:4: `shard.index` is 2, and with `shard.count` 2 it goes from 0 to 1",
        ),
        (
            "@  mode: streaming\n",
            "expected `stream` (one of `auto`, `poll`, `stream`)",
        ),
        (
            "clusters:\n- bootstrap-servers: [kafka]\n",
            "lagwatch.yaml:2: bootstrap server `kafka`: the port is missing",
        ),
        (
            "@web: { listen-address: nowhere }\n",
            "lagwatch.yaml:4: `listen-address` `nowhere`: expected `:9308`",
        ),
        ("clusters: [\n", "lagwatch.yaml:"),
        (
            "",
            "no cluster: give `--bootstrap-server host:9092`, or a config file with `clusters`",
        ),
    ] {
        let yaml = yaml.replace('@', cluster);
        for command in ["serve", "check", "consume"] {
            let finished = Lagwatch::new(command).config(&yaml).run();
            assert_refused(&finished, USAGE, text);
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let finished = Lagwatch::new("serve")
        .args(["--config", "nowhere.yaml"])
        .run();
    assert_refused(
        &finished,
        USAGE,
        "reading config file `nowhere.yaml`: No such file",
    );
}

#[test]
fn a_wrong_flag_is_named_with_its_environment_variable() {
    let finished = Lagwatch::new("serve")
        .args(["--bootstrap-server", "kafka"])
        .run();
    let text = "--bootstrap-server (or LAGWATCH_BOOTSTRAP_SERVER): bootstrap server `kafka`: the port is missing";
    assert_refused(&finished, USAGE, text);
    let finished = Lagwatch::new("serve")
        .args(["--bootstrap-server", "127.0.0.1:1"])
        .env("LAGWATCH_X_SASL_PASWORD", "hunter2")
        .run();
    assert_refused(
        &finished,
        USAGE,
        "LAGWATCH_X_SASL_PASWORD: unknown librdkafka property `sasl.pasword`; did you mean `sasl.password`?",
    );
    assert!(!finished.stderr.contains("hunter2"));
    let finished = Lagwatch::new("serve")
        .args(["--bootstrap-server", "127.0.0.1:1", "--group.filter", "["])
        .run();
    assert_refused(
        &finished,
        USAGE,
        "--group.filter (or LAGWATCH_GROUP_FILTER): `groups.include`: `[` is no regular expression",
    );
}

#[test]
fn a_missing_environment_variable_is_named_and_a_secret_is_not_shown() {
    let yaml = "clusters:\n- bootstrap-servers: [\"127.0.0.1:1\"]\n  kafka-properties:\n    sasl.username: \"${KAFKA_USER}\"\n    sasl.password: \"${KAFKA_PASSWORD}\"\n";
    let finished = Lagwatch::new("check")
        .config(yaml)
        .env("KAFKA_PASSWORD", "hunter2")
        .run();
    assert_refused(
        &finished,
        USAGE,
        "lagwatch.yaml:4: environment variable `KAFKA_USER` is not set",
    );
    assert!(!finished.stderr.contains("hunter2"));
}

#[test]
fn a_port_in_use_is_told_before_anything_starts() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for command in ["serve", "consume"] {
        let finished = Lagwatch::new(command)
            .args(["--bootstrap-server", "127.0.0.1:1"])
            .args(["--web.listen-address", &address])
            .run();
        let text = format!(
            "listening on `{address}` (another one: `--web.listen-address`): Address already in use"
        );
        assert_refused(&finished, FAILED, &text);
    }
    let finished = Lagwatch::new("demo")
        .args(["--web.listen-address", &address])
        .run();
    assert_refused(&finished, FAILED, "Address already in use");
    let scratch = Scratch::new();
    let audit_log = scratch.path().join("audit.sqlite");
    let yaml = format!(
        "clusters: [{{ bootstrap-servers: [\"127.0.0.1:1\"] }}]\nconsumer: {{ audit-log: {{ path: \"{}\" }} }}\nweb: {{ listen-address: \"{address}\" }}\n",
        audit_log.display()
    );
    let finished = Lagwatch::new("serve").config(&yaml).run();
    assert_refused(&finished, FAILED, "Address already in use");
    assert!(!audit_log.exists(), "the consumer was not begun");
}

#[test]
fn an_audit_log_that_cannot_be_written_is_told_before_anything_starts() {
    let yaml = "clusters: [{ bootstrap-servers: [\"127.0.0.1:1\"] }]\nconsumer: { audit-log: { path: /nowhere/audit.sqlite } }\nweb: { listen-address: \"127.0.0.1:0\" }\n";
    for command in ["serve", "consume"] {
        let finished = Lagwatch::new(command).config(yaml).run();
        assert_refused(
            &finished,
            FAILED,
            "audit log `/nowhere/audit.sqlite` cannot be written: No such file or directory",
        );
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_is_named_by_the_commands_that_need_an_answer() {
    let nobody = nobody();
    for servers in [nobody.as_str(), "no-such-host.invalid:9092"] {
        let finished = Lagwatch::new("describe")
            .args([
                "--all-groups",
                "--timeout",
                "2s",
                "--bootstrap-server",
                servers,
            ])
            .run();
        assert_refused(&finished, FAILED, &format!("reading from `{servers}`"));
    }
}

#[test]
fn check_tells_which_server_does_not_answer() {
    let nobody = nobody();
    for (servers, problem) in [
        (nobody.as_str(), "cannot be reached"),
        ("no-such-host.invalid:9092", "cannot be resolved"),
    ] {
        let finished = Lagwatch::new("check")
            .args(["--timeout", "2s", "--bootstrap-server", servers])
            .run();
        assert_eq!(finished.status.code(), Some(2), "{finished:?}");
        let text = format!("missing      bootstrap server `{servers}`: {problem}");
        assert!(finished.stdout.contains(&text), "{}", finished.stdout);
        let last = finished.stdout.lines().last();
        assert!(
            last.is_some_and(|line| line.starts_with("unreachable  ")),
            "{}",
            finished.stdout
        );
    }
}

#[test]
fn check_of_the_file_alone_connects_to_nothing() {
    let yaml = "clusters: [{ bootstrap-servers: [\"no-such-host.invalid:9092\"] }]\nconsumer: {}\n";
    let finished = Lagwatch::new("check")
        .config(yaml)
        .args(["--config-only"])
        .run();
    let text = "ok           the configuration is valid: 1 cluster, a task consumer in group `task-notification-service`\n";
    assert_eq!(finished.expect_success().stdout, text);
}
