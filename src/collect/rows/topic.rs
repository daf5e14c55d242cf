//! Rows of topics: metadata and watermarks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::collect::config::PollConfig;
use crate::collect::fetch::marks::Marks;
use crate::collect::fetch::topology::Topology;
use crate::kafka::PartitionMetadata;
use crate::lag::{PartitionId, TopicName, TopicPartition};
use crate::snapshot::{ClusterSnapshot, Revision, TopicPartitionRow, TopicRow, TopicSeries};

/// Returns a row for each watched topic, by name.
///
/// A topic that could not be read keeps its row of before; its metadata age by [`TopicRow::measured`].
pub(super) fn rows(
    previous: &ClusterSnapshot,
    topology: Option<&Topology>,
    marks: &Marks,
    config: &PollConfig,
    now: Instant,
) -> Vec<Arc<TopicRow>> {
    let Some(topology) = topology else {
        let watched = previous
            .topics
            .iter()
            .filter(|row| config.watches_topic(row.name.as_str()));
        return watched
            .map(|row| Arc::new(aged(row, config, now)))
            .collect();
    };
    let known: HashMap<&TopicName, &TopicRow> = previous
        .topics
        .iter()
        .map(|row| (&row.name, row.as_ref()))
        .collect();
    let rows = topology.topics.iter().filter_map(|(name, partitions)| {
        let before = known.get(name).copied();
        let row = match partitions {
            Err(_) => aged(before?, config, now),
            Ok(partitions) => TopicRow {
                revision: Revision::next(),
                name: name.clone(),
                series: series(name, config),
                measured: topology.measured,
                partitions: partitions
                    .iter()
                    .map(|partition| partition_row(name, partition, before, marks, config, now))
                    .collect(),
            },
        };
        Some(Arc::new(row))
    });
    rows.collect()
}

/// Returns the rows of before with the watermarks that were read since.
pub(super) fn patched(
    previous: &ClusterSnapshot,
    marks: &Marks,
    now: Instant,
) -> Vec<Arc<TopicRow>> {
    let mut topics = previous.topics.clone();
    for (id, read) in marks {
        let Ok(read) = read else {
            continue;
        };
        let place = topics.binary_search_by(|row| row.name.cmp(&id.topic));
        let Some(row) = place.ok().map(|index| &mut topics[index]) else {
            continue;
        };
        let partitions = &mut Arc::make_mut(row).partitions;
        if let Ok(index) = partitions.binary_search_by_key(&id.partition, |row| row.id) {
            partitions[index].marks = Some((now, *read));
        }
    }
    topics
}

fn partition_row(
    topic: &TopicName,
    metadata: &PartitionMetadata,
    before: Option<&TopicRow>,
    marks: &Marks,
    config: &PollConfig,
    now: Instant,
) -> TopicPartitionRow {
    let PartitionMetadata {
        id,
        leader,
        replicas,
        in_sync,
    } = metadata;
    let partition = TopicPartition {
        topic: topic.clone(),
        partition: *id,
    };
    let kept = || {
        let row = find(before?, *id)?;
        row.marks
            .filter(|(measured, _)| config.is_fresh(*measured, now))
    };
    TopicPartitionRow {
        id: *id,
        leader: *leader,
        replicas: replicas.clone(),
        in_sync: in_sync.clone(),
        marks: match marks.get(&partition) {
            Some(Ok(read)) => Some((now, *read)),
            Some(Err(_)) | None => kept(),
        },
    }
}

fn find(row: &TopicRow, partition: PartitionId) -> Option<&TopicPartitionRow> {
    let index = row
        .partitions
        .binary_search_by_key(&partition, |partition| partition.id);
    index.ok().map(|index| &row.partitions[index])
}

/// Returns whether a topic has series here.
pub(super) fn series(topic: &TopicName, config: &PollConfig) -> TopicSeries {
    if config.share.owns(topic.as_str()) {
        TopicSeries::Here
    } else {
        TopicSeries::Elsewhere
    }
}

/// Returns the row without the watermarks that are too old.
fn aged(row: &TopicRow, config: &PollConfig, now: Instant) -> TopicRow {
    let mut row = row.clone();
    row.series = series(&row.name, config);
    for partition in &mut row.partitions {
        partition.marks = partition
            .marks
            .filter(|(measured, _)| config.is_fresh(*measured, now));
    }
    row
}
