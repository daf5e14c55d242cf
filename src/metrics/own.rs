//! What this process counts about itself, as typed handles into one `prometheus` registry.

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
    clusters: ClusterFamilies,
}

/// The families of [`ClusterMetrics`]; a cluster without a name has the label's value empty, which exposition leaves out.
#[derive(Clone, Debug)]
struct ClusterFamilies {
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

/// Counters of one cluster's collector.
#[derive(Clone, Debug)]
pub struct ClusterMetrics {
    cluster: String,
    families: ClusterFamilies,
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
        let families = Families(&registry);
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
            clusters: ClusterFamilies {
                series_dropped: families.cluster_counter_vec(&table::SERIES_DROPPED),
                polls: families.cluster_counter_vec(&table::POLLS),
                poll_duration: families.cluster_histogram_vec(&table::POLL_DURATION),
                errors: families.cluster_counter_vec(&table::ERRORS),
                stream_records: families.cluster_counter_vec(&table::STREAM_RECORDS),
                stream_bytes: families.cluster_counter_vec(&table::STREAM_BYTES),
                stream_gaps: families.cluster_counter_vec(&table::STREAM_GAPS),
                stream_drift: families.cluster_counter_vec(&table::STREAM_DRIFT),
                group_collection_errors: families
                    .cluster_counter_vec(&table::GROUP_COLLECTION_ERRORS),
                kafka_requests: families.cluster_counter_vec(&table::KAFKA_REQUESTS),
            },
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

    /// Returns the counters of one cluster's collector.
    pub fn cluster(&self, cluster: Option<&ClusterName>) -> ClusterMetrics {
        ClusterMetrics {
            cluster: cluster.map(ToString::to_string).unwrap_or_default(),
            families: self.clusters.clone(),
        }
    }
}

impl ClusterMetrics {
    /// [`table::SERIES_DROPPED`].
    pub fn series_dropped(&self) -> IntCounter {
        self.families
            .series_dropped
            .with_label_values(&[&self.cluster])
    }

    /// [`table::STREAM_RECORDS`] of that kind.
    pub fn stream_records(&self, kind: &str) -> IntCounter {
        self.families
            .stream_records
            .with_label_values(&[self.cluster.as_str(), kind])
    }

    /// [`table::STREAM_BYTES`].
    pub fn stream_bytes(&self) -> IntCounter {
        self.families
            .stream_bytes
            .with_label_values(&[&self.cluster])
    }

    /// [`table::STREAM_GAPS`].
    pub fn stream_gaps(&self) -> IntCounter {
        self.families
            .stream_gaps
            .with_label_values(&[&self.cluster])
    }

    /// [`table::STREAM_DRIFT`].
    pub fn stream_drift(&self) -> IntCounter {
        self.families
            .stream_drift
            .with_label_values(&[&self.cluster])
    }

    /// [`table::POLLS`] of that result.
    pub fn polls(&self, result: &str) -> IntCounter {
        self.families
            .polls
            .with_label_values(&[self.cluster.as_str(), result])
    }

    /// [`table::POLL_DURATION`] of that phase.
    pub fn poll_duration(&self, phase: &str) -> Histogram {
        self.families
            .poll_duration
            .with_label_values(&[self.cluster.as_str(), phase])
    }

    /// [`table::ERRORS`] of that operation and error.
    pub fn errors(&self, operation: &str, error: &str) -> IntCounter {
        self.families
            .errors
            .with_label_values(&[self.cluster.as_str(), operation, error])
    }

    /// [`table::GROUP_COLLECTION_ERRORS`].
    pub fn group_collection_errors(&self) -> IntCounter {
        self.families
            .group_collection_errors
            .with_label_values(&[&self.cluster])
    }

    /// [`table::KAFKA_REQUESTS`] of that API.
    pub fn kafka_requests(&self, api: &str) -> IntCounter {
        self.families
            .kafka_requests
            .with_label_values(&[self.cluster.as_str(), api])
    }
}

/// Makes families from the table and registers them.
struct Families<'a>(&'a Registry);

impl Families<'_> {
    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let family = made.expect("a name and labels of the table, which a test checks");
        self.0
            .register(Box::new(family.clone()))
            .expect("each family of the table is registered once");
        family
    }

    fn counter(&self, metric: &Metric) -> IntCounter {
        self.register(IntCounter::with_opts(opts(metric)))
    }

    fn counter_vec(&self, metric: &Metric) -> IntCounterVec {
        self.register(IntCounterVec::new(opts(metric), metric.labels))
    }

    fn gauge(&self, metric: &Metric) -> IntGauge {
        self.register(IntGauge::with_opts(opts(metric)))
    }

    fn gauge_vec(&self, metric: &Metric) -> IntGaugeVec {
        self.register(IntGaugeVec::new(opts(metric), metric.labels))
    }

    fn histogram_vec(&self, metric: &Metric) -> HistogramVec {
        self.register(HistogramVec::new(histogram_opts(metric), metric.labels))
    }

    fn cluster_counter_vec(&self, metric: &Metric) -> IntCounterVec {
        self.register(IntCounterVec::new(opts(metric), &with_cluster(metric)))
    }

    fn cluster_histogram_vec(&self, metric: &Metric) -> HistogramVec {
        self.register(HistogramVec::new(
            histogram_opts(metric),
            &with_cluster(metric),
        ))
    }
}

fn with_cluster(metric: &Metric) -> Vec<&'static str> {
    let mut labels = vec!["cluster"];
    labels.extend(metric.labels);
    labels
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn histogram_opts(metric: &Metric) -> HistogramOpts {
    HistogramOpts::new(metric.name, metric.help).buckets(DURATION_BUCKETS.to_vec())
}
