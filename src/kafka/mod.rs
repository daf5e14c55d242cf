//! Safe, asynchronous Kafka: a client that reads clusters, and clients that consume and produce.
//!
//! `kafka::wire` is the admin client: it speaks Kafka's own protocol, in safe Rust, over connections that `kafka::security`
//! secures. Everything else that talks to a broker is librdkafka: the consumer, the producer, the reader of
//! `__consumer_offsets` and the member of a shard group. This is the only place that names rdkafka; `kafka::native` is the
//! only place with `unsafe`.

pub mod admin;
pub mod api;
mod client_error;
pub mod committed;
pub mod connection;
mod connection_error;
pub mod consumer;
pub mod embedded;
pub mod error;
mod log;
pub mod log_reader;
mod native;
pub mod producer;
pub mod requests;
mod security;
pub mod shard;
mod wire;

pub use admin::{
    Admin, Broker, GroupDescription, GroupQuery, ListedGroup, ListedOffset, MalformedMembers,
    Metadata, OffsetQuery, OffsetSpec, PartitionMetadata, TopicSelection,
};
pub use api::Api;
pub use committed::CommittedOffsets;
pub use connection::Connection;
pub use connection_error::ConnectionError;
pub use consumer::{
    AutoCommit, Consumer, ConsumerConfig, ConsumerError, ConsumerRecord, Header, Intake,
    OffsetReset,
};
pub use embedded::{EmbeddedCluster, TrackedRequest};
pub use error::{ErrorCode, KafkaError};
pub use log_reader::{Log, LogEvent, LogReader};
pub use native::fetch::LogRecord;
pub use native::{librdkafka_version, share_heaps, skip_tls_cleanup};
pub use producer::{OutgoingRecord, Producer, ProducerConfig, ProducerError, WriteOrder};
pub use requests::RequestObserver;
pub use shard::{GroupShardMember, Hold, ShardEvent, ShardMember};
pub use wire::{KafkaAdmin, ReadRight};
