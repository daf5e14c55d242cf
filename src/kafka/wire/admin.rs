//! The questions of [`Admin`], answered by brokers over connections of lagwatch's own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use tracing::debug;

use super::client::{MOST_AT_ONCE, WireClient, is_unreachable};
use super::cluster::Use;
use super::message::{self, MetadataResponse, TopicMetadata};
use super::rights::{self, ReadRight};
use super::{groups, logs};
use crate::kafka::admin::{
    Admin, GroupDescription, GroupQuery, ListedGroup, ListedOffset, Metadata, OffsetQuery,
    TopicSelection,
};
use crate::kafka::committed::CommittedOffsets;
use crate::kafka::connection::Connection;
use crate::kafka::connection_error::ConnectionError;
use crate::kafka::error::KafkaError;
use crate::kafka::requests::RequestObserver;
use crate::lag::{BrokerId, GroupId, Isolation, TopicName, TopicPartition};

/// The most topics of one DescribeConfigs request: a response has some kilobytes a topic.
const MOST_CONFIGS: usize = 250;

/// A client of one cluster that only ever reads.
///
/// It connects when it is asked something. Dropping it ends its connections and fails the calls in flight.
pub struct KafkaAdmin {
    client: WireClient,
}

impl KafkaAdmin {
    /// Returns a client; whether anybody answers shows in its first call.
    ///
    /// # Errors
    ///
    /// What [`Connection::validate`] finds, and properties that contradict each other.
    pub fn connect(
        connection: &Connection,
        requests: impl RequestObserver,
    ) -> Result<Self, ConnectionError> {
        Ok(Self {
            client: WireClient::connect(connection, requests)?,
        })
    }

    /// Ends every connection, and waits until they are gone, but not longer than `limit`.
    pub async fn close(self, limit: Duration) {
        self.client.cluster.close(limit).await;
        debug!("Kafka client closed");
    }

    /// Returns the newest thing that went wrong with a connection, such as a host that cannot be resolved, or a request that
    /// nobody answered in time; if that was less than a minute ago.
    pub fn last_client_error(&self) -> Option<KafkaError> {
        self.client.cluster.common.journal.recent()
    }

    /// Returns whether the credentials may read a group, which need not exist. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Admin::describe_groups`]: the right to describe the group comes with that to read it.
    pub async fn read_right(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<ReadRight, KafkaError> {
        rights::read_right(&self.client, group, Instant::now() + timeout).await
    }
}

#[async_trait]
impl Admin for KafkaAdmin {
    async fn metadata(
        &self,
        topics: TopicSelection<'_>,
        timeout: Duration,
    ) -> Result<Metadata, KafkaError> {
        let deadline = Instant::now() + timeout;
        let named = match topics {
            TopicSelection::All => None,
            TopicSelection::Named(topics) => Some(topics.to_vec()),
        };
        let MetadataResponse { brokers, topics } =
            self.client.read_metadata(named, deadline).await?;
        let mut metadata = Metadata {
            brokers,
            ..Metadata::default()
        };
        for (name, topic) in topics {
            let topic = topic.map(|TopicMetadata { id, partitions }| {
                let ids = id.map(|id| (name.clone(), id));
                metadata.topic_ids.extend(ids);
                partitions
            });
            metadata.topics.insert(name, topic);
        }
        Ok(metadata)
    }

    async fn list_groups(
        &self,
        brokers: &[BrokerId],
        timeout: Duration,
    ) -> BTreeMap<BrokerId, Result<Vec<ListedGroup>, KafkaError>> {
        let deadline = Instant::now() + timeout;
        let request = Arc::new(message::ListGroups);
        // A failure shows in what each broker answers.
        let _ = self.client.learn_brokers(deadline).await;
        let brokers = brokers.to_vec();
        let listings = brokers.into_iter().map(|broker| {
            let request = Arc::clone(&request);
            async move {
                let listing = self
                    .client
                    .cluster
                    .ask(broker, Use::Groups, request, deadline);
                (broker, listing.await.and_then(|listing| listing))
            }
        });
        let listings = stream::iter(listings).buffer_unordered(MOST_AT_ONCE);
        let listings: BTreeMap<_, _> = listings.collect().await;
        for (&broker, listing) in &listings {
            match listing {
                Ok(groups) => self
                    .client
                    .coordinators
                    .set_groups(broker, groups.iter().map(|group| &group.id)),
                Err(error) if is_unreachable(error.code) => {
                    self.client.coordinators.forget_broker(broker)
                }
                Err(_) => {}
            }
        }
        listings
    }

    async fn describe_groups(
        &self,
        groups: &[GroupQuery],
        timeout: Duration,
    ) -> BTreeMap<GroupId, Result<GroupDescription, KafkaError>> {
        groups::describe(&self.client, groups, Instant::now() + timeout).await
    }

    async fn committed_offsets(
        &self,
        groups: &[GroupId],
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> BTreeMap<GroupId, Result<CommittedOffsets, KafkaError>> {
        if partitions.is_some_and(<[_]>::is_empty) {
            let none = |group: &GroupId| (group.clone(), Ok(CommittedOffsets::default()));
            return groups.iter().map(none).collect();
        }
        groups::committed_offsets(&self.client, groups, partitions, Instant::now() + timeout).await
    }

    async fn list_offsets(
        &self,
        queries: Vec<OffsetQuery>,
        isolation: Isolation,
        timeout: Duration,
    ) -> Vec<(TopicPartition, Result<ListedOffset, KafkaError>)> {
        logs::list_offsets(&self.client, queries, isolation, Instant::now() + timeout).await
    }

    async fn topic_configs(
        &self,
        topics: &[TopicName],
        timeout: Duration,
    ) -> Result<BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>, KafkaError> {
        let mut configs = BTreeMap::new();
        let deadline = Instant::now() + timeout;
        for topics in topics.chunks(MOST_CONFIGS) {
            let request = message::DescribeConfigs {
                topics: topics.to_vec(),
            };
            match self
                .client
                .cluster
                .ask_any(Arc::new(request), deadline)
                .await
            {
                Ok(answer) => configs.extend(answer),
                Err(error) if configs.is_empty() => return Err(error),
                // The others are missing from the answer.
                Err(_) => break,
            }
        }
        Ok(configs)
    }
}

impl fmt::Debug for KafkaAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaAdmin").finish_non_exhaustive()
    }
}
