//! The course of a soak: what the process holds from wave to wave, what it counts, and that neither betrays a leak.

use std::collections::BTreeMap;

use lagwatch::metrics::{Kind, table};

use crate::support::{Samples, Vitals};

/// How many more descriptors and threads there may be: a client that connects anew, a worker that is not gone yet.
const SLACK: u64 = 2;

/// What was held in the second quarter of a soak, and in the last.
///
/// Before that caches fill, and the allocator finds its size.
#[derive(Debug)]
pub(crate) struct Quarters<'a> {
    second: &'a [Vitals],
    last: &'a [Vitals],
}

/// The counters of every scrape so far.
#[derive(Default)]
pub(crate) struct Counters {
    /// What each was when it was first seen, and last.
    seen: BTreeMap<String, (f64, f64)>,
    /// The cluster that reloads remove, and add again.
    passing: Option<&'static str>,
}

impl<'a> Quarters<'a> {
    pub(crate) fn of(course: &'a [Vitals]) -> Self {
        let quarter = course.len() / 4;
        assert!(quarter > 0, "too short to tell anything");
        Self {
            second: &course[quarter..2 * quarter],
            last: &course[course.len() - quarter..],
        }
    }

    /// Panics where the mean of the resident memory has grown by that much, in KiB.
    pub(crate) fn assert_memory_is_flat(&self, most_kib: f64) {
        let growth = mean_kib(self.last) - mean_kib(self.second);
        assert!(growth < most_kib, "memory has grown by {growth:.0} KiB");
    }

    /// Panics where there are more descriptors or threads.
    pub(crate) fn assert_handles_are_given_back(&self) {
        for held in [
            |moment: &Vitals| moment.descriptors,
            |moment: &Vitals| moment.threads,
        ] {
            let (before, after) = (least(self.second, held), least(self.last, held));
            assert!(after <= before + SLACK, "{self:?}");
        }
    }

    #[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
    pub(crate) fn report(&self) {
        for (quarter, moments) in [("second", self.second), ("last", self.last)] {
            println!(
                "{quarter} quarter: {:.0} KiB resident, {} descriptors, {} threads",
                mean_kib(moments),
                least(moments, |moment| moment.descriptors),
                least(moments, |moment| moment.threads),
            );
        }
    }
}

impl Counters {
    /// Returns counters of which those of a cluster may go, with the cluster.
    pub(crate) fn of_passing(cluster: &'static str) -> Self {
        Self {
            passing: Some(cluster),
            ..Self::default()
        }
    }

    /// Takes in a scrape; panics where a counter went back, or where one of the process itself is gone.
    pub(crate) fn see(&mut self, samples: &Samples) {
        let now: BTreeMap<String, f64> = samples
            .iter()
            .filter(|sample| is_counted(&sample.name))
            .map(|sample| (format!("{}{:?}", sample.name, sample.labels), sample.value))
            .collect();
        for (series, (_, last)) in &self.seen {
            match now.get(series) {
                Some(value) => assert!(value >= last, "{series} went from {last} back to {value}"),
                None => assert!(self.may_go(series), "{series} is gone"),
            }
        }
        // A group or a cluster that comes back later may begin anew.
        self.seen.retain(|series, _| now.contains_key(series));
        for (series, value) in now {
            let seen = self.seen.entry(series).or_insert((value, value));
            seen.1 = value;
        }
    }

    fn may_go(&self, series: &str) -> bool {
        let is_passing = |name| series.contains(&format!("\"cluster\": {name:?}"));
        series.starts_with("kafka_") || self.passing.is_some_and(is_passing)
    }

    /// Panics where no series of that name has grown since it was first seen: what stands still proves nothing.
    pub(crate) fn assert_moved(&self, name: &str) {
        let mut series = self.seen.iter();
        let has_grown =
            series.any(|(series, (first, last))| series.starts_with(name) && last > first);
        assert!(has_grown, "{name} stood still");
    }
}

/// Panics where the process's own series name what begins with one of `passing`: what came with a wave, or was made up
/// by a client.
pub(crate) fn assert_names_are_not_remembered(samples: &Samples, passing: &[&str]) {
    let own = samples
        .iter()
        .filter(|sample| sample.name.starts_with("lagwatch_"));
    for sample in own {
        let mut values = sample.labels.values();
        let is_passing = |value: &String| passing.iter().any(|name| value.contains(name));
        assert!(!values.any(is_passing), "{sample:?}");
    }
}

/// Returns what is always held; more than that comes and goes with requests.
fn least(moments: &[Vitals], held: impl Fn(&Vitals) -> u64) -> u64 {
    let least = moments.iter().map(held).min();
    least.expect("a quarter is not empty")
}

fn mean_kib(moments: &[Vitals]) -> f64 {
    let sum: u64 = moments.iter().map(|moment| moment.resident_kib).sum();
    sum as f64 / moments.len() as f64
}

/// Returns whether a sample only ever grows: a counter, or part of a histogram.
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
