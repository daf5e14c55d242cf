//! Replicas that share a real Kafka: every group is exported by exactly one of them, whatever becomes of the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{Kafka, Lagwatch, Running, Samples, Signal, eventually, get};
use crate::task::deployment::say;

const GROUPS: usize = 60;
const TOPICS: [&str; 6] = [
    "orders",
    "payments",
    "shipments",
    "refunds",
    "mails",
    "clicks",
];
const PARTITIONS: i32 = 2;
const SHARD_GROUP: &str = "lagwatch-replicas";
/// Ten seconds, which is what a replica may be silent, and time for a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);
/// What the handover of a replica that says goodbye may take: far less than the session timeout.
const AT_ONCE: Duration = Duration::from_secs(6);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn three_replicas_export_every_group_once_whoever_dies() {
    let kafka = Kafka::builder()
        .nodes(3)
        .property("offsets.topic.num.partitions", "50")
        .start();
    for topic in TOPICS {
        kafka.create_topic(topic, PARTITIONS);
        kafka.produce(topic, 0, 10);
    }
    kafka.fill_groups("group-", GROUPS, TOPICS[0], PARTITIONS, 4);
    let mut replicas: Vec<Running> = (0..3).map(|_| replica(&kafka)).collect();
    eventually("every group and topic once", LIMIT, || is_whole(&replicas));
    assert_has_all_partitions(&replicas);
    let shares: Vec<usize> = scrapes(&replicas)
        .iter()
        .map(|one| groups(one).len())
        .collect();
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    let watch = Watch::start(&replicas);

    // What is committed shows with the one that has the group, and with no other.
    kafka.commit_for("group-7", TOPICS[0], 0, 9);
    eventually("a commit, once", LIMIT, || {
        let lags = scrapes(&replicas)
            .iter()
            .map(|one| lag(one, "group-7"))
            .collect::<Vec<_>>();
        lags.iter().flatten().eq(&[1.0]) && lags.len() == 3
    });

    replicas[0].signal(Signal::Kill);
    let killed = Instant::now();
    let victim = replicas.remove(0);
    let left = replicas;
    eventually("everything with the two that are left", LIMIT, || {
        is_whole(&left)
    });
    let after_death = killed.elapsed();
    assert_has_all_partitions(&left);
    drop(victim);

    let mut replicas = left;
    replicas.push(replica(&kafka));
    eventually("a share for the one that is new", LIMIT, || {
        let shares = scrapes(&replicas);
        is_whole_in(&shares) && shares.iter().all(|one| !groups(one).is_empty())
    });
    // Those who stay begin with what they had: only what is missing moves.
    watch.finish();

    let leaving = replicas.remove(0);
    let told = Instant::now();
    leaving.signal(Signal::Terminate);
    eventually("everything with the two that stay", AT_ONCE, || {
        is_whole(&replicas)
    });
    let after_goodbye = told.elapsed();
    assert!(leaving.finish(LIMIT).status.success());

    assert!(
        kafka.committed(SHARD_GROUP).is_empty(),
        "no replica commits"
    );
    say(&format!(
        "{GROUPS} groups shared out as {shares:?}; whole again {after_death:.1?} after a kill -9 (the session timeout is 10 s), \
         {after_goodbye:.1?} after a SIGTERM"
    ));
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_replica_that_may_not_join_its_group_shows_nothing_and_says_why() {
    let kafka = Kafka::builder()
        .property(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .property("allow.everyone.if.no.acl.found", "true")
        .start();
    kafka.create_topic(TOPICS[0], PARTITIONS);
    kafka.fill_groups("group-", 3, TOPICS[0], PARTITIONS, 0);
    kafka.deny(SHARD_GROUP, "Read");
    let config = config(&kafka);
    let checked = Lagwatch::new("check").config(&config).run();
    let told = checked.stdout.lines().find(|line| {
        line.starts_with("missing ") && line.contains("--operation Read --group lagwatch-replicas")
    });
    assert!(told.is_some(), "{}", checked.stdout);
    let replica = start(&kafka);
    replica.wait_for_log("the shard group is in trouble");
    assert!(
        replica.log().contains("GROUP_AUTHORIZATION_FAILED"),
        "{}",
        replica.log()
    );
    assert_eq!(replica.status("/readyz"), Some(503));
    let scrape = replica.scrape();
    assert_eq!(scrape.value("lagwatch_up", &[]), Some(0.0));
    assert_eq!(groups(&scrape), BTreeSet::new());
    let labels = [
        ("operation", "join_shard_group"),
        ("error", "GROUP_AUTHORIZATION_FAILED"),
    ];
    assert!(scrape.value("lagwatch_errors_total", &labels) >= Some(1.0));
}

/// Scrapes the replicas all the while, one after the other, and sees to it that none shows a group that another one shows
/// before and after it.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watch {
    fn start(replicas: &[Running]) -> Self {
        let addresses: Vec<_> = replicas.iter().map(Running::address).collect();
        let stop = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let look = |index: usize| {
                let answer = get(addresses[index], "/metrics", &[]).ok()?;
                Some(groups(&Samples::parse(answer.text())))
            };
            let mut rounds = 0;
            while !ended.load(Ordering::Acquire) {
                for (one, other) in [(0, 1), (1, 2), (2, 0)] {
                    let (Some(before), Some(between), Some(after)) =
                        (look(one), look(other), look(one))
                    else {
                        continue;
                    };
                    let twice: Vec<_> = before
                        .intersection(&after)
                        .filter(|group| between.contains(*group))
                        .collect();
                    assert!(twice.is_empty(), "shown by two replicas at once: {twice:?}");
                    rounds += 1;
                }
            }
            rounds
        });
        Self { stop, thread }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Release);
        let rounds = self.thread.join().expect("no group was shown twice");
        assert!(rounds > 0, "it never looked");
    }
}

fn replica(kafka: &Kafka) -> Running {
    let replica = start(kafka);
    replica.wait_until_ready();
    replica
}

fn start(kafka: &Kafka) -> Running {
    Lagwatch::new("serve").config(&config(kafka)).start()
}

fn config(kafka: &Kafka) -> String {
    let servers = kafka.bootstrap_servers().replace(',', "\", \"");
    format!(
        "clusters:
  - bootstrap-servers: [\"{servers}\"]
    poll-interval: 1s
    groups: {{ exclude: [\"^lagwatch\"] }}
    shard: {{ group: {SHARD_GROUP} }}
"
    )
}

fn scrapes(replicas: &[Running]) -> Vec<Samples> {
    replicas.iter().map(Running::scrape).collect()
}

fn labelled(scrape: &Samples, name: &str, label: &str) -> BTreeSet<String> {
    let samples = scrape.all(name, &[]);
    samples
        .map(|sample| sample.label(label).to_owned())
        .collect()
}

fn groups(scrape: &Samples) -> BTreeSet<String> {
    labelled(scrape, "kafka_consumergroup_lag", "consumergroup")
}

fn lag(scrape: &Samples, group: &str) -> Option<f64> {
    let labels = [("consumergroup", group), ("partition", "0")];
    scrape.value("kafka_consumergroup_lag", &labels)
}

fn is_whole(replicas: &[Running]) -> bool {
    is_whole_in(&scrapes(replicas))
}

/// Returns whether every group and every topic is shown, and by one replica each.
fn is_whole_in(scrapes: &[Samples]) -> bool {
    let groups_expected: Vec<String> = (0..GROUPS)
        .map(|number| format!("group-{number}"))
        .collect();
    let topics_expected = TOPICS.map(str::to_owned);
    let topics = |scrape: &Samples| labelled(scrape, "kafka_topic_partitions", "topic");
    is_partition_of(scrapes.iter().map(groups), &groups_expected)
        && is_partition_of(scrapes.iter().map(topics), &topics_expected)
}

fn is_partition_of(shares: impl Iterator<Item = BTreeSet<String>>, all: &[String]) -> bool {
    let mut shown: Vec<String> = shares.flatten().collect();
    shown.sort();
    let mut all = all.to_vec();
    all.sort();
    shown == all
}

fn assert_has_all_partitions(replicas: &[Running]) {
    eventually("all partitions in the figures", LIMIT, || {
        let scrapes = scrapes(replicas);
        let sum = |name: &str| scrapes.iter().map(|one| one.sum(name, &[])).sum::<f64>();
        sum("lagwatch_shard_partitions") == 50.0 && sum("lagwatch_shard_groups") == GROUPS as f64
    });
}
