//! Following `__consumer_offsets` on a real Kafka: what happens shows at once, and is counted once.
//!
//! `LAGWATCH_HISTORY_ROUNDS` and `LAGWATCH_HISTORY_GROUPS` set the size of the history that is not to be read, in commits of
//! 100 partitions. A million records of a thousand groups:
//!
//! ```text
//! LAGWATCH_HISTORY_ROUNDS=10 LAGWATCH_HISTORY_GROUPS=1000 \
//!     cargo test --test it -- --ignored --nocapture follow_kafka::the_history
//! ```

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Kafka, Lagwatch, Member, Protocol, Running, Samples, eventually, unique};
use crate::task::deployment::say;

/// The longest that anything here may take: far below the poll interval.
const LIMIT: Duration = Duration::from_secs(30);

/// `serve` that follows the topic and polls so seldom that nothing it shows can come from a poll.
fn follow(kafka: &Kafka) -> Running {
    let serve = Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: stream
    poll-interval: 10m
",
            kafka.bootstrap_servers()
        ))
        .start();
    serve.wait_until_ready();
    serve
}

fn of_group(samples: &Samples, name: &str, group: &str) -> Option<f64> {
    samples.value(
        &format!("kafka_consumergroup_{name}"),
        &[("consumergroup", group)],
    )
}

fn of_partition(samples: &Samples, name: &str, group: &str, partition: &str) -> Option<f64> {
    let labels = [("consumergroup", group), ("partition", partition)];
    samples.value(&format!("kafka_consumergroup_{name}"), &labels)
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn commits_and_members_show_without_another_poll() {
    let kafka = Kafka::builder().start();
    let topic = kafka.create_topic("orders", 2);
    kafka.produce(&topic, 0, 100);
    kafka.produce(&topic, 1, 100);
    kafka.commit_for("before", &topic, 0, 7);
    let serve = follow(&kafka);
    let scrape = serve.scrape();
    assert_eq!(
        scrape.value("lagwatch_collect_mode", &[("mode", "stream")]),
        Some(1.0)
    );
    assert_eq!(of_partition(&scrape, "lag", "before", "0"), Some(93.0));

    for protocol in [Protocol::Classic, Protocol::Consumer] {
        let group = unique("live");
        let open = || {
            kafka
                .member(&group)
                .subscribe(&[&topic])
                .protocol(protocol)
                .open()
        };
        let first = open();
        first.wait_for_partitions(2);
        first.consume(&topic, 0, 10);
        first.consume(&topic, 0, 5);
        first.consume(&topic, 1, 1);
        eventually("the commits", LIMIT, || {
            let scrape = serve.scrape();
            of_partition(&scrape, "current_offset", &group, "0") == Some(15.0)
                && of_partition(&scrape, "lag", &group, "0") == Some(85.0)
                && of_partition(&scrape, "lag", &group, "1") == Some(99.0)
                && of_group(&scrape, "commits_total", &group) == Some(3.0)
                && of_group(&scrape, "members", &group) == Some(1.0)
        });
        let second = open();
        Member::wait_for_shares(&[first, second], 2);
        eventually("two members, who have left", LIMIT, || {
            let scrape = serve.scrape();
            of_group(&scrape, "member_joins_total", &group) == Some(2.0)
                && of_group(&scrape, "member_leaves_total", &group) == Some(2.0)
                && of_group(&scrape, "members", &group) == Some(0.0)
        });
        let rebalances = of_group(&serve.scrape(), "rebalances_total", &group);
        assert!(rebalances >= Some(2.0), "{protocol:?}: {rebalances:?}");
        let events = |kind: &str| -> Vec<Value> {
            let answer = serve.get(&format!("/api/v1/events?group={group}&kind={kind}"));
            let body: Value = serde_json::from_str(answer.text()).expect("it is JSON");
            body["events"].as_array().expect("a list").clone()
        };
        let commits: Vec<_> = events("commit")
            .iter()
            .map(|event| (event["partition"].clone(), event["current_offset"].clone()))
            .collect();
        assert_eq!(
            commits,
            [(0, 10), (0, 15), (1, 1)].map(|(partition, offset)| (json!(partition), json!(offset)))
        );
        assert_eq!(Some(events("rebalance").len() as f64), rebalances);
    }

    kafka.commit_for("before", &topic, 0, 50);
    eventually("a commit of a group that was there before", LIMIT, || {
        of_partition(&serve.scrape(), "lag", "before", "0") == Some(50.0)
    });
    kafka.commit_for("alone", &topic, 1, 50);
    eventually("a new group without members", LIMIT, || {
        of_partition(&serve.scrape(), "lag", "alone", "1") == Some(50.0)
    });
    let scrape = serve.scrape();
    for never in ["lagwatch_stream_gaps_total", "lagwatch_stream_drift_total"] {
        assert_eq!(scrape.value(never, &[]), Some(0.0), "{never}");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn who_may_not_read_the_topic_polls_and_is_told_how_to_get_there() {
    let kafka = Kafka::builder()
        .property(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .property("allow.everyone.if.no.acl.found", "true")
        .start();
    let topic = kafka.create_topic("orders", 1);
    kafka.produce(&topic, 0, 10);
    kafka.commit_for("billing", &topic, 0, 4);
    let servers = kafka.bootstrap_servers();
    let check = || {
        let checked = Lagwatch::new("check")
            .args(["--bootstrap-server", &servers])
            .run();
        checked.expect_success().stdout
    };
    let checked = check();
    assert!(
        checked.contains("ok           `__consumer_offsets` can be read"),
        "{checked}"
    );

    kafka.allow_only("__consumer_offsets", "Describe");
    let checked = check();
    assert!(
        checked
            .contains("note         `__consumer_offsets` cannot be read, so the cluster is polled")
            && checked.contains("--operation Read --operation Describe --topic __consumer_offsets"),
        "{checked}"
    );
    let serve = Lagwatch::new("serve")
        .args(["--bootstrap-server", &servers, "--poll-interval", "500ms"])
        .start();
    eventually("a fallback that is told", LIMIT, || {
        let scrape = serve.scrape();
        let polls = scrape.value("lagwatch_collect_mode", &[("mode", "poll")]);
        polls == Some(1.0)
            && serve
                .log()
                .contains("polling: `__consumer_offsets` may not be read")
    });
    assert_eq!(serve.log().matches("polling: ").count(), 1);
    eventually("the lag, and a commit seen by polling", LIMIT, || {
        of_partition(&serve.scrape(), "lag", "billing", "0") == Some(6.0)
    });
    kafka.commit_for("billing", &topic, 0, 9);
    eventually("a commit seen by polling", LIMIT, || {
        let scrape = serve.scrape();
        of_partition(&scrape, "lag", "billing", "0") == Some(1.0)
            && of_group(&scrape, "commits_total", "billing") == Some(1.0)
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_history_of_the_topic_is_not_read() {
    const PARTITIONS: i32 = 100;
    let rounds = number("LAGWATCH_HISTORY_ROUNDS", 3);
    let groups = number("LAGWATCH_HISTORY_GROUPS", 30);
    let kafka = Kafka::builder().start();
    let topic = kafka.create_topic("wide", PARTITIONS);
    kafka.produce(&topic, 0, rounds);
    for round in 1..=rounds {
        let offset = i64::try_from(round).expect("it is small");
        kafka.fill_groups("group-", groups, &topic, PARTITIONS, offset);
    }
    let started = Instant::now();
    let serve = follow(&kafka);
    let taken = started.elapsed();
    let scrape = serve.scrape();
    let lags = scrape.all("kafka_consumergroup_lag", &[]).count();
    assert_eq!(
        lags,
        groups * usize::try_from(PARTITIONS).expect("it is small")
    );
    let live = [("state", "live")];
    eventually("every partition live", LIMIT, || {
        let behind = serve
            .scrape()
            .value("lagwatch_stream_partitions", &[("state", "behind")]);
        behind == Some(0.0)
    });
    assert!(serve.scrape().value("lagwatch_stream_partitions", &live) > Some(0.0));
    kafka.commit_for("group-0", &topic, 0, 0);
    eventually("a commit that is followed", LIMIT, || {
        let scrape = serve.scrape();
        of_partition(&scrape, "current_offset", "group-0", "0") == Some(0.0)
    });
    let scrape = serve.scrape();
    let read = scrape.sum("lagwatch_stream_records_total", &[]);
    let bytes = scrape.sum("lagwatch_stream_bytes_total", &[]);
    say(&format!(
        "{} records of {groups} groups: {taken:.2?} to the first complete snapshot, {read} records and {bytes} bytes of the topic read",
        rounds * lags
    ));
    // The one commit, and whatever the topic's own housekeeping writes.
    assert!((1.0..10.0).contains(&read), "{read} records were read");
}

fn number(variable: &str, small: usize) -> usize {
    std::env::var(variable).map_or(small, |text| text.parse().expect("a whole number"))
}
