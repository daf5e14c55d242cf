//! `serve` that follows `__consumer_offsets` while nodes of a real Kafka die and hand over.
//!
//! The full size: `LAGWATCH_CROWD_GROUPS=30 LAGWATCH_CROWD_SECONDS=180`. CI takes as long as the faults need.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::world::{LIMIT, follow, number, report_crowd, wait_for_agreement, wait_for_cycles};
use crate::support::{GroupTruth, Kafka, NodeId, Samples, Truth, eventually, get};
use crate::task::deployment::say;

const OFFSETS: &str = "__consumer_offsets";

#[test]
#[ignore = "needs Java 17 and Maven"]
fn nothing_is_lost_or_counted_twice_while_nodes_fail() {
    let kafka = Kafka::builder()
        .nodes(3)
        .for_crowds()
        .min_in_sync(2)
        .start();
    let serve = follow(&kafka, Duration::from_secs(5));
    let watch = Watch::start(serve.address());
    let mut crowd = kafka
        .crowd()
        .groups(number("LAGWATCH_CROWD_GROUPS", 10))
        .expecting_faults()
        .start();
    let end = Instant::now() + Duration::from_secs(number("LAGWATCH_CROWD_SECONDS", 0));
    crowd.wait_for_acts(3);
    let partition = kafka.offsets_partition("crowd-00-range");
    let mut faults = 0;
    while faults < 2 || Instant::now() < end {
        let victim = bystander(&kafka, partition);
        kafka.move_leader(OFFSETS, partition, victim);
        crowd.wait_for_commits(50);
        kafka.kill(victim);
        eventually("another leader", LIMIT, || {
            let leader = kafka.leader(OFFSETS, partition);
            leader.is_some_and(|leader| leader != victim)
        });
        crowd.wait_for_commits(50);
        kafka.restart(victim);
        kafka.wait_for_replicas();
        faults += 1;
    }
    crowd.wait_for_commits(50);
    let truth = crowd.settle();
    let log = kafka.offsets_log();
    assert_eq!(log.disagreements(&truth), [""; 0]);

    report_crowd(&truth);
    let gaps = || serve.scrape().value("lagwatch_stream_gaps_total", &[]);
    say(&format!(
        "the leader was moved {faults} times and died as often; {:.0} gaps",
        gaps().unwrap_or(0.0)
    ));

    wait_for_agreement(&serve, &truth, &log);
    wait_for_cycles(&serve, 2.0);
    wait_for_agreement(&serve, &truth, &log);
    watch.finish(&truth);
    assert_eq!(serve.scrape().sum("lagwatch_stream_drift_total", &[]), 0.0);
    // Leaders changed, and nothing that was committed is gone from the log.
    assert_eq!(gaps().unwrap_or(0.0), 0.0);
}

/// Returns a node that neither leads the partition nor is the controller, whose loss would be that of the whole cluster.
fn bystander(kafka: &Kafka, partition: i32) -> NodeId {
    let taken = [kafka.leader(OFFSETS, partition), Some(kafka.controller())];
    let free = (1..=3).find(|&node| !taken.contains(&Some(node)));
    free.expect("two of three nodes are taken at most")
}

/// Scrapes all the while: a counter of a group goes back at most as often as the group is deleted.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Why there was no answer, where there was none.
    silence: Option<String>,
    series: BTreeMap<String, Series>,
}

struct Series {
    group: String,
    value: f64,
    /// The steps back, in words.
    falls: Vec<String>,
}

impl Watch {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !told.load(Ordering::Relaxed) {
                match get(address, "/metrics", &[]) {
                    Ok(answer) => seen.take(&Samples::parse(answer.text())),
                    Err(silence) => {
                        seen.silence = Some(silence.to_string());
                        break;
                    }
                }
                thread::sleep(Duration::from_millis(100));
            }
            seen
        });
        Self { stop, thread }
    }

    fn finish(self, truth: &Truth) {
        self.stop.store(true, Ordering::Relaxed);
        let Seen { silence, series } = self.thread.join().expect("the watch does not panic");
        assert_eq!(silence, None, "`serve` answers whatever happens");
        assert!(!series.is_empty(), "no counter was seen");
        for (name, Series { group, falls, .. }) in series {
            let deletions = truth.groups.get(&group).map_or(0, GroupTruth::deletions);
            assert!(
                falls.len() <= deletions,
                "{name}: {falls:?}, with {deletions} deletions"
            );
        }
    }
}

impl Seen {
    fn take(&mut self, samples: &Samples) {
        for sample in samples.iter() {
            let Some(group) = sample.labels.get("consumergroup") else {
                continue;
            };
            if !sample.name.ends_with("_total") {
                continue;
            }
            let name = format!("{}{:?}", sample.name, sample.labels);
            let series = self.series.entry(name).or_insert_with(|| Series {
                group: group.clone(),
                value: sample.value,
                falls: Vec::new(),
            });
            if sample.value < series.value {
                series
                    .falls
                    .push(format!("{} after {}", sample.value, series.value));
            }
            series.value = sample.value;
        }
    }
}
