//! Safe, asynchronous Kafka. The only place that names rdkafka; [`native`] is the only place with `unsafe`.

pub mod admin;
pub mod error;

pub use admin::{
    Admin, Broker, GroupDescription, ListedGroup, ListedOffset, Metadata, OffsetQuery, OffsetSpec,
    PartitionMetadata, TopicSelection,
};
pub use error::{ErrorCode, KafkaError};
