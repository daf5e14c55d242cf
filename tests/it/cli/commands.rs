//! `describe`, `check` and `produce` on an embedded cluster.

use std::time::Duration;

use lagwatch::kafka::EmbeddedCluster;

use crate::support::{Lagwatch, Signal, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const TOPIC: &str = "task-created";

fn cluster() -> EmbeddedCluster {
    let cluster = EmbeddedCluster::start(1).expect("an embedded cluster starts anywhere");
    let created = cluster.create_topic(TOPIC, 4, 1);
    created.expect("the topic is new");
    cluster
}

#[test]
fn describe_and_check_read_an_embedded_cluster_by_names() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    Lagwatch::new("produce")
        .args(["--bootstrap-server", &servers, "--count", "10"])
        .run()
        .expect_success();
    let consumer = Lagwatch::new("consume")
        .args(["--bootstrap-server", &servers, "--preset", "audit"])
        .spawn();
    eventually("ten commits", LIMIT, || {
        consumer.log().matches("committed `").count() == 10
    });
    consumer.stop().expect_success();
    let describe = |more: &[&str]| {
        let names = ["--group", "task-audit", "--topic", TOPIC];
        let described = Lagwatch::new("describe").args(["--bootstrap-server", &servers]);
        described
            .args(names)
            .args(more)
            .run()
            .expect_success()
            .stdout
    };
    let table = describe(&[]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|cells: &Vec<&str>| cells.first() == Some(&"task-audit"))
        .collect();
    let sum = |column: usize| {
        let numbers = rows
            .iter()
            .filter_map(|row| row[column].parse::<u64>().ok());
        numbers.sum::<u64>()
    };
    assert_eq!((sum(3), sum(4), sum(5)), (10, 10, 0), "{table}");
    let wide = describe(&["--wide"]);
    let is_told = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        // Log start, lost, ahead, and no backlog where there is a commit.
        cells.ends_with(&["0", "0", "0", "-"])
    };
    assert!(wide.lines().any(is_told), "{wide}");
    let json = describe(&["--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json[0]["group"], "task-audit");
    let config = format!(
        "clusters: [{{ bootstrap-servers: [\"{servers}\"], groups: {{ names: [task-audit] }}, topics: {{ names: [{TOPIC}] }} }}]\n"
    );
    let checked = Lagwatch::new("check")
        .config(&config)
        .run()
        .expect_success()
        .stdout;
    for text in [
        "ok           the configuration is valid: 1 cluster\n",
        "answers\n",
        "ok           brokers alive: 1\n",
        "ok           committed offsets of group `task-audit` can be read\n",
        "ok           log ends can be read: topic `task-created`\n",
        "note         mode poll: commits and rebalances are seen from one poll to the next",
    ] {
        assert!(checked.contains(text), "no `{text}` in\n{checked}");
    }
}

#[test]
fn a_group_that_does_not_exist_is_told_with_exit_code_1() {
    let cluster = cluster();
    let servers = cluster.bootstrap_servers();
    let finished = Lagwatch::new("describe")
        .args(["--bootstrap-server", &servers, "--topic", "no-such-topic"])
        .args(["--group", "nobody"])
        .run();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert_eq!(
        finished.stderr,
        "error: consumer group 'nobody' does not exist\n"
    );
}

#[test]
fn produce_tells_how_far_it_is_until_a_signal_ends_it() {
    let cluster = cluster();
    let producer = Lagwatch::new("produce")
        .args(["--bootstrap-server", &cluster.bootstrap_servers()])
        .args(["--rate", "100"])
        .spawn();
    producer.wait_for_log(" delivered so far, 0 failed");
    producer.signal(Signal::Interrupt);
    let finished = producer.finish(LIMIT).expect_success();
    assert!(
        finished
            .stdout
            .ends_with(" delivered, 0 failed, 0 lines left out\n"),
        "{}",
        finished.stdout
    );
}

#[test]
fn produce_takes_json_lines_and_tells_which_are_no_events() {
    let cluster = cluster();
    let finished = Lagwatch::new("produce")
        .args([
            "--bootstrap-server",
            &cluster.bootstrap_servers(),
            "--stdin",
        ])
        .stdin("{\"id\": 1, \"title\": \"one\"}\nnonsense\n{\"id\": \"2\", \"title\": \"two\"}\n")
        .run();
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert_eq!(finished.stdout, "2 delivered, 0 failed, 1 lines left out\n");
    assert!(
        finished.stderr.contains("line 2 is left out"),
        "{}",
        finished.stderr
    );
}
