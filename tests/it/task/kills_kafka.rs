//! `kill -9` on a real Kafka: no strategy that commits what is done loses a record, and `auto` does.
//!
//! `LAGWATCH_KILLS` sets how often each strategy is killed (default 3). All of it:
//!
//! ```text
//! LAGWATCH_KILLS=20 cargo test --test it -- --ignored --test-threads=1 --nocapture kills_kafka
//! ```

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use rand::RngExt;

use super::deployment::{Deployment, LIMIT, say};
use crate::support::{Running, Signal, eventually};

const PARTITIONS: i32 = 3;

/// The most records a run does before its kill.
const BEFORE_A_KILL: usize = 40;

/// The audit log of the consumer and its successors.
const AUDIT: &str = "audit";

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_kill_at_any_moment_loses_nothing_under_every_at_least_once_strategy() {
    let kills = std::env::var("LAGWATCH_KILLS").map_or(3, |text| {
        text.parse().expect("LAGWATCH_KILLS is a whole number")
    });
    let strategies: [&'static [&'static str]; 4] = [
        &["auto-store", "--commit-interval", "50ms"],
        &["per-message"],
        &[
            "per-batch",
            "--commit-mode",
            "sync",
            "--commit-records",
            "7",
        ],
        &[
            "per-batch",
            "--commit-mode",
            "async",
            "--commit-interval",
            "50ms",
        ],
    ];
    // Side by side: most of the time each waits for the session of a dead member to end.
    thread::scope(|scope| {
        for strategy in strategies {
            scope.spawn(move || kill_at_random_moments(strategy, kills));
        }
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_kill_under_auto_loses_the_record_in_hand_and_under_auto_store_it_does_not() {
    let lost = kill_with_a_record_in_hand("auto", 1);
    say(&format!(
        "auto: the kill lost {lost:?}, whose offset was committed before the work was done"
    ));
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(kill_with_a_record_in_hand("auto-store", 0), BTreeSet::new());
}

fn kill_at_random_moments(strategy: &[&str], kills: usize) {
    assert!(kills > 0, "LAGWATCH_KILLS is 0");
    let deployment = Deployment::new(PARTITIONS);
    deployment.produce(kills * 2 * BEFORE_A_KILL);
    let mut random = rand::rng();
    let mut log = String::new();
    for kill in 1..=kills {
        let consumer = consume(&deployment, strategy, "5ms");
        let target = deployment.audited(AUDIT).len() + random.random_range(1..=BEFORE_A_KILL);
        eventually("more rows in the audit log", LIMIT, || {
            deployment.audited(AUDIT).len() >= target
        });
        // Anywhere between the work on a record and the commit of a batch: the moment is what is random here.
        thread::sleep(Duration::from_micros(random.random_range(0..30_000)));
        consumer.signal(Signal::Kill);
        let killed = consumer.finish(LIMIT);
        log.push_str(&killed.stderr);
        assert!(!killed.status.success());
        let done = deployment.audited(AUDIT).len();
        assert!(
            done < deployment.produced().len(),
            "{strategy:?}: everything was done before kill {kill}"
        );
    }
    let consumer = consume(&deployment, strategy, "0s");
    deployment.wait_for_commit_of(deployment.produced().len());
    log.push_str(&consumer.stop().expect_success().stderr);

    let (produced, mut audited) = (deployment.produced(), deployment.audited(AUDIT));
    audited.sort();
    assert_eq!(audited, Vec::from_iter(produced), "{strategy:?}\n{log}");
    say(&format!(
        "{}: {kills} kills, {} records produced, each of them once in the audit log, {} redelivered",
        strategy.join(" "),
        audited.len(),
        log.matches("skipped task").count(),
    ));
}

/// Kills a consumer that has done its first record and has its second in hand, once `beyond` offsets more are
/// committed than records done. Returns the ids that its successor never sees.
fn kill_with_a_record_in_hand(strategy: &str, beyond: usize) -> BTreeSet<String> {
    let deployment = Deployment::new(1);
    deployment.produce(10);
    let strategy = [strategy, "--commit-interval", "50ms"];
    let consumer = consume(&deployment, &strategy, "4s");
    eventually("a record in hand behind one that is done", LIMIT, || {
        let done = deployment.audited(AUDIT).len();
        done > 0 && deployment.committed() == done + beyond
    });
    consumer.signal(Signal::Kill);
    consumer.finish(LIMIT);

    let consumer = consume(&deployment, &strategy, "0s");
    deployment.wait_for_commit_of(deployment.produced().len());
    let finished = consumer.stop().expect_success();
    let warned = finished.stderr.contains("a crash loses the record in hand");
    assert_eq!(warned, beyond > 0, "{}", finished.stderr);
    let audited = BTreeSet::from_iter(deployment.audited(AUDIT));
    deployment
        .produced()
        .difference(&audited)
        .cloned()
        .collect()
}

fn consume(deployment: &Deployment, strategy: &[&str], delay: &str) -> Running {
    deployment
        .consumer(AUDIT)
        .args(["--processing-delay", delay])
        // A member that was killed is out of the group soon.
        .args(["-X", "session.timeout.ms=1500"])
        .args(["-X", "heartbeat.interval.ms=300"])
        .args(["--commit-strategy"].iter().chain(strategy))
        .spawn()
}
