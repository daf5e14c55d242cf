//! The time lag of groups that keep to schedules on a real Kafka, against what follows from the schedules.
//!
//! `LAGWATCH_AGES_SECONDS` sets how long producers and consumers keep to their schedules: 45 unless set, 300 for a
//! release. The table of errors is printed:
//!
//! ```text
//! LAGWATCH_AGES_SECONDS=300 cargo test --test it -- --ignored --nocapture ages::schedules_kafka
//! ```

use std::collections::BTreeMap;
use std::env;
use std::thread;
use std::time::{Duration, Instant};

use super::schedules::{Consumer, PRODUCERS, Producer, pairs, sleep_until};
use super::world::{Commits, Log, Reading, Span, cycles, error, serve};
use crate::support::{Kafka, Running, Samples};
use crate::task::deployment::say;

/// What a consumer that keeps up may be said to be behind, beside twice what it is.
const KEPT_UP: f64 = 0.1;

#[test]
#[ignore = "needs Java 17 and Maven"]
fn the_time_lag_is_the_true_one() {
    let seconds = env::var("LAGWATCH_AGES_SECONDS").map_or(45, |text| {
        let number = text.parse().ok();
        number.expect("LAGWATCH_AGES_SECONDS is a number")
    });
    let watch = |mode, seconds| Watch {
        mode,
        poll_interval: Duration::from_secs(seconds),
    };
    let watches = [watch("poll", 1), watch("poll", 10), watch("stream", 10)];
    let kafka = Kafka::builder().start();
    let trial = run(&kafka, &watches, Duration::from_secs(seconds));
    assert_eq!(trial.judge(&watches), [""; 0]);
}

/// A `serve` that is judged.
struct Watch {
    mode: &'static str,
    poll_interval: Duration,
}

/// What one `serve` showed after its first two cycles.
#[derive(Default)]
struct Seen {
    readings: BTreeMap<String, Vec<Reading>>,
    /// The longest from one cycle to the next, which is more than the poll interval where the machine is too busy.
    longest_interval: f64,
}

/// What a scrape tells of cycles.
#[derive(Clone, Copy)]
struct Progress {
    cycles: f64,
    spent: Duration,
    /// When the newest one ended, in seconds.
    at: f64,
}

impl Progress {
    fn of(scrape: &Samples) -> Self {
        let (cycles, spent) = cycles(scrape);
        let at = scrape.value("lagwatch_last_success_timestamp_seconds", &[]);
        Self {
            cycles,
            spent,
            at: at.expect("there was a complete cycle"),
        }
    }

    fn interval_since(self, earlier: Self) -> f64 {
        (self.at - earlier.at) / (self.cycles - earlier.cycles).max(1.0)
    }
}

impl Watch {
    fn name(&self) -> String {
        format!("{} {:?}", self.mode, self.poll_interval)
    }

    fn follows(&self) -> bool {
        self.mode == "stream"
    }

    /// Looks several times in a poll interval.
    fn look(&self, serve: &Running, until: Instant) -> Seen {
        let pause = (self.poll_interval / 5).min(Duration::from_secs(1));
        let mut seen = Seen::default();
        let mut known = Progress::of(&serve.scrape());
        let mut cycle = Duration::ZERO;
        while Instant::now() < until {
            sleep_until(Instant::now() + pause);
            let scrape = serve.scrape();
            assert_no_age_is_negative(&scrape);
            let progress = Progress::of(&scrape);
            let has_ended = progress.cycles > known.cycles;
            if has_ended {
                cycle = progress.spent.saturating_sub(known.spent);
                let interval = progress.interval_since(known);
                seen.longest_interval = seen.longest_interval.max(interval);
            }
            known = progress;
            if (has_ended || self.follows()) && progress.cycles > 2.0 {
                for (group, reading) in self.read(serve, progress, cycle) {
                    seen.readings.entry(group).or_default().push(reading);
                }
            }
        }
        seen
    }

    /// Returns what is shown of the newest cycle; nothing where the next one has ended meanwhile, whose duration is not
    /// known yet. A figure that is too old to be shown is left out.
    fn read(&self, serve: &Running, known: Progress, cycle: Duration) -> Vec<(String, Reading)> {
        let readings: Vec<(String, Reading)> = pairs()
            .filter_map(|(producer, consumer)| {
                let group = consumer.group(producer);
                let reading = Reading::of(serve, &group, &producer.topic(), 0, cycle)?;
                Some((group, reading))
            })
            .collect();
        let scrape = serve.scrape();
        if Progress::of(&scrape).cycles > known.cycles {
            return Vec::new();
        }
        if !self.follows() {
            assert_metrics_agree(&scrape, &readings);
        }
        readings
    }
}

fn assert_metrics_agree(scrape: &Samples, readings: &[(String, Reading)]) {
    for (group, reading) in readings {
        let labels = [("consumergroup", group.as_str())];
        // It may have become too old between the two answers.
        if let Some(sample) = scrape.value("kafka_consumergroup_lag_seconds", &labels) {
            // Not to the last bit, which JSON does not tell.
            assert!((sample - reading.age).abs() < 1e-9, "{sample}: {reading:?}");
        }
    }
}

fn assert_no_age_is_negative(scrape: &Samples) {
    for sample in scrape.all("kafka_consumergroup_lag_seconds", &[]) {
        assert!(sample.value >= 0.0, "{sample:?}");
    }
}

/// What happened, and what each `serve` showed of it.
struct Trial {
    logs: Vec<Log>,
    commits: BTreeMap<String, Commits>,
    seen: Vec<Seen>,
}

/// Lets every consumer read every producer for a while, with every watch looking on.
fn run(kafka: &Kafka, watches: &[Watch], run: Duration) -> Trial {
    let logs: Vec<Log> = PRODUCERS.iter().map(|_| Log::default()).collect();
    for producer in PRODUCERS {
        kafka.create_topic(&producer.topic(), 1);
    }
    let first: Vec<Commits> = pairs()
        .map(|(producer, consumer)| {
            let mut commits = Commits::default();
            commits.commit(kafka, &consumer.group(producer), &producer.topic(), 0);
            commits
        })
        .collect();
    let serves: Vec<Running> = watches
        .iter()
        .map(|watch| serve(kafka, watch.mode, watch.poll_interval))
        .collect();
    serves.iter().for_each(Running::wait_until_ready);
    let began = Instant::now();
    let (commits, seen) = thread::scope(|scope| {
        for (producer, log) in PRODUCERS.into_iter().zip(&logs) {
            scope.spawn(move || producer.write(kafka, log, began, run));
        }
        let readers: Vec<_> = pairs()
            .zip(first)
            .map(|((producer, consumer), commits)| {
                let log = &logs[producer as usize];
                let read = move || consumer.read(kafka, producer, log, commits, (began, run));
                (consumer.group(producer), scope.spawn(read))
            })
            .collect();
        let lookers: Vec<_> = watches
            .iter()
            .zip(&serves)
            .map(|(watch, serve)| scope.spawn(move || watch.look(serve, began + run)))
            .collect();
        let commits = readers
            .into_iter()
            .map(|(group, reader)| (group, reader.join().expect("no commit failed")));
        let seen = lookers
            .into_iter()
            .map(|looker| looker.join().expect("what it saw was no error"));
        (commits.collect(), seen.collect())
    });
    Trial {
        logs,
        commits,
        seen,
    }
}

/// The errors of one consumer of one producer as one `serve` showed them, ascending.
struct Errors {
    errors: Vec<f64>,
    /// How many readings had the truth between their bounds.
    bounded: usize,
    methods: Vec<String>,
}

impl Trial {
    /// Prints the errors, and returns in words what is not as it should be.
    fn judge(&self, watches: &[Watch]) -> Vec<String> {
        self.report_uncertainty(watches);
        say(
            "| serve | producer | consumer | readings | p50 s | p95 s | max s | within bounds | methods |",
        );
        say("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let mut wrong = Vec::new();
        for (watch, seen) in watches.iter().zip(&self.seen) {
            for (producer, consumer) in pairs() {
                let found = self.errors((watch, seen), producer, consumer, &mut wrong);
                report(watch, producer, consumer, &found);
                let what = format!("{}: {}", watch.name(), consumer.group(producer));
                let allowed = watch.poll_interval.as_secs_f64().max(seen.longest_interval);
                let Some(most) = found.errors.last().copied() else {
                    wrong.push(format!("{what}: nothing seen"));
                    continue;
                };
                if most > allowed {
                    wrong.push(format!("{what}: {most:.3} s wrong"));
                }
            }
        }
        wrong
    }

    fn errors(
        &self,
        (watch, seen): (&Watch, &Seen),
        producer: Producer,
        consumer: Consumer,
        wrong: &mut Vec<String>,
    ) -> Errors {
        let group = consumer.group(producer);
        let commits = &self.commits[&group];
        let log = &self.logs[producer as usize];
        let readings = seen.readings.get(&group).map_or(&[][..], Vec::as_slice);
        // Until a follower has read a commit it may take as long as a commit took.
        let longest = commits.spans().map(Span::width).max();
        let delay = longest.filter(|_| watch.follows()).unwrap_or_default();
        let mut found = Errors {
            errors: Vec::new(),
            bounded: 0,
            methods: Vec::new(),
        };
        for reading in readings {
            let truths = commits.true_ages(log, reading.measured.reaching_back(delay));
            let wrong_by = error(reading.age, &truths);
            found.errors.push(wrong_by);
            let behind = truths.iter().map(|truth| *truth.end()).fold(0.0, f64::max);
            if consumer == Consumer::KeepsUp && wrong_by > behind + KEPT_UP {
                wrong.push(format!("{group} keeps up: {truths:.3?}, not {reading:.3?}"));
            }
            let (least, most) = (*reading.bounds.start(), *reading.bounds.end());
            let is_bounded = truths
                .iter()
                .any(|truth| *truth.start() <= most + 0.01 && least <= truth.end() + 0.01);
            found.bounded += usize::from(is_bounded);
            if !is_bounded {
                wrong.push(format!("{group}: {truths:.3?} is not within {reading:.3?}"));
            }
            found.methods.push(reading.method.clone());
        }
        found.errors.sort_by(f64::total_cmp);
        found.methods.sort();
        found.methods.dedup();
        found
    }

    fn report_uncertainty(&self, watches: &[Watch]) {
        for (watch, seen) in watches.iter().zip(&self.seen) {
            let longest = seen.longest_interval;
            say(&format!(
                "{}: cycles up to {longest:.3} s apart",
                watch.name()
            ));
        }
        let widths = |spans: &mut dyn Iterator<Item = Span>| {
            let mut widths: Vec<Duration> = spans.map(Span::width).collect();
            widths.sort();
            format!(
                "p50 {:.1?}, max {:.1?}",
                widths[widths.len() / 2],
                widths[widths.len() - 1]
            )
        };
        let mut written = self
            .logs
            .iter()
            .flat_map(|log| (0..).map_while(|offset| log.written(offset)));
        say(&format!("a produce request took {}", widths(&mut written)));
        let mut committed = self.commits.values().flat_map(Commits::spans);
        say(&format!("a commit took {}", widths(&mut committed)));
    }
}

fn report(watch: &Watch, producer: Producer, consumer: Consumer, found: &Errors) {
    let count = found.errors.len();
    let percentile = |percent: usize| {
        let index = (count * percent).div_ceil(100).saturating_sub(1);
        found.errors.get(index).copied().unwrap_or(f64::NAN)
    };
    say(&format!(
        "| {} | {producer:?} | {consumer:?} | {count} | {:.3} | {:.3} | {:.3} | {}/{count} | {} |",
        watch.name(),
        percentile(50),
        percentile(95),
        percentile(100),
        found.bounded,
        found.methods.join(", "),
    ));
}
