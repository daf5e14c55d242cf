//! The soak: an hour's worth of cycles in compressed time, while groups, topics, members and a cluster come and go.
//!
//! At the poll interval of 10 s an hour is 360 cycles; here they are 100 ms apart. Every five cycles a wave of new topics
//! and groups comes, the one before the last goes by a reload, a member joins or leaves the task consumer's group,
//! and a second cluster comes or goes. What is held is looked at while the second cluster is away.
//!
//! ```text
//! LAGWATCH_SOAK_CYCLES=3600 cargo test --test it -- --ignored --nocapture soak_embedded
//! ```

use std::collections::BTreeMap;
use std::env;

use lagwatch::metrics::{Kind, table};

use crate::soak_world::{LIMIT, Quarters, TASK_GROUP, World, least};
use crate::support::{Running, Samples, Vitals, eventually};

/// Cycles from one wave to the next.
const CYCLES: usize = 5;
/// What names that come and go begin with.
const PASSING: [&str; 4] = ["group-", "topic-", "nobody-", "no-such-page"];
/// By how much the mean of memory may grow, in KiB. Measured: 0.6 MiB with 120 cycles, 0.9 with 1,500, 1.1 with 2,000, ever more
/// slowly and not all explained. A kilobyte kept for each name that comes would add 2.4 MiB with 2,000.
const MOST_KIB: f64 = 2_048.0;
/// How many more descriptors and threads there may be: a client that connects anew, a worker that is not gone yet.
const SLACK: u64 = 2;

#[test]
#[ignore = "takes minutes; alone, as it measures"]
fn nothing_grows_while_groups_topics_members_and_clusters_come_and_go() {
    let waves = cycles() / CYCLES;
    let mut world = World::start();
    let serve = world.serve();
    serve.wait_until_ready();
    let mut counters = Counters::default();
    let mut course = Vec::new();
    for wave in 1..=waves {
        world.begin(wave);
        world.tell(&serve);
        let until = cycles_of(&serve.scrape()) + CYCLES as f64;
        eventually("the wave before the last to go", LIMIT, || {
            let samples = serve.scrape();
            counters.see(&samples);
            values(&samples, "consumergroup") == World::groups(wave)
                && values(&samples, "topic") == World::topics(wave)
        });
        disturb(&serve, wave);
        eventually("the cycles of the wave", LIMIT, || {
            let samples = serve.scrape();
            counters.see(&samples);
            cycles_of(&samples) >= until
        });
        if !World::has_second_cluster(wave) {
            course.push(serve.vitals());
        }
    }
    assert_names_are_not_remembered(&serve.scrape());
    for moved in [
        "kafka_consumergroup_commits_total",
        "lagwatch_task_rebalances_total",
    ] {
        assert!(counters.has_grown(moved), "{moved} stood still");
    }
    judge(&course);
    serve.stop().expect_success();
}

fn cycles() -> usize {
    let Ok(text) = env::var("LAGWATCH_SOAK_CYCLES") else {
        return 120;
    };
    text.parse().expect("LAGWATCH_SOAK_CYCLES is a number")
}

/// Returns the cycles of cluster `one` that have ended.
fn cycles_of(samples: &Samples) -> f64 {
    let one = [("cluster", "one")];
    let skipped = [("cluster", "one"), ("result", "skipped")];
    let polls = "lagwatch_polls_total";
    samples.sum(polls, &one) - samples.sum(polls, &skipped)
}

/// Returns the different values of a label on the figures of cluster `one`, in order.
fn values(samples: &Samples, label: &str) -> Vec<String> {
    let figures = samples.iter().filter(|sample| {
        sample.name.starts_with("kafka_")
            && sample
                .labels
                .get("cluster")
                .is_some_and(|name| name == "one")
    });
    let mut values: Vec<_> = figures
        .filter_map(|sample| sample.labels.get(label).cloned())
        .collect();
    values.sort();
    values.dedup();
    values
}

/// Asks for what is there and for what is not, so that no name that a client makes up is remembered.
fn disturb(serve: &Running, wave: usize) {
    for (path, status) in [
        ("/".to_owned(), 200),
        ("/api/v1/groups".to_owned(), 200),
        (format!("/api/v1/groups/{TASK_GROUP}"), 200),
        (format!("/api/v1/groups/nobody-{wave}"), 404),
        (format!("/no-such-page-{wave}"), 404),
        ("/api/v1/events".to_owned(), 200),
    ] {
        assert_eq!(serve.get(&path).status, status, "{path}");
    }
}

/// Panics where the process's own series name what came with a wave or was made up by a client.
fn assert_names_are_not_remembered(samples: &Samples) {
    let own = samples
        .iter()
        .filter(|sample| sample.name.starts_with("lagwatch_"));
    for sample in own {
        let mut values = sample.labels.values();
        let is_passing = |value: &String| PASSING.iter().any(|name| value.contains(name));
        assert!(!values.any(is_passing), "{sample:?}");
    }
}

/// Holds the last quarter against the second.
fn judge(course: &[Vitals]) {
    let quarters = Quarters::of(course);
    quarters.report();
    let growth = quarters.growth_kib();
    assert!(growth < MOST_KIB, "memory has grown by {growth:.0} KiB");
    for held in [
        |moment: &Vitals| moment.descriptors,
        |moment: &Vitals| moment.threads,
    ] {
        let (before, after) = (least(quarters.second, held), least(quarters.last, held));
        assert!(after <= before + SLACK, "{quarters:?}");
    }
}

/// The counters of every scrape so far.
#[derive(Default)]
struct Counters {
    /// What each was when it was first seen, and last.
    seen: BTreeMap<String, (f64, f64)>,
}

impl Counters {
    /// Takes in a scrape; panics where a counter went back, or where one of the process itself is gone.
    fn see(&mut self, samples: &Samples) {
        let now: BTreeMap<String, f64> = samples
            .iter()
            .filter(|sample| is_counted(&sample.name))
            .map(|sample| (format!("{}{:?}", sample.name, sample.labels), sample.value))
            .collect();
        for (series, (_, last)) in &self.seen {
            match now.get(series) {
                Some(value) => assert!(value >= last, "{series} went from {last} back to {value}"),
                None => assert!(series.starts_with("kafka_"), "{series} is gone"),
            }
        }
        // A group that comes back later may begin anew.
        self.seen.retain(|series, _| now.contains_key(series));
        for (series, value) in now {
            let seen = self.seen.entry(series).or_insert((value, value));
            seen.1 = value;
        }
    }

    /// Tells whether a series of that name has grown since it was first seen.
    fn has_grown(&self, name: &str) -> bool {
        let mut series = self.seen.iter();
        series.any(|(series, (first, last))| series.starts_with(name) && last > first)
    }
}

/// Tells whether a sample only ever grows: a counter, or part of a histogram.
fn is_counted(name: &str) -> bool {
    let kind = |family: &str| table::find(family).map(|metric| metric.kind);
    let histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .and_then(kind);
    name == "process_cpu_seconds_total"
        || kind(name) == Some(Kind::Counter)
        || histogram == Some(Kind::Histogram)
}
