//! `serve` while a real Kafka breaks: what cannot be known is absent and told, what can be known stays fresh.
//!
//! A watch scrapes all the while. The steady groups stand still, so each of their samples has one true value: a
//! scrape shows that value or nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{Kafka, Lagwatch, NodeId, Running, Samples, eventually, get, wait_for};

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 6;
const STEADY: &str = "steady-";
/// Enough for every node to coordinate some.
const STEADY_GROUPS: usize = 12;
const COMMITTED: f64 = 4.0;
const LOG_END: f64 = 10.0;
const LAG: f64 = LOG_END - COMMITTED;
/// Kafka itself takes seconds to elect; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// One cycle of the default configuration: what a recovery may take once Kafka is well again.
const ONE_CYCLE: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_cluster_that_is_not_there_yet_is_told_and_then_found() {
    let kafka = Kafka::builder().create();
    let serve = serve(&kafka, "auto");
    eventually("a failed cycle", LIMIT, || {
        polls(&serve.scrape(), "failed") > 0.0
    });
    let samples = serve.scrape();
    assert_eq!(samples.value("lagwatch_up", &[]), Some(0.0));
    assert_eq!(samples.all("kafka_consumergroup_lag", &[]).count(), 0);
    assert_eq!(serve.status("/readyz"), Some(503));

    kafka.start();
    eventually("the cluster to be up", ONE_CYCLE, || {
        serve.scrape().value("lagwatch_up", &[]) == Some(1.0)
    });
    lay_out(&kafka);
    eventually("every lag", ONE_CYCLE, || is_whole(&serve.scrape()));
    assert_eq!(serve.status("/readyz"), Some(200));
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_cluster_that_dies_leaves_no_numbers_behind_and_comes_back() {
    let kafka = Kafka::builder().start();
    let (serve, watch) = begin(&kafka);
    kafka.kill(1);
    eventually("the outage to be told", LIMIT, || {
        serve.scrape().value("lagwatch_up", &[]) == Some(0.0)
    });
    eventually("the numbers to go when they are too old", LIMIT, || {
        let samples = serve.scrape();
        samples.all("kafka_consumergroup_lag", &[]).count() == 0
            && samples.all("kafka_consumergroup_lag_sum", &[]).count() == 0
            && samples
                .all("kafka_topic_partition_current_offset", &[])
                .count()
                == 0
    });
    eventually("/readyz to say so", LIMIT, || {
        serve.status("/readyz") == Some(503)
    });

    kafka.restart(1);
    eventually("the coordinators to load", LIMIT, || {
        kafka.committed("steady-0").len() == 6
    });
    eventually("every lag", ONE_CYCLE, || is_whole(&serve.scrape()));
    assert_eq!(serve.status("/readyz"), Some(200));
    watch.finish();
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_killed_broker_of_three_is_told_and_its_work_is_found_elsewhere() {
    let kafka = Kafka::builder().nodes(3).start();
    let (serve, watch) = begin(&kafka);
    let victim = kafka.coordinator("steady-0");
    kafka.kill(victim);
    eventually("the loss to be told", LIMIT, || {
        serve.scrape().value("lagwatch_up", &[]) == Some(0.0)
    });
    kafka.wait_for_nodes(&others(victim));
    eventually("every lag from the two that are left", LIMIT, || {
        let samples = serve.scrape();
        samples.value("kafka_brokers", &[]) == Some(2.0) && is_whole(&samples)
    });
    assert_fresh(&kafka, &serve, "after-the-death");

    kafka.restart(victim);
    eventually("the third broker", ONE_CYCLE, || {
        let samples = serve.scrape();
        samples.value("kafka_brokers", &[]) == Some(3.0) && is_whole(&samples)
    });
    assert_fresh(&kafka, &serve, "after-the-return");
    watch.finish();
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_frozen_broker_times_out_and_does_not_hold_up_the_others() {
    let kafka = Kafka::builder()
        .nodes(3)
        // Long enough for the frozen node to count as alive while the test looks.
        .property("broker.session.timeout.ms", "45000")
        // A commit waits for every replica in sync: the frozen one must soon count as none.
        .property("replica.lag.time.max.ms", "2000")
        .start();
    let (serve, watch) = begin(&kafka);
    // Without its controller the cluster would be in trouble as a whole.
    let controller = kafka.controller();
    let victim = (0..STEADY_GROUPS)
        .map(|n| kafka.coordinator(&format!("{STEADY}{n}")))
        .find(|&node| node != controller)
        .expect("two of three groups are coordinated elsewhere");
    let alive = (0..)
        .map(|n| format!("alive-{n}"))
        .find(|group| {
            kafka.commit_for(group, TOPIC, 0, 1);
            kafka.coordinator(group) != victim
        })
        .expect("two of three groups are coordinated elsewhere");
    let partition = (0..PARTITIONS)
        .find(|&partition| kafka.leader(TOPIC, partition) != Some(victim))
        .expect("a node leads a third of the partitions");
    // Connected before: a client that has to look around now would itself wait for the frozen node.
    let member = kafka.member(&alive).assign(&[(TOPIC, partition)]).open();
    member.commit(TOPIC, partition, 1);
    kafka.pause(victim);
    eventually("the time-out to be told", LIMIT, || {
        let samples = serve.scrape();
        let errors = samples.all("lagwatch_errors_total", &[]);
        let is_counted = errors.into_iter().any(|sample| sample.value > 0.0);
        samples.value("lagwatch_up", &[]) == Some(0.0) && is_counted
    });
    member.commit(TOPIC, partition, 7);
    let number = partition.to_string();
    eventually("the new commit of a group elsewhere", LIMIT, || {
        lag(&serve.scrape(), &alive, &number) == Some(LOG_END - 7.0)
    });
    assert_eq!(serve.scrape().value("lagwatch_up", &[]), Some(0.0));

    kafka.resume(victim);
    eventually("every lag", LIMIT, || {
        let samples = serve.scrape();
        samples.value("lagwatch_up", &[]) == Some(1.0) && is_whole(&samples)
    });
    watch.finish();
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_group_is_followed_to_its_new_coordinator() {
    let kafka = Kafka::builder().nodes(3).start();
    let (serve, watch) = begin(&kafka);
    for _ in 0..2 {
        let before = kafka.coordinator("steady-0");
        let next = before % 3 + 1;
        kafka.move_coordinator("steady-0", next);
        eventually("the new coordinator", ONE_CYCLE, || {
            let labels = [
                ("consumergroup", "steady-0"),
                ("coordinator", &next.to_string()),
            ];
            let samples = serve.scrape();
            samples.value("kafka_consumergroup_info", &labels).is_some() && is_whole(&samples)
        });
    }
    assert_eq!(serve.status("/readyz"), Some(200));
    watch.finish();
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_group_that_may_not_be_described_does_not_blank_the_others() {
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let kafka = Kafka::builder()
        .property("authorizer.class.name", authorizer)
        .property("allow.everyone.if.no.acl.found", "true")
        .start();
    // Who follows the topic of the offsets may read them there, whatever the group allows.
    let (serve, watch) = begin_in_mode(&kafka, "poll");
    let denied = "steady-3";
    let of_denied = [("consumergroup", denied)];
    kafka.deny(denied, "Describe");
    eventually("the group to be absent and counted", LIMIT, || {
        let samples = serve.scrape();
        let errors = samples.value("lagwatch_group_collection_errors_total", &[]);
        samples.all("kafka_consumergroup_lag", &of_denied).count() == 0
            && errors.is_some_and(|count| count > 0.0)
    });
    assert_fresh(&kafka, &serve, "unharmed");
    let samples = serve.scrape();
    assert_eq!(samples.value("lagwatch_up", &[]), Some(1.0));
    let steady = samples.all("kafka_consumergroup_lag", &[("topic", TOPIC)]);
    let steady = steady.filter(|sample| sample.label("consumergroup").starts_with(STEADY));
    assert_eq!(steady.count(), (STEADY_GROUPS - 1) * 6);
    assert_eq!(serve.status("/readyz"), Some(200));

    kafka.allow_all();
    eventually("the group again", ONE_CYCLE, || is_whole(&serve.scrape()));
    watch.finish();
}

fn begin(kafka: &Kafka) -> (Running, Watch) {
    begin_in_mode(kafka, "auto")
}

fn begin_in_mode(kafka: &Kafka, mode: &str) -> (Running, Watch) {
    lay_out(kafka);
    let serve = serve(kafka, mode);
    eventually("every lag", LIMIT, || is_whole(&serve.scrape()));
    let watch = Watch::start(serve.address());
    (serve, watch)
}

fn lay_out(kafka: &Kafka) {
    kafka.create_topic(TOPIC, PARTITIONS);
    for partition in 0..PARTITIONS {
        assert_eq!(kafka.produce(TOPIC, partition, 10), 10);
    }
    kafka.fill_groups(STEADY, STEADY_GROUPS, TOPIC, PARTITIONS, 4);
}

fn serve(kafka: &Kafka, mode: &str) -> Running {
    let servers = kafka.bootstrap_servers();
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: {mode}
    poll-interval: 500ms
    request-timeout: 2s
    stale-after: 5s
",
        servers.replace(',', "\", \"")
    );
    Lagwatch::new("serve").config(&config).start()
}

fn others(victim: NodeId) -> Vec<NodeId> {
    (1..=3).filter(|&id| id != victim).collect()
}

fn polls(samples: &Samples, result: &str) -> f64 {
    samples
        .value("lagwatch_polls_total", &[("result", result)])
        .unwrap_or(0.0)
}

fn lag(samples: &Samples, group: &str, partition: &str) -> Option<f64> {
    let labels = [
        ("consumergroup", group),
        ("topic", TOPIC),
        ("partition", partition),
    ];
    samples.value("kafka_consumergroup_lag", &labels)
}

/// Returns whether the cluster is up and no sample of a steady group is missing.
fn is_whole(samples: &Samples) -> bool {
    let steady = samples
        .all("kafka_consumergroup_lag", &[])
        .filter(|sample| sample.label("consumergroup").starts_with(STEADY));
    samples.value("lagwatch_up", &[]) == Some(1.0) && steady.count() == STEADY_GROUPS * 6
}

/// A commit of another group, made now, is seen.
fn assert_fresh(kafka: &Kafka, serve: &Running, group: &str) {
    wait_for("a commit", LIMIT, || {
        kafka.try_commit_for(group, TOPIC, 0, 9).ok()
    });
    eventually("the lag of a new commit", LIMIT, || {
        lag(&serve.scrape(), group, "0") == Some(LOG_END - 9.0)
    });
}

/// Scrapes all the while and remembers every lie.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    scrapes: usize,
    lies: BTreeSet<String>,
}

impl Watch {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !told.load(Ordering::Relaxed) {
                seen.look(address);
                thread::sleep(Duration::from_millis(20));
            }
            seen
        });
        Self { stop, thread }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("the watch does not panic");
        assert!(seen.scrapes > 0);
        assert!(seen.lies.is_empty(), "{:#?}", seen.lies);
    }
}

impl Seen {
    fn look(&mut self, address: SocketAddr) {
        match get(address, "/healthz", &[]) {
            Ok(answer) if answer.status == 200 => {}
            other => self.lie(format!("/healthz: {other:?}")),
        }
        match get(address, "/metrics", &[]) {
            Ok(answer) if answer.status == 200 => self.judge(&Samples::parse(answer.text())),
            other => self.lie(format!("/metrics: {other:?}")),
        }
        self.scrapes += 1;
    }

    fn judge(&mut self, samples: &Samples) {
        for sample in samples.iter() {
            let is_steady = sample
                .labels
                .get("consumergroup")
                .is_some_and(|group| group.starts_with(STEADY));
            let partitions = f64::from(PARTITIONS);
            let truth = match (sample.name.as_str(), is_steady) {
                ("kafka_consumergroup_lag", true) => Some(LAG),
                ("kafka_consumergroup_lag_sum", true) => Some(LAG * partitions),
                ("kafka_consumergroup_current_offset", true) => Some(COMMITTED),
                ("kafka_consumergroup_current_offset_sum", true) => Some(COMMITTED * partitions),
                ("kafka_topic_partition_current_offset", _) => Some(LOG_END),
                ("kafka_topic_partition_oldest_offset", _) => Some(0.0),
                _ => None,
            };
            let is_lie = truth.map_or(sample.value < 0.0, |truth| sample.value != truth);
            if is_lie {
                self.lie(format!("{sample:?}, the truth is {truth:?}"));
            }
        }
    }

    fn lie(&mut self, lie: String) {
        self.lies.insert(lie);
    }
}
