//! Safe, asynchronous Kafka. The only place that names rdkafka; `kafka::native` is the only place with `unsafe`.

pub mod admin;
pub mod api;
pub mod client;
pub mod connection;
pub mod consumer;
mod coordinators;
pub mod embedded;
pub mod error;
mod log;
pub mod log_reader;
mod native;
pub mod producer;
pub mod requests;
pub mod shard;
mod wire;

pub use admin::{
    Admin, Broker, GroupDescription, ListedGroup, ListedOffset, Metadata, OffsetQuery, OffsetSpec,
    PartitionMetadata, TopicSelection,
};
pub use api::Api;
pub use client::{KafkaAdmin, ReadRight};
pub use connection::{Connection, ConnectionError};
pub use consumer::{
    AutoCommit, Consumer, ConsumerConfig, ConsumerError, Header, Intake, OffsetReset, Record,
};
pub use embedded::{EmbeddedCluster, TrackedRequest};
pub use error::{ErrorCode, KafkaError};
pub use log_reader::{Found, Log, LogReader, LogRecord};
pub use native::{librdkafka_version, share_heaps, skip_tls_cleanup};
pub use producer::{Delivery, OutgoingRecord, Producer, ProducerConfig, ProducerError, WriteOrder};
pub use requests::RequestObserver;
pub use shard::{GroupShardMember, Hold, ShardEvent, ShardMember};
