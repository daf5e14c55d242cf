//! What the decoder reads of a record, and the same in what Kafka's own formatter prints.

use lagwatch::lag::Committed;
use lagwatch::offsets_topic::{
    ClassicMember, GroupMetadata, OffsetCommit, Record, TopicPartitions,
};
use serde_json::{Value, json};

/// Returns what was read of a record, with the names of Kafka's schemas.
pub(crate) fn as_read(record: &Record<'_>) -> Value {
    match record {
        Record::OffsetCommit {
            group,
            topic,
            partition,
            commit,
        } => json!({
            "group": group, "topic": topic, "partition": partition.0, "value": commit.as_ref().map(offset_commit),
        }),
        Record::GroupMetadata { group, metadata } => {
            json!({ "group": group, "value": metadata.as_ref().map(group_metadata) })
        }
        Record::ConsumerGroupEpoch { group, epoch } => {
            json!({ "group": group, "value": epoch.map(|epoch| json!({ "epoch": epoch })) })
        }
        Record::ConsumerGroupMember {
            group,
            member,
            is_deleted,
        } => {
            json!({ "group": group, "member": member, "isDeleted": is_deleted })
        }
        Record::TargetAssignment {
            group,
            member,
            partitions,
        } => {
            json!({ "group": group, "member": member, "value": partitions.map(|count| json!({ "partitions": count })) })
        }
        Record::CurrentAssignment {
            group,
            member,
            current,
        } => json!({
            "group": group,
            "member": member,
            "value": current.map(|current| {
                json!({ "memberEpoch": current.member_epoch, "partitions": current.partitions })
            }),
        }),
        Record::Other { group } => json!({ "group": group }),
        Record::Unknown => panic!("Kafka writes no such record"),
    }
}

fn offset_commit(commit: &OffsetCommit) -> Value {
    let offset = match commit.committed {
        Committed::At(offset) => offset.value(),
        Committed::Never => panic!("no client of these commits -1"),
    };
    json!({ "offset": offset, "commitTimestamp": commit.commit_timestamp_ms })
}

fn group_metadata(group: &GroupMetadata<'_>) -> Value {
    json!({
        "protocolType": group.protocol_type,
        "generation": group.generation,
        "protocol": group.protocol,
        "members": group.members.iter().map(classic_member).collect::<Vec<_>>(),
    })
}

fn classic_member(member: &ClassicMember<'_>) -> Value {
    let print = |topic: &TopicPartitions<'_>| {
        let partitions = topic.partitions.iter().map(|partition| partition.0);
        json!({ "topic": topic.topic, "partitions": partitions.collect::<Vec<_>>() })
    };
    let assignment = member.assignment.as_ref().expect("its client is sound");
    json!({
        "memberId": member.id,
        "groupInstanceId": member.instance_id,
        "clientId": member.client_id,
        "clientHost": member.client_host,
        "assignment": assignment.iter().map(print).collect::<Vec<_>>(),
    })
}

/// Returns the part of what Kafka prints that the decoder reads.
pub(crate) fn as_printed(printed: &Value) -> Value {
    let (key, value) = (&printed["key"]["data"], &printed["value"]["data"]);
    let (group, member) = (&key["groupId"], &key["memberId"]);
    match printed["key"]["type"].as_i64().expect("it is a number") {
        0 | 1 => json!({
            "group": key["group"], "topic": key["topic"], "partition": key["partition"],
            "value": fields(value, &["offset", "commitTimestamp"]),
        }),
        2 => {
            let mut group_value = fields(value, &["protocolType", "generation", "protocol"]);
            if let Some(members) = value["members"].as_array() {
                group_value["members"] = members.iter().map(printed_member).collect();
            }
            json!({ "group": key["group"], "value": group_value })
        }
        3 => json!({ "group": group, "value": fields(value, &["epoch"]) }),
        5 => json!({ "group": group, "member": member, "isDeleted": value.is_null() }),
        7 => {
            let target = fields(value, &[]);
            json!({ "group": group, "member": member, "value": with_count(target, &value["topicPartitions"]) })
        }
        8 => {
            let current = fields(value, &["memberEpoch"]);
            json!({ "group": group, "member": member, "value": with_count(current, &value["assignedPartitions"]) })
        }
        _ => json!({ "group": group }),
    }
}

fn printed_member(member: &Value) -> Value {
    let names = ["memberId", "groupInstanceId", "clientId", "clientHost"];
    let mut printed = fields(member, &names);
    // Text, where there is none, or where Kafka does not know what it holds.
    let assigned = member["assignment"]["assignedPartitions"].as_array();
    printed["assignment"] = assigned.cloned().unwrap_or_default().into();
    printed
}

/// Returns the fields of these names; null for a tombstone.
fn fields(value: &Value, names: &[&str]) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    let field = |name: &&str| ((*name).to_owned(), value[*name].clone());
    names.iter().map(field).collect()
}

/// Adds how many partitions there are in `topics`, unless it is a tombstone.
fn with_count(mut value: Value, topics: &Value) -> Value {
    if let Some(topics) = topics.as_array() {
        let partitions = topics
            .iter()
            .filter_map(|topic| topic["partitions"].as_array());
        value["partitions"] = json!(partitions.map(Vec::len).sum::<usize>());
    }
    value
}
