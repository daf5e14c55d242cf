//! Metadata: the brokers, and topics with their partitions.

use kafka_protocol::messages::MetadataRequest as WireMetadataRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;

use super::names::wire_topic;
use super::request::{Request, Throttled, succeeded};
use crate::kafka::admin::{Broker, PartitionMetadata};
use crate::kafka::api::Api;
use crate::kafka::error::KafkaError;
use crate::lag::{BrokerId, PartitionId, TopicId, TopicName};
use crate::offsets_topic::reader::Reader;
use crate::offsets_topic::{Malformed, Problem};

/// Asks for the brokers and for topics. Never creates a topic.
pub(in crate::kafka) struct MetadataRequest {
    /// The topics; nothing for all that the credentials may see.
    pub(in crate::kafka) topics: Option<Vec<TopicName>>,
}

/// The brokers and topics, as the broker orders them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kafka) struct MetadataResponse {
    /// The live brokers.
    pub(in crate::kafka) brokers: Vec<Broker>,
    /// The topics.
    pub(in crate::kafka) topics: Vec<NamedTopic>,
}

/// A topic by its name, or why it cannot be read.
type NamedTopic = (TopicName, Result<TopicMetadata, KafkaError>);

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct TopicMetadata {
    /// Its id; nothing before Kafka 2.8.
    pub(in crate::kafka) id: Option<TopicId>,
    /// Its partitions.
    pub(in crate::kafka) partitions: Vec<PartitionMetadata>,
}

impl Request for MetadataRequest {
    const API: Api = Api::METADATA;
    // Version 4 is the first that can forbid the creation of topics.
    const VERSIONS: (i16, i16) = (4, 13);
    const FLEXIBLE: i16 = 9;
    type Message = WireMetadataRequest;
    type Response = MetadataResponse;

    fn message(&self, _version: i16) -> WireMetadataRequest {
        let topic =
            |name: &TopicName| MetadataRequestTopic::default().with_name(Some(wire_topic(name)));
        let topics = self.topics.as_ref();
        let topics = topics.map(|names| names.iter().map(topic).collect());
        WireMetadataRequest::default()
            .with_topics(topics)
            .with_allow_auto_topic_creation(false)
    }

    fn read(&self, body: &mut Reader<'_>) -> Result<Throttled<Self::Response>, Malformed> {
        let throttle_time_ms = body.i32("ThrottleTimeMs")?;
        let brokers = body.list("Brokers", read_broker)?;
        body.nullable_string("ClusterId")?;
        body.i32("ControllerId")?;
        let topics = body.list("Topics", read_topic)?;
        let topics = topics.into_iter().flatten().collect();
        Ok(Throttled::new(
            throttle_time_ms,
            MetadataResponse { brokers, topics },
        ))
    }
}

fn read_broker(body: &mut Reader<'_>) -> Result<Broker, Malformed> {
    let id = BrokerId(body.i32("Brokers.NodeId")?);
    let host = body.string("Brokers.Host")?.to_owned();
    let position = body.position();
    let port = u16::try_from(body.i32("Brokers.Port")?);
    let port = port.map_err(|_| {
        body.malformed(
            position,
            "Brokers.Port",
            Problem::Value("no port from 0 to 65535"),
        )
    })?;
    body.nullable_string("Brokers.Rack")?;
    body.end()?;
    Ok(Broker { id, host, port })
}

/// Reads a topic; nothing for one that the broker does not name.
fn read_topic(body: &mut Reader<'_>) -> Result<Option<NamedTopic>, Malformed> {
    let code = body.i16("Topics.ErrorCode")?;
    // Nullable from version 12 on, where topics can be asked for by id.
    let name = body.nullable_string("Topics.Name")?.map(TopicName::from);
    let id = match body.version() {
        10.. => body.optional_topic_id("Topics.TopicId")?,
        _ => None,
    };
    body.bool("Topics.IsInternal")?;
    let partitions = body.list("Topics.Partitions", read_partition)?;
    if body.version() >= 8 {
        body.i32("Topics.TopicAuthorizedOperations")?;
    }
    body.end()?;
    let topic = succeeded(code, None).map(|()| TopicMetadata { id, partitions });
    Ok(name.map(|name| (name, topic)))
}

/// Reads a partition. Its error code is not needed: a partition without a leader has leader -1 as well.
fn read_partition(body: &mut Reader<'_>) -> Result<PartitionMetadata, Malformed> {
    body.i16("Partitions.ErrorCode")?;
    let position = body.position();
    let id = PartitionId(body.i32("Partitions.PartitionIndex")?);
    if id.0 < 0 {
        let problem = Problem::NegativePartition(id.0);
        return Err(body.malformed(position, "Partitions.PartitionIndex", problem));
    }
    let leader = body.optional_i32("Partitions.LeaderId")?.map(BrokerId);
    if body.version() >= 7 {
        body.i32("Partitions.LeaderEpoch")?;
    }
    let replicas = read_brokers(body, "Partitions.ReplicaNodes")?;
    let in_sync = read_brokers(body, "Partitions.IsrNodes")?;
    if body.version() >= 5 {
        read_brokers(body, "Partitions.OfflineReplicas")?;
    }
    body.end()?;
    Ok(PartitionMetadata {
        id,
        leader,
        replicas,
        in_sync,
    })
}

fn read_brokers(body: &mut Reader<'_>, field: &'static str) -> Result<Vec<BrokerId>, Malformed> {
    body.list(field, |body| body.i32(field).map(BrokerId))
}
