//! The Kafka on which everything is measured, and the machine.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::figures::Requests;
use crate::support::{Kafka, ManyGroups};

/// A group of its own, whose commits are watched for.
pub(crate) const PROBE: &str = "probe";

/// Records of each partition: enough for every offset that moves, in all the time that this runs.
const RECORDS: i64 = 1_000;

/// What nodes say to each other, and what this process sends itself to bring change about.
const NOT_OF_EXPORTERS: [&str; 8] = [
    "BrokerHeartbeat",
    "BrokerRegistration",
    "ControllerRegistration",
    // Counted beside `Fetch`, once more.
    "FetchConsumer",
    "FetchFollower",
    "OffsetCommit",
    "Produce",
    "Vote",
];

/// A broker with its topics and groups.
#[derive(Debug)]
pub(crate) struct World {
    kafka: Kafka,
    groups: ManyGroups,
    changing: u8,
    period: Duration,
    prepared_in: Duration,
}

impl World {
    /// Starts Kafka and commits for every group.
    pub(crate) fn create(args: &Args) -> Self {
        let begun = Instant::now();
        let offsets = args.groups * usize::try_from(args.partitions).expect("not negative");
        let kafka = Kafka::builder()
            .property("offsets.topic.num.partitions", "50")
            .for_offsets(offsets)
            .counting_requests()
            .start();
        let topics = (0..args.topics)
            .map(|number| kafka.create_topic(&format!("orders-{number}"), args.partitions))
            .collect();
        let groups = ManyGroups {
            prefix: "billing-service-".to_owned(),
            groups: args.groups,
            topics,
            partitions: args.partitions,
            end: RECORDS,
            behind: RECORDS,
            lagging_percent: args.lagging,
        };
        kafka.produce_for(&groups);
        kafka.fill(&groups);
        kafka.commit_for(PROBE, &groups.topics[0], 0, 0);
        Self {
            kafka,
            groups,
            changing: args.changing,
            period: args.poll_interval,
            prepared_in: begun.elapsed(),
        }
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.kafka.bootstrap_servers()
    }

    /// Returns how many lags a complete scrape tells.
    pub(crate) fn lag_series(&self) -> usize {
        let partitions = usize::try_from(self.groups.partitions).expect("not negative");
        self.groups.groups * partitions + 1
    }

    /// Returns how many groups there are.
    pub(crate) fn group_count(&self) -> f64 {
        (self.groups.groups + 1) as f64
    }

    /// Commits for the probe, and returns its lag from then on.
    pub(crate) fn commit(&self, offset: i64) -> i64 {
        self.kafka
            .commit_for(PROBE, &self.groups.topics[0], 0, offset);
        RECORDS - offset
    }

    /// Runs `work` while the offsets that are to move do so.
    pub(crate) fn changing<T>(&self, rounds_before: &mut u64, work: impl FnOnce() -> T) -> T {
        if self.changing == 0 {
            return work();
        }
        let moving =
            self.kafka
                .move_offsets(&self.groups, self.changing, self.period, *rounds_before);
        let done = work();
        *rounds_before += moving.rest();
        done
    }

    /// Returns how many requests of exporters the broker has answered so far, by API.
    pub(crate) fn requests(&self) -> Requests {
        let mut requests = self.kafka.requests();
        for api in NOT_OF_EXPORTERS {
            requests.remove(api);
        }
        if self.changing > 0 {
            // Kafka's admin client looks for the coordinator before each commit.
            requests.remove("FindCoordinator");
        }
        requests
    }

    /// Says what is measured on what.
    pub(crate) fn describe(&self) -> String {
        let ManyGroups {
            groups,
            topics,
            partitions,
            lagging_percent,
            ..
        } = &self.groups;
        let topics = match topics.len() {
            1 => "one topic".to_owned(),
            count => format!("{count} topics"),
        };
        format!(
            "{groups} groups x {partitions} partitions of {topics}, {lagging_percent} % lag, {} % move a cycle; a cycle \
             is {:?}; {}; prepared in {:.1?}",
            self.changing,
            self.period,
            machine(),
            self.prepared_in
        )
    }
}

/// Says how big the machine is.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: f64 = field(&memory, "MemTotal")
        .and_then(|value| value.split(' ').next()?.parse().ok())
        .unwrap_or(0.0);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&processor, "model name").unwrap_or("an unknown processor");
    format!("{cores} cores ({model}), {:.0} GiB", kib / 1024.0 / 1024.0)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}
