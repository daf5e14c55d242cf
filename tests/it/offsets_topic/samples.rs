//! One record of every type and version that Kafka's coordinator can write, by the fields that its formatter prints.
//!
//! For what a short test on a broker does not bring about: old versions, Streams groups, the rarer fields.

use serde_json::{Value, json};

/// A record to be written by Kafka itself.
pub(crate) struct Sample {
    pub(crate) record_type: i16,
    pub(crate) version: i16,
    pub(crate) key: Value,
    pub(crate) value: Value,
}

const TOPIC_ID: &str = "ASNFZ4mrze_-3LqYdlQyEA";

/// Returns the samples in the order of their types and versions.
pub(crate) fn samples() -> Vec<Sample> {
    let commit = json!({ "group": "bill", "topic": "orders", "partition": 7 });
    let group = json!({ "group": "bill" });
    let modern = json!({ "groupId": "bill" });
    let member = json!({ "groupId": "bill", "memberId": "member-1" });
    let expression = json!({ "groupId": "bill", "regularExpression": "orders.*" });
    let mut samples = vec![sample(0, 0, &commit, commit_in(0))];
    samples.extend((0..=4).map(|version| sample(1, version, &commit, commit_in(version))));
    samples.extend((0..=4).map(|version| sample(2, version, &group, classic_group_in(version))));
    let values = [
        (3, &modern, json!({ "epoch": 3, "metadataHash": 5 })),
        (4, &modern, topics()),
        (5, &member, consumer_member()),
        (
            6,
            &modern,
            json!({ "assignmentEpoch": 3, "assignmentTimestamp": 1_717_000_000_000_i64 }),
        ),
        (7, &member, json!({ "topicPartitions": [partitions()] })),
        (
            8,
            &member,
            current(json!({
                "assignedPartitions": [owned()], "partitionsPendingRevocation": [owned()],
            })),
        ),
        (
            10,
            &member,
            json!({
                "rackId": "r1", "clientId": "reader", "clientHost": "/10.0.0.1", "subscribedTopicNames": ["orders"],
            }),
        ),
        (11, &modern, json!({ "epoch": 3, "metadataHash": 5 })),
        (12, &modern, json!({ "assignmentEpoch": 3 })),
        (13, &member, json!({ "topicPartitions": [partitions()] })),
        (
            14,
            &member,
            current(json!({ "assignedPartitions": [partitions()] })),
        ),
        (
            16,
            &expression,
            json!({ "topics": ["orders", "orders-2"], "version": 9, "timestamp": 1_717_000_000_000_i64 }),
        ),
        (
            17,
            &modern,
            json!({ "epoch": 3, "metadataHash": 5, "validatedTopologyEpoch": 2 }),
        ),
        (19, &member, streams_member()),
        (
            20,
            &modern,
            json!({ "assignmentEpoch": 3, "assignmentTimestamp": 1_717_000_000_000_i64 }),
        ),
        (
            21,
            &member,
            tasks(["activeTasks", "standbyTasks", "warmupTasks"]),
        ),
        (22, &member, streams_current()),
    ];
    samples.extend(
        values
            .into_iter()
            .map(|(record_type, key, value)| sample(record_type, 0, key, value)),
    );
    samples
}

fn sample(record_type: i16, version: i16, key: &Value, value: Value) -> Sample {
    Sample {
        record_type,
        version,
        key: key.clone(),
        value,
    }
}

/// Returns an object of the fields that a version has.
fn fields_in(version: i16, fields: &[(&str, i16, i16, Value)]) -> Value {
    let has = |first: i16, last: i16| (first..=last).contains(&version);
    let fields = fields
        .iter()
        .filter(|(_, first, last, _)| has(*first, *last));
    fields
        .map(|(name, _, _, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn commit_in(version: i16) -> Value {
    fields_in(
        version,
        &[
            ("offset", 0, 4, json!(i64::MAX)),
            ("leaderEpoch", 3, 4, json!(9)),
            ("metadata", 0, 4, json!("ünï")),
            ("commitTimestamp", 0, 4, json!(1_717_000_000_000_i64)),
            ("expireTimestamp", 1, 1, json!(1_718_000_000_000_i64)),
            ("topicId", 4, 4, json!(TOPIC_ID)),
        ],
    )
}

fn classic_group_in(version: i16) -> Value {
    let member = |id: &str, instance: Value| {
        fields_in(
            version,
            &[
                ("memberId", 0, 4, json!(id)),
                ("groupInstanceId", 3, 4, instance),
                ("clientId", 0, 4, json!("reader")),
                ("clientHost", 0, 4, json!("/10.0.0.1")),
                ("rebalanceTimeout", 1, 4, json!(60_000)),
                ("sessionTimeout", 0, 4, json!(45_000)),
                // Connect's bytes are nobody else's: base64.
                ("subscription", 0, 4, json!("AAH/")),
                ("assignment", 0, 4, json!("")),
            ],
        )
    };
    fields_in(
        version,
        &[
            ("protocolType", 0, 4, json!("connect")),
            ("generation", 0, 4, json!(5)),
            ("protocol", 0, 4, json!("sessioned")),
            ("leader", 0, 4, Value::Null),
            ("currentStateTimestamp", 2, 4, json!(1_717_000_000_000_i64)),
            (
                "members",
                0,
                4,
                json!([member("m1", json!("i1")), member("m2", Value::Null)]),
            ),
        ],
    )
}

fn partitions() -> Value {
    json!({ "topicId": TOPIC_ID, "partitions": [0, 1, 70_000] })
}

fn owned() -> Value {
    json!({ "topicId": TOPIC_ID, "partitions": [0, 1], "assignmentEpochs": [2, 3] })
}

fn topics() -> Value {
    let racks = json!([{ "partition": 0, "racks": ["r1", "r2"] }]);
    json!({ "topics": [
        { "topicId": TOPIC_ID, "topicName": "orders", "numPartitions": 3, "partitionMetadata": racks },
    ] })
}

fn consumer_member() -> Value {
    json!({
        "instanceId": "i1", "rackId": null, "clientId": "reader", "clientHost": "/10.0.0.1",
        "subscribedTopicNames": ["orders"], "subscribedTopicRegex": "o.*", "rebalanceTimeoutMs": 60_000,
        "serverAssignor": "uniform", "classicMemberMetadata": {
            "sessionTimeoutMs": 45_000, "supportedProtocols": [{ "name": "range", "metadata": "AAH/" }],
        },
    })
}

fn streams_member() -> Value {
    json!({
        "instanceId": null, "rackId": "r1", "clientId": "app", "clientHost": "/10.0.0.1", "rebalanceTimeoutMs": 60_000,
        "topologyEpoch": 2, "processId": "p1", "userEndpoint": { "host": "h", "port": 9000 },
        "clientTags": [{ "key": "zone", "value": "a" }],
    })
}

fn current(mut fields: Value) -> Value {
    fields["memberEpoch"] = json!(3);
    fields["previousMemberEpoch"] = json!(2);
    fields["state"] = json!(2);
    fields
}

fn tasks(names: [&str; 3]) -> Value {
    let tasks = json!([{ "subtopologyId": "0", "partitions": [0, 1] }]);
    names
        .map(|name| (name.to_owned(), tasks.clone()))
        .into_iter()
        .collect()
}

fn streams_current() -> Value {
    let mut fields = tasks(["activeTasks", "standbyTasks", "warmupTasks"]);
    let pending = tasks([
        "activeTasksPendingRevocation",
        "standbyTasksPendingRevocation",
        "warmupTasksPendingRevocation",
    ]);
    let all = fields.as_object_mut().expect("it is an object");
    all.extend(pending.as_object().cloned().unwrap_or_default());
    current(fields)
}
