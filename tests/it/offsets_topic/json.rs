//! A decoded record as Kafka's own formatter prints it.

use lagwatch::lag::{Committed, PartitionId};
use lagwatch::offsets_topic::{
    Assigned, Assignment, ClassicMember, CurrentAssignment, Embedded, GroupKind, GroupMetadata,
    MemberMetadata, MemberState, OffsetCommit, Record, Subscription, SubtopologyTasks,
    TopicIdPartitions, TopicPartitions,
};
use serde_json::{Map, Value, json};

/// What Kafka prints and the decoder passes over, as it tells nothing about offsets, members or assignments.
const PASSED_OVER: &[&str] = &[
    "assignmentEpochs",
    "clientTags",
    "lastAssignmentConfigs",
    "partitionMetadata",
    "processId",
    "topologyEpoch",
    "userEndpoint",
    "validatedTopologyEpoch",
];

/// Returns what Kafka's formatter prints for these bytes, without what says nothing; panics where they are no record.
pub(crate) fn as_kafka_prints(record: &Record<'_>, key: &[u8], value: Option<&[u8]>) -> Value {
    let number = |bytes: &[u8]| i16::from_be_bytes([bytes[0], bytes[1]]);
    let (key_data, value_data) = data(record);
    let value = match (value, value_data) {
        (Some(value), Some(data)) => json!({ "version": number(value), "data": data }),
        (None, None) => Value::Null,
        (value, data) => panic!("{value:02x?} is decoded as {data:?}"),
    };
    telling(json!({ "key": { "type": number(key), "data": key_data }, "value": value }))
}

/// Returns what tells something in what Kafka prints: without "none" as null or -1, and what the decoder passes over.
pub(crate) fn telling(mut printed: Value) -> Value {
    // Share and Streams groups: not read, as releases differ there.
    if [json!(11), json!(17)].contains(&printed["key"]["type"]) {
        printed["value"]["data"]["metadataHash"].take();
    }
    without_none(printed)
}

fn without_none(printed: Value) -> Value {
    match printed {
        Value::Object(fields) => {
            let telling = |(name, value): (String, Value)| {
                let is_telling = !value.is_null() && value != -1 && !PASSED_OVER.contains(&&*name);
                is_telling.then(|| match &*name {
                    "supportedProtocols" => (name, names(&value)),
                    _ => (name, without_none(value)),
                })
            };
            fields.into_iter().filter_map(telling).collect()
        }
        Value::Array(elements) => elements.into_iter().map(without_none).collect(),
        plain => plain,
    }
}

/// Returns the names of the protocols that a classic member supports; what else they carry is passed over.
fn names(protocols: &Value) -> Value {
    let protocols = protocols.as_array().into_iter().flatten();
    protocols.map(|protocol| protocol["name"].clone()).collect()
}

fn data(record: &Record<'_>) -> (Value, Option<Value>) {
    match record {
        Record::OffsetCommit { group, topic, partition, commit } => (
            json!({ "group": group, "topic": topic, "partition": partition.0 }),
            commit.as_ref().map(offset_commit),
        ),
        Record::GroupMetadata { group, metadata } => {
            (json!({ "group": group }), metadata.as_ref().map(group_metadata))
        }
        Record::GroupEpoch { group, epoch, .. } => (
            json!({ "groupId": group }),
            epoch.map(|epoch| {
                json!({
                    "epoch": epoch.epoch, "metadataHash": epoch.metadata_hash,
                    "creationTimeMs": epoch.creation_time_ms,
                })
            }),
        ),
        Record::GroupTopics { group, topics, .. } => (
            json!({ "groupId": group }),
            topics.as_ref().map(|topics| {
                let topic = topics.iter().map(|topic| {
                    json!({
                        "topicId": topic.id.to_string(), "topicName": topic.name, "numPartitions": topic.partitions,
                    })
                });
                json!({ "topics": topic.collect::<Vec<_>>() })
            }),
        ),
        Record::Member { kind, group, member, metadata } => (
            json!({ "groupId": group, "memberId": member }),
            metadata.as_ref().map(|metadata| member_metadata(metadata, *kind)),
        ),
        Record::TargetEpoch { group, target, .. } => (
            json!({ "groupId": group }),
            target.map(|target| {
                json!({ "assignmentEpoch": target.epoch, "assignmentTimestamp": target.timestamp_ms })
            }),
        ),
        Record::TargetAssignment { group, member, target, .. } => (
            json!({ "groupId": group, "memberId": member }),
            target.as_ref().map(|target| Value::Object(assigned(target, "topicPartitions", ""))),
        ),
        Record::CurrentAssignment { kind, group, member, current } => (
            json!({ "groupId": group, "memberId": member }),
            current.as_ref().map(|current| current_assignment(current, *kind)),
        ),
        Record::RegularExpression { group, expression, resolved } => (
            json!({ "groupId": group, "regularExpression": expression }),
            resolved.as_ref().map(|resolved| {
                json!({
                    "topics": resolved.topics, "version": resolved.version, "timestamp": resolved.timestamp_ms,
                })
            }),
        ),
        Record::Other { .. } | Record::UnknownVersion { .. } | Record::UnknownType { .. } => {
            panic!("nothing to compare in {record:?}")
        }
    }
}

fn offset_commit(commit: &OffsetCommit<'_>) -> Value {
    let offset = match commit.committed {
        Committed::At(offset) => offset.value(),
        Committed::Never => panic!("no client of these commits -1"),
    };
    json!({
        "offset": offset,
        "leaderEpoch": commit.leader_epoch,
        "metadata": str::from_utf8(commit.metadata).expect("it is UTF-8"),
        "commitTimestamp": commit.commit_timestamp_ms,
        "expireTimestamp": commit.expire_timestamp_ms,
        "topicId": commit.topic_id.map(|id| id.to_string()),
    })
}

fn group_metadata(group: &GroupMetadata<'_>) -> Value {
    json!({
        "protocolType": group.protocol_type,
        "generation": group.generation,
        "protocol": group.protocol,
        "leader": group.leader,
        "currentStateTimestamp": group.state_timestamp_ms,
        "members": group.members.iter().map(classic_member).collect::<Vec<_>>(),
    })
}

fn classic_member(member: &ClassicMember<'_>) -> Value {
    json!({
        "memberId": member.id,
        "groupInstanceId": member.instance_id,
        "clientId": member.client_id,
        "clientHost": member.client_host,
        "rebalanceTimeout": member.rebalance_timeout_ms,
        "sessionTimeout": member.session_timeout_ms,
        "subscription": embedded(&member.subscription, subscription),
        "assignment": embedded(&member.assignment, assignment),
    })
}

fn embedded<T>(content: &Embedded<'_, T>, print: impl Fn(&T) -> Value) -> Value {
    match content {
        Embedded::Consumer(content) => print(content),
        Embedded::Empty => json!(""),
        Embedded::Foreign(bytes) => base64(bytes),
        Embedded::Malformed(error) => panic!("{error:?}"),
    }
}

fn subscription(subscription: &Subscription<'_>) -> Value {
    json!({
        "topics": subscription.topics,
        "userData": subscription.user_data.map(base64),
        "ownedPartitions": topic_partitions(&subscription.owned),
        "generationId": subscription.generation,
        "rackId": subscription.rack_id,
    })
}

fn assignment(assignment: &Assignment<'_>) -> Value {
    json!({
        "assignedPartitions": topic_partitions(&assignment.partitions),
        "userData": assignment.user_data.map(base64),
    })
}

fn topic_partitions(topics: &[TopicPartitions<'_>]) -> Vec<Value> {
    let print = |topic: &TopicPartitions<'_>| json!({ "topic": topic.topic, "partitions": numbers(&topic.partitions) });
    topics.iter().map(print).collect()
}

fn numbers(partitions: &[PartitionId]) -> Vec<i32> {
    partitions.iter().map(|partition| partition.0).collect()
}

fn member_metadata(member: &MemberMetadata<'_>, kind: GroupKind) -> Value {
    let classic = member.classic.as_ref().map(|classic| {
        let protocols = classic.protocols.iter().map(|name| json!({ "name": name }));
        json!({
            "sessionTimeoutMs": classic.session_timeout_ms, "supportedProtocols": protocols.collect::<Vec<_>>(),
        })
    });
    let topics = (kind != GroupKind::Streams).then_some(&member.subscribed_topics);
    json!({
        "instanceId": member.instance_id,
        "rackId": member.rack_id,
        "clientId": member.client_id,
        "clientHost": member.client_host,
        "subscribedTopicNames": topics,
        "subscribedTopicRegex": member.subscribed_regex,
        "rebalanceTimeoutMs": member.rebalance_timeout_ms,
        "serverAssignor": member.server_assignor,
        "classicMemberMetadata": classic,
    })
}

fn current_assignment(current: &CurrentAssignment<'_>, kind: GroupKind) -> Value {
    let first = i8::from(kind == GroupKind::Streams);
    let state = match current.state {
        MemberState::Stable => first,
        MemberState::Unrevoked => first + 1,
        MemberState::Unreleased => first + 2,
        MemberState::Unknown(number) => number,
    };
    let mut fields = assigned(&current.assigned, "assignedPartitions", "");
    if kind != GroupKind::Share {
        let pending = &current.pending_revocation;
        fields.extend(assigned(
            pending,
            "partitionsPendingRevocation",
            "PendingRevocation",
        ));
    }
    fields.insert("memberEpoch".to_owned(), json!(current.member_epoch));
    fields.insert(
        "previousMemberEpoch".to_owned(),
        json!(current.previous_member_epoch),
    );
    fields.insert("state".to_owned(), json!(state));
    Value::Object(fields)
}

/// Prints partitions as a field of this name, and tasks as three fields whose names end so.
fn assigned(assigned: &Assigned<'_>, name: &str, ending: &str) -> Map<String, Value> {
    match assigned {
        Assigned::Partitions(topics) => {
            let print = |topic: &TopicIdPartitions| json!({ "topicId": topic.topic.to_string(), "partitions": numbers(&topic.partitions) });
            let topics = topics.iter().map(print).collect();
            Map::from_iter([(name.to_owned(), topics)])
        }
        Assigned::Tasks(tasks) => {
            let print = |tasks: &SubtopologyTasks<'_>| json!({ "subtopologyId": tasks.subtopology, "partitions": numbers(&tasks.partitions) });
            let kinds = [
                ("active", &tasks.active),
                ("standby", &tasks.standby),
                ("warmup", &tasks.warmup),
            ];
            let field = |(kind, tasks): (&str, &Vec<_>)| {
                (
                    format!("{kind}Tasks{ending}"),
                    tasks.iter().map(print).collect(),
                )
            };
            kinds.into_iter().map(field).collect()
        }
    }
}

/// Prints bytes as Kafka prints them where it does not know what they hold.
fn base64(bytes: &[u8]) -> Value {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= three.len() {
                char::from(DIGITS[index as usize])
            } else {
                '='
            });
        }
    }
    json!(text)
}
