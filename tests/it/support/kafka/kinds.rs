//! Groups of the kinds that Kafka's consumer does not make.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::raw_connection::{Body, RawConnection};
use super::{Builder, Kafka};
use crate::support::wait::eventually;

const OFFSET_COMMIT: i16 = 8;

/// A Kafka Streams application that has paused. It leaves its group when dropped.
#[derive(Debug)]
pub(crate) struct StreamsApp<'a> {
    kafka: &'a Kafka,
    id: String,
}

/// A member of a share group. It leaves when dropped.
#[derive(Debug)]
pub(crate) struct ShareMember<'a> {
    kafka: &'a Kafka,
    id: String,
}

/// A partition of a Streams group, as `kafka-streams-groups --describe --verbose` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamsOffsets {
    pub(crate) committed: i32,
    pub(crate) end: i32,
    pub(crate) lag: i32,
}

impl Builder {
    /// Lets share groups keep their state on a single node.
    pub(crate) fn for_share_groups(self) -> Self {
        self.property("share.coordinator.state.topic.replication.factor", "1")
            .property("share.coordinator.state.topic.min.isr", "1")
    }
}

impl Kafka {
    /// Starts a Kafka Streams application, by KIP-1071, that commits `records` records of a topic and then pauses.
    ///
    /// Its id is the group's. It stays in the group, and what is produced later is its lag.
    pub(crate) fn streams_app(&self, id: &str, topic: &str, records: usize) -> StreamsApp<'_> {
        let request = json!({
            "do": "streams-open", "group": id, "topic": topic, "records": records,
            "state_dir": self.scratch.path().join("streams"),
        });
        StreamsApp {
            kafka: self,
            id: self.answer(request),
        }
    }

    /// Joins a share group, reads `records` records of a topic from its first on, and stays.
    pub(crate) fn share_member(&self, group: &str, topic: &str, records: usize) -> ShareMember<'_> {
        let request = json!({
            "do": "share-open", "group": group, "topic": topic, "records": records,
        });
        ShareMember {
            kafka: self,
            id: self.answer(request),
        }
    }

    /// Returns what `kafka-groups --list` prints: the id and the type of every group of any kind.
    pub(crate) fn listed_groups(&self) -> BTreeMap<String, String> {
        let printed = self.tool("kafka-groups", &["--list"]);
        let mut lines = printed.lines();
        let kind_column = lines
            .find_map(|line| line.find("TYPE").filter(|_| line.starts_with("GROUP")))
            .unwrap_or_else(|| panic!("{printed}"));
        lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (id, rest) = line.split_at(kind_column);
                let kind = rest.split_whitespace().next();
                let kind = kind.unwrap_or_else(|| panic!("{printed}"));
                (id.trim_end().to_owned(), kind.to_owned())
            })
            .collect()
    }

    /// Returns what `kafka-streams-groups --describe --verbose` prints of a group, by topic and partition.
    pub(crate) fn streams_offsets(&self, group: &str) -> BTreeMap<(String, i32), StreamsOffsets> {
        let arguments = ["--describe", "--verbose", "--group", group];
        let printed = self.tool("kafka-streams-groups", &arguments);
        let rows = printed.lines().filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let [id, topic, partition, committed, _epoch, end, lag] = columns[..] else {
                return None;
            };
            let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{printed}"));
            let offsets = || StreamsOffsets {
                committed: number(committed),
                end: number(end),
                lag: number(lag),
            };
            (id == group).then(|| ((topic.to_owned(), number(partition)), offsets()))
        });
        rows.collect()
    }

    /// Commits for the group whose id is empty, which Kafka's clients no longer do and brokers still take.
    ///
    /// The cluster has one node.
    pub(crate) fn commit_for_empty_group_id(&self, topic: &str, partition: i32, offset: i64) {
        let commit = Body::default()
            .string("")
            // No generation, no member, no retention of its own.
            .int32(-1)
            .string("")
            .int64(-1)
            .int32(1)
            .string(topic)
            .int32(1)
            .int32(partition)
            .int64(offset)
            .string("");
        let mut connection = RawConnection::open(&self.bootstrap_servers());
        // The coordinator may be loading.
        eventually("the commit", Duration::from_secs(30), || {
            let mut answer = connection.call(OFFSET_COMMIT, 2, &commit);
            assert_eq!(answer.int32(), 1, "one topic");
            assert_eq!(answer.string(), topic);
            assert_eq!((answer.int32(), answer.int32()), (1, partition));
            answer.int16() == 0
        });
    }
}

impl Drop for StreamsApp<'_> {
    fn drop(&mut self) {
        let _ = self
            .kafka
            .try_call(json!({ "do": "streams-close", "app": self.id }));
    }
}

impl Drop for ShareMember<'_> {
    fn drop(&mut self) {
        let _ = self
            .kafka
            .try_call(json!({ "do": "share-close", "member": self.id }));
    }
}
