//! What `serve` costs on a real Kafka with many groups: memory, processor, requests, time to the first snapshot.
//!
//! It asserts that every series is there and that requests grow slowly with groups, and not with partitions; the rest is
//! reported, as figures depend on the machine. The size is small unless set; this is the size people publish:
//!
//! ```text
//! cargo build --release
//! LAGWATCH_BIN=$PWD/target/release/lagwatch LAGWATCH_SCALE_GROUPS=1000 LAGWATCH_SCALE_PARTITIONS=100 \
//!     cargo test --test it -- --ignored --nocapture scale_kafka
//! ```

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Kafka, Lagwatch, Samples, eventually};

const TOPIC: &str = "wide";
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Over how long the costs of a cycle are averaged.
const WINDOW: Duration = Duration::from_secs(10);
/// The first snapshot of a big cluster takes a while in an unoptimised build.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn requests_grow_with_groups_and_not_with_partitions() {
    let groups = size("LAGWATCH_SCALE_GROUPS", 50);
    let partitions = size("LAGWATCH_SCALE_PARTITIONS", 20);
    let width = i32::try_from(partitions).expect("a few thousand at most");
    let kafka = Kafka::builder().for_offsets(groups * partitions).start();
    kafka.create_topic(TOPIC, width);
    // Also makes the topic of the offsets, so that the idle figures are those of an ordinary cluster.
    kafka.commit_for("idle", TOPIC, 0, 0);
    let idle = Costs::measure(&kafka, "poll");
    kafka.fill_groups("group-", groups, TOPIC, width, 0);
    let poll = Costs::measure(&kafka, "poll");
    let stream = Costs::measure(&kafka, "stream");
    report(groups, partitions, &[&idle, &poll, &stream]);

    // A describe and a commit request for each hundred groups, and a few for each broker. A replica that follows the topic
    // asks about no group, but reads its partitions, which costs ten requests a second. librdkafka counts those every few
    // seconds: twice as many may fall into a window.
    let fetches = usize::try_from(POLL_INTERVAL.as_secs()).expect("it is small") * 10;
    for (costs, bound) in [
        (&poll, 2 * (groups / 100 + 1) + 10),
        (&stream, 12 + 2 * fetches),
    ] {
        assert_eq!(costs.lag_series, groups * partitions + 1);
        let requests = costs.requests_per_cycle;
        let is_bounded = requests <= f64::from(u32::try_from(bound).expect("it is small"));
        assert!(
            is_bounded,
            "{requests} requests a cycle for {groups} groups"
        );
    }
}

fn size(variable: &str, small: usize) -> usize {
    let Ok(text) = env::var(variable) else {
        return small;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{variable} is no number"))
}

/// What one run of `serve` costs.
struct Costs {
    first_snapshot: Duration,
    lag_series: usize,
    resident_mib: f64,
    cpu_seconds_per_cycle: f64,
    seconds_per_cycle: f64,
    requests_per_cycle: f64,
    scrape_bytes: usize,
    scrape_time: Duration,
}

impl Costs {
    fn measure(kafka: &Kafka, mode: &str) -> Self {
        let config = format!(
            "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: {mode}
    poll-interval: {}s
    request-timeout: 30s
",
            kafka.bootstrap_servers(),
            POLL_INTERVAL.as_secs()
        );
        let started = Instant::now();
        let serve = Lagwatch::new("serve").config(&config).start();
        eventually("the first complete snapshot", LIMIT, || {
            serve.status("/readyz") == Some(200)
        });
        let first_snapshot = started.elapsed();
        let before = (serve.scrape(), serve.processor_time());
        // The window is what is measured: nobody scrapes meanwhile, as a scrape costs, too.
        thread::sleep(WINDOW);
        let spent = serve.processor_time();
        let after = serve.scrape();
        let (before, spent_before) = before;
        let cycles = complete(&after) - complete(&before);
        assert!(cycles > 0.0, "no cycle within {WINDOW:?}");
        let per_cycle = |name, labels: &[(&str, &str)]| {
            (after.sum(name, labels) - before.sum(name, labels)) / cycles
        };
        let asked = Instant::now();
        let scrape = serve.get("/metrics");
        let scrape_time = asked.elapsed();
        let resident = after.value("process_resident_memory_bytes", &[]);
        Self {
            first_snapshot,
            lag_series: after.all("kafka_consumergroup_lag", &[]).count(),
            resident_mib: resident.expect("the process tells its memory") / f64::from(1 << 20),
            cpu_seconds_per_cycle: (spent - spent_before).as_secs_f64() / cycles,
            seconds_per_cycle: per_cycle(
                "lagwatch_poll_duration_seconds_sum",
                &[("phase", "total")],
            ),
            requests_per_cycle: per_cycle("lagwatch_kafka_requests_total", &[]),
            scrape_bytes: scrape.body.len(),
            scrape_time,
        }
    }
}

fn complete(samples: &Samples) -> f64 {
    samples
        .value("lagwatch_polls_total", &[("result", "complete")])
        .unwrap_or(0.0)
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn report(groups: usize, partitions: usize, columns: &[&Costs]) {
    let size = format!("{groups} groups x {partitions} partitions");
    println!("| figure | 1 group | {size}, poll | {size}, stream |");
    println!("| --- | --- | --- | --- |");
    let line = |figure: &str, of: &dyn Fn(&Costs) -> String| {
        let cells: Vec<String> = columns.iter().map(|costs| of(costs)).collect();
        println!("| {figure} | {} |", cells.join(" | "));
    };
    line("lag series", &|costs| costs.lag_series.to_string());
    line("start to first complete snapshot", &|costs| {
        format!("{:.2?}", costs.first_snapshot)
    });
    line("resident memory", &|costs| {
        format!("{:.1} MiB", costs.resident_mib)
    });
    line("CPU a cycle", &|costs| {
        format!("{:.3} s", costs.cpu_seconds_per_cycle)
    });
    line("duration of a cycle", &|costs| {
        format!("{:.3} s", costs.seconds_per_cycle)
    });
    line("Kafka requests a cycle", &|costs| {
        format!("{:.1}", costs.requests_per_cycle)
    });
    line("scrape, uncompressed", &|costs| {
        format!("{} bytes in {:.2?}", costs.scrape_bytes, costs.scrape_time)
    });
}
