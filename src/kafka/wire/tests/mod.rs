//! The admin client against an embedded cluster.

mod answers;
mod connections;
mod cost;
mod faults;

use std::collections::BTreeSet;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset as NativeOffset, TopicPartitionList};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::client::is_unreachable;
use super::*;
use crate::kafka::admin::{Admin, OffsetQuery, OffsetSpec, TopicSelection};
use crate::kafka::api::Api;
use crate::kafka::connection::Connection;
use crate::kafka::embedded::{EmbeddedCluster, TrackedRequest};
use crate::kafka::error::{ErrorCode, KafkaError};
use crate::lag::{BrokerId, Committed, GroupId, Isolation, Offset, TopicName, TopicPartition};

/// Far beyond what anything on loopback takes: only what hangs gets there.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A deadline that is meant to fire.
const SHORT: Duration = Duration::from_millis(400);

struct Fixture {
    cluster: EmbeddedCluster,
    admin: KafkaAdmin,
}

impl Fixture {
    fn start(brokers: i32) -> Self {
        let cluster = EmbeddedCluster::start(brokers).expect("loopback has free ports");
        let admin =
            KafkaAdmin::connect(&cluster.connection(), ()).expect("the connection is valid");
        Self { cluster, admin }
    }

    fn create_topic(&self, name: &str, partitions: i32) -> Vec<TopicPartition> {
        self.cluster
            .create_topic(name, partitions, 1)
            .expect("the name is new");
        (0..partitions)
            .map(|partition| TopicPartition::new(name, partition))
            .collect()
    }

    /// Gives each partition a leader, in turn, and returns what asks for them.
    fn spread(
        &self,
        partitions: &[TopicPartition],
        brokers: i32,
        spec: OffsetSpec,
    ) -> Vec<OffsetQuery> {
        let leaders = (1..=brokers).cycle().map(BrokerId);
        partitions
            .iter()
            .zip(leaders)
            .map(|(partition, leader)| {
                self.cluster
                    .set_leader(partition, Some(leader))
                    .expect("partition and broker exist");
                OffsetQuery {
                    partition: partition.clone(),
                    leader,
                    spec,
                }
            })
            .collect()
    }

    fn produce(&self, partition: &TopicPartition, records: i64) {
        let config = self.cluster.connection().client_config();
        let producer: BaseProducer = config
            .expect("the connection is valid")
            .create()
            .expect("the configuration is valid");
        for _ in 0..records {
            let record = BaseRecord::<(), str>::to(partition.topic.as_str())
                .partition(partition.partition.0)
                .payload("x");
            producer.send(record).expect("the queue is empty enough");
        }
        producer
            .flush(TIMEOUT)
            .expect("the cluster accepts records");
    }

    fn commit(&self, group: &GroupId, offsets: &[(TopicPartition, i64)]) {
        let mut config = self
            .cluster
            .connection()
            .client_config()
            .expect("it is valid");
        let consumer: BaseConsumer = config
            .set("group.id", group.as_str())
            .create()
            .expect("the configuration is valid");
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(
                partition.topic.as_str(),
                partition.partition.0,
                NativeOffset::Offset(*offset),
            )
            .expect("the offset is valid");
        }
        consumer
            .commit(&list, CommitMode::Sync)
            .expect("the cluster accepts commits");
    }

    async fn know_the_brokers(&self) {
        let metadata = self
            .admin
            .metadata(TopicSelection::Named(&[]), TIMEOUT)
            .await;
        metadata.expect("the brokers are up");
    }

    fn requests(&self, api: Api) -> usize {
        let requests = self.cluster.requests();
        requests.iter().filter(|request| request.api == api).count()
    }
}

fn at(offset: i64) -> Committed {
    Committed::At(Offset::new(offset).expect("not negative"))
}

fn listed(offset: i64) -> Option<Offset> {
    Offset::new(offset)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
