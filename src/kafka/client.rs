//! The questions of [`Admin`], answered by librdkafka.

mod observer;
mod rights;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use tracing::debug;

use self::observer::{ClientObserver, LastError};
pub use self::rights::ReadRight;
use super::admin::{
    Admin, GroupDescription, ListedGroup, ListedOffset, Metadata, OffsetQuery, OffsetSpec,
    TopicSelection,
};
use super::connection::{Connection, ConnectionError};
use super::coordinators::Coordinators;
use super::error::{ErrorCode, KafkaError};
use super::native::client::Client;
use super::requests::RequestObserver;
use crate::lag::{BrokerId, Committed, GroupId, Isolation, TopicId, TopicName, TopicPartition};
use crate::snapshot::{GroupState, GroupType};

/// The most partitions of one ListOffsets call: librdkafka merges answers in time quadratic in their number.
const MOST_PARTITIONS: usize = 2_000;

/// The most topics of one DescribeConfigs call: an answer is some kilobytes a topic.
const MOST_CONFIGS: usize = 250;

/// The most topics of one DescribeTopics call, which also tells their partitions.
const MOST_DESCRIBED: usize = 1_000;

/// Properties of this client, unless the connection sets them.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "lagwatch"),
    // Brokers that collect metrics of their clients (KIP-714) would be sent some of a client that only asks.
    ("enable.metrics.push", "false"),
    // A broker that is back is asked again within a poll cycle, not within librdkafka's ten seconds.
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
    ("log.thread.name", "false"),
    // Every cycle reads the metadata anyway, and nothing else needs it.
    ("topic.metadata.refresh.interval.ms", "-1"),
];

/// How often requests are counted.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);

/// A client of one cluster that only ever reads.
///
/// It connects at once, in the background. Dropping it fails the calls in flight and never blocks; what it is made of goes
/// when their deadlines have passed.
pub struct KafkaAdmin {
    client: Client,
    coordinators: Coordinators,
    last_error: Arc<LastError>,
}

impl KafkaAdmin {
    /// Starts a client; whether anybody answers shows in its first call.
    ///
    /// # Errors
    ///
    /// What [`Connection::validate`] finds, and properties that contradict each other.
    pub fn connect(
        connection: &Connection,
        requests: impl RequestObserver,
    ) -> Result<Self, ConnectionError> {
        Self::connect_counting(connection, requests, STATISTICS_INTERVAL)
    }

    fn connect_counting(
        connection: &Connection,
        requests: impl RequestObserver,
        interval: Duration,
    ) -> Result<Self, ConnectionError> {
        let mut conf = connection.native_conf()?;
        for (name, value) in DEFAULTS {
            if !connection.properties.contains_key(*name) {
                conf.set(name, value).expect("a property of librdkafka");
            }
        }
        let interval_ms = interval.as_millis().to_string();
        // What is not for the connection to decide.
        for (name, value) in [
            ("allow.auto.create.topics", "false"),
            ("log.queue", "true"),
            ("statistics.interval.ms", &interval_ms),
        ] {
            conf.set(name, value).expect("a property of librdkafka");
        }
        let last_error = Arc::new(LastError::default());
        let servers = connection.bootstrap_servers.join(",");
        let observer = ClientObserver::new(requests, Arc::clone(&last_error));
        let client = Client::start(conf, &servers, observer)
            .map_err(|reason| ConnectionError::Client { reason })?;
        Ok(Self {
            client,
            coordinators: Coordinators::default(),
            last_error,
        })
    }

    /// Closes the client as dropping it does, and waits until it is gone, but not longer than `limit`.
    ///
    /// It is gone once every call has come to its end or to its deadline, also where nobody waits for it.
    pub async fn close(self, limit: Duration) {
        match self.client.close(limit).await {
            Ok(()) => debug!("Kafka client closed"),
            Err(_) => {
                debug!("a Kafka client still waits for answers, and ends without being waited for")
            }
        }
    }

    /// Returns the newest thing that went wrong with the client as a whole, such as a host that cannot be resolved,
    /// if that was less than a minute ago.
    pub fn last_client_error(&self) -> Option<KafkaError> {
        self.last_error.recent(Instant::now())
    }

    /// Returns the groups that each of `brokers` coordinates, in these states and of these types; all where none are
    /// named.
    ///
    /// Filtered by the brokers, where they know how (KIP-518, KIP-848); a group of an unnamed state is then missing.
    pub async fn list_groups_matching(
        &self,
        brokers: &[BrokerId],
        states: &[GroupState],
        types: &[GroupType],
        timeout: Duration,
    ) -> BTreeMap<BrokerId, Result<Vec<ListedGroup>, KafkaError>> {
        let listings = brokers.iter().map(async |&broker| {
            let listing = self.client.list_groups(broker, states, types, timeout);
            (broker, listing.await.map_err(|error| self.explain(error)))
        });
        join_all(listings).await.into_iter().collect()
    }

    /// Asks a group's coordinator: the known one, or else every live broker in turn until one does not send us away.
    ///
    /// A broker that turns out not to be the coordinator, or does not answer in half of the remaining time, is
    /// forgotten.
    async fn at_coordinator<T, F>(
        &self,
        group: &GroupId,
        timeout: Duration,
        ask: impl Fn(BrokerId, Duration) -> F,
    ) -> Result<T, KafkaError>
    where
        F: Future<Output = Result<T, KafkaError>>,
    {
        let deadline = Deadline::after(timeout);
        let mut candidates = self.coordinators.candidates(group);
        if candidates.is_empty() {
            candidates = self.learn_brokers(timeout).await?;
        }
        let mut failure = KafkaError::of(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        for (index, &broker) in candidates.iter().enumerate() {
            let share = deadline.share(candidates.len() - index);
            failure = match ask(broker, share).await {
                Ok(answer) => {
                    self.coordinators.remember(group, broker);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if failure.code.is_not_coordinator() {
                self.coordinators.forget(group, broker);
            } else if is_unreachable(failure.code) {
                self.coordinators.forget_broker(broker);
            } else {
                break;
            }
        }
        Err(self.explain(failure))
    }

    /// Adds the client's own trouble to an error that only says that nobody answered.
    fn explain(&self, error: KafkaError) -> KafkaError {
        if !is_unreachable(error.code) {
            return error;
        }
        match self.last_client_error() {
            Some(cause) if cause.message != error.message => KafkaError {
                message: format!("{}; {}", error.message, cause.message),
                ..error
            },
            _ => error,
        }
    }

    /// Asks some live broker, beginning with another one each time, until one answers.
    ///
    /// librdkafka would ask the controller, which not every cluster names.
    async fn at_some_broker<T, F>(
        &self,
        timeout: Duration,
        ask: impl Fn(BrokerId, Duration) -> F,
    ) -> Result<T, KafkaError>
    where
        F: Future<Output = Result<T, KafkaError>>,
    {
        let deadline = Deadline::after(timeout);
        let mut brokers = self.coordinators.brokers_in_turn();
        if brokers.is_empty() {
            brokers = self.learn_brokers(timeout).await?;
        }
        let mut failure = KafkaError::of(ErrorCode::ALL_BROKERS_DOWN);
        for (index, &broker) in brokers.iter().enumerate() {
            match ask(broker, deadline.share(brokers.len() - index)).await {
                Err(error) if is_unreachable(error.code) => failure = error,
                outcome => return outcome,
            }
        }
        Err(failure)
    }

    /// Finds out which brokers there are, without knowing any.
    async fn learn_brokers(&self, timeout: Duration) -> Result<Vec<BrokerId>, KafkaError> {
        let metadata = self.client.all_topics(timeout).await?;
        let brokers: Vec<_> = metadata.brokers.iter().map(|broker| broker.id).collect();
        if brokers.is_empty() {
            return Err(KafkaError::of(ErrorCode::ALL_BROKERS_DOWN));
        }
        self.coordinators.set_brokers(brokers.clone());
        Ok(brokers)
    }

    async fn named_topics(
        &self,
        topics: &[TopicName],
        timeout: Duration,
    ) -> Result<Metadata, KafkaError> {
        self.at_some_broker(timeout, |broker, timeout| async move {
            let brokers = self.client.brokers(broker, timeout);
            if topics.is_empty() {
                let (brokers, topics) = (brokers.await?, BTreeMap::new());
                return Ok(Metadata { brokers, topics });
            }
            let topics = self.client.topics(topics, broker, timeout);
            let (brokers, topics) = tokio::try_join!(brokers, topics)?;
            let topics = topics.into_iter().map(|(name, topic)| {
                let partitions = topic.map(|topic| topic.partitions);
                (name, partitions)
            });
            Ok(Metadata {
                brokers,
                topics: topics.collect(),
            })
        })
        .await
    }

    /// Asks for the offsets of some partitions of one leader.
    async fn list_offsets_of(
        &self,
        queries: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
        timeout: Duration,
    ) -> Vec<(TopicPartition, Result<ListedOffset, KafkaError>)> {
        match self.client.list_offsets(queries, isolation, timeout).await {
            Ok(mut offsets) => {
                for (_, offset) in &mut offsets {
                    if let Err(error) = offset {
                        *error = self.explain(error.clone());
                    }
                }
                offsets
            }
            Err(error) => {
                let error = self.explain(error);
                queries
                    .iter()
                    .map(|(partition, _)| (partition.clone(), Err(error.clone())))
                    .collect()
            }
        }
    }
}

/// When a call of several attempts has to end.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// Returns the time for the next of `attempts`: half of what remains, or all of it for the last one.
    fn share(self, attempts: usize) -> Duration {
        let remaining = self.0.saturating_duration_since(Instant::now());
        if attempts > 1 {
            remaining / 2
        } else {
            remaining
        }
    }
}

/// Tells whether a broker could not be asked at all, so that another one, or its own trouble, may say more.
fn is_unreachable(code: ErrorCode) -> bool {
    code.is_timeout()
        || matches!(
            code,
            ErrorCode::TRANSPORT
                | ErrorCode::RESOLVE
                | ErrorCode::ALL_BROKERS_DOWN
                | ErrorCode::UNKNOWN_BROKER
                | ErrorCode::DESTROY_BROKER
        )
}

#[async_trait]
impl Admin for KafkaAdmin {
    async fn metadata(
        &self,
        topics: TopicSelection<'_>,
        timeout: Duration,
    ) -> Result<Metadata, KafkaError> {
        let metadata = match topics {
            TopicSelection::All => self.client.all_topics(timeout).await,
            TopicSelection::Named(topics) => self.named_topics(topics, timeout).await,
        };
        let metadata = metadata.map_err(|error| self.explain(error))?;
        self.coordinators
            .set_brokers(metadata.brokers.iter().map(|broker| broker.id).collect());
        Ok(metadata)
    }

    async fn list_groups(
        &self,
        brokers: &[BrokerId],
        timeout: Duration,
    ) -> BTreeMap<BrokerId, Result<Vec<ListedGroup>, KafkaError>> {
        let listings = self.list_groups_matching(brokers, &[], &[], timeout).await;
        for (&broker, listing) in &listings {
            match listing {
                Ok(groups) => self
                    .coordinators
                    .set_groups(broker, groups.iter().map(|group| &group.id)),
                Err(error) if is_unreachable(error.code) => self.coordinators.forget_broker(broker),
                Err(_) => {}
            }
        }
        listings
    }

    async fn describe_group(
        &self,
        group: &GroupId,
        timeout: Duration,
    ) -> Result<GroupDescription, KafkaError> {
        self.at_coordinator(group, timeout, |broker, timeout| {
            self.client.describe_group(group, broker, timeout)
        })
        .await
    }

    async fn committed_offsets(
        &self,
        group: &GroupId,
        partitions: Option<&[TopicPartition]>,
        timeout: Duration,
    ) -> Result<Vec<(TopicPartition, Result<Committed, KafkaError>)>, KafkaError> {
        if partitions.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        self.at_coordinator(group, timeout, |broker, timeout| {
            self.client
                .committed_offsets(group, partitions, broker, timeout)
        })
        .await
    }

    async fn list_offsets(
        &self,
        queries: Vec<OffsetQuery>,
        isolation: Isolation,
        timeout: Duration,
    ) -> Vec<(TopicPartition, Result<ListedOffset, KafkaError>)> {
        // A call of its own for each leader: one that hangs costs only its own partitions.
        let mut by_leader: BTreeMap<BrokerId, Vec<(TopicPartition, OffsetSpec)>> = BTreeMap::new();
        for OffsetQuery {
            partition,
            leader,
            spec,
        } in queries
        {
            by_leader.entry(leader).or_default().push((partition, spec));
        }
        let calls = by_leader
            .values()
            .flat_map(|queries| queries.chunks(MOST_PARTITIONS))
            .map(|queries| self.list_offsets_of(queries, isolation, timeout));
        join_all(calls).await.into_iter().flatten().collect()
    }

    async fn topic_configs(
        &self,
        topics: &[TopicName],
        timeout: Duration,
    ) -> Result<BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>, KafkaError> {
        let mut configs = BTreeMap::new();
        let deadline = Deadline::after(timeout);
        for topics in topics.chunks(MOST_CONFIGS) {
            let answer = self
                .at_some_broker(deadline.share(1), |broker, timeout| {
                    self.client.topic_configs(topics, broker, timeout)
                })
                .await;
            match answer {
                Ok(answer) => configs.extend(answer),
                Err(error) if configs.is_empty() => return Err(self.explain(error)),
                // The others are missing from the answer.
                Err(_) => break,
            }
        }
        Ok(configs)
    }

    async fn topic_ids(
        &self,
        topics: &[TopicName],
        timeout: Duration,
    ) -> Result<BTreeMap<TopicName, TopicId>, KafkaError> {
        let mut ids = BTreeMap::new();
        let deadline = Deadline::after(timeout);
        for topics in topics.chunks(MOST_DESCRIBED) {
            let answer = self.at_some_broker(deadline.share(1), |broker, timeout| {
                self.client.topics(topics, broker, timeout)
            });
            let answer = answer.await.map_err(|error| self.explain(error))?;
            ids.extend(
                answer
                    .into_iter()
                    .filter_map(|(name, topic)| Some((name, topic.ok()?.id?))),
            );
        }
        Ok(ids)
    }
}

impl fmt::Debug for KafkaAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaAdmin").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
