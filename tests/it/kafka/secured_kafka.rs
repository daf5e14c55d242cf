//! A real Kafka behind TLS and passwords: let in, kept out and told why, without the password.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::{
    Authority, Finished, Kafka, Lagwatch, Running, Scratch, Secured, Signal, eventually,
};

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "orders";
const GROUP: &str = "billing";
const USER: &str = "lagwatch";
const PASSWORD: &str = "correct-horse";
const WRONG: &str = "hunter2-wrong";
const MECHANISMS: [&str; 2] = ["PLAIN", "SCRAM-SHA-512"];

/// One node for all tests here, with a group that is 7 behind; and files that name authorities.
struct World {
    kafka: Kafka,
    right: PathBuf,
    wrong: PathBuf,
    _scratch: Scratch,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (authority, scratch) = (Authority::new("brokers"), Scratch::new());
        let kafka = Kafka::builder()
            .secured(Secured {
                credential: authority.issue("broker"),
                user: USER,
                password: PASSWORD,
            })
            .start();
        kafka.create_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, 10);
        let member = kafka.member(GROUP).assign(&[(TOPIC, 0)]).open();
        member.consume(TOPIC, 0, 3);
        member.close();
        World {
            kafka,
            right: scratch.write("right.pem", authority.pem()),
            wrong: scratch.write("wrong.pem", Authority::new("strangers").pem()),
            _scratch: scratch,
        }
    })
}

/// Returns `-X` flags for the secured listener.
fn properties(mechanism: &str, password: &str, authority: &Path) -> Vec<String> {
    let properties = [
        "security.protocol=SASL_SSL".to_owned(),
        format!("sasl.mechanism={mechanism}"),
        format!("sasl.username={USER}"),
        format!("sasl.password={password}"),
        format!("ssl.ca.location={}", authority.display()),
    ];
    properties
        .into_iter()
        .flat_map(|property| ["-X".to_owned(), property])
        .collect()
}

/// Runs `describe`. Who is kept out waits for the whole deadline.
fn describe(properties: Vec<String>) -> Finished {
    let servers = world().kafka.secured_servers();
    Lagwatch::new("describe")
        .args(["--bootstrap-server", &servers, "--group", GROUP])
        .args(["--timeout", "15s"])
        .args(properties)
        .run()
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn describe_is_let_in_with_the_right_password_and_authority() {
    for mechanism in MECHANISMS {
        let finished = describe(properties(mechanism, PASSWORD, &world().right)).expect_success();
        let row = finished.stdout.lines().find(|line| line.contains(TOPIC));
        let row: Vec<_> = row.unwrap_or_default().split_whitespace().collect();
        assert_eq!(row[..6], [GROUP, TOPIC, "0", "3", "10", "7"], "{mechanism}");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn describe_says_why_it_is_kept_out_and_not_with_which_password() {
    for mechanism in MECHANISMS {
        let finished = describe(properties(mechanism, WRONG, &world().right));
        assert_kept_out(&finished, "uthentication failed", "(`_AUTHENTICATION`)");
    }
    let finished = describe(properties("PLAIN", PASSWORD, &world().wrong));
    assert_kept_out(&finished, "certificate verify failed", "(`_SSL`)");
}

#[track_caller]
fn assert_kept_out(finished: &Finished, reason: &str, code: &str) {
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 1, "{finished:?}");
    let servers = world().kafka.secured_servers();
    let beginning = format!("error: reading from `{servers}`: ");
    assert!(finished.stderr.starts_with(&beginning), "{finished:?}");
    assert!(finished.stderr.contains(reason), "{finished:?}");
    assert!(finished.stderr.contains(code), "{finished:?}");
    for password in [PASSWORD, WRONG] {
        assert!(!finished.stderr.contains(password), "{finished:?}");
    }
}

/// Starts `serve`, which reads the password from a file.
fn serve(password: &Path, authority: &Path) -> Running {
    let yaml = format!(
        "clusters:
- bootstrap-servers: [\"{}\"]
  poll-interval: 500ms
  kafka-properties:
    security.protocol: SASL_SSL
    sasl.mechanism: SCRAM-SHA-512
    sasl.username: {USER}
    sasl.password_file: {}
    ssl.ca.location: {}
log: {{ level: debug }}
",
        world().kafka.secured_servers(),
        password.display(),
        authority.display(),
    );
    Lagwatch::new("serve").config(&yaml).start()
}

/// Waits until `serve` has failed, has tried again, and says why.
fn wait_until_kept_out(running: &Running, reason: &str) {
    eventually("three failed cycles", LIMIT, || {
        let samples = running.scrape();
        samples.sum("lagwatch_polls_total", &[("result", "failed")]) >= 3.0
    });
    let samples = running.scrape();
    assert_eq!(samples.value("lagwatch_up", &[]), Some(0.0));
    let operation = [("operation", "metadata")];
    assert!(samples.sum("lagwatch_errors_total", &operation) >= 3.0);
    assert_eq!(running.status("/readyz"), Some(503));
    eventually("the reason in the log", LIMIT, || {
        running.log().contains(reason)
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn serve_counts_and_tries_again_while_it_is_kept_out_and_recovers_once_let_in() {
    let scratch = Scratch::new();
    let password = scratch.write("password", WRONG);
    let running = serve(&password, &world().right);
    wait_until_kept_out(&running, "uthentication failed");

    fs::write(&password, PASSWORD).expect("the folder is writable");
    running.signal(Signal::HangUp);
    eventually("the lag", LIMIT, || {
        let labels = [("consumergroup", GROUP), ("topic", TOPIC)];
        let samples = running.scrape();
        samples.value("kafka_consumergroup_lag_sum", &labels) == Some(7.0)
    });
    assert_eq!(running.scrape().value("lagwatch_up", &[]), Some(1.0));
    let scrape = running.get("/metrics");
    let finished = running.stop().expect_success();
    for text in [scrape.text(), &finished.stdout, &finished.stderr] {
        assert!(!text.contains(WRONG) && !text.contains(PASSWORD), "{text}");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn serve_says_that_it_does_not_trust_the_broker() {
    let scratch = Scratch::new();
    let running = serve(&scratch.write("password", PASSWORD), &world().wrong);
    wait_until_kept_out(&running, "certificate verify failed");
    let finished = running.stop().expect_success();
    assert!(!finished.stderr.contains(PASSWORD), "{}", finished.stderr);
}
