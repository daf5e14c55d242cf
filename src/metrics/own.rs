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

/// Declares handles: a family for each of some metrics of the table.
macro_rules! handles {
    ($(#[$doc:meta])* pub struct $name:ident { $( $visible:vis $field:ident: $family:ident = $metric:ident; )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $(
                #[doc = concat!("[`table::", stringify!($metric), "`].")]
                $visible $field: $family,
            )*
        }

        impl $name {
            /// Registers the families; `cluster` is the value of their label of that name.
            fn new(registry: &Registry, cluster: Option<&str>) -> Self {
                let handles = Self { $( $field: OwnFamily::of(&table::$metric, cluster), )* };
                for family in handles.families() {
                    registry
                        .register(family)
                        .expect("each family of the table is registered once, and once for each cluster");
                }
                handles
            }

            /// Returns every family, as the registry knows it.
            fn families(&self) -> Vec<Box<dyn Collector>> {
                vec![$( Box::new(self.$field.clone()) ),*]
            }
        }
    };
}

handles! {
    /// Counters of one cluster's collector.
    ///
    /// Each cluster has families of its own, with its name as a fixed label: what is counted after the cluster is forgotten,
    /// such as by a client that still ends, shows nowhere. A cluster without a name has the label's value empty, which
    /// exposition leaves out.
    pub struct ClusterMetrics {
        series_dropped: IntCounterVec = SERIES_DROPPED;
        polls: IntCounterVec = POLLS;
        poll_duration: HistogramVec = POLL_DURATION;
        errors: IntCounterVec = ERRORS;
        group_collection_errors: IntCounterVec = GROUP_COLLECTION_ERRORS;
        kafka_requests: IntCounterVec = KAFKA_REQUESTS;
        stream_records: IntCounterVec = STREAM_RECORDS;
        stream_bytes: IntCounterVec = STREAM_BYTES;
        stream_gaps: IntCounterVec = STREAM_GAPS;
        stream_drift: IntCounterVec = STREAM_DRIFT;
    }
}

handles! {
    /// Counters of the HTTP server.
    pub struct HttpMetrics {
        pub requests: IntCounterVec = HTTP_REQUESTS;
        pub duration: HistogramVec = HTTP_REQUEST_DURATION;
        pub connections: IntGauge = HTTP_CONNECTIONS;
        pub rejected: IntCounter = HTTP_REJECTED;
        pub tls_handshake_errors: IntCounter = HTTP_TLS_HANDSHAKE_ERRORS;
        pub event_streams: IntGauge = HTTP_EVENT_STREAMS;
        pub event_streams_dropped: IntCounterVec = HTTP_EVENT_STREAMS_DROPPED;
    }
}

handles! {
    /// Counters of the task consumer.
    pub struct TaskMetrics {
        pub messages: IntCounterVec = TASK_MESSAGES;
        pub commits: IntCounterVec = TASK_COMMITS;
        pub commit_duration: HistogramVec = TASK_COMMIT_DURATION;
        pub rebalances: IntCounterVec = TASK_REBALANCES;
        pub assigned_partitions: IntGaugeVec = TASK_ASSIGNED_PARTITIONS;
        pub processing: HistogramVec = TASK_PROCESSING;
        pub duplicates: IntCounterVec = TASK_DUPLICATES;
        pub dead_letters: IntCounterVec = TASK_DEAD_LETTERS;
        pub retries: IntCounterVec = TASK_RETRIES;
        pub errors: IntCounterVec = TASK_ERRORS;
    }
}

impl OwnMetrics {
    /// Returns a registry of its own with every family of [`table::TABLE`] that this process counts.
    pub fn new(librdkafka_version: &str) -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(ProcessCollector::for_self()))
            .expect("the only collector of `process_*`");
        let build_info: IntGaugeVec = OwnFamily::of(&table::BUILD_INFO, None);
        build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION"), librdkafka_version])
            .set(1);
        registry
            .register(Box::new(build_info))
            .expect("the only family of its name");
        Self {
            http: HttpMetrics::new(&registry, None),
            task: TaskMetrics::new(&registry, None),
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
        known
            .or_insert_with_key(|label| ClusterMetrics::new(&self.registry, Some(label)))
            .clone()
    }

    /// Shows the counters of a cluster no more: it is watched no more. Should it come back, they begin anew.
    pub fn forget_cluster(&self, cluster: Option<&ClusterName>) {
        let mut clusters = self.clusters();
        let Some(metrics) = clusters.remove(&label(cluster)) else {
            return;
        };
        for family in metrics.families() {
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

/// Declares methods that return what a family counts under the given values of its labels.
macro_rules! counted_by {
    ($name:ident { $( $field:ident($($label:ident),*) -> $counter:ident; )* }) => {
        impl $name {
            $(
                #[doc = concat!("Counts into the family `", stringify!($field), "`, under these values of its labels.")]
                pub fn $field(&self, $($label: &str),*) -> $counter {
                    self.$field.with_label_values::<&str>(&[$($label),*])
                }
            )*
        }
    };
}

counted_by! {
    ClusterMetrics {
        series_dropped() -> IntCounter;
        polls(result) -> IntCounter;
        poll_duration(phase) -> Histogram;
        errors(operation, error) -> IntCounter;
        group_collection_errors() -> IntCounter;
        kafka_requests(api) -> IntCounter;
        stream_records(kind) -> IntCounter;
        stream_bytes() -> IntCounter;
        stream_gaps() -> IntCounter;
        stream_drift() -> IntCounter;
    }
}

/// A family of the table.
trait OwnFamily: Sized {
    fn made(opts: Opts, labels: &[&str]) -> prometheus::Result<Self>;

    fn of(metric: &Metric, cluster: Option<&str>) -> Self {
        let opts = Opts::new(metric.name, metric.help);
        let opts = match cluster {
            Some(cluster) => opts.const_label("cluster", cluster),
            None => opts,
        };
        Self::made(opts, metric.labels)
            .expect("a name and labels of the table, which a test checks")
    }
}

impl OwnFamily for IntCounter {
    fn made(opts: Opts, _: &[&str]) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl OwnFamily for IntCounterVec {
    fn made(opts: Opts, labels: &[&str]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl OwnFamily for IntGauge {
    fn made(opts: Opts, _: &[&str]) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl OwnFamily for IntGaugeVec {
    fn made(opts: Opts, labels: &[&str]) -> prometheus::Result<Self> {
        Self::new(opts, labels)
    }
}

impl OwnFamily for HistogramVec {
    fn made(common_opts: Opts, labels: &[&str]) -> prometheus::Result<Self> {
        let buckets = DURATION_BUCKETS.to_vec();
        let opts = HistogramOpts {
            common_opts,
            buckets,
        };
        Self::new(opts, labels)
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
