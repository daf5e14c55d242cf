//! Why a task consumer or a task producer ends.

use std::time::Duration;

use thiserror::Error;

use super::audit::AuditError;
use crate::kafka::{ConsumerError, KafkaError, ProducerError};

/// Why the task consumer or producer could not start, or could not go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// There is nothing to subscribe to.
    #[error("no topic to consume")]
    NoTopic,
    /// The audit log cannot be written: nothing was consumed, or nothing more can be.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The consumer could not be made.
    #[error(transparent)]
    Consumer(#[from] ConsumerError),
    /// The producer could not be made.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// librdkafka abandoned the client.
    #[error("the Kafka client cannot go on")]
    Fatal {
        /// In librdkafka's words.
        #[source]
        source: KafkaError,
    },
    /// The shutdown took longer than it may. What was not committed will be delivered again.
    #[error("the shutdown took longer than {period:?}")]
    GracePeriod {
        /// How long it may take.
        period: Duration,
    },
    /// Records could not be read from the input.
    #[error("reading records from the input")]
    Input {
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}
