//! Samples of topics and of their partitions.

use super::cluster::Cluster;
use crate::exposition::writer::Family;
use crate::lag::Watermarks;
use crate::snapshot::{ClusterSnapshot, TopicPartitionRow, TopicRow};

impl Cluster<'_> {
    pub(super) fn topics(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&TopicRow) -> u64,
    ) {
        let mark = self.labels.mark();
        for topic in snapshot.topics_shown() {
            if snapshot.is_fresh(topic.measured, self.now) {
                self.show(topic.measured);
                self.labels.push("topic", topic.name.as_str());
                self.series(family, value(topic));
                self.labels.cut(mark);
            }
        }
    }

    pub(super) fn topic_partitions(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&TopicPartitionRow) -> Option<u64>,
    ) {
        let start = self.labels.mark();
        for topic in snapshot.topics_shown() {
            if !snapshot.is_fresh(topic.measured, self.now) {
                continue;
            }
            self.labels.push("topic", topic.name.as_str());
            for partition in &topic.partitions {
                if let Some(value) = value(partition) {
                    self.partition(family, partition.id.0, value);
                }
            }
            self.labels.cut(start);
        }
    }

    pub(super) fn watermarks(
        &mut self,
        family: &mut Family<'_>,
        snapshot: &ClusterSnapshot,
        value: fn(&Watermarks) -> Option<u64>,
    ) {
        let start = self.labels.mark();
        for topic in snapshot.topics_shown() {
            self.labels.push("topic", topic.name.as_str());
            for partition in &topic.partitions {
                if let Some((measured, marks)) = &partition.marks
                    && snapshot.is_fresh(*measured, self.now)
                    && let Some(value) = value(marks)
                {
                    self.show(*measured);
                    self.partition(family, partition.id.0, value);
                }
            }
            self.labels.cut(start);
        }
    }
}
