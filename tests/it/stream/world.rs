//! `serve` beside a crowd: what it shows against what Kafka keeps.

use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Counts, Kafka, Lagwatch, OffsetsLog, Running, Samples, Truth, eventually};

/// Elections and expiring sessions take seconds by themselves, and the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Starts `serve`, which follows the topic from before the first commit of a crowd.
pub(crate) fn follow(kafka: &Kafka, poll_interval: Duration) -> Running {
    // Kafka makes `__consumer_offsets` for the first group.
    kafka.create_topic("first", 1);
    kafka.commit_for("first", "first", 0, 0);
    let servers = kafka.bootstrap_servers().replace(',', "\", \"");
    let seconds = poll_interval.as_secs();
    let serve = Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - bootstrap-servers: [\"{servers}\"]
    mode: stream
    poll-interval: {seconds}s
    reconcile-interval: {seconds}s
    groups: {{ exclude: [\"^bystander-\"] }}
"
        ))
        .start();
    serve.wait_until_ready();
    let scrape = serve.scrape();
    let mode = scrape.value("lagwatch_collect_mode", &[("mode", "stream")]);
    assert_eq!(mode, Some(1.0));
    serve
}

/// Waits until every figure of every group is the one of its clients and of Kafka.
pub(crate) fn wait_for_agreement(serve: &Running, truth: &Truth, log: &OffsetsLog) {
    let groups = truth.groups.iter();
    let members = groups.map(|(id, clients)| (id.as_str(), clients.members_in_kafka()));
    wait_for_figures(serve, &members.collect(), log);
}

/// Waits until every figure of these groups, each of which has so many members, is the one of Kafka.
pub(crate) fn wait_for_figures(serve: &Running, members: &BTreeMap<&str, usize>, log: &OffsetsLog) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = differences(&serve.scrape(), members, log);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "after {LIMIT:?}: {found:#?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// Returns in words what is shown otherwise than Kafka keeps it.
///
/// A group that is deleted and comes back before its series are gone goes on counting: the counts are those of its
/// newest life, or of so many before it, too.
fn differences(
    samples: &Samples,
    members: &BTreeMap<&str, usize>,
    log: &OffsetsLog,
) -> Vec<String> {
    let mut found = Vec::new();
    for (&id, &members) in members {
        let of_group = [("consumergroup", id)];
        let figure = |name: &str| {
            let name = format!("kafka_consumergroup_{name}");
            count(samples.sum(&name, &of_group))
        };
        let counted = Counts {
            commits: commits_of(samples, id),
            rounds: figure("rebalances_total"),
            joins: figure("member_joins_total"),
            leaves: figure("member_leaves_total"),
        };
        let kept = log.counts(id);
        let committed = log.offsets(id);
        let agrees = |kept: &Counts| {
            // A topic shows while the group has something on it.
            let mut kept = kept.clone();
            let is_told = |topic: &String| counted.commits.contains_key(topic);
            let is_held = |topic: &String| committed.keys().any(|id| is_of(id, topic));
            kept.commits
                .retain(|topic, _| is_told(topic) || is_held(topic));
            kept == counted
        };
        if !kept.iter().any(agrees) {
            found.push(format!("{id}: {counted:?}, and it is one of {kept:?}"));
        }
        let shown = figure("members");
        if shown != members {
            found.push(format!("{id}: {shown} members, and there are {members}"));
        }
        let offsets: BTreeMap<String, i64> = samples
            .all("kafka_consumergroup_current_offset", &of_group)
            .map(|sample| {
                let partition = format!("{}-{}", sample.label("topic"), sample.label("partition"));
                (partition, whole(sample.value))
            })
            .collect();
        if offsets != committed {
            found.push(format!(
                "{id}: offsets {offsets:?}, and they are {committed:?}"
            ));
        }
        for (topic, newest) in log.newest_commits(id) {
            let labels = [("consumergroup", id), ("topic", &topic)];
            let shown = samples.value("kafka_consumergroup_last_commit_timestamp_seconds", &labels);
            let shown = shown.map(|seconds| whole((seconds * 1000.0).round()));
            if shown != Some(newest) {
                found.push(format!(
                    "{id}: the last commit in {topic} at {shown:?}, and it was at {newest}"
                ));
            }
        }
        let state = [("consumergroup", id), ("state", "Stable")];
        let is_stable = samples.value("kafka_consumergroup_state", &state) == Some(1.0);
        if is_stable != (members > 0) {
            found.push(format!(
                "{id}: stable is {is_stable}, with {members} members"
            ));
        }
    }
    found
}

pub(crate) fn current_offset(
    samples: &Samples,
    group: &str,
    topic: &str,
    partition: i32,
) -> Option<f64> {
    let labels = [
        ("consumergroup", group),
        ("topic", topic),
        ("partition", &partition.to_string()),
    ];
    samples.value("kafka_consumergroup_current_offset", &labels)
}

/// Returns whether a partition, written as in `orders-0`, is one of the topic.
fn is_of(partition: &str, topic: &str) -> bool {
    partition
        .rsplit_once('-')
        .is_some_and(|(name, _)| name == topic)
}

fn commits_of(samples: &Samples, group: &str) -> BTreeMap<String, u64> {
    let of_group = [("consumergroup", group)];
    let commits = samples.all("kafka_consumergroup_commits_total", &of_group);
    commits
        .filter(|sample| sample.value > 0.0)
        .map(|sample| {
            (
                sample.label("topic").to_owned(),
                whole(sample.value).unsigned_abs(),
            )
        })
        .collect()
}

/// Returns how many cycles are complete; a comparison with the coordinators belongs to each of these tests' cycles.
fn cycles(samples: &Samples) -> f64 {
    samples.sum("lagwatch_polls_total", &[("result", "complete")])
}

pub(crate) fn wait_for_cycles(serve: &Running, count: f64) {
    let before = cycles(&serve.scrape());
    eventually("cycles", LIMIT, || {
        cycles(&serve.scrape()) >= before + count
    });
}

pub(crate) fn exact(count: impl TryInto<i32>) -> f64 {
    let count = count.try_into().ok().expect("a test counts to thousands");
    f64::from(count)
}

#[expect(clippy::cast_possible_truncation, reason = "it has no fraction")]
fn whole(value: f64) -> i64 {
    assert!(value.fract() == 0.0, "{value} is no count");
    value as i64
}

fn count(value: f64) -> usize {
    usize::try_from(whole(value)).expect("it is not negative")
}

/// Returns the size that a variable of the environment tells, or the small one.
pub(crate) fn number<T: std::str::FromStr>(variable: &str, small: T) -> T {
    let Ok(text) = env::var(variable) else {
        return small;
    };
    let number = text.parse().ok();
    number.unwrap_or_else(|| panic!("{variable} is no number"))
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
pub(crate) fn report_crowd(truth: &Truth) {
    let groups = || truth.groups.values();
    let lives = || groups().flat_map(|group| group.lives());
    let acknowledged: u64 = lives().flat_map(|life| life.acknowledged.values()).sum();
    let uncertain: u64 = lives().flat_map(|life| life.uncertain.values()).sum();
    let rounds: usize = lives().map(|life| life.rounds.len()).sum();
    println!(
        "{} groups with {} lives: {acknowledged} commits acknowledged, {uncertain} uncertain; {rounds} rebalances told; {} members left and {} vanished",
        groups().count(),
        lives().count(),
        groups().map(|group| group.left).sum::<usize>(),
        groups().map(|group| group.vanished).sum::<usize>(),
    );
}
