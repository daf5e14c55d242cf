//! librdkafka's mock cluster: brokers that speak the real protocol on loopback.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::slice;

use rdkafka_sys as sys;

use super::codes::{self, NativeError};
use super::conf::Conf;
use super::handle::{ClientType, Handle};
use super::text;

// As in the bindings, but with codes as numbers: they are ours to choose.
unsafe extern "C" {
    fn rd_kafka_mock_push_request_errors_array(
        cluster: *mut sys::rd_kafka_mock_cluster_t,
        api: i16,
        count: usize,
        errors: *const c_int,
    );
    fn rd_kafka_mock_broker_push_request_error_rtts(
        cluster: *mut sys::rd_kafka_mock_cluster_t,
        broker: i32,
        api: i16,
        count: usize,
        ...
    ) -> c_int;
}

/// librdkafka's code for failures without a code of their own.
const FAIL: i32 = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__FAIL as i32;

/// How long a new group waits for more members.
const FIRST_REBALANCE_MS: i32 = 100;

/// A mock cluster and the client that is its home. Dropping it closes every connection and waits for its thread.
pub(in crate::kafka) struct MockCluster {
    cluster: NonNull<sys::rd_kafka_mock_cluster_t>,
    /// Dropped after the cluster: `drop` destroys that first.
    _home: Handle,
}

// SAFETY: the cluster runs on a thread of its own. What changes it takes its lock, or is an operation that its thread
// performs while the caller waits; neither cares which thread the caller is.
unsafe impl Send for MockCluster {}
// SAFETY: as above: callers are ordered by the lock or by the queue of operations.
unsafe impl Sync for MockCluster {}

impl MockCluster {
    /// Starts a cluster whose brokers have the ids 1 to `brokers`.
    pub(in crate::kafka) fn start(brokers: i32) -> Result<Self, NativeError> {
        let mut conf = Conf::new();
        // Its own client never connects; what it would say concerns nobody.
        conf.set("log_level", "0")
            .expect("a property of librdkafka");
        let home = Handle::new(conf, ClientType::Producer).map_err(|message| NativeError {
            code: FAIL,
            message,
        })?;
        // SAFETY: the client is live and outlives the cluster.
        let cluster = unsafe { sys::rd_kafka_mock_cluster_new(home.as_ptr(), brokers) };
        let cluster = NonNull::new(cluster).ok_or_else(|| NativeError {
            code: FAIL,
            message: format!("a mock cluster of {brokers} brokers could not be started"),
        })?;
        // The default keeps the first member of a group waiting for three seconds.
        // SAFETY: the cluster was made above and is live.
        unsafe {
            sys::rd_kafka_mock_group_initial_rebalance_delay_ms(
                cluster.as_ptr(),
                FIRST_REBALANCE_MS,
            );
        }
        Ok(Self {
            cluster,
            _home: home,
        })
    }

    pub(in crate::kafka) fn bootstrap_servers(&self) -> String {
        // SAFETY: the cluster is live; the string is written once, when it starts.
        let servers = unsafe { sys::rd_kafka_mock_cluster_bootstraps(self.as_ptr()) };
        // SAFETY: a string owned by the cluster, copied here.
        unsafe { text::lossy(servers) }
    }

    pub(in crate::kafka) fn create_topic(
        &self,
        topic: &str,
        partitions: i32,
        replication: i32,
    ) -> Result<(), NativeError> {
        let topic = text::c_string(topic);
        // SAFETY: the cluster is live; the string is copied.
        succeeded(unsafe {
            sys::rd_kafka_mock_topic_create(self.as_ptr(), topic.as_ptr(), partitions, replication)
        })
    }

    /// Makes the next requests of `api` fail, one error each, wherever they arrive; 0 lets one pass.
    pub(in crate::kafka) fn push_errors(&self, api: i16, errors: &[c_int]) {
        // SAFETY: the cluster is live; the array is copied.
        unsafe {
            rd_kafka_mock_push_request_errors_array(
                self.as_ptr(),
                api,
                errors.len(),
                errors.as_ptr(),
            );
        }
    }

    /// Makes one broker answer the next request of `api` only after `delay_ms`.
    pub(in crate::kafka) fn push_broker_delay(
        &self,
        broker: i32,
        api: i16,
        delay_ms: i32,
    ) -> Result<(), NativeError> {
        let (one, no_error): (usize, c_int) = (1, 0);
        // SAFETY: the cluster is live; the count is followed by that many pairs of error and delay.
        let code = unsafe {
            rd_kafka_mock_broker_push_request_error_rtts(
                self.as_ptr(),
                broker,
                api,
                one,
                no_error,
                delay_ms,
            )
        };
        match code {
            0 => Ok(()),
            code => Err(NativeError::of(code)),
        }
    }

    pub(in crate::kafka) fn set_broker_down(&self, broker: i32) -> Result<(), NativeError> {
        // SAFETY: the cluster is live.
        succeeded(unsafe { sys::rd_kafka_mock_broker_set_down(self.as_ptr(), broker) })
    }

    pub(in crate::kafka) fn set_broker_up(&self, broker: i32) -> Result<(), NativeError> {
        // SAFETY: the cluster is live.
        succeeded(unsafe { sys::rd_kafka_mock_broker_set_up(self.as_ptr(), broker) })
    }

    pub(in crate::kafka) fn set_round_trip(&self, broker: i32, ms: i32) -> Result<(), NativeError> {
        // SAFETY: the cluster is live.
        succeeded(unsafe { sys::rd_kafka_mock_broker_set_rtt(self.as_ptr(), broker, ms) })
    }

    pub(in crate::kafka) fn set_coordinator(
        &self,
        group: &str,
        broker: i32,
    ) -> Result<(), NativeError> {
        let group = text::c_string(group);
        // SAFETY: the cluster is live; the strings are copied.
        succeeded(unsafe {
            sys::rd_kafka_mock_coordinator_set(
                self.as_ptr(),
                c"group".as_ptr(),
                group.as_ptr(),
                broker,
            )
        })
    }

    /// Makes a broker the leader of a partition; -1 leaves it without one.
    pub(in crate::kafka) fn set_leader(
        &self,
        topic: &str,
        partition: i32,
        broker: i32,
    ) -> Result<(), NativeError> {
        let topic = text::c_string(topic);
        // SAFETY: the cluster is live; the string is copied.
        succeeded(unsafe {
            sys::rd_kafka_mock_partition_set_leader(
                self.as_ptr(),
                topic.as_ptr(),
                partition,
                broker,
            )
        })
    }

    pub(in crate::kafka) fn start_tracking(&self) {
        // SAFETY: the cluster is live.
        unsafe { sys::rd_kafka_mock_start_request_tracking(self.as_ptr()) };
    }

    pub(in crate::kafka) fn clear_requests(&self) {
        // SAFETY: the cluster is live.
        unsafe { sys::rd_kafka_mock_clear_requests(self.as_ptr()) };
    }

    /// Returns the requests tracked: broker and API of each, in the order they arrived.
    pub(in crate::kafka) fn requests(&self) -> Vec<(i32, i16)> {
        let mut count = 0;
        // SAFETY: the cluster is live; array and elements are copies that this function owns.
        let array = unsafe { sys::rd_kafka_mock_get_requests(self.as_ptr(), &raw mut count) };
        if array.is_null() {
            return Vec::new();
        }
        // SAFETY: the array and its length as just returned.
        let elements = unsafe { slice::from_raw_parts(array, count) };
        let requests = elements
            .iter()
            .map(|&request| {
                // SAFETY: an element of the array is live.
                let broker = unsafe { sys::rd_kafka_mock_request_id(request) };
                // SAFETY: as above.
                let api = unsafe { sys::rd_kafka_mock_request_api_key(request) };
                (broker, api)
            })
            .collect();
        // SAFETY: array and elements are owned and destroyed once; `requests` does not refer to them.
        unsafe { sys::rd_kafka_mock_request_destroy_array(array, count) };
        requests
    }

    fn as_ptr(&self) -> *mut sys::rd_kafka_mock_cluster_t {
        self.cluster.as_ptr()
    }
}

impl Drop for MockCluster {
    fn drop(&mut self) {
        // SAFETY: owned, and destroyed once, before the client it lives on.
        unsafe { sys::rd_kafka_mock_cluster_destroy(self.cluster.as_ptr()) };
    }
}

/// Reads a code that the mock cluster made itself, which is always one the bindings know.
fn succeeded(code: sys::rd_kafka_resp_err_t) -> Result<(), NativeError> {
    // SAFETY: a local, readable as a number.
    unsafe { codes::of_field(&raw const code) }
}
