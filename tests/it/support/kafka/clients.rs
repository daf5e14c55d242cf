//! What tests do to a cluster and ask of it, through Kafka's own admin client, producer, consumer and tools.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Kafka, NodeId};

/// A record as Kafka's own consumer reads it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// A group as Kafka's own admin client describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DescribedGroup {
    pub(crate) state: String,
    pub(crate) members: Vec<DescribedMember>,
}

/// A member of a [`DescribedGroup`].
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DescribedMember {
    pub(crate) id: String,
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) assignment: Vec<(String, i32)>,
}

impl Kafka {
    /// Creates a topic on all nodes, waits until it has leaders, and returns its name.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32) -> String {
        self.create_topic_with(topic, partitions, self.nodes.len(), &[])
    }

    /// Creates a topic with a replication factor and properties of its own.
    pub(crate) fn create_topic_with(
        &self,
        topic: &str,
        partitions: i32,
        replication: usize,
        configs: &[(&str, &str)],
    ) -> String {
        let configs: BTreeMap<_, _> = configs.iter().copied().collect();
        self.call(json!({
            "do": "create-topic", "topic": topic, "partitions": partitions,
            "replication": replication, "configs": configs,
        }));
        topic.to_owned()
    }

    /// Adds partitions to a topic, so that it has as many, and waits until they have leaders.
    pub(crate) fn add_partitions(&self, topic: &str, partitions: i32) {
        self.call(json!({ "do": "add-partitions", "topic": topic, "partitions": partitions }));
    }

    pub(crate) fn delete_topic(&self, topic: &str) {
        self.call(json!({ "do": "delete-topic", "topic": topic }));
    }

    /// Sets a property of a topic.
    pub(crate) fn set_topic_config(&self, topic: &str, name: &str, value: &str) {
        self.call(json!({
            "do": "set-topic-config", "topic": topic, "name": name, "value": value,
        }));
    }

    /// Deletes the records before `offset`, as retention would.
    pub(crate) fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        self.call(json!({
            "do": "delete-records", "topic": topic, "partition": partition, "offset": offset,
        }));
    }

    /// Appends `count` small records to a partition and returns its log end.
    pub(crate) fn produce(&self, topic: &str, partition: i32, count: usize) -> i64 {
        let records: Vec<Value> = (0..count)
            .map(|n| json!({ "value": format!("record {n}") }))
            .collect();
        self.answer(json!({
            "do": "produce", "topic": topic, "partition": partition, "records": records,
        }))
    }

    /// Appends a small record to partition 0 for each timestamp, in milliseconds since the epoch.
    pub(crate) fn produce_at(&self, topic: &str, timestamps_ms: &[i64]) {
        let records: Vec<Value> = timestamps_ms
            .iter()
            .map(|timestamp| json!({ "value": "record", "timestamp": timestamp }))
            .collect();
        self.call(json!({ "do": "produce", "topic": topic, "partition": 0, "records": records }));
    }

    /// Appends records, each with a key that chooses its partition.
    pub(crate) fn produce_keyed(&self, topic: &str, records: &[(String, String)]) {
        let records: Vec<Value> = records
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": value }))
            .collect();
        self.call(json!({ "do": "produce", "topic": topic, "records": records }));
    }

    /// Returns every record of a topic, partition by partition in the order of its offsets.
    pub(crate) fn read_all(&self, topic: &str) -> Vec<StoredRecord> {
        let mut records: Vec<StoredRecord> =
            self.answer(json!({ "do": "read", "topic": topic, "properties": {} }));
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// Returns the first offset of a partition that is still stored.
    pub(crate) fn log_start(&self, topic: &str, partition: i32) -> i64 {
        self.answer(json!({ "do": "log-start", "topic": topic, "partition": partition }))
    }

    /// Returns the node that leads a partition; nothing while there is none.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Option<NodeId> {
        self.answer(json!({ "do": "leader", "topic": topic, "partition": partition }))
    }

    /// Returns the nodes that hold a replica of a partition, the preferred leader first.
    pub(crate) fn replicas(&self, topic: &str, partition: i32) -> Vec<NodeId> {
        self.answer(json!({ "do": "replicas", "topic": topic, "partition": partition }))
    }

    /// Returns the node that is the active controller.
    pub(crate) fn controller(&self) -> NodeId {
        self.answer(json!({ "do": "controller" }))
    }

    /// Returns the node that coordinates a group.
    pub(crate) fn coordinator(&self, group: &str) -> NodeId {
        self.answer(json!({ "do": "coordinator", "group": group }))
    }

    /// Describes a group that exists.
    pub(crate) fn describe_group(&self, group: &str) -> DescribedGroup {
        self.answer(json!({ "do": "describe-group", "group": group }))
    }

    /// Returns the committed offsets of a group by topic and partition.
    pub(crate) fn committed(&self, group: &str) -> BTreeMap<(String, i32), i64> {
        let rows: Vec<(String, i32, i64)> =
            self.answer(json!({ "do": "committed", "group": group }));
        rows.into_iter()
            .map(|(topic, partition, offset)| ((topic, partition), offset))
            .collect()
    }

    /// Commits for a group that has no members; the group need not exist.
    pub(crate) fn commit_for(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        self.try_commit_for(group, topic, partition, offset)
            .unwrap_or_else(|error| panic!("committing for {group}: {error}"));
    }

    /// As [`Kafka::commit_for`], for clusters that may refuse.
    ///
    /// # Errors
    ///
    /// What Kafka's client says.
    pub(crate) fn try_commit_for(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), String> {
        let request = json!({
            "do": "alter-offsets", "group": group, "topic": topic, "partition": partition, "offset": offset,
        });
        self.try_call(request).map(|_| ())
    }

    /// Returns the partition of `__consumer_offsets` that holds a group, which need not exist.
    pub(crate) fn offsets_partition(&self, group: &str) -> i32 {
        self.answer(json!({ "do": "offsets-partition", "group": group }))
    }

    /// Makes a node the leader of a partition, by an election: nobody dies.
    pub(crate) fn move_leader(&self, topic: &str, partition: i32, to: NodeId) {
        self.call(json!({ "do": "move-leader", "topic": topic, "partition": partition, "to": to }));
    }

    /// Makes a node the coordinator of a group, by making it the leader of the group's offsets.
    pub(crate) fn move_coordinator(&self, group: &str, to: NodeId) {
        self.call(json!({ "do": "move-coordinator", "group": group, "to": to }));
    }

    pub(crate) fn delete_group(&self, group: &str) {
        self.call(json!({ "do": "delete-group", "group": group }));
    }

    /// Denies everybody an operation (`Describe`, `Read`) on one group; the nodes need an authorizer.
    pub(crate) fn deny(&self, group: &str, operation: &str) {
        self.create_acl("group", group, operation, "deny");
    }

    /// Lets everybody do this on one topic and nothing else; the nodes need an authorizer.
    pub(crate) fn allow_only(&self, topic: &str, operation: &str) {
        self.create_acl("topic", topic, operation, "allow");
    }

    fn create_acl(&self, resource: &str, name: &str, operation: &str, permission: &str) {
        self.call(json!({
            "do": "create-acl", "resource": resource, "name": name, "operation": operation,
            "permission": permission,
        }));
    }

    /// Takes back every [`Kafka::deny`] and [`Kafka::allow_only`].
    pub(crate) fn allow_all(&self) {
        self.call(json!({ "do": "delete-acls" }));
    }

    /// Runs Kafka's own `kafka-consumer-groups` with these arguments and returns what it prints.
    pub(crate) fn consumer_groups_tool(&self, args: &[&str]) -> String {
        self.tool(
            "kafka-consumer-groups",
            &[args, &["--timeout", "60000"]].concat(),
        )
    }

    /// Runs one of Kafka's own tools, by the name of its script, and returns what it prints.
    pub(super) fn tool(&self, tool: &str, args: &[&str]) -> String {
        self.answer(json!({ "do": "tool", "tool": tool, "args": args }))
    }

    pub(super) fn answer<T: DeserializeOwned>(&self, request: Value) -> T {
        let answer = self.call(request);
        serde_json::from_value(answer)
            .expect("the driver answers in the shape of its documentation")
    }
}
