//! A day of backlog that was there before `serve`: how old its records are said to be after two cycles.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::world::{LIMIT, Log, Reading, Span, cycles, error, serve};
use crate::support::{Kafka, Running, eventually, wait_for};
use crate::task::deployment::say;

/// What the first cycle may take on a busy machine, with every round of its search.
const CYCLE: Duration = Duration::from_millis(500);

const DAY_MS: i64 = 86_400_000;

/// A group, and what may be told of the first record that it has not read.
struct Case {
    topic: &'static str,
    offset: usize,
    truth: Truth,
}

enum Truth {
    CaughtUp,
    /// Its timestamp is so many seconds before the clock was read.
    Before {
        clock: Span,
        seconds: RangeInclusive<f64>,
    },
    Appended(Span),
    /// Timestamps of the future hide it: it was there when `serve` started.
    Hidden,
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_day_of_backlog_is_dated_within_two_cycles() {
    let kafka = Kafka::builder().start();
    let mut cases = write_appended(&kafka);
    cases.extend(write_days(&kafka));
    cases.extend(write_future(&kafka));
    for case in &cases {
        let offset = i64::try_from(case.offset).expect("it is small");
        kafka.commit_for(&case.group(), case.topic, 0, offset);
    }
    let serve = serve(&kafka, "poll", Duration::from_secs(1));
    eventually("two cycles", LIMIT, || cycles(&serve.scrape()).0 >= 2.0);
    let wrong: Vec<String> = cases.iter().filter_map(|case| case.judge(&serve)).collect();
    assert_eq!(wrong, [""; 0]);
    assert_few_requests(&serve);
}

impl Case {
    fn group(&self) -> String {
        format!("{}-{}", self.topic, self.offset)
    }

    /// Prints how wrong the age is, and returns in words what it should not be.
    fn judge(&self, serve: &Running) -> Option<String> {
        let group = self.group();
        let reading = Reading::of(serve, &group, self.topic, 0, CYCLE);
        let reading = reading.unwrap_or_else(|| panic!("{group} has no age"));
        let now = reading.measured;
        let (truth, method) = match &self.truth {
            Truth::CaughtUp => (0.0..=0.0, "history"),
            Truth::Before { clock, seconds } => {
                let since = clock.age_during(now);
                let age = seconds.start() + since.start()..=seconds.end() + since.end();
                (age, "index")
            }
            Truth::Appended(span) => (span.age_during(now), "index"),
            Truth::Hidden => (0.0..=LIMIT.as_secs_f64(), "bound"),
        };
        let tolerance = match &self.truth {
            Truth::CaughtUp => 0.0,
            _ => (truth.end() / 100.0).max(1.0),
        };
        let error = error(reading.age, &[truth]);
        say(&format!(
            "{group}: {:.1} s old by the {}, {error:.3} s wrong",
            reading.age, reading.method
        ));
        let is_right = error <= tolerance && reading.method == method;
        (!is_right).then(|| format!("{group}: {error} s wrong: {reading:?}"))
    }
}

/// Writes a log whose broker sets the timestamps; the producer's say that the records are a day old.
fn write_appended(kafka: &Kafka) -> Vec<Case> {
    const TOPIC: &str = "appended";
    let by_broker = [("message.timestamp.type", "LogAppendTime")];
    kafka.create_topic_with(TOPIC, 1, 1, &by_broker);
    let log = Log::default();
    for batch in 0..10 {
        log.append_dated(kafka, TOPIC, &[now_ms() - DAY_MS + batch; 10]);
    }
    let case = |offset| Case {
        topic: TOPIC,
        offset,
        truth: Truth::Appended(log.written(offset).expect("it was appended")),
    };
    [0, 29, 30, 99].map(case).into()
}

/// Writes days of backlog, each at another pace.
fn write_days(kafka: &Kafka) -> Vec<Case> {
    let steady = (0..4_320).map(|record| DAY_MS - record * 20_000);
    let bursts = (0..4_000).map(|record| DAY_MS - record / 100 * 2_160_000 - record % 100 * 10);
    let disordered = (0..4_320).map(|record| {
        let burst = record / 10;
        DAY_MS - burst * 199_000 - record * 3_331 % 5_000
    });
    [
        write_day(kafka, "steady", steady.collect()),
        write_day(kafka, "bursts", bursts.collect()),
        write_day(kafka, "disordered", disordered.collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Writes records of these ages, for a group at each of several depths.
fn write_day(kafka: &Kafka, topic: &'static str, ages_ms: Vec<i64>) -> Vec<Case> {
    let (clock, now_ms) = Span::of(now_ms);
    kafka.create_topic(topic, 1);
    let timestamps: Vec<i64> = ages_ms.iter().map(|age| now_ms - age).collect();
    kafka.produce_at(topic, &timestamps);
    let end = ages_ms.len();
    let truth = |offset: usize| {
        let oldest_ms = ages_ms[offset];
        // A record that is older than one before it may be taken for that one.
        let youngest_ms = ages_ms[..=offset].iter().min().expect("it has itself");
        let seconds = |ms: i64| ms as f64 / 1e3;
        Truth::Before {
            clock,
            seconds: seconds(*youngest_ms)..=seconds(oldest_ms),
        }
    };
    [0, 1, end / 4, end / 2, end * 3 / 4, end - 1, end]
        .map(|offset| Case {
            topic,
            offset,
            truth: if offset == end {
                Truth::CaughtUp
            } else {
                truth(offset)
            },
        })
        .into()
}

/// Writes records of which the first half says that it is of the future: nothing tells how old any of them is.
fn write_future(kafka: &Kafka) -> Vec<Case> {
    const TOPIC: &str = "future";
    kafka.create_topic(TOPIC, 1);
    let half_an_hour_on = (0..100).map(|record| now_ms() + 1_800_000 + record);
    let past = (0..100).map(|record| now_ms() - 1_000_000 + record);
    let timestamps: Vec<i64> = half_an_hour_on.chain(past).collect();
    kafka.produce_at(TOPIC, &timestamps);
    let case = |offset| Case {
        topic: TOPIC,
        offset,
        truth: Truth::Hidden,
    };
    [0, 50, 150].map(case).into()
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("the clock is right").as_millis();
    i64::try_from(now).expect("the clock is right")
}

/// No record is fetched, and brokers are asked to search their index only until they have.
fn assert_few_requests(serve: &Running) {
    // For where logs begin and end.
    const EACH_CYCLE: f64 = 2.0;
    // For the whole search, of all groups together.
    const SEARCHING: f64 = 40.0;
    let sent = || {
        let scrape = serve.scrape();
        let sent = |api| scrape.sum("lagwatch_kafka_requests_total", &[("api", api)]);
        assert_eq!(sent("Fetch"), 0.0);
        (cycles(&scrape).0, sent("ListOffsets"))
    };
    // They are told every five seconds: all at once, and later than they were sent.
    let (cycles_before, before) = wait_for("requests", LIMIT, || {
        Some(sent()).filter(|(_, requests)| *requests > 0.0)
    });
    eventually("more requests", LIMIT, || sent().1 > before);
    let (cycles_after, after) = sent();
    let a_cycle = (after - before) / (cycles_after - cycles_before);
    say(&format!(
        "{before} ListOffsets requests in {cycles_before} cycles, then {a_cycle:.1} a cycle"
    ));
    assert!(before <= cycles_before * EACH_CYCLE + SEARCHING);
    assert!(a_cycle <= EACH_CYCLE + 1.0);
}
