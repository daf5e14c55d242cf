//! The dashboards' queries on a real Prometheus: all of them find something, and every variable is filled.
//!
//! It scrapes the demo as everybody can start it, the demo on a real Kafka, and a lagwatch that follows that Kafka beside
//! one that is away.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;

use super::files::{Dashboard, Query, Variable, dashboards};
use super::grafana::{Chosen, choices, fill, finds_something, label_values};
use crate::support::{Kafka, Lagwatch, Prometheus, Running, Scratch, eventually};

/// Two rounds of the demo, and time for a loaded machine.
const LIMIT: Duration = Duration::from_secs(150);

const TASKS: &str = "task-created";
const GROUPS: [&str; 4] = [
    "task-analytics",
    "task-audit",
    "task-dashboard",
    "task-notification-service",
];

/// A topic whose groups need somebody.
const ORDERS: &str = "orders";

/// The job of the demo on its embedded cluster, and those of what watches a real Kafka.
const DEMO: &str = "demo";
const REAL: &str = "demo-on-kafka|serve";

/// What a cluster of these jobs cannot show: part of an expression, and why.
type Untold = &'static [(&'static str, &'static str)];

const UNTOLD_BY_THE_DEMO: Untold = &[
    (
        "kafka_consumergroup_members",
        "its cluster cannot describe groups",
    ),
    (
        "kafka_consumergroup_state",
        "its cluster cannot describe groups",
    ),
    (
        "kafka_consumergroup_rebalances_total",
        "its cluster cannot describe groups",
    ),
    (
        "kafka_consumergroup_last_rebalance",
        "its cluster cannot describe groups",
    ),
    (
        "kafka_consumergroup_member_joins_total",
        "its cluster cannot describe groups",
    ),
    (
        "kafka_consumergroup_member_leaves_total",
        "its cluster cannot describe groups",
    ),
    (
        "retention_headroom",
        "its cluster cannot describe the configuration of topics",
    ),
    (
        "status!=\"ok\"",
        "what hangs in it goes on before anybody has to be told",
    ),
    (
        ") > 0",
        "what hangs in it goes on before anybody has to be told",
    ),
    (
        "kafka_consumergroup_partition_status",
        "what hangs in it goes on before anybody has to be told",
    ),
    ("kafka_consumergroup_lost_records", "it deletes nothing"),
    (
        "kafka_consumergroup_blocked_records",
        "nobody in it reads committed records alone",
    ),
    (
        "kafka_consumergroup_abandoned_partitions",
        "it takes ten minutes",
    ),
    ("lagwatch_stream_", "its cluster has no __consumer_offsets"),
    ("lagwatch_shard_", "nothing shares the cluster with it"),
    ("lagwatch_errors_total", "nothing fails in it"),
];

/// What the demo may or may not show, whoever looks: only its members' luck in a rebalance decides.
const BY_CHANCE: &str = "lagwatch_task_errors_total";

const UNTOLD_BY_KAFKA: Untold = &[(
    "kafka_consumergroup_abandoned_partitions",
    "it takes ten minutes",
)];

/// The queries of kafka_exporter's public dashboard, 7589 on grafana.com, as they are there: title, expression.
const PUBLIC_QUERIES: [(&str, &str); 5] = [
    (
        "Message in per second",
        "sum(rate(kafka_topic_partition_current_offset{instance=~'$instance', topic=~\"$topic\"}[1m])) by (topic)",
    ),
    (
        "Lag by Consumer Group",
        "sum(kafka_consumergroup_lag{instance=~'$instance',topic=~\"$topic\"}) by (consumergroup, topic) ",
    ),
    (
        "Message in per minute",
        "sum(delta(kafka_topic_partition_current_offset{instance=~'$instance', topic=~\"$topic\"}[5m])/5) by (topic)",
    ),
    (
        "Message consume per minute",
        "sum(delta(kafka_consumergroup_current_offset{instance=~'$instance',topic=~\"$topic\"}[5m])/5) by (consumergroup, topic)",
    ),
    (
        "Partitions per Topic",
        "sum by(topic) (kafka_topic_partitions{instance=~'$instance',topic=~\"$topic\"})",
    ),
];

/// Its variables: name, series, label.
const PUBLIC_VARIABLES: [(&str, &str, &str); 3] = [
    ("job", "kafka_consumergroup_current_offset", "job"),
    (
        "instance",
        "kafka_consumergroup_current_offset{job=~\"$job\"}",
        "instance",
    ),
    (
        "topic",
        "kafka_topic_partition_current_offset{instance='$instance',topic!='__consumer_offsets',topic!='--kafka'}",
        "topic",
    ),
];

/// Waits until every query of the dashboard has found something for some choice, but those of what cannot be told;
/// returns what of that was seen to be missing.
fn check(
    prometheus: &Prometheus,
    dashboard: &Dashboard,
    job: &str,
    untold: Untold,
) -> BTreeSet<&'static str> {
    let variables = dashboard.variables();
    let parts_untold = |query: &Query| -> Vec<&'static str> {
        let parts = untold.iter().map(|(part, _)| *part);
        parts
            .filter(|part| query.expression.contains(part))
            .collect()
    };
    let mut queries = dashboard.panel_queries();
    queries.extend(dashboard.annotation_queries());
    queries.retain(|query| job != DEMO || !query.expression.contains(BY_CHANCE));
    let (excused, mut waiting): (Vec<Query>, Vec<Query>) = queries
        .into_iter()
        .partition(|query| !parts_untold(query).is_empty());
    let finds = |query: &Query| {
        let chosen = choices(prometheus, &variables, job);
        chosen
            .iter()
            .any(|chosen| finds_something(prometheus, query, chosen))
    };
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = newest_scrape(prometheus);
        waiting.retain(|query| !finds(query));
        if waiting.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "no data of job {job} within {LIMIT:?} for {waiting:#?}"
        );
        eventually("another scrape", LIMIT, || newest_scrape(prometheus) > seen);
    }
    let empty = excused.iter().filter(|query| !finds(query));
    empty.flat_map(parts_untold).collect()
}

fn newest_scrape(prometheus: &Prometheus) -> f64 {
    let newest = prometheus.query("max(timestamp(up))");
    newest.first().map_or(0.0, |point| point.value)
}

/// Checks all dashboards; panics also where something that cannot be told is told after all.
fn check_all(prometheus: &Prometheus, job: &str, untold: Untold) {
    let mut missing = BTreeSet::new();
    for dashboard in dashboards() {
        missing.extend(check(prometheus, &dashboard, job, untold));
    }
    for (part, reason) in untold {
        assert!(
            missing.contains(part),
            "`{part}` is told by {job}, although {reason}"
        );
    }
}

/// Checks that each variable has values; those of clusters without a name have none.
fn check_variables(prometheus: &Prometheus, job: &str, clusters: &[&str]) {
    for dashboard in dashboards() {
        let variables = dashboard.variables();
        for chosen in choices(prometheus, &variables, job) {
            for Variable {
                name,
                label,
                series,
                ..
            } in &variables
            {
                let values = label_values(prometheus, &fill(series, &chosen), label);
                if name == "cluster" {
                    assert!(values.iter().eq(clusters), "{}: {values:?}", dashboard.name);
                } else {
                    assert!(
                        !values.is_empty(),
                        "{}: no {name} for {chosen:?}",
                        dashboard.name
                    );
                }
            }
        }
    }
}

/// Checks the public dashboard: what a user of kafka_exporter has goes on showing something.
fn check_public_dashboard(prometheus: &Prometheus) {
    let mut chosen = Chosen::new();
    for (name, series, label) in PUBLIC_VARIABLES {
        let mut values = label_values(prometheus, &fill(series, &chosen), label);
        assert!(!values.is_empty(), "no {name} for {chosen:?}");
        if name == "job" {
            assert!(values.remove(DEMO), "{values:?}");
            values = [DEMO.to_owned()].into();
        }
        let values: Vec<String> = values.into_iter().collect();
        chosen.insert(name.to_owned(), values.join("|"));
    }
    let groups: BTreeSet<&str> = GROUPS.into();
    for (title, expression) in PUBLIC_QUERIES {
        let found = prometheus.query(&fill(expression, &chosen));
        let of_tasks = found.iter().filter(|point| point.labels["topic"] == TASKS);
        if expression.contains("consumergroup") {
            let told = of_tasks.map(|point| point.labels["consumergroup"].as_str());
            assert_eq!(told.collect::<BTreeSet<_>>(), groups, "{title}");
        } else {
            let told: Vec<f64> = of_tasks.map(|point| point.value).collect();
            assert!(told.len() == 1 && told[0] > 0.0, "{title}: {told:?}");
        }
    }
}

/// Starts a lagwatch that follows a Kafka as `prod`, and one that is away as `away`.
fn serve(kafka: &Kafka) -> Running {
    let away = Kafka::builder().create();
    let serve = Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - name: prod
    bootstrap-servers: [\"{}\"]
    mode: stream
    poll-interval: 1s
    groups: {{ exclude: [\"^lagwatch$\"] }}
    read-committed-groups: [\"^ledger$\"]
    shard: {{ group: lagwatch }}
  - name: away
    bootstrap-servers: [\"{}\"]
    poll-interval: 1s
    request-timeout: 1s
# Its client has errors to tell.
consumer: {{ cluster: away, topics: [{TASKS}], group: task-reports }}
",
            kafka.bootstrap_servers(),
            away.bootstrap_servers()
        ))
        .start();
    let of_losing = [("consumergroup", "losing"), ("status", "losing")];
    eventually("the status of a group", LIMIT, || {
        let status = serve
            .scrape()
            .value("kafka_consumergroup_status", &of_losing);
        status == Some(1.0)
    });
    // A commit is known once it was seen to be made.
    kafka.commit_for("losing", ORDERS, 0, 5);
    serve
}

/// Makes groups that need somebody: one that loses records of one partition, one past the end, and one behind a transaction, which is
/// open while what this returns exists.
fn trouble(kafka: &Kafka) -> BaseProducer {
    kafka.create_topic(ORDERS, 2);
    kafka.produce(ORDERS, 0, 20);
    kafka.produce(ORDERS, 1, 20);
    kafka.commit_for("losing", ORDERS, 0, 5);
    // Nothing is lost here yet.
    kafka.commit_for("losing", ORDERS, 1, 15);
    kafka.delete_records(ORDERS, 0, 10);
    kafka.commit_for("ahead", ORDERS, 0, 1000);
    kafka.commit_for("ledger", ORDERS, 1, 20);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_servers())
        .set("transactional.id", "orders-writer")
        .set("transaction.timeout.ms", "600000")
        .create()
        .expect("the properties are valid");
    producer
        .init_transactions(LIMIT)
        .expect("Kafka coordinates it");
    producer.begin_transaction().expect("none is open");
    let record = BaseRecord::<(), str>::to(ORDERS).partition(1).payload("x");
    producer.send(record).expect("the queue has room");
    producer.flush(LIMIT).expect("Kafka takes the record");
    producer
}

#[test]
#[ignore = "needs Java 17, Maven and Prometheus"]
fn on_kafka_every_query_finds_something_and_every_variable_is_filled() {
    let demo = Lagwatch::new("demo").start();
    let kafka = Kafka::builder().start();
    kafka.create_topic(TASKS, 6);
    kafka.create_topic("task-created.dlq", 1);
    let _transaction = trouble(&kafka);
    let servers = kafka.bootstrap_servers();
    let demo_on_kafka = Lagwatch::new("demo")
        .args(["--bootstrap-server", &servers])
        .start();
    let serve = serve(&kafka);
    let prometheus = Prometheus::builder()
        .job(DEMO, &[demo.address()])
        .job("demo-on-kafka", &[demo_on_kafka.address()])
        .job("serve", &[serve.address()])
        .start();
    prometheus.wait_for_targets(3);
    check_all(&prometheus, DEMO, UNTOLD_BY_THE_DEMO);
    check_variables(&prometheus, DEMO, &[]);
    check_all(&prometheus, REAL, UNTOLD_BY_KAFKA);
    check_variables(&prometheus, REAL, &["away", "prod"]);
    check_public_dashboard(&prometheus);
}

#[test]
#[ignore = "needs promtool"]
fn prometheus_own_parser_takes_every_query() {
    let chosen: Chosen = ["job", "cluster", "instance", "topic", "consumergroup"]
        .map(|name| (name.to_owned(), "x".to_owned()))
        .into();
    let queries: Vec<Query> = dashboards().iter().flat_map(Dashboard::queries).collect();
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(number, query)| {
            let expression = fill(&query.expression, &chosen);
            assert!(
                !expression.replace("\"$$__all\"", "").contains('$'),
                "{}: a variable that nobody fills: {expression}",
                query.place
            );
            json!({ "record": format!("query:{number}"), "expr": expression })
        })
        .collect();
    let scratch = Scratch::new();
    // JSON is YAML.
    let groups = json!({ "groups": [{ "name": "queries", "rules": rules }] });
    let file = scratch.write("rules.yaml", groups.to_string());
    let checked = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&file)
        .output()
        .expect("promtool is installed");
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(checked.status.success(), "{said}");
    assert!(
        said.contains(&format!("{} rules found", queries.len())),
        "{said}"
    );
}
