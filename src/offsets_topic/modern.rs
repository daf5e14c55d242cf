//! Groups whose assignment the coordinator makes: consumer (KIP-848), share (KIP-932) and Streams (KIP-1071) groups.
//!
//! Such a group is many records: one for its epoch, a few for every member. A rebalance is a new epoch, after which
//! the members move to it one by one. What they are assigned is in `assignment`.

use crate::lag::ids::TopicId;

use super::error::Malformed;
use super::reader::Reader;
use super::record_type::GroupKind;

/// The epoch of a group, which counts the changes of its members, subscriptions and topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupEpoch {
    /// The epoch, from 1.
    pub epoch: i32,
    /// A hash over the topics the group is subscribed to; consumer groups from Kafka 4.1.
    pub metadata_hash: Option<i64>,
    /// When the group came to be, in milliseconds since 1970; consumer groups of brokers that tell it (KIP-1282).
    pub creation_time_ms: Option<i64>,
}

/// A topic that a group was subscribed to, with what the coordinator knew of it. Kafka from 4.1 no longer writes these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupTopic<'a> {
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: &'a str,
    /// How many partitions it had.
    pub partitions: i32,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberMetadata<'a> {
    /// `group.instance.id`, for static members. Share groups have none.
    pub instance_id: Option<&'a str>,
    /// `client.rack`.
    pub rack_id: Option<&'a str>,
    /// `client.id`.
    pub client_id: &'a str,
    /// Where it connects from: `/10.0.0.1`.
    pub client_host: &'a str,
    /// The topics it names. A Streams group's are in its topology.
    pub subscribed_topics: Vec<&'a str>,
    /// The regular expression it subscribed to, which may be empty for none; consumer groups alone.
    pub subscribed_regex: Option<&'a str>,
    /// How long it may take to give partitions up. Share groups have none.
    pub rebalance_timeout_ms: Option<i32>,
    /// The coordinator's assignor that it asks for; consumer groups alone.
    pub server_assignor: Option<&'a str>,
    /// How it takes part where it speaks the classic protocol, as while its group moves to the new one.
    pub classic: Option<ClassicProtocols<'a>>,
}

/// How a member of a consumer group takes part that speaks the classic protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicProtocols<'a> {
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// The names of its assignors.
    pub protocols: Vec<&'a str>,
}

/// The topics that a regular expression stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedTopics<'a> {
    /// Their names.
    pub topics: Vec<&'a str>,
    /// The version of the cluster's metadata in which they were found.
    pub version: i64,
    /// When they were found, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl GroupEpoch {
    pub(super) fn read(value: &mut Reader<'_>, kind: GroupKind) -> Result<Self, Malformed> {
        let mut read = Self {
            epoch: value.i32("Epoch")?,
            metadata_hash: None,
            creation_time_ms: None,
        };
        match kind {
            GroupKind::Consumer => value.tagged(|tag, field| {
                match tag {
                    0 => read.metadata_hash = Some(field.i64("MetadataHash")?),
                    1 => read.creation_time_ms = field.optional_i64("CreationTimeMs")?,
                    _ => {}
                }
                Ok(())
            })?,
            // The fields after the epoch differ between releases that call them version 0 all the same.
            GroupKind::Share | GroupKind::Streams => {}
        }
        Ok(read)
    }
}

impl<'a> GroupTopic<'a> {
    pub(super) fn read_all(value: &mut Reader<'a>) -> Result<Vec<Self>, Malformed> {
        let topics = value.list("Topics", Self::read)?;
        value.end()?;
        Ok(topics)
    }

    fn read(value: &mut Reader<'a>) -> Result<Self, Malformed> {
        let topic = Self {
            id: value.topic_id("Topics.TopicId")?,
            name: value.string("Topics.TopicName")?,
            partitions: value.i32("Topics.NumPartitions")?,
        };
        value.list("Topics.PartitionMetadata", |value| {
            value.i32("Topics.PartitionMetadata.Partition")?;
            let racks = "Topics.PartitionMetadata.Racks";
            value.list(racks, |value| value.string(racks))?;
            value.end()
        })?;
        value.end()?;
        Ok(topic)
    }
}

impl<'a> MemberMetadata<'a> {
    pub(super) fn read(value: &mut Reader<'a>, kind: GroupKind) -> Result<Self, Malformed> {
        let instance_id = match kind {
            GroupKind::Consumer | GroupKind::Streams => value.nullable_string("InstanceId")?,
            GroupKind::Share => None,
        };
        let mut member = Self {
            instance_id,
            rack_id: value.nullable_string("RackId")?,
            client_id: value.string("ClientId")?,
            client_host: value.string("ClientHost")?,
            subscribed_topics: Vec::new(),
            subscribed_regex: None,
            rebalance_timeout_ms: None,
            server_assignor: None,
            classic: None,
        };
        match kind {
            GroupKind::Consumer => {
                member.subscribed_topics = topic_names(value)?;
                member.subscribed_regex = value.nullable_string("SubscribedTopicRegex")?;
                member.rebalance_timeout_ms = value.optional_i32("RebalanceTimeoutMs")?;
                member.server_assignor = value.nullable_string("ServerAssignor")?;
                value.tagged(|tag, field| {
                    if tag == 0 {
                        member.classic = ClassicProtocols::read(field)?;
                    }
                    Ok(())
                })?;
            }
            GroupKind::Share => {
                member.subscribed_topics = topic_names(value)?;
                value.end()?;
            }
            // What follows tells how Streams instances reach each other.
            GroupKind::Streams => {
                member.rebalance_timeout_ms = value.optional_i32("RebalanceTimeoutMs")?;
            }
        }
        Ok(member)
    }
}

fn topic_names<'a>(value: &mut Reader<'a>) -> Result<Vec<&'a str>, Malformed> {
    value.list("SubscribedTopicNames", |value| {
        value.string("SubscribedTopicNames")
    })
}

impl<'a> ClassicProtocols<'a> {
    /// A structure in a tagged field begins with a number that is 0 where it is null, as Kafka 4.3 writes it.
    fn read(value: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        if value.varint("ClassicMemberMetadata")? == 0 {
            return Ok(None);
        }
        let session_timeout_ms = value.i32("ClassicMemberMetadata.SessionTimeoutMs")?;
        let protocols = value.list("ClassicMemberMetadata.SupportedProtocols", |value| {
            let name = value.string("ClassicMemberMetadata.SupportedProtocols.Name")?;
            value.nullable_bytes("ClassicMemberMetadata.SupportedProtocols.Metadata")?;
            value.end()?;
            Ok(name)
        })?;
        value.end()?;
        Ok(Some(Self {
            session_timeout_ms,
            protocols,
        }))
    }
}

impl<'a> ResolvedTopics<'a> {
    pub(super) fn read(value: &mut Reader<'a>) -> Result<Self, Malformed> {
        let resolved = Self {
            topics: value.list("Topics", |value| value.string("Topics"))?,
            version: value.i64("Version")?,
            timestamp_ms: value.i64("Timestamp")?,
        };
        value.end()?;
        Ok(resolved)
    }
}
