//! A consumer of Kafka's own that reads only when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Kafka;
use crate::support::wait::eventually;

/// How a member takes part in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JoinGroup and SyncGroup.
    Classic,
    /// KIP-848.
    Consumer,
}

/// A member being put together.
#[derive(Debug)]
pub(crate) struct MemberBuilder<'a> {
    kafka: &'a Kafka,
    request: Value,
    properties: BTreeMap<String, String>,
}

/// A consumer that stays in its group; between orders its offsets stand still. It leaves when dropped.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    kafka: &'a Kafka,
    id: String,
}

impl Kafka {
    /// Begins a consumer of a group: classic unless told otherwise.
    pub(crate) fn member(&self, group: &str) -> MemberBuilder<'_> {
        // The client id is told: the default has the group's name in it, whose spaces would break tables.
        let properties = [("group.id", group), ("client.id", "reader")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        MemberBuilder {
            kafka: self,
            request: json!({ "do": "member-open" }),
            properties,
        }
    }
}

impl<'a> MemberBuilder<'a> {
    /// Joins the group for these topics.
    pub(crate) fn subscribe(mut self, topics: &[&str]) -> Self {
        self.request["topics"] = json!(topics);
        self
    }

    /// Joins the group for the topics that the coordinator finds by this regular expression.
    pub(crate) fn subscribe_pattern(mut self, pattern: &str) -> Self {
        self.request["pattern"] = json!(pattern);
        self
    }

    /// Takes these partitions without joining: a simple group, which only commits.
    pub(crate) fn assign(mut self, partitions: &[(&str, i32)]) -> Self {
        self.request["assign"] = json!(partitions);
        self
    }

    pub(crate) fn protocol(self, protocol: Protocol) -> Self {
        let name = match protocol {
            Protocol::Classic => "classic",
            Protocol::Consumer => "consumer",
        };
        self.property("group.protocol", name)
    }

    /// Sets a property of the Java consumer.
    pub(crate) fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn open(mut self) -> Member<'a> {
        self.request["properties"] = json!(self.properties);
        let id = self.kafka.answer(self.request);
        Member {
            kafka: self.kafka,
            id,
        }
    }
}

impl Member<'_> {
    /// Returns the partitions it owns now.
    pub(crate) fn assignment(&self) -> Vec<(String, i32)> {
        let mut partitions: Vec<(String, i32)> = self
            .kafka
            .answer(json!({ "do": "member-assignment", "member": self.id }));
        partitions.sort();
        partitions
    }

    /// Waits until it owns this many partitions.
    pub(crate) fn wait_for_partitions(&self, count: usize) {
        let what = format!("an assignment of {count} partitions");
        eventually(&what, Duration::from_secs(60), || {
            self.assignment().len() == count
        });
    }

    /// Waits until these members share this many partitions, with something for each of them.
    pub(crate) fn wait_for_shares(members: &[Self], count: usize) {
        let what = format!("{count} partitions shared by {} members", members.len());
        eventually(&what, Duration::from_secs(60), || {
            let shares: Vec<_> = members.iter().map(Self::assignment).collect();
            let owned: usize = shares.iter().map(Vec::len).sum();
            let different: BTreeSet<_> = shares.iter().flatten().collect();
            let has_idle = shares.iter().any(Vec::is_empty);
            !has_idle && owned == count && different.len() == count
        });
    }

    /// Reads `records` of a partition it owns, commits, and returns the committed offset.
    pub(crate) fn consume(&self, topic: &str, partition: i32, records: usize) -> i64 {
        self.kafka.answer(json!({
            "do": "member-consume", "member": self.id, "topic": topic,
            "partition": partition, "records": records,
        }))
    }

    /// Commits an offset of the caller's choice on a partition it owns, and returns when Kafka had acknowledged it.
    pub(crate) fn commit(&self, topic: &str, partition: i32, offset: i64) -> SystemTime {
        let micros = self.kafka.answer(json!({
            "do": "member-commit", "member": self.id, "topic": topic,
            "partition": partition, "offset": offset,
        }));
        UNIX_EPOCH + Duration::from_micros(micros)
    }

    /// As [`Member::commit`], for clusters that may refuse.
    ///
    /// # Errors
    ///
    /// What Kafka's client says.
    pub(crate) fn try_commit(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), String> {
        let request = json!({
            "do": "member-commit", "member": self.id, "topic": topic,
            "partition": partition, "offset": offset,
        });
        self.kafka.try_call(request).map(|_| ())
    }

    /// Leaves the group.
    pub(crate) fn close(self) {
        drop(self);
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let _ = self
            .kafka
            .try_call(json!({ "do": "member-close", "member": self.id }));
    }
}
