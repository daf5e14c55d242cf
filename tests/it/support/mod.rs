//! What the tests share: a real Apache Kafka, a real Prometheus, the binary, a scrape as samples, waiting.
//!
//! ```ignore
//! #[test]
//! #[ignore = "needs Java 17 and Maven"]
//! fn lag_is_what_kafka_says() {
//!     let kafka = Kafka::shared();                          // one node for every test; names must be unique
//!     let orders = kafka.create_topic(&unique("orders"), 4);
//!     kafka.produce(&orders, 0, 10);
//!     let member = kafka.member(&unique("billing")).subscribe(&[&orders]).open();
//!     member.wait_for_partitions(4);
//!     member.consume(&orders, 0, 3);                        // reads three records, commits 3
//!     let lagwatch = Lagwatch::new("serve").args(["--bootstrap-server", &kafka.bootstrap_servers()]).start();
//!     wait_for("the lag", Duration::from_secs(20), || {
//!         lagwatch.scrape()?.value("kafka_consumergroup_lag", &[("topic", &orders), ("partition", "0")])
//!     });
//! }
//! ```
//!
//! A test that breaks nodes starts its own: `Kafka::builder().nodes(3).start()`, then `kill`, `restart`, `pause`,
//! `resume`. Everything started here dies with its test, also when the test process itself is killed.

mod cache;
mod certificates;
mod http;
mod kafka;
mod lagwatch;
mod lying_broker;
mod offsets_table;
// Whole, as the benchmarks start processes that the tests do not know.
pub(crate) mod process;
mod prometheus;
mod samples;
mod tools;
// The benchmarks use its clock.
pub(crate) mod vitals;
mod wait;

pub(crate) use certificates::{Authority, Credential};
pub(crate) use http::{Response, connect, get, get_over};
pub(crate) use kafka::{
    ConnectMember, Counts, End, Grant, GroupTruth, Kafka, KafkaVersion, Kind, Listener, ManyGroups,
    Member, NodeId, OffsetsLog, PrintedRecord, Protocol, RawIdentity, RawMember, Refusal, Secured,
    ShareMember, StreamsApp, StreamsOffsets, Truth, assignment, subscription,
};
pub(crate) use lagwatch::{Finished, Lagwatch, Running};
pub(crate) use lying_broker::{Answer, Api, Delivery, FakeBroker, Profile, Script};
pub(crate) use offsets_table::{OffsetsRow, offsets_table};
pub(crate) use process::{Scratch, Signal, free_port, run, unique};
pub(crate) use prometheus::{Alert, AlertState, Prometheus};
pub(crate) use samples::{Sample, Samples};
pub(crate) use tools::{compose, hadolint, helm, kubectl, validate};
pub(crate) use vitals::Vitals;
pub(crate) use wait::{eventually, wait_for};
