//! `serve` that follows `__consumer_offsets`, against what the clients of a crowd know for certain.
//!
//! CI takes small sizes. These are the sizes of a release:
//!
//! ```text
//! LAGWATCH_CROWD_GROUPS=30 LAGWATCH_CROWD_SECONDS=180 LAGWATCH_FRESHNESS_SAMPLES=1000 \
//!     cargo test --test it -- --ignored --test-threads=1 --nocapture crowd_kafka
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::{
    LIMIT, current_offset, exact, follow, number, report_crowd, wait_for_agreement, wait_for_cycles,
};
use crate::support::{GroupTruth, Kafka, Kind, Protocol, Truth};

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_crowd_is_counted_exactly() {
    let kafka = Kafka::builder().for_crowds().start();
    let serve = follow(&kafka, Duration::from_secs(5));
    let mut crowd = kafka
        .crowd()
        .groups(number("LAGWATCH_CROWD_GROUPS", 10))
        .start();
    crowd.run_for(Duration::from_secs(number("LAGWATCH_CROWD_SECONDS", 15)));
    crowd.wait_for_acts(10);
    crowd.wait_for_commits(100);
    let truth = crowd.settle();
    assert_eq!(truth.troubles, 0);
    assert_everything_has_happened(&truth);
    let log = kafka.offsets_log();
    assert_eq!(log.disagreements(&truth), [""; 0]);
    assert_eq!(log.untold_rounds(&truth), [""; 0]);

    wait_for_agreement(&serve, &truth, &log);
    wait_for_cycles(&serve, 2.0);
    wait_for_agreement(&serve, &truth, &log);
    let scrape = serve.scrape();
    assert_eq!(scrape.sum("lagwatch_stream_drift_total", &[]), 0.0);
    assert_eq!(scrape.sum("lagwatch_stream_gaps_total", &[]), 0.0);
    report_crowd(&truth);
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_commit_shows_long_before_the_next_poll() {
    let poll_interval = Duration::from_secs(10);
    let kafka = Kafka::builder().start();
    kafka.create_topic("orders", 1);
    kafka.produce("orders", 0, 10);
    let serve = follow(&kafka, poll_interval);
    for protocol in [Protocol::Classic, Protocol::Consumer] {
        let member = kafka.member("steady").subscribe(&["orders"]);
        let member = member.protocol(protocol).open();
        member.wait_for_partitions(1);
        let mut delays: Vec<Duration> = (1..=number("LAGWATCH_FRESHNESS_SAMPLES", 100) / 2)
            .map(|offset| {
                let acknowledged = member.commit("orders", 0, offset);
                let is_shown = || {
                    current_offset(&serve.scrape(), "steady", "orders", 0) == Some(exact(offset))
                };
                // Without a pause, as it is the time that is looked for.
                while !is_shown() {
                    assert!(acknowledged.elapsed().unwrap_or_default() < LIMIT);
                }
                acknowledged.elapsed().unwrap_or_default()
            })
            .collect();
        member.close();
        delays.sort();
        let percentile = |percent: usize| delays[(delays.len() * percent).div_ceil(100) - 1];
        report_freshness(protocol, &delays, percentile(50), percentile(99));
        assert!(percentile(99) < poll_interval);
    }
}

/// A count that is right because nothing was done proves nothing.
fn assert_everything_has_happened(truth: &Truth) {
    let kinds = |acted: fn(&GroupTruth) -> bool| {
        let acting = truth.groups.values().filter(|group| acted(group));
        acting.map(|group| group.kind).collect::<BTreeSet<Kind>>()
    };
    let all = kinds(|_| true);
    let joining = kinds(|group| group.kind != Kind::Assign);
    assert_eq!(all.len(), 5);
    assert_eq!(
        kinds(|group| group.lives().any(|life| !life.acknowledged.is_empty())),
        all
    );
    assert_eq!(
        kinds(|group| group.lives().any(|life| !life.rounds.is_empty())),
        joining
    );
    assert_eq!(kinds(|group| group.lives().count() > 1), all);
    assert_eq!(kinds(|group| group.left > 0), all);
    assert_eq!(kinds(|group| group.vanished > 0), all);
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn report_freshness(protocol: Protocol, delays: &[Duration], p50: Duration, p99: Duration) {
    println!(
        "acknowledged to visible, {protocol:?}, {} commits: p50 {p50:.0?}, p99 {p99:.0?}, most {:.0?}; the poll interval is 10 s",
        delays.len(),
        delays.last().expect("there are some")
    );
}
