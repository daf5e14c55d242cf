//! What changes under a group, and how soon the time lag is right again.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::{Timestamp, tz::TimeZone};

use super::world::{LIMIT, ROUNDING, Reading, Span, error, serve, wait_for_two_cycles};
use crate::support::{Kafka, NodeId, Running, Signal, eventually};

const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What a cycle may take on a busy machine.
const CYCLE: Duration = Duration::from_millis(300);

/// Beside a cycle: an age of more than a minute and a half would be told less exactly.
const TOLERANCE: f64 = 1.0;

/// A cluster that changes, and `serve` that is looked at all the time.
struct World<'a> {
    kafka: &'a Kafka,
    serve: &'a Running,
    /// When the first record of each topic was about to be written.
    oldest: &'a Mutex<BTreeMap<String, Instant>>,
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn figures_are_right_again_within_two_cycles_of_a_change() {
    let kafka = Kafka::builder().start();
    change(&kafka, |world| {
        world.add_partitions();
        world.reset_offsets();
        world.make_topic_anew();
        world.make_topic_anew_unseen();
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn figures_are_right_again_within_two_cycles_of_an_unclean_election() {
    // The death of two nodes must not end the group's offsets with the log.
    let kafka = Kafka::builder().nodes(3).start();
    change(&kafka, |world| world.elect_an_unclean_leader());
}

/// Lets `changes` happen while everything is looked at.
fn change(kafka: &Kafka, changes: impl FnOnce(&World<'_>) + Send) {
    let oldest = Mutex::new(BTreeMap::new());
    let serve = serve(kafka, "poll", POLL_INTERVAL);
    let world = World {
        kafka,
        serve: &serve,
        oldest: &oldest,
    };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let spikes = scope.spawn(|| world.spikes(&is_over));
        // Its end ends the looking, also where it fails.
        let changes = scope.spawn(|| changes(&world));
        let outcome = changes.join();
        is_over.store(true, Ordering::Relaxed);
        let spikes = spikes.join().expect("looking does not fail");
        outcome.unwrap_or_else(|failure| std::panic::resume_unwind(failure));
        assert_eq!(spikes, [""; 0]);
    });
}

impl World<'_> {
    /// Scrapes until it is over, and tells each age that is more than the topic's first record can have.
    fn spikes(&self, is_over: &AtomicBool) -> Vec<String> {
        let mut spikes = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let scrape = self.serve.scrape();
            let now = Instant::now();
            for sample in scrape.all("kafka_consumergroup_lag_seconds", &[]) {
                let oldest = self.oldest.lock().expect("no holder panics");
                let oldest = oldest[sample.label("topic")];
                let most = now.duration_since(oldest) + ROUNDING;
                if !(0.0..=most.as_secs_f64()).contains(&sample.value) {
                    spikes.push(format!("{sample:?} of at most {most:?}"));
                }
            }
            thread::sleep(POLL_INTERVAL / 10);
        }
        spikes
    }

    fn produce(&self, topic: &str, partition: i32, count: usize) -> Span {
        let mut oldest = self.oldest.lock().expect("no holder panics");
        let began = Instant::now();
        oldest.entry(topic.to_owned()).or_insert(began);
        drop(oldest);
        Span::of(|| self.kafka.produce(topic, partition, count)).0
    }

    /// Asserts that two cycles after a change the figures of a group are these; `first` is when its first unread record
    /// was written.
    fn expect(
        &self,
        change: &str,
        group: &str,
        (topic, partition): (&str, usize),
        expected: &Expected,
    ) {
        wait_for_two_cycles(self.serve);
        let reading = Reading::of(self.serve, group, topic, partition, CYCLE);
        let reading = reading.unwrap_or_else(|| panic!("{change}: {group} has no age"));
        assert_eq!(
            (reading.lag, reading.ahead, reading.status.as_str()),
            (expected.lag, expected.ahead, expected.status),
            "{change}: {reading:?}"
        );
        match expected.first {
            Some(first) => {
                let truth = first.age_during(reading.measured);
                let error = error(reading.age, &[truth]);
                assert!(error <= TOLERANCE, "{change}: {error} s wrong: {reading:?}");
            }
            None => assert_eq!(reading.age, 0.0, "{change}: {reading:?}"),
        }
    }

    fn add_partitions(&self) {
        let Self { kafka, .. } = self;
        kafka.create_topic("grown", 1);
        let first = self.produce("grown", 0, 20);
        kafka.commit_for("grower", "grown", 0, 5);
        self.expect(
            "a group",
            "grower",
            ("grown", 0),
            &Expected::behind(15, first),
        );
        kafka.add_partitions("grown", 3);
        let added = self.produce("grown", 2, 30);
        kafka.commit_for("grower", "grown", 1, 0);
        kafka.commit_for("grower", "grown", 2, 10);
        let change = "partitions added";
        self.expect(change, "grower", ("grown", 2), &Expected::behind(20, added));
        self.expect(change, "grower", ("grown", 1), &Expected::CAUGHT_UP);
        self.expect(change, "grower", ("grown", 0), &Expected::behind(15, first));
    }

    fn reset_offsets(&self) {
        let Self { kafka, .. } = self;
        kafka.create_topic("reread", 1);
        let first = self.produce("reread", 0, 30);
        kafka.commit_for("rereader", "reread", 0, 30);
        self.expect(
            "a group that is caught up",
            "rereader",
            ("reread", 0),
            &Expected::CAUGHT_UP,
        );
        let split = SystemTime::now();
        // Kafka's timestamps are whole milliseconds.
        thread::sleep(Duration::from_millis(2));
        let second = self.produce("reread", 0, 30);
        self.expect(
            "records that wait",
            "rereader",
            ("reread", 0),
            &Expected::behind(30, second),
        );
        let split = Timestamp::try_from(split).expect("the clock is right");
        let split = split
            .to_zoned_datetime(TimeZone::UTC)
            .strftime("%Y-%m-%dT%H:%M:%S%.3f")
            .to_string();
        let rewound = |lag, first| Expected {
            status: "rewound",
            ..Expected::behind(lag, first)
        };
        for (to, expected) in [
            (&["--to-earliest"][..], rewound(60, first)),
            // Where it was before.
            (&["--to-datetime", &split], Expected::behind(30, second)),
            (&["--to-latest"], Expected::CAUGHT_UP),
            (&["--to-earliest"], rewound(60, first)),
            (&["--to-offset", "45"], rewound(15, second)),
        ] {
            let reset = [
                "--reset-offsets",
                "--execute",
                "--group",
                "rereader",
                "--topic",
                "reread",
            ];
            kafka.consumer_groups_tool(&[&reset, to].concat());
            self.expect(
                &format!("a reset {to:?}"),
                "rereader",
                ("reread", 0),
                &expected,
            );
        }
    }

    fn make_topic_anew(&self) {
        let Self { kafka, serve, .. } = self;
        kafka.create_topic("reborn", 1);
        let first = self.produce("reborn", 0, 100);
        kafka.commit_for("heir", "reborn", 0, 50);
        self.expect(
            "a topic",
            "heir",
            ("reborn", 0),
            &Expected::behind(50, first),
        );
        kafka.delete_topic("reborn");
        // With the topic, Kafka deletes what groups have committed on it.
        eventually("the end of its series", LIMIT, || {
            let topic = [("topic", "reborn")];
            serve
                .scrape()
                .all("kafka_consumergroup_lag", &topic)
                .count()
                == 0
        });
        self.oldest
            .lock()
            .expect("no holder panics")
            .remove("reborn");
        kafka.create_topic("reborn", 1);
        self.produce("reborn", 0, 10);
        kafka.commit_for("heir", "reborn", 0, 50);
        self.expect(
            "a topic made anew",
            "heir",
            ("reborn", 0),
            &Expected::ahead(40),
        );
        self.produce("reborn", 0, 40);
        self.expect(
            "a log that has caught up",
            "heir",
            ("reborn", 0),
            &Expected::CAUGHT_UP,
        );
        let second = self.produce("reborn", 0, 10);
        self.expect(
            "a log that goes on",
            "heir",
            ("reborn", 0),
            &Expected::behind(10, second),
        );
    }

    /// Makes a topic anew between two looks, with a log that is longer than the old one was, and a commit that is further.
    fn make_topic_anew_unseen(&self) {
        let Self { kafka, serve, .. } = self;
        let topic = ("reborn-unseen", 0);
        kafka.create_topic(topic.0, 1);
        let first = self.produce(topic.0, 0, 100);
        kafka.commit_for("successor", topic.0, 0, 50);
        let before = Expected::behind(50, first);
        self.expect("a topic", "successor", topic, &before);
        serve.signal(Signal::Stop);
        kafka.delete_topic(topic.0);
        kafka.create_topic(topic.0, 1);
        let second = self.produce(topic.0, 0, 300);
        kafka.commit_for("successor", topic.0, 0, 60);
        serve.signal(Signal::Continue);
        let after = Expected::behind(240, second);
        self.expect("a topic made anew unseen", "successor", topic, &after);
        // Until then what was seen before the change was shown.
        let mut oldest = self.oldest.lock().expect("no holder panics");
        oldest.insert(topic.0.to_owned(), second.began);
        drop(oldest);
        kafka.commit_for("successor", topic.0, 0, 40);
        let rewound = Expected {
            status: "rewound",
            ..Expected::behind(260, second)
        };
        self.expect("a reset on it", "successor", topic, &rewound);
    }

    /// Lets a leader die whose only follower has not seen the newest records: they are gone.
    fn elect_an_unclean_leader(&self) {
        let Self { kafka, .. } = self;
        let topic = ("cut", 0);
        let unclean = [("unclean.leader.election.enable", "true")];
        kafka.create_topic_with(topic.0, 1, 2, &unclean);
        let leader = kafka.leader(topic.0, 0).expect("it is new");
        let replicas = kafka.replicas(topic.0, 0).into_iter();
        let follower = replicas.into_iter().find(|node| *node != leader);
        let follower = follower.expect("there are two replicas");
        let first = self.produce(topic.0, 0, 10);
        kafka.commit_for("reader", topic.0, 0, 5);
        kafka.wait_for_replicas();
        let behind = Expected::behind(5, first);
        self.expect("a group", "reader", topic, &behind);

        kafka.kill(follower);
        kafka.wait_for_nodes(&others(follower));
        let second = self.produce(topic.0, 0, 90);
        kafka.commit_for("reader", topic.0, 0, 60);
        let behind = Expected::behind(40, second);
        self.expect("a follower that is down", "reader", topic, &behind);

        kafka.kill(leader);
        kafka.restart(follower);
        eventually("a leader that lacks records", LIMIT, || {
            kafka.leader(topic.0, 0) == Some(follower)
        });
        self.expect("a log cut off", "reader", topic, &Expected::ahead(50));
        let third = self.produce(topic.0, 0, 70);
        let behind = Expected::behind(20, third);
        self.expect("a log that goes on", "reader", topic, &behind);
    }
}

/// Returns the nodes of three that are not this one.
fn others(node: NodeId) -> Vec<NodeId> {
    (1..=3).filter(|other| *other != node).collect()
}

/// The figures of a group on a partition.
struct Expected {
    lag: u64,
    ahead: u64,
    /// When the first record that it has not read was written.
    first: Option<Span>,
    status: &'static str,
}

impl Expected {
    const CAUGHT_UP: Self = Self {
        lag: 0,
        ahead: 0,
        first: None,
        status: "ok",
    };

    fn behind(lag: u64, first: Span) -> Self {
        Self {
            lag,
            ahead: 0,
            first: Some(first),
            status: "ok",
        }
    }

    fn ahead(ahead: u64) -> Self {
        Self {
            ahead,
            status: "ahead",
            ..Self::CAUGHT_UP
        }
    }
}
