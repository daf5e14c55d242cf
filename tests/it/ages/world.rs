//! What a test knows of when records were written and offsets committed, and the age that follows from it.

use std::ops::RangeInclusive;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Kafka, Running, Samples, eventually};

/// Starting and settling take seconds on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What is told in milliseconds is not told finer, and a cycle does a little after its last measurement.
pub(crate) const ROUNDING: Duration = Duration::from_millis(10);

/// The time in which something happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

impl Span {
    /// Calls `act`, and tells how long that took.
    pub(crate) fn of<T>(act: impl FnOnce() -> T) -> (Self, T) {
        let began = Instant::now();
        let done = act();
        let ended = Instant::now();
        (Self { began, ended }, done)
    }

    pub(crate) fn width(self) -> Duration {
        self.ended.duration_since(self.began)
    }

    /// Returns the least and the most time that can have passed from then until now, in seconds.
    pub(crate) fn age_during(self, now: Self) -> RangeInclusive<f64> {
        let least = now.began.saturating_duration_since(self.ended);
        let most = now.ended.saturating_duration_since(self.began);
        least.as_secs_f64()..=most.as_secs_f64()
    }

    /// Returns the span that began this much earlier.
    pub(crate) fn reaching_back(self, by: Duration) -> Self {
        Self {
            began: self.earlier(by).began,
            ..self
        }
    }

    fn earlier(self, by: Duration) -> Self {
        let earlier = |at: Instant| at.checked_sub(by).expect("the machine runs longer");
        Self {
            began: earlier(self.began),
            ended: earlier(self.ended),
        }
    }
}

/// What was written to a topic of one partition: when, for each record.
#[derive(Debug, Default)]
pub(crate) struct Log {
    records: Mutex<Vec<Span>>,
    grew: Condvar,
}

impl Log {
    pub(crate) fn append(&self, kafka: &Kafka, topic: &str, count: usize) {
        let (span, end) = Span::of(|| kafka.produce(topic, 0, count));
        let known = self.note(span, count);
        assert_eq!(usize::try_from(end), Ok(known), "nobody else wrote");
    }

    /// Appends records with these timestamps, in milliseconds since the epoch.
    pub(crate) fn append_dated(&self, kafka: &Kafka, topic: &str, timestamps_ms: &[i64]) {
        let (span, ()) = Span::of(|| kafka.produce_at(topic, timestamps_ms));
        self.note(span, timestamps_ms.len());
    }

    fn note(&self, span: Span, count: usize) -> usize {
        let mut records = self.records.lock().expect("no writer panics");
        records.extend(std::iter::repeat_n(span, count));
        self.grew.notify_all();
        records.len()
    }

    /// Returns how many records are known to have been written by `time`.
    pub(crate) fn end_at(&self, time: Instant) -> usize {
        let records = self.records.lock().expect("no writer panics");
        records.partition_point(|record| record.ended <= time)
    }

    pub(crate) fn written(&self, offset: usize) -> Option<Span> {
        let records = self.records.lock().expect("no writer panics");
        records.get(offset).copied()
    }

    /// Waits until there are more records than `known`, but not for long.
    pub(crate) fn wait_for_more(&self, known: usize) {
        let records = self.records.lock().expect("no writer panics");
        let step = Duration::from_millis(100);
        let _more = self
            .grew
            .wait_timeout_while(records, step, |records| records.len() <= known)
            .expect("no writer panics");
    }
}

/// What a group committed and when, in order; the first time before anybody looked.
#[derive(Debug, Default)]
pub(crate) struct Commits(Vec<(usize, Span)>);

impl Commits {
    pub(crate) fn commit(&mut self, kafka: &Kafka, group: &str, topic: &str, offset: usize) {
        let raw = i64::try_from(offset).expect("it is small");
        let (span, ()) = Span::of(|| kafka.commit_for(group, topic, 0, raw));
        self.0.push((offset, span));
    }

    pub(crate) fn newest(&self) -> usize {
        self.0.last().map_or(0, |(offset, _)| *offset)
    }

    /// Returns the ages that can be true during `now`: one range for each offset that may have counted then.
    pub(crate) fn true_ages(&self, log: &Log, now: Span) -> Vec<RangeInclusive<f64>> {
        let counted = |index: usize| {
            let until = self.0.get(index + 1).map(|(_, next)| next.ended);
            self.0[index].1.began <= now.ended && until.is_none_or(|until| until >= now.began)
        };
        (0..self.0.len())
            .filter(|index| counted(*index))
            .map(|index| match log.written(self.0[index].0) {
                Some(record) => record.age_during(now),
                None => 0.0..=0.0,
            })
            .collect()
    }

    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        self.0.iter().map(|(_, span)| *span)
    }
}

/// What the API tells of a group on a partition.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// When it was measured, from before the commit was read until after the log end was.
    pub(crate) measured: Span,
    pub(crate) lag: u64,
    pub(crate) ahead: u64,
    pub(crate) age: f64,
    pub(crate) bounds: RangeInclusive<f64>,
    pub(crate) method: String,
    pub(crate) status: String,
}

impl Reading {
    /// Asks the API; nothing where it shows no age. `cycle` is how long before its end a measurement may have begun.
    pub(crate) fn of(
        serve: &Running,
        group: &str,
        topic: &str,
        partition: usize,
        cycle: Duration,
    ) -> Option<Self> {
        let (asked, answer) = Span::of(|| serve.get(&format!("/api/v1/groups/{group}")));
        if answer.status == 404 {
            return None;
        }
        let body: Value = serde_json::from_str(answer.text()).expect("it is JSON");
        let topics = body["topic_list"].as_array()?;
        let topic = topics.iter().find(|row| row["topic"] == topic)?;
        let partitions = topic["partitions"].as_array()?;
        let row = partitions
            .iter()
            .find(|row| row["partition"] == partition)?;
        let number = |name: &str| row[name].as_f64();
        let ago = Duration::from_secs_f64(number("age_seconds")?);
        Some(Self {
            measured: asked.earlier(ago).reaching_back(cycle + ROUNDING),
            lag: row["lag"].as_u64()?,
            ahead: row["ahead"].as_u64()?,
            // Of a record that is older than what was seen, only a bound is known.
            age: number("lag_seconds").or(number("lag_seconds_at_least"))?,
            bounds: number("lag_seconds_at_least")?
                ..=number("lag_seconds_at_most").unwrap_or(f64::INFINITY),
            method: row["lag_seconds_method"].as_str()?.to_owned(),
            status: row["status"].as_str()?.to_owned(),
        })
    }
}

/// Returns how far a figure is outside of the nearest range.
pub(crate) fn error(figure: f64, truths: &[RangeInclusive<f64>]) -> f64 {
    let errors = truths
        .iter()
        .map(|truth| (truth.start() - figure).max(figure - truth.end()).max(0.0));
    errors.fold(f64::INFINITY, f64::min)
}

/// Returns how many cycles have ended, and how long they took together.
pub(crate) fn cycles(samples: &Samples) -> (f64, Duration) {
    let ended = |result| samples.value("lagwatch_polls_total", &[("result", result)]);
    let total = [("phase", "total")];
    let seconds = samples.value("lagwatch_poll_duration_seconds_sum", &total);
    (
        ["complete", "partial", "failed"]
            .into_iter()
            .filter_map(ended)
            .sum(),
        Duration::from_secs_f64(seconds.unwrap_or(0.0)),
    )
}

/// Waits until two cycles have ended from now on: at least one of them has begun after the call.
pub(crate) fn wait_for_two_cycles(serve: &Running) {
    let enough = cycles(&serve.scrape()).0 + 2.0;
    eventually("two cycles", LIMIT, || cycles(&serve.scrape()).0 >= enough);
}

/// Starts `serve`.
pub(crate) fn serve(kafka: &Kafka, mode: &str, poll_interval: Duration) -> Running {
    crate::support::Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: {mode}
    poll-interval: {}ms
",
            kafka.bootstrap_servers(),
            poll_interval.as_millis()
        ))
        .start()
}
