//! `serve` while the three nodes of a busy cluster restart one after the other, as in an upgrade.
//!
//! A producer appends to every partition and groups commit all the while, each so that it stays [`BEHIND`] records
//! behind. What the clients have sent, and what Kafka has acknowledged, bounds what a scrape may show at any moment.
//!
//! ```text
//! cargo test --test it -- --ignored --nocapture rolling_restart_kafka
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::collect::describe_kafka::{assert_metrics_agree, scrape_after_a_whole_cycle};
use crate::support::{
    Kafka, Lagwatch, Member, Protocol, Running, Sample, Samples, eventually, offsets_table,
};

const ORDERS: &str = "orders";
const PARTITIONS: i32 = 6;
/// Nobody writes to it, and `steady` has committed on it: one value is right, whatever happens.
const ARCHIVE: &str = "archive";
const STEADY: &str = "steady";
const ARCHIVED: i64 = 10;
const ARCHIVE_COMMITTED: i64 = 4;
/// Records that each busy group leaves unread in each partition: its lag is never less.
const BEHIND: i64 = 5;
const BUSY: [&str; 3] = ["classic", "modern", "simple"];
const STALE_AFTER: Duration = Duration::from_secs(10);
/// A value is as old as `stale-after` and the cycle that read it, which takes four request timeouts at most.
const OLDEST_VALUE: Duration = Duration::from_secs(10 + 4 * 2);
const LIMIT: Duration = Duration::from_secs(90);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn no_sample_is_wrong_while_brokers_restart_one_after_the_other() {
    let kafka = Kafka::builder().nodes(3).min_in_sync(2).start();
    let load = Load::lay_out(&kafka);
    let serve = serve(&kafka);
    eventually("every lag", LIMIT, || is_whole(&serve.scrape()));
    let is_over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let (load, serve, is_over) = (&load, &serve, &is_over);
        scope.spawn(move || load.produce(is_over));
        for group in &load.groups {
            scope.spawn(move || load.commit(group, is_over));
        }
        let watch = scope.spawn(move || watch(serve, load, is_over));
        // Also when a restart fails: the threads end with the flag.
        let over = Over(is_over);
        for node in 1..=3 {
            restart(&kafka, load, node);
        }
        eventually("every lag", LIMIT, || is_whole(&serve.scrape()));
        drop(over);
        watch.join().expect("the watch does not panic")
    });
    report(&seen, &load);
    assert!(seen.lies.is_empty(), "{:#?}", seen.lies);
    for (group, Presence { longest_gap, .. }) in &seen.groups {
        assert!(
            *longest_gap <= STALE_AFTER,
            "`{group}` was absent for {longest_gap:?}"
        );
    }
    let truth = offsets_table(&kafka.consumer_groups_tool(&["--describe", "--all-groups"]));
    assert_metrics_agree(&scrape_after_a_whole_cycle(&serve), &truth, "at the end");
}

/// Restarts a node and waits until it has caught up, and the clients have gone on since.
fn restart(kafka: &Kafka, load: &Load<'_>, node: i32) {
    load.wait_for_progress();
    kafka.stop(node);
    load.wait_for_progress();
    kafka.restart(node);
    kafka.wait_for_replicas();
}

fn serve(kafka: &Kafka) -> Running {
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{}\"]
    request-timeout: 2s
    stale-after: {}s
",
        kafka.bootstrap_servers().replace(',', "\", \""),
        STALE_AFTER.as_secs()
    );
    Lagwatch::new("serve")
        .config(&config)
        .args(["--poll-interval", "1s"])
        .start()
}

/// Returns whether the cluster is up and no sample of a group is missing.
fn is_whole(samples: &Samples) -> bool {
    let lags = samples.all("kafka_consumergroup_lag", &[]).count();
    let expected = usize::try_from(PARTITIONS).expect("a count") * BUSY.len() + 1;
    samples.value("lagwatch_up", &[]) == Some(1.0) && lags == expected
}

/// Ends the load when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A number that only grows, as it was sent and as it was acknowledged, moment by moment.
#[derive(Debug, Default)]
struct Progress {
    sent: Mutex<i64>,
    acknowledged: Mutex<Vec<(Instant, i64)>>,
}

impl Progress {
    fn send(&self, value: i64) {
        let mut sent = lock(&self.sent);
        *sent = value.max(*sent);
    }

    fn acknowledge(&self, value: i64) {
        let mut all = lock(&self.acknowledged);
        all.push((Instant::now(), value));
    }

    /// Returns the most that Kafka can have now.
    fn most(&self) -> i64 {
        *lock(&self.sent)
    }

    /// Returns the least that Kafka had at a moment.
    fn least_at(&self, moment: Instant) -> i64 {
        let all = lock(&self.acknowledged);
        let before = all.partition_point(|(at, _)| *at <= moment);
        before.checked_sub(1).map_or(0, |newest| all[newest].1)
    }

    fn acknowledgements(&self) -> usize {
        lock(&self.acknowledged).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the clients do, and know.
struct Load<'k> {
    kafka: &'k Kafka,
    /// The log end of each partition.
    ends: Vec<Progress>,
    groups: Vec<Group<'k>>,
}

/// A group with one member, which owns every partition.
struct Group<'k> {
    id: &'static str,
    member: Member<'k>,
    /// The committed offset of each partition.
    commits: Vec<Progress>,
}

impl<'k> Load<'k> {
    fn lay_out(kafka: &'k Kafka) -> Self {
        kafka.create_topic(ORDERS, PARTITIONS);
        kafka.create_topic(ARCHIVE, 1);
        kafka.produce(ARCHIVE, 0, usize::try_from(ARCHIVED).expect("a count"));
        kafka.commit_for(STEADY, ARCHIVE, 0, ARCHIVE_COMMITTED);
        let all: Vec<(&str, i32)> = (0..PARTITIONS)
            .map(|partition| (ORDERS, partition))
            .collect();
        let groups = BUSY.map(|id| {
            let member = kafka.member(id);
            let member = match id {
                "classic" => member.subscribe(&[ORDERS]),
                "modern" => member.protocol(Protocol::Consumer).subscribe(&[ORDERS]),
                _ => member.assign(&all),
            };
            Group {
                id,
                member: member.open(),
                commits: progress(),
            }
        });
        let load = Self {
            kafka,
            ends: progress(),
            groups: groups.into(),
        };
        for _ in 0..=BEHIND {
            load.produce_round();
        }
        for group in &load.groups {
            group.member.wait_for_partitions(all.len());
            assert_eq!(load.commit_round(group), Ok(()));
        }
        load
    }

    fn produce(&self, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            self.produce_round();
        }
    }

    /// Appends a record to each partition; the producer repeats what a restart interrupts, once only.
    fn produce_round(&self) {
        for (partition, end) in (0..).zip(&self.ends) {
            end.send(end.most() + 1);
            let next = self.kafka.produce(ORDERS, partition, 1);
            assert_eq!(next, end.most(), "records of partition {partition}");
            end.acknowledge(next);
        }
    }

    fn commit(&self, group: &Group<'_>, is_over: &AtomicBool) {
        while !is_over.load(Ordering::Relaxed) {
            // A coordinator that moves may refuse: the next round commits more.
            let _refused = self.commit_round(group);
        }
    }

    fn commit_round(&self, group: &Group<'_>) -> Result<(), String> {
        for (partition, (end, commit)) in (0..).zip(self.ends.iter().zip(&group.commits)) {
            let offset = end.least_at(Instant::now()) - BEHIND;
            commit.send(offset);
            group.member.try_commit(ORDERS, partition, offset)?;
            commit.acknowledge(offset);
        }
        Ok(())
    }

    /// Waits until every partition has taken more records, and more commits of every group.
    fn wait_for_progress(&self) {
        let all = || {
            let commits = self.groups.iter().flat_map(|group| &group.commits);
            self.ends.iter().chain(commits)
        };
        let before: Vec<usize> = all().map(Progress::acknowledgements).collect();
        eventually("records and commits everywhere", LIMIT, || {
            let mut now = all().map(Progress::acknowledgements).zip(&before);
            now.all(|(now, before)| now > before + 1)
        });
    }
}

fn progress() -> Vec<Progress> {
    (0..PARTITIONS).map(|_| Progress::default()).collect()
}

/// What a watch has found.
#[derive(Debug, Default)]
struct Seen {
    scrapes: usize,
    lies: BTreeSet<String>,
    groups: BTreeMap<String, Presence>,
    most_behind: i64,
}

#[derive(Debug)]
struct Presence {
    last_seen: Instant,
    longest_gap: Duration,
}

/// Scrapes all the while and remembers every sample that cannot be true.
fn watch(serve: &Running, load: &Load<'_>, is_over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let began = Instant::now();
    for id in BUSY.into_iter().chain([STEADY]) {
        let presence = Presence {
            last_seen: began,
            longest_gap: Duration::ZERO,
        };
        seen.groups.insert(id.to_owned(), presence);
    }
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let scrape = serve.scrape();
        seen.judge(&scrape, load, asked);
        thread::sleep(Duration::from_millis(20));
    }
    seen
}

impl Seen {
    fn judge(&mut self, scrape: &Samples, load: &Load<'_>, asked: Instant) {
        self.scrapes += 1;
        let lags = scrape.all("kafka_consumergroup_lag", &[]);
        let groups: BTreeSet<&str> = lags.map(|sample| sample.label("consumergroup")).collect();
        for (id, presence) in &mut self.groups {
            let gap = asked.duration_since(presence.last_seen);
            presence.longest_gap = gap.max(presence.longest_gap);
            if groups.contains(id.as_str()) {
                presence.last_seen = asked;
            }
        }
        let oldest = asked.checked_sub(OLDEST_VALUE).unwrap_or(asked);
        for sample in scrape.iter() {
            #[expect(clippy::cast_precision_loss, reason = "there are few records")]
            let known = possible(sample, scrape, load, oldest)
                .map(|(least, most)| least as f64..=most as f64);
            // Of a group's other figures at least the sign is known.
            let is_of_group = sample.name.starts_with("kafka_consumergroup_");
            let range = known.or_else(|| is_of_group.then_some(0.0..=f64::INFINITY));
            if let Some(range) = range.filter(|range| !range.contains(&sample.value)) {
                self.lies.insert(format!("{sample:?} is not in {range:?}"));
            }
            if sample.name == "kafka_consumergroup_lag" {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "it is in a range of integers"
                )]
                let lag = sample.value as i64;
                self.most_behind = lag.max(self.most_behind);
            }
        }
    }
}

/// Returns the least and the most that a sample may be; nothing for samples of other things.
fn possible(
    sample: &Sample,
    scrape: &Samples,
    load: &Load<'_>,
    oldest: Instant,
) -> Option<(i64, i64)> {
    let topic = sample.labels.get("topic")?.as_str();
    if topic == ARCHIVE {
        let value = match sample.name.as_str() {
            "kafka_consumergroup_lag" | "kafka_consumergroup_lag_sum" => {
                ARCHIVED - ARCHIVE_COMMITTED
            }
            "kafka_consumergroup_current_offset" => ARCHIVE_COMMITTED,
            "kafka_topic_partition_current_offset" => ARCHIVED,
            _ => return None,
        };
        return Some((value, value));
    }
    let partition: usize = sample.labels.get("partition")?.parse().ok()?;
    let end = load.ends.get(partition).filter(|_| topic == ORDERS)?;
    let ends = (end.least_at(oldest), end.most());
    if sample.name == "kafka_topic_partition_current_offset" {
        return Some(ends);
    }
    let group = sample.labels.get("consumergroup")?;
    let group = load.groups.iter().find(|known| known.id == group)?;
    let commit = &group.commits[partition];
    let commits = (commit.least_at(oldest), commit.most());
    match sample.name.as_str() {
        "kafka_consumergroup_current_offset" => Some(commits),
        "kafka_consumergroup_lag" => {
            // Of the committed offset that is shown beside it, where one is: never halves of two cycles.
            let labels = [
                ("consumergroup", group.id),
                ("topic", topic),
                ("partition", sample.label("partition")),
            ];
            let committed = scrape.value("kafka_consumergroup_current_offset", &labels);
            #[expect(clippy::cast_possible_truncation, reason = "offsets have no fraction")]
            let committed = committed.map(|offset| offset as i64);
            // A commit follows the acknowledgement of what it leaves unread.
            let least = committed.map_or(BEHIND, |offset| BEHIND.max(ends.0 - offset));
            let most = ends.1 - committed.unwrap_or(commits.0);
            Some((least, most))
        }
        _ => None,
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn report(seen: &Seen, load: &Load<'_>) {
    let records: i64 = load.ends.iter().map(Progress::most).sum();
    let commits: usize = load
        .groups
        .iter()
        .flat_map(|group| &group.commits)
        .map(Progress::acknowledgements)
        .sum();
    let gaps: Vec<_> = seen
        .groups
        .iter()
        .map(|(id, group)| (id, group.longest_gap))
        .collect();
    println!(
        "{} scrapes, {records} records, {commits} commits; the most lag {}, the longest time between two sights of a group {gaps:.1?}",
        seen.scrapes, seen.most_behind
    );
}
