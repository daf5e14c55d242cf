//! How many requests were sent, by API: counted by the admin client as it sends them, and by librdkafka in its statistics.
//!
//! The few that librdkafka sends before it knows its brokers' ids are missing: it forgets them with the bootstrap connections.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use crate::metrics::ClusterMetrics;

/// Counts the requests a client sends.
pub trait RequestObserver: Send + Sync + 'static {
    /// `count` more requests of this API, such as `OffsetFetch`, were sent.
    fn sent(&self, api: &str, count: u64);
}

/// Counts nothing.
impl RequestObserver for () {
    fn sent(&self, _api: &str, _count: u64) {}
}

/// Counts into `lagwatch_kafka_requests_total`.
impl RequestObserver for ClusterMetrics {
    fn sent(&self, api: &str, count: u64) {
        self.kafka_requests(api).inc_by(count);
    }
}

/// Turns the running totals of the statistics into increments.
#[derive(Debug, Default)]
pub(super) struct RequestTotals {
    /// The newest totals, by address and API. A broker that they do not name has left, and begins anew if it comes back.
    seen: HashMap<(String, String), u64>,
}

/// The part of librdkafka's statistics that is read here.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, BrokerStatistics>,
}

#[derive(Deserialize)]
struct BrokerStatistics {
    #[serde(default)]
    nodename: String,
    #[serde(default)]
    req: BTreeMap<String, u64>,
}

impl RequestTotals {
    /// Reads statistics and tells `observer` what was sent since the last ones; what is not JSON is passed over.
    pub(super) fn read(&mut self, json: &str, observer: &dyn RequestObserver) {
        let Ok(Statistics { brokers }) = serde_json::from_str(json) else {
            tracing::debug!(target: "librdkafka", "statistics could not be read");
            return;
        };
        // By address, not by name: a bootstrap broker gets another name once its id is known.
        let mut now: HashMap<(String, String), u64> = HashMap::new();
        for BrokerStatistics { nodename, req } in brokers.into_values() {
            for (api, count) in req.into_iter().filter(|(_, count)| *count > 0) {
                *now.entry((nodename.clone(), api)).or_default() += count;
            }
        }
        let before = std::mem::replace(&mut self.seen, now);
        for (key, count) in &self.seen {
            let increment = count.saturating_sub(before.get(key).copied().unwrap_or_default());
            if increment > 0 {
                let (_, api) = key;
                observer.sent(api, increment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Totals(Arc<Mutex<BTreeMap<String, u64>>>);

    impl RequestObserver for Totals {
        fn sent(&self, api: &str, count: u64) {
            let mut totals = self.0.lock().expect("no other thread");
            *totals.entry(api.to_owned()).or_default() += count;
        }
    }

    impl Totals {
        fn of(&self, api: &str) -> u64 {
            let totals = self.0.lock().expect("no other thread");
            totals.get(api).copied().unwrap_or_default()
        }
    }

    fn statistics(brokers: &[(&str, &str, u64)]) -> String {
        let brokers: Vec<String> = brokers
            .iter()
            .map(|(name, nodename, count)| {
                format!(r#""{name}": {{"nodename": "{nodename}", "req": {{"Fetch": 0, "Metadata": {count}}}}}"#)
            })
            .collect();
        format!(r#"{{"name": "x", "brokers": {{{}}}}}"#, brokers.join(","))
    }

    #[test]
    fn totals_become_increments() {
        let (mut totals, seen) = (RequestTotals::default(), Totals::default());
        totals.read(&statistics(&[("a:1/1", "a:1", 3)]), &seen);
        totals.read(
            &statistics(&[("a:1/1", "a:1", 5), ("b:1/2", "b:1", 1)]),
            &seen,
        );
        assert_eq!(seen.of("Metadata"), 6);
        assert_eq!(seen.of("Fetch"), 0);
    }

    #[test]
    fn a_broker_that_gets_another_name_is_not_counted_twice() {
        let (mut totals, seen) = (RequestTotals::default(), Totals::default());
        totals.read(&statistics(&[("a:1/bootstrap", "a:1", 3)]), &seen);
        totals.read(&statistics(&[("a:1/1", "a:1", 4)]), &seen);
        assert_eq!(seen.of("Metadata"), 4);
    }

    #[test]
    fn brokers_that_left_are_forgotten_and_count_from_0_when_they_are_back() {
        let (mut totals, seen) = (RequestTotals::default(), Totals::default());
        for id in 0..100 {
            let name = format!("pod-{id}:1");
            totals.read(
                &statistics(&[("a:1/1", "a:1", 3), (&name, &name, 2)]),
                &seen,
            );
        }
        assert_eq!(seen.of("Metadata"), 3 + 100 * 2);
        assert_eq!(totals.seen.len(), 2);
        totals.read(&statistics(&[("a:1/1", "a:1", 3)]), &seen);
        totals.read(
            &statistics(&[("a:1/1", "a:1", 3), ("pod-99:1/2", "pod-99:1", 1)]),
            &seen,
        );
        assert_eq!(seen.of("Metadata"), 3 + 100 * 2 + 1);
    }

    #[test]
    fn what_is_no_json_changes_nothing() {
        let (mut totals, seen) = (RequestTotals::default(), Totals::default());
        totals.read("{", &seen);
        assert_eq!(seen.of("Metadata"), 0);
    }
}
