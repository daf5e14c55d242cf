//! A Kafka cluster inside this process: real protocol on loopback, nothing to install.
//!
//! For the demo and for tests. It keeps topics, records, commits and consumer groups in memory; it cannot list or
//! describe groups, and it answers for the committed offsets of named partitions only. What it is asked can be counted,
//! and brokers can be made slow, wrong and dead.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpSocket;

use super::api::Api;
use super::connection::Connection;
use super::error::{ErrorCode, KafkaError};
use super::native::mock::MockCluster;
use crate::lag::{BrokerId, GroupId, TopicPartition};

/// An embedded cluster; its brokers have the ids 1, 2, 3 and so on. Ends when dropped.
///
/// A topic that a client mentions and nobody has created is created with four partitions, unless the client forbids it.
pub struct EmbeddedCluster {
    cluster: MockCluster,
    /// The ports of brokers that are down. librdkafka ends the process when such a port is somebody else's by the time
    /// its broker comes back.
    kept_ports: Mutex<BTreeMap<BrokerId, TcpSocket>>,
}

/// A request that a broker received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackedRequest {
    /// The broker.
    pub broker: BrokerId,
    /// What it was asked.
    pub api: Api,
}

impl EmbeddedCluster {
    /// Starts a cluster of so many brokers on free ports.
    ///
    /// # Errors
    ///
    /// `_FAIL` where there are no ports, or no brokers to start.
    pub fn start(brokers: i32) -> Result<Self, KafkaError> {
        Ok(Self {
            cluster: MockCluster::start(brokers)?,
            kept_ports: Mutex::default(),
        })
    }

    /// Returns where its brokers listen: `127.0.0.1:PORT`, separated by commas.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Returns a connection to it.
    pub fn connection(&self) -> Connection {
        Connection::plain(self.bootstrap_servers().split(','))
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// `TOPIC_ALREADY_EXISTS`; `INVALID_REPLICATION_FACTOR` beyond the number of brokers.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
    ) -> Result<(), KafkaError> {
        self.cluster.create_topic(name, partitions, replication)?;
        Ok(())
    }

    /// Makes the next requests of `api` fail, one error each, whichever broker they reach.
    ///
    /// `_TRANSPORT` closes the connection instead of answering.
    pub fn push_request_errors(&self, api: Api, errors: &[ErrorCode]) {
        let codes: Vec<i32> = errors.iter().map(|error| error.value()).collect();
        self.cluster.push_errors(api.key(), &codes);
    }

    /// Makes the next request of `api` to one broker succeed, but only after `delay`.
    ///
    /// # Errors
    ///
    /// `_UNKNOWN_BROKER`.
    pub fn push_broker_delay(
        &self,
        broker: BrokerId,
        api: Api,
        delay: Duration,
    ) -> Result<(), KafkaError> {
        self.cluster
            .push_broker_delay(broker.0, api.key(), milliseconds(delay))?;
        Ok(())
    }

    /// Closes a broker's connections and accepts no more of them. Its partitions keep it as their leader.
    ///
    /// # Errors
    ///
    /// `_UNKNOWN_BROKER`; `_FAIL` where somebody has taken its port at that very moment.
    pub fn set_broker_down(&self, broker: BrokerId) -> Result<(), KafkaError> {
        self.cluster.set_broker_down(broker.0)?;
        self.keep_port(broker)
    }

    /// Lets a broker accept connections again.
    ///
    /// # Errors
    ///
    /// `_UNKNOWN_BROKER`.
    pub fn set_broker_up(&self, broker: BrokerId) -> Result<(), KafkaError> {
        self.cluster.set_broker_up(broker.0)?;
        self.kept_ports().remove(&broker);
        Ok(())
    }

    /// Binds the port of a broker that is down, so that the system gives it to nobody; nobody listens there.
    fn keep_port(&self, broker: BrokerId) -> Result<(), KafkaError> {
        let mut kept = self.kept_ports();
        if kept.contains_key(&broker) {
            return Ok(());
        }
        let bound = self.address(broker).and_then(|address| {
            let socket = TcpSocket::new_v4().ok()?;
            // As the broker does, so that both may have it.
            socket.set_reuseaddr(true).ok()?;
            socket.bind(address).ok()?;
            Some(socket)
        });
        let socket = bound.ok_or_else(|| KafkaError {
            code: ErrorCode::FAIL,
            message: format!("the port of broker {broker} was taken while it went down"),
        })?;
        kept.insert(broker, socket);
        Ok(())
    }

    fn address(&self, broker: BrokerId) -> Option<SocketAddr> {
        let index = usize::try_from(broker.0.checked_sub(1)?).ok()?;
        let servers = self.cluster.bootstrap_servers();
        servers.split(',').nth(index)?.parse().ok()
    }

    fn kept_ports(&self) -> MutexGuard<'_, BTreeMap<BrokerId, TcpSocket>> {
        self.kept_ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a broker answer every request only after `round_trip`.
    ///
    /// # Errors
    ///
    /// `_UNKNOWN_BROKER`.
    pub fn set_round_trip(&self, broker: BrokerId, round_trip: Duration) -> Result<(), KafkaError> {
        self.cluster
            .set_round_trip(broker.0, milliseconds(round_trip))?;
        Ok(())
    }

    /// Makes a broker, which need not exist, the coordinator of a group.
    ///
    /// # Errors
    ///
    /// None that a valid group could meet.
    pub fn set_coordinator(&self, group: &GroupId, broker: BrokerId) -> Result<(), KafkaError> {
        self.cluster.set_coordinator(group.as_str(), broker.0)?;
        Ok(())
    }

    /// Makes a broker the leader of a partition; nothing leaves it without one.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC_OR_PART`; `_UNKNOWN_BROKER`.
    pub fn set_leader(
        &self,
        partition: &TopicPartition,
        leader: Option<BrokerId>,
    ) -> Result<(), KafkaError> {
        let leader = leader.map_or(-1, |BrokerId(id)| id);
        self.cluster
            .set_leader(partition.topic.as_str(), partition.partition.0, leader)?;
        Ok(())
    }

    /// Remembers every request from now on.
    pub fn start_tracking(&self) {
        self.cluster.start_tracking();
    }

    /// Returns the requests remembered, in the order they arrived.
    pub fn requests(&self) -> Vec<TrackedRequest> {
        let requests = self.cluster.requests().into_iter();
        requests
            .map(|(broker, api)| TrackedRequest {
                broker: BrokerId(broker),
                api: Api::new(api),
            })
            .collect()
    }

    /// Forgets the requests remembered.
    pub fn clear_requests(&self) {
        self.cluster.clear_requests();
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

impl fmt::Debug for EmbeddedCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedCluster")
            .field("bootstrap_servers", &self.bootstrap_servers())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn the_port_of_a_broker_that_is_down_refuses_and_is_given_to_nobody() {
        let cluster = EmbeddedCluster::start(2).expect("free ports");
        let broker = BrokerId(2);
        let address = cluster.address(broker).expect("it has a port");
        for _ in 0..3 {
            cluster.set_broker_down(broker).expect("it is there");
            assert!(TcpStream::connect(address).is_err());
            let other = TcpSocket::new_v4().expect("a socket");
            assert!(other.bind(address).is_err(), "the port is kept");
            cluster.set_broker_up(broker).expect("it is there");
            assert!(TcpStream::connect(address).is_ok());
        }
    }
}
