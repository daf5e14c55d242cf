//! What this process counts about itself, as typed handles into one `prometheus` registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::table::{self, Metric};
use crate::lag::ClusterName;

/// Seconds: a request on loopback takes a millisecond, a cycle of a large cluster some seconds.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The process's registry and the handles that belong to no cluster.
#[derive(Clone, Debug)]
pub struct OwnMetrics {
    registry: Registry,
    http: HttpMetrics,
    task: TaskMetrics,
    clusters: Arc<Mutex<BTreeMap<String, ClusterMetrics>>>,
}

/// Counters of one cluster's collector.
///
/// Each cluster has families of its own, with its name as a fixed label: what is counted after the cluster is forgotten,
/// such as by a client that still ends, shows nowhere. A cluster without a name has the label's value empty, which
/// exposition leaves out.
#[derive(Clone, Debug)]
pub struct ClusterMetrics {
    series_dropped: IntCounterVec,
    polls: IntCounterVec,
    poll_duration: HistogramVec,
    errors: IntCounterVec,
    group_collection_errors: IntCounterVec,
    kafka_requests: IntCounterVec,
    stream_records: IntCounterVec,
    stream_bytes: IntCounterVec,
    stream_gaps: IntCounterVec,
    stream_drift: IntCounterVec,
}

/// Counters of the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// [`table::HTTP_REQUESTS`].
    pub requests: IntCounterVec,
    /// [`table::HTTP_REQUEST_DURATION`].
    pub duration: HistogramVec,
    /// [`table::HTTP_CONNECTIONS`].
    pub connections: IntGauge,
    /// [`table::HTTP_REJECTED`].
    pub rejected: IntCounter,
    /// [`table::HTTP_TLS_HANDSHAKE_ERRORS`].
    pub tls_handshake_errors: IntCounter,
    /// [`table::HTTP_EVENT_STREAMS`].
    pub event_streams: IntGauge,
    /// [`table::HTTP_EVENT_STREAMS_DROPPED`].
    pub event_streams_dropped: IntCounterVec,
}

/// Counters of the task consumer.
#[derive(Clone, Debug)]
pub struct TaskMetrics {
    /// [`table::TASK_MESSAGES`].
    pub messages: IntCounterVec,
    /// [`table::TASK_COMMITS`].
    pub commits: IntCounterVec,
    /// [`table::TASK_COMMIT_DURATION`].
    pub commit_duration: HistogramVec,
    /// [`table::TASK_REBALANCES`].
    pub rebalances: IntCounterVec,
    /// [`table::TASK_ASSIGNED_PARTITIONS`].
    pub assigned_partitions: IntGaugeVec,
    /// [`table::TASK_PROCESSING`].
    pub processing: HistogramVec,
    /// [`table::TASK_DUPLICATES`].
    pub duplicates: IntCounterVec,
    /// [`table::TASK_DEAD_LETTERS`].
    pub dead_letters: IntCounterVec,
    /// [`table::TASK_RETRIES`].
    pub retries: IntCounterVec,
    /// [`table::TASK_ERRORS`].
    pub errors: IntCounterVec,
}

impl OwnMetrics {
    /// Returns a registry of its own with every family of [`table::TABLE`] that this process counts.
    pub fn new(librdkafka_version: &str) -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(ProcessCollector::for_self()))
            .expect("the only collector of `process_*`");
        let families = Families::of_process(&registry);
        let build_info = families.gauge_vec(&table::BUILD_INFO);
        build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION"), librdkafka_version])
            .set(1);
        Self {
            http: HttpMetrics {
                requests: families.counter_vec(&table::HTTP_REQUESTS),
                duration: families.histogram_vec(&table::HTTP_REQUEST_DURATION),
                connections: families.gauge(&table::HTTP_CONNECTIONS),
                rejected: families.counter(&table::HTTP_REJECTED),
                tls_handshake_errors: families.counter(&table::HTTP_TLS_HANDSHAKE_ERRORS),
                event_streams: families.gauge(&table::HTTP_EVENT_STREAMS),
                event_streams_dropped: families.counter_vec(&table::HTTP_EVENT_STREAMS_DROPPED),
            },
            task: TaskMetrics {
                messages: families.counter_vec(&table::TASK_MESSAGES),
                commits: families.counter_vec(&table::TASK_COMMITS),
                commit_duration: families.histogram_vec(&table::TASK_COMMIT_DURATION),
                rebalances: families.counter_vec(&table::TASK_REBALANCES),
                assigned_partitions: families.gauge_vec(&table::TASK_ASSIGNED_PARTITIONS),
                processing: families.histogram_vec(&table::TASK_PROCESSING),
                duplicates: families.counter_vec(&table::TASK_DUPLICATES),
                dead_letters: families.counter_vec(&table::TASK_DEAD_LETTERS),
                retries: families.counter_vec(&table::TASK_RETRIES),
                errors: families.counter_vec(&table::TASK_ERRORS),
            },
            clusters: Arc::default(),
            registry,
        }
    }

    /// Returns the registry, to be encoded.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the HTTP server's counters.
    pub fn http(&self) -> &HttpMetrics {
        &self.http
    }

    /// Returns the task consumer's counters.
    pub fn task(&self) -> &TaskMetrics {
        &self.task
    }

    /// Returns the counters of one cluster's collector: always the same ones, until the cluster is forgotten.
    pub fn cluster(&self, cluster: Option<&ClusterName>) -> ClusterMetrics {
        let mut clusters = self.clusters();
        let known = clusters.entry(label(cluster));
        let metrics = known.or_insert_with_key(|label| {
            let families = Families::of_cluster(&self.registry, label);
            ClusterMetrics::new(&families)
        });
        metrics.clone()
    }

    /// Shows the counters of a cluster no more: it is watched no more. Should it come back, they begin anew.
    pub fn forget_cluster(&self, cluster: Option<&ClusterName>) {
        let mut clusters = self.clusters();
        let Some(metrics) = clusters.remove(&label(cluster)) else {
            return;
        };
        for family in metrics.collectors() {
            self.registry
                .unregister(family)
                .expect("registered when the cluster became known");
        }
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<String, ClusterMetrics>> {
        // What panics while it is held is a bug of the table, and then nothing was inserted.
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClusterMetrics {
    fn new(families: &Families<'_>) -> Self {
        Self {
            series_dropped: families.counter_vec(&table::SERIES_DROPPED),
            polls: families.counter_vec(&table::POLLS),
            poll_duration: families.histogram_vec(&table::POLL_DURATION),
            errors: families.counter_vec(&table::ERRORS),
            group_collection_errors: families.counter_vec(&table::GROUP_COLLECTION_ERRORS),
            kafka_requests: families.counter_vec(&table::KAFKA_REQUESTS),
            stream_records: families.counter_vec(&table::STREAM_RECORDS),
            stream_bytes: families.counter_vec(&table::STREAM_BYTES),
            stream_gaps: families.counter_vec(&table::STREAM_GAPS),
            stream_drift: families.counter_vec(&table::STREAM_DRIFT),
        }
    }

    /// Returns every family, as the registry knows it.
    fn collectors(self) -> [Box<dyn Collector>; 10] {
        let Self {
            series_dropped,
            polls,
            poll_duration,
            errors,
            group_collection_errors,
            kafka_requests,
            stream_records,
            stream_bytes,
            stream_gaps,
            stream_drift,
        } = self;
        [
            Box::new(series_dropped),
            Box::new(polls),
            Box::new(poll_duration),
            Box::new(errors),
            Box::new(group_collection_errors),
            Box::new(kafka_requests),
            Box::new(stream_records),
            Box::new(stream_bytes),
            Box::new(stream_gaps),
            Box::new(stream_drift),
        ]
    }

    /// [`table::SERIES_DROPPED`].
    pub fn series_dropped(&self) -> IntCounter {
        self.series_dropped.with_label_values::<&str>(&[])
    }

    /// [`table::STREAM_RECORDS`] of that kind.
    pub fn stream_records(&self, kind: &str) -> IntCounter {
        self.stream_records.with_label_values(&[kind])
    }

    /// [`table::STREAM_BYTES`].
    pub fn stream_bytes(&self) -> IntCounter {
        self.stream_bytes.with_label_values::<&str>(&[])
    }

    /// [`table::STREAM_GAPS`].
    pub fn stream_gaps(&self) -> IntCounter {
        self.stream_gaps.with_label_values::<&str>(&[])
    }

    /// [`table::STREAM_DRIFT`].
    pub fn stream_drift(&self) -> IntCounter {
        self.stream_drift.with_label_values::<&str>(&[])
    }

    /// [`table::POLLS`] of that result.
    pub fn polls(&self, result: &str) -> IntCounter {
        self.polls.with_label_values(&[result])
    }

    /// [`table::POLL_DURATION`] of that phase.
    pub fn poll_duration(&self, phase: &str) -> Histogram {
        self.poll_duration.with_label_values(&[phase])
    }

    /// [`table::ERRORS`] of that operation and error.
    pub fn errors(&self, operation: &str, error: &str) -> IntCounter {
        self.errors.with_label_values(&[operation, error])
    }

    /// [`table::GROUP_COLLECTION_ERRORS`].
    pub fn group_collection_errors(&self) -> IntCounter {
        self.group_collection_errors.with_label_values::<&str>(&[])
    }

    /// [`table::KAFKA_REQUESTS`] of that API.
    pub fn kafka_requests(&self, api: &str) -> IntCounter {
        self.kafka_requests.with_label_values(&[api])
    }
}

/// Makes families from the table and registers them.
struct Families<'a> {
    registry: &'a Registry,
    /// The label `cluster`, where they are a cluster's.
    cluster: Option<&'a str>,
}

impl<'a> Families<'a> {
    fn of_process(registry: &'a Registry) -> Self {
        let cluster = None;
        Self { registry, cluster }
    }

    fn of_cluster(registry: &'a Registry, cluster: &'a str) -> Self {
        let cluster = Some(cluster);
        Self { registry, cluster }
    }

    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let family = made.expect("a name and labels of the table, which a test checks");
        self.registry
            .register(Box::new(family.clone()))
            .expect("each family of the table is registered once, and once for each cluster");
        family
    }

    fn counter(&self, metric: &Metric) -> IntCounter {
        self.register(IntCounter::with_opts(self.opts(metric)))
    }

    fn counter_vec(&self, metric: &Metric) -> IntCounterVec {
        self.register(IntCounterVec::new(self.opts(metric), metric.labels))
    }

    fn gauge(&self, metric: &Metric) -> IntGauge {
        self.register(IntGauge::with_opts(self.opts(metric)))
    }

    fn gauge_vec(&self, metric: &Metric) -> IntGaugeVec {
        self.register(IntGaugeVec::new(self.opts(metric), metric.labels))
    }

    fn histogram_vec(&self, metric: &Metric) -> HistogramVec {
        let opts = HistogramOpts {
            common_opts: self.opts(metric),
            buckets: DURATION_BUCKETS.to_vec(),
        };
        self.register(HistogramVec::new(opts, metric.labels))
    }

    fn opts(&self, metric: &Metric) -> Opts {
        let opts = Opts::new(metric.name, metric.help);
        match self.cluster {
            Some(cluster) => opts.const_label("cluster", cluster),
            None => opts,
        }
    }
}

fn label(cluster: Option<&ClusterName>) -> String {
    cluster.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the values of the label `cluster` of a family, in the order of exposition.
    fn clusters(own: &OwnMetrics, metric: &Metric) -> Vec<String> {
        let families = own.registry().gather();
        let family = families.iter().find(|family| family.name() == metric.name);
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        let labels = metrics.iter().flat_map(|metric| metric.get_label());
        labels
            .filter(|pair| pair.name() == "cluster")
            .map(|pair| pair.value().to_owned())
            .collect()
    }

    #[test]
    fn a_cluster_that_is_forgotten_shows_no_series_and_the_others_stay() {
        let own = OwnMetrics::new("test");
        let names = [Some(ClusterName::from("a")), Some("b".into()), None];
        for name in &names {
            let metrics = own.cluster(name.as_ref());
            metrics.polls("complete").inc();
            metrics.poll_duration("total").observe(0.1);
        }
        assert_eq!(clusters(&own, &table::POLLS), ["", "a", "b"]);
        own.forget_cluster(names[0].as_ref());
        assert_eq!(clusters(&own, &table::POLLS), ["", "b"]);
        assert_eq!(clusters(&own, &table::POLL_DURATION), ["", "b"]);
        own.forget_cluster(None);
        assert_eq!(clusters(&own, &table::POLLS), ["b"]);
    }

    #[test]
    fn what_is_counted_late_shows_nowhere_also_when_the_cluster_is_back() {
        let own = OwnMetrics::new("test");
        let name = ClusterName::from("a");
        let late = own.cluster(Some(&name));
        own.forget_cluster(Some(&name));
        late.kafka_requests("Metadata").inc();
        assert_eq!(clusters(&own, &table::KAFKA_REQUESTS), [""; 0]);
        let back = own.cluster(Some(&name));
        back.kafka_requests("Metadata").inc();
        late.kafka_requests("Metadata").inc();
        let shown = own.cluster(Some(&name)).kafka_requests("Metadata");
        assert_eq!(shown.get(), 1);
        assert_eq!(clusters(&own, &table::KAFKA_REQUESTS), ["a"]);
    }
}
