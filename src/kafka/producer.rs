//! Writes records and waits for their delivery.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::message::{Header as RdHeader, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::consumer::Header;
use super::log::{ClientLog, log_level};
use super::{Connection, ConnectionError, ErrorCode, KafkaError};
use crate::lag::{PartitionId, TopicName};

/// How a [`Producer`] produces.
#[derive(Clone, Debug)]
pub struct ProducerConfig {
    /// The name Kafka shows for this client.
    pub client_id: String,
    /// How long librdkafka tries to deliver a record.
    pub delivery_timeout: Duration,
    /// Whether a retried write may come twice or out of order.
    pub order: WriteOrder,
}

/// What a retry inside librdkafka may do to the order of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOrder {
    /// Idempotent writes: each record once, in order.
    Kept,
    /// A retried record may come again, or later.
    Any,
}

/// A record to be written.
#[derive(Clone, Debug)]
pub struct OutgoingRecord {
    /// The topic.
    pub topic: TopicName,
    /// The partition; nothing: by the hash of the key.
    pub partition: Option<PartitionId>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}

/// Why no producer could be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The properties are wrong.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// librdkafka refuses.
    #[error("making a Kafka producer")]
    Create {
        /// In librdkafka's words.
        #[source]
        source: KafkaError,
    },
}

/// Writes records. Cheap to clone; the last clone's drop gives the connection up.
#[derive(Clone)]
pub struct Producer {
    client: Arc<Client>,
}

/// librdkafka's producer, which must not be dropped on an async worker: that joins its thread.
struct Client {
    /// Present until dropped.
    inner: Option<FutureProducer<ProducerContext>>,
    /// Cancelled when librdkafka is destroyed.
    gone: CancellationToken,
}

/// Routes librdkafka's own log.
#[derive(Default)]
struct ProducerContext(Mutex<ClientLog>);

impl Producer {
    /// Makes a producer; a cluster that is away is retried in the background.
    ///
    /// # Errors
    ///
    /// When the properties are refused.
    pub fn connect(
        connection: &Connection,
        config: &ProducerConfig,
    ) -> Result<Self, ProducerError> {
        let mut properties = connection.client_config()?;
        let defaults = BTreeMap::from([
            ("client.id", config.client_id.clone()),
            (
                "message.timeout.ms",
                config.delivery_timeout.as_millis().to_string(),
            ),
            ("linger.ms", "5".to_owned()),
            (
                "enable.idempotence",
                (config.order == WriteOrder::Kept).to_string(),
            ),
        ]);
        for (name, value) in defaults {
            if !connection.properties.contains_key(name) {
                properties.set(name, value);
            }
        }
        properties.set_log_level(log_level(connection));
        let client = properties
            .create_with_context(ProducerContext::default())
            .map_err(|source: rdkafka::error::KafkaError| ProducerError::Create {
                source: KafkaError::from(&source),
            })?;
        Ok(Self {
            client: Arc::new(Client {
                inner: Some(client),
                gone: CancellationToken::new(),
            }),
        })
    }

    /// Hands the record to librdkafka, and returns the wait for its delivery, which may be dropped at any time.
    ///
    /// # Errors
    ///
    /// When librdkafka does not take the record at all, such as when it holds too many.
    pub fn enqueue(
        &self,
        record: OutgoingRecord,
    ) -> Result<impl Future<Output = Result<(), KafkaError>> + Send + 'static, KafkaError> {
        let OutgoingRecord {
            topic,
            partition,
            key,
            value,
            headers,
        } = record;
        let mut outgoing = FutureRecord::<[u8], [u8]>::to(topic.as_str());
        outgoing.partition = partition.map(|partition| partition.0);
        outgoing.key = key.as_deref();
        outgoing.payload = value.as_deref();
        if !headers.is_empty() {
            outgoing.headers = Some(native_headers(&headers));
        }
        let delivery = self
            .client
            .inner()
            .send_result(outgoing)
            .map_err(|(error, _)| KafkaError::from(&error))?;
        Ok(async move {
            match delivery.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err((error, _))) => Err(KafkaError::from(&error)),
                Err(_) => Err(KafkaError::of(ErrorCode::DESTROY)),
            }
        })
    }

    /// Writes a record and waits until Kafka has it.
    ///
    /// # Errors
    ///
    /// When it could not be delivered within the delivery timeout.
    pub async fn send(&self, record: OutgoingRecord) -> Result<(), KafkaError> {
        self.enqueue(record)?.await
    }

    /// Gives the connection up and waits until it is gone, for `patience` at most or while another clone lives.
    ///
    /// What is still under way is not sent. A process that uses TLS should not exit before.
    pub async fn close(self, patience: Duration) {
        let gone = self.client.gone.clone();
        drop(self);
        // Gone or not: there is nothing more to do.
        let _ = timeout(patience, gone.cancelled()).await;
    }
}

fn native_headers(headers: &[Header]) -> OwnedHeaders {
    headers.iter().fold(
        OwnedHeaders::new_with_capacity(headers.len()),
        |native, Header { name, value }| {
            native.insert(RdHeader {
                key: name,
                value: value.as_ref(),
            })
        },
    )
}

impl Client {
    fn inner(&self) -> &FutureProducer<ProducerContext> {
        self.inner.as_ref().expect("taken only while it is dropped")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let (client, gone) = (self.inner.take(), self.gone.clone().drop_guard());
        // Without a thread to spare it is dropped here, slowly.
        let _ = std::thread::Builder::new()
            .name("kafka-goodbye".into())
            .spawn(move || {
                drop(client);
                drop(gone);
            });
    }
}

impl ClientContext for ProducerContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.line(level as i32, facility, message, Instant::now());
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        // What it means for a record comes with the record's delivery.
        debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::EmbeddedCluster;

    #[tokio::test]
    async fn closing_waits_for_the_end_of_the_connection_which_the_last_clone_holds() {
        let cluster = EmbeddedCluster::start(1).expect("an embedded cluster starts anywhere");
        let config = ProducerConfig {
            client_id: "test".to_owned(),
            delivery_timeout: Duration::from_secs(10),
            order: WriteOrder::Any,
        };
        let one = Producer::connect(&cluster.connection(), &config).expect("sound properties");
        let (other, gone) = (one.clone(), one.client.gone.clone());
        one.close(Duration::from_millis(10)).await;
        assert!(!gone.is_cancelled(), "the other one may still write");
        other.close(Duration::from_secs(60)).await;
        assert!(gone.is_cancelled());
    }
}
