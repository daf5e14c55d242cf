//! What is told of one exporter.

use std::collections::BTreeMap;
use std::time::Duration;

/// The figures of one column; nothing where a phase does not apply or was left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) first_snapshot: Option<Duration>,
    pub(crate) first_scrape: Option<Duration>,
    pub(crate) lag_series: usize,
    pub(crate) identity_bytes: usize,
    pub(crate) gzip_bytes: Option<usize>,
    pub(crate) fresh: Latencies,
    pub(crate) again: Latencies,
    pub(crate) resident_first: Option<f64>,
    pub(crate) resident_scraped: Option<f64>,
    pub(crate) peak: Option<f64>,
    pub(crate) quiet_cpu: Option<f64>,
    pub(crate) scraped_cpu: Option<f64>,
    /// Of a cycle.
    pub(crate) requests: BTreeMap<String, f64>,
    pub(crate) crowd: Option<Crowd>,
    pub(crate) beside_slow: Option<Crowd>,
    pub(crate) visible: Latencies,
}

/// Requests that a broker has answered, by API.
pub(crate) type Requests = BTreeMap<String, u64>;

/// Several scrapers at once.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    pub(crate) latencies: Latencies,
    /// Seconds of processor time in each round.
    pub(crate) cpu: f64,
    pub(crate) resident: f64,
}

/// Times of the same thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Returns the time in seconds that so many percent do not exceed; nothing where none was taken.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).map(Duration::as_secs_f64)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}
