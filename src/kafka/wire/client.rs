//! What all requests to a cluster need: its brokers, and what is known of its groups.

use std::sync::Arc;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::common::Common;
use super::coordinators::Coordinators;
use super::endpoint::Endpoint;
use super::journal::ConnectionJournal;
use super::kinds::Kinds;
use super::message::{MetadataRequest, MetadataResponse};
use super::settings::Settings;
use crate::kafka::connection::Connection;
use crate::kafka::connection_error::ConnectionError;
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::kafka::requests::RequestObserver;
use crate::kafka::security::Security;
use crate::lag::TopicName;

/// The most brokers that are asked at once.
pub(super) const MOST_AT_ONCE: usize = 64;

/// The most brokers a cluster may have: a broker that names more is not believed.
const MOST_BROKERS: usize = 5_000;

/// A cluster, and what is known of its groups.
pub(super) struct WireClient {
    pub(super) cluster: Cluster,
    pub(super) coordinators: Coordinators,
    pub(super) kinds: Kinds,
}

impl WireClient {
    /// Returns a client that connects when it is asked something.
    ///
    /// # Errors
    ///
    /// Properties that are wrong or contradict each other, and bootstrap servers that are missing or malformed.
    pub(super) fn connect(
        connection: &Connection,
        requests: impl RequestObserver,
    ) -> Result<Self, ConnectionError> {
        connection.native_conf()?;
        let servers = connection.servers()?.into_iter();
        let bootstrap = servers.map(|(host, port)| Endpoint { host, port });
        let common = Common {
            settings: Settings::new(&connection.properties)?,
            security: Security::new(&connection.properties)?,
            requests: Box::new(requests),
            journal: ConnectionJournal::default(),
        };
        Ok(Self {
            cluster: Cluster::new(bootstrap.collect(), common),
            coordinators: Coordinators::default(),
            kinds: Kinds::default(),
        })
    }

    /// Asks for the live brokers where none are known.
    pub(super) async fn learn_brokers(&self, deadline: Instant) -> Result<(), KafkaError> {
        if !self.cluster.brokers().is_empty() {
            return Ok(());
        }
        let metadata = self.read_metadata(Some(Vec::new()), deadline).await?;
        if metadata.brokers.is_empty() {
            return Err(KafkaError::of(ErrorCode::ALL_BROKERS_DOWN));
        }
        Ok(())
    }

    /// Reads the brokers and topics, and takes the brokers over.
    pub(super) async fn read_metadata(
        &self,
        topics: Option<Vec<TopicName>>,
        deadline: Instant,
    ) -> Result<MetadataResponse, KafkaError> {
        let request = Arc::new(MetadataRequest { topics });
        let metadata = self.cluster.ask_any(request, deadline).await?;
        let count = metadata.brokers.len();
        if count > MOST_BROKERS {
            return Err(KafkaError {
                code: ErrorCode::BAD_MSG,
                message: format!(
                    "the metadata name {count} brokers; more than {MOST_BROKERS} are not believed"
                ),
            });
        }
        if count > 0 {
            if self.cluster.set_brokers(&metadata.brokers) {
                self.kinds.forget_unbatched();
            }
            let ids = metadata.brokers.iter().map(|broker| broker.id);
            self.coordinators.set_brokers(ids.collect());
        }
        Ok(metadata)
    }
}

/// Returns whether a broker could not be asked at all, so that another one may answer instead.
pub(super) fn is_unreachable(code: ErrorCode) -> bool {
    code.is_timeout()
        || matches!(
            code,
            ErrorCode::TRANSPORT
                | ErrorCode::RESOLVE
                | ErrorCode::ALL_BROKERS_DOWN
                | ErrorCode::UNKNOWN_BROKER
                | ErrorCode::SSL
                | ErrorCode::AUTHENTICATION
                | ErrorCode::SASL_AUTHENTICATION_FAILED
                | ErrorCode::BAD_MSG
        )
}
