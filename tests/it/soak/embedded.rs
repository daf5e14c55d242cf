//! The soak: an hour's worth of cycles in compressed time, while groups, topics, members and a cluster come and go.
//!
//! At the poll interval of 10 s an hour is 360 cycles; here they are 100 ms apart. Every five cycles a wave of new topics
//! and groups comes, the one before the last goes by a reload, a member joins or leaves the task consumer's group,
//! and a second cluster comes or goes. What is held is looked at while the second cluster is away.
//!
//! SQLite keeps pages of the audit log in memory, up to 2 MB of them, so that log is filled first. It was found by
//! heaptrack to be all that grows: 720 cycles added 463 KiB before, and add 13 KiB since.
//!
//! ```text
//! LAGWATCH_SOAK_CYCLES=3600 cargo test --test it -- --ignored --nocapture soak::embedded
//! ```

use std::env;

use super::course::{Counters, Quarters, assert_names_are_not_remembered};
use super::world::{LIMIT, TASK_GROUP, World};
use crate::support::{Running, Samples, eventually};

/// Cycles from one wave to the next.
const CYCLES: usize = 5;
/// What names that come and go begin with.
const PASSING: [&str; 4] = ["group-", "topic-", "nobody-", "no-such-page"];
/// By how much the mean of memory may grow, in KiB.
const MOST_KIB: f64 = 1_024.0;

#[test]
#[ignore = "takes minutes; alone, as it measures"]
fn nothing_grows_while_groups_topics_members_and_clusters_come_and_go() {
    let waves = cycles() / CYCLES;
    let mut world = World::start();
    let serve = world.serve();
    let mut counters = Counters::of_passing("two");
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
    assert_names_are_not_remembered(&serve.scrape(), &PASSING);
    for moved in [
        "kafka_consumergroup_commits_total",
        "lagwatch_task_rebalances_total",
    ] {
        counters.assert_moved(moved);
    }
    let quarters = Quarters::of(&course);
    quarters.report();
    quarters.assert_memory_is_flat(MOST_KIB);
    quarters.assert_handles_are_given_back();
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
