//! Many groups without members: their offsets committed at once, and a share of them moved on in rounds.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::Kafka;

/// Groups `prefix0`, `prefix1`, … of which each commits on every partition of one topic, in turn.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ManyGroups {
    pub(crate) prefix: String,
    pub(crate) groups: usize,
    pub(crate) topics: Vec<String>,
    pub(crate) partitions: i32,
    /// What is committed where nothing waits.
    pub(crate) end: i64,
    /// How far before `end` the others are.
    pub(crate) behind: i64,
    /// How many of all offsets are behind, spread evenly over groups and partitions.
    pub(crate) lagging_percent: u8,
}

/// Offsets that move; they rest when this is dropped.
#[derive(Debug)]
pub(crate) struct Moving<'a> {
    kafka: &'a Kafka,
    is_over: bool,
}

impl Kafka {
    /// Commits `offset` on partitions 0 to `partitions` of a topic for the groups `prefix0`, `prefix1`, … `count`.
    pub(crate) fn fill_groups(
        &self,
        prefix: &str,
        count: usize,
        topic: &str,
        partitions: i32,
        offset: i64,
    ) {
        self.fill(&ManyGroups {
            prefix: prefix.to_owned(),
            groups: count,
            topics: vec![topic.to_owned()],
            partitions,
            end: offset,
            behind: 0,
            lagging_percent: 0,
        });
    }

    /// Appends `end` records to each partition of the groups' topics, which exist and are empty.
    pub(crate) fn produce_for(&self, groups: &ManyGroups) {
        self.call(request("bulk-produce", groups));
    }

    /// Commits for all of these groups.
    pub(crate) fn fill(&self, groups: &ManyGroups) {
        self.call(request("bulk-fill", groups));
    }

    /// Moves a share of all offsets on by one record in every `period`, beginning after so many earlier rounds.
    ///
    /// The share is a part of those that lag, so that there are records to move over.
    pub(crate) fn move_offsets(
        &self,
        groups: &ManyGroups,
        moving_percent: u8,
        period: Duration,
        rounds_before: u64,
    ) -> Moving<'_> {
        assert!(moving_percent <= groups.lagging_percent);
        let mut request = request("bulk-move", groups);
        request["moving_percent"] = json!(moving_percent);
        request["period_ms"] = json!(period.as_millis());
        request["rounds_before"] = json!(rounds_before);
        self.call(request);
        Moving {
            kafka: self,
            is_over: false,
        }
    }
}

impl Moving<'_> {
    /// Lets them rest and returns how many rounds there were.
    pub(crate) fn rest(mut self) -> u64 {
        self.is_over = true;
        self.kafka.answer(json!({ "do": "bulk-rest" }))
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.kafka.try_call(json!({ "do": "bulk-rest" }));
        }
    }
}

fn request(command: &str, groups: &ManyGroups) -> Value {
    let mut request = serde_json::to_value(groups).expect("it is made of names and numbers");
    request["do"] = json!(command);
    request
}
