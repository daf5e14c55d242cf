//! The rights that the manifests give: enough for what the configurations do, and none of them too much.
//!
//! Each KafkaUser becomes a user of a real Kafka with exactly its rights, and uses the configuration from the same
//! folder. Then it loses one right after the other, and every loss has to show.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use super::files::{documents, grants, read, text};
use crate::support::{
    Authority, Finished, Grant, Kafka, Lagwatch, Running, Samples, Scratch, Secured, eventually,
    unique,
};

const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct-horse";
const TOPIC: &str = "task-created";
const DEAD_LETTERS: &str = "task-created.dlq";
const GROUP: &str = "task-notification-service";
const SIDECAR: &str = "lagwatch-task-notification-service";
const EXPORTER: &str = "lagwatch";
const SIDECAR_USERS: &str = "deploy/kubernetes/sidecar/kafka-users.yaml";
const CONSUMER_CONFIG: &str = "deploy/kubernetes/sidecar/consumer.yaml";

/// What shows that a right is missing.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// `check` says so, and ends with 1.
    Check,
    /// `serve` counts the failures of this operation.
    Failures(&'static str),
    /// Kafka hides what may not be seen: there are no series of the group.
    Hidden,
    /// The task consumer counts this error, and a task is not done.
    TaskError(&'static str),
}

/// A node that lets nobody do anything without a grant, but for the harness; all tests here share it.
struct World {
    kafka: Kafka,
    scratch: Scratch,
}

impl World {
    fn shared() -> &'static Self {
        static WORLD: OnceLock<World> = OnceLock::new();
        WORLD.get_or_init(Self::start)
    }

    fn start() -> Self {
        let (authority, scratch) = (Authority::new("brokers"), Scratch::new());
        let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        let kafka = Kafka::builder()
            .secured(Secured {
                credential: authority.issue("broker"),
                user: "nobody",
                password: PASSWORD,
            })
            .property("authorizer.class.name", authorizer)
            .property("super.users", "User:ANONYMOUS")
            .start();
        scratch.write("authority.pem", authority.pem());
        scratch.write("password", PASSWORD);
        kafka.create_topic_with(TOPIC, 3, 1, &[("retention.ms", "604800000")]);
        kafka.create_topic(DEAD_LETTERS, 1);
        for user in [GROUP, SIDECAR, EXPORTER] {
            kafka.add_user(user, PASSWORD);
        }
        // Kafka's own topic of offsets comes with the first commit, and its coordinators a moment later.
        kafka.commit_for("first", TOPIC, 0, 0);
        Self { kafka, scratch }
    }

    /// Begins a command with a configuration of the manifests, at this Kafka, over TLS.
    fn lagwatch(&self, command: &str, config: &str) -> Lagwatch {
        let folder = self.scratch.path().display().to_string();
        let config = read(config)
            .replace("/run/secrets/kafka", &folder)
            .replace("/var/lib/lagwatch", &folder);
        Lagwatch::new(command)
            .config(&config)
            .args(["--bootstrap-server", &self.kafka.secured_servers()])
            .env("LAGWATCH_X_SECURITY_PROTOCOL", "SASL_SSL")
            .env(
                "LAGWATCH_X_SSL_CA_LOCATION",
                &format!("{folder}/authority.pem"),
            )
    }

    fn check(&self, config: &str) -> Finished {
        self.lagwatch("check", config).run()
    }

    fn serve(&self, config: &str) -> Running {
        let serve = self.lagwatch("serve", config);
        serve.args(["--poll-interval", "500ms"]).start()
    }

    fn consume(&self) -> Running {
        self.lagwatch("consume", CONSUMER_CONFIG)
            .args(["--backoff", "10ms", "--group", GROUP])
            .start()
    }

    /// Writes a task with a new id, which is returned, or a record that is no task.
    fn produce(&self, is_task: IsTask) -> String {
        let id = unique("task");
        let value = match is_task {
            IsTask::Yes => format!(r#"{{"id":"{id}","title":"t"}}"#),
            IsTask::No => "no task".to_owned(),
        };
        self.kafka.produce_keyed(TOPIC, &[(id.clone(), value)]);
        id
    }

    /// Lets the group be behind on every partition, as the watchers are to see.
    fn fall_behind(&self) {
        for partition in 0..3 {
            self.kafka.produce(TOPIC, partition, 5);
            self.kafka.commit_for(GROUP, TOPIC, partition, 0);
        }
    }
}

enum IsTask {
    Yes,
    No,
}

/// Returns the grants of the KafkaUser with that name.
fn grants_of(manifest: &str, user: &str) -> Vec<Grant> {
    let users = documents(&read(manifest));
    let named = users.iter().find(|one| text(one, "/metadata/name") == user);
    grants(named.unwrap_or_else(|| panic!("{manifest} has no user {user}")))
}

/// Gives the user all of its rights, calls `whole`; then takes one after the other, and calls `lacking` with its sign.
fn try_rights(
    (manifest, user): (&str, &str),
    signs: &[(&str, Sign)],
    whole: impl FnOnce(),
    lacking: impl Fn(&str, Sign),
) {
    let kafka = &World::shared().kafka;
    let all = grants_of(manifest, user);
    kafka.grant_only(user, &all);
    whole();
    let mut expected: BTreeMap<&str, Sign> = signs.iter().copied().collect();
    for index in 0..all.len() {
        let mut fewer = all.clone();
        let Grant {
            resource,
            name,
            operation,
            ..
        } = fewer.remove(index);
        let lost = format!("{operation} on {resource} {name}");
        let sign = expected.remove(lost.as_str());
        let sign = sign.unwrap_or_else(|| panic!("{manifest}: what does {user} need {lost} for?"));
        kafka.grant_only(user, &fewer);
        lacking(&lost, sign);
    }
    assert!(
        expected.is_empty(),
        "{manifest} does not grant {user} {expected:?}"
    );
}

/// Tries the rights of a user that watches, by `check` and `serve` with one configuration.
fn try_watcher(user: (&str, &str), config: &str, mode: &str, signs: &[(&str, Sign)]) {
    let world = World::shared();
    world.fall_behind();
    let whole = || {
        let checked = world.check(config).expect_success().stdout;
        assert!(!checked.contains("missing"), "{checked}");
        let serve = world.serve(config);
        serve.wait_until_ready();
        eventually("lag, headroom and a share", LIMIT, || {
            let samples = serve.scrape();
            count(&samples, "lag") == 3 && count(&samples, "retention_headroom_seconds") == 3
        });
        let samples = serve.scrape();
        let modes = samples.sum("lagwatch_collect_mode", &[("mode", mode)]);
        assert_eq!(modes, 1.0, "collected in another mode");
        assert!(samples.sum("lagwatch_shard_partitions", &[]) > 0.0);
        assert_eq!(
            samples.sum("lagwatch_errors_total", &[]),
            0.0,
            "{}",
            serve.log()
        );
        leave(serve);
    };
    try_rights(user, signs, whole, |lost, sign| match sign {
        Sign::Check => eventually(&format!("what `check` says without {lost}"), LIMIT, || {
            let checked = world.check(config);
            checked.status.code() == Some(1) && checked.stdout.contains("\nmissing ")
        }),
        Sign::Failures(operation) => {
            let serve = world.serve(config);
            eventually(
                &format!("failures of {operation} without {lost}"),
                LIMIT,
                || {
                    let failed = [("operation", operation)];
                    serve.scrape().sum("lagwatch_errors_total", &failed) > 0.0
                },
            );
        }
        Sign::Hidden => {
            let serve = world.serve(config);
            serve.wait_until_ready();
            assert_eq!(count(&serve.scrape(), "lag"), 0, "without {lost}");
            leave(serve);
        }
        Sign::TaskError(_) => panic!("nothing is consumed here"),
    });
}

/// Ends it in order, whether that succeeds or not: who is killed is missed late, and the groups are used again.
fn leave(running: Running) {
    running.stop();
}

/// Counts the series of the group on the topic.
fn count(samples: &Samples, name: &str) -> usize {
    let labels = [("consumergroup", GROUP), ("topic", TOPIC)];
    samples
        .all(&format!("kafka_consumergroup_{name}"), &labels)
        .count()
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_exporter_has_the_rights_it_needs_and_no_other() {
    try_watcher(
        ("deploy/kubernetes/exporter/kafka-user.yaml", EXPORTER),
        "deploy/kubernetes/exporter/lagwatch.yaml",
        "stream",
        &[
            ("Describe on topic *", Sign::Check),
            (
                "DescribeConfigs on topic *",
                Sign::Failures("topic_configs"),
            ),
            ("Describe on group *", Sign::Hidden),
            ("Read on topic __consumer_offsets", Sign::Check),
            ("Read on group lagwatch", Sign::Check),
        ],
    );
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_sidecar_has_the_rights_it_needs_and_no_other() {
    try_watcher(
        (SIDECAR_USERS, SIDECAR),
        "deploy/kubernetes/sidecar/lagwatch.yaml",
        "poll",
        &[
            ("Describe on topic task-created", Sign::Check),
            (
                "DescribeConfigs on topic task-created",
                Sign::Failures("topic_configs"),
            ),
            ("Describe on group task-notification-service", Sign::Check),
            (
                "Describe on topic __consumer_offsets",
                Sign::Failures("join_shard_group"),
            ),
            (
                "Read on group lagwatch-task-notification-service",
                Sign::Check,
            ),
        ],
    );
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_consumer_has_the_rights_it_needs_and_no_other() {
    let world = World::shared();
    let signs = [
        (
            "Read on topic task-created",
            Sign::TaskError("TOPIC_AUTHORIZATION_FAILED"),
        ),
        (
            "Read on group task-notification-service",
            Sign::TaskError("GROUP_AUTHORIZATION_FAILED"),
        ),
        (
            "Write on topic task-created.dlq",
            Sign::TaskError("TOPIC_AUTHORIZATION_FAILED"),
        ),
    ];
    let done = |consumer: &Running, outcome: &str| {
        let outcome = [("outcome", outcome)];
        consumer
            .scrape()
            .sum("lagwatch_task_messages_total", &outcome)
    };
    let whole = || {
        let checked = world.check(CONSUMER_CONFIG).expect_success().stdout;
        assert!(!checked.contains("missing"), "{checked}");
        world.produce(IsTask::Yes);
        let bad = world.produce(IsTask::No);
        let consumer = world.consume();
        eventually("a dead letter", LIMIT, || {
            let letters = world.kafka.read_all(DEAD_LETTERS);
            letters
                .iter()
                .any(|letter| letter.key.as_deref() == Some(&bad))
        });
        eventually("a task that is done", LIMIT, || {
            done(&consumer, "processed") >= 1.0
        });
        consumer.stop().expect_success();
    };
    try_rights((SIDECAR_USERS, GROUP), &signs, whole, |lost, sign| {
        let Sign::TaskError(code) = sign else {
            panic!("{sign:?} is no sign of the consumer");
        };
        world.produce(IsTask::No);
        let consumer = world.consume();
        eventually(&format!("{code} without {lost}"), LIMIT, || {
            let errors = [("code", code)];
            consumer.scrape().sum("lagwatch_task_errors_total", &errors) > 0.0
        });
        assert_eq!(done(&consumer, "dead_letter"), 0.0, "without {lost}");
        leave(consumer);
    });
}
