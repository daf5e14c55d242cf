//! What the task consumer counts. All task consumers of a process share these metrics.

use std::collections::BTreeSet;
use std::time::Duration;

use prometheus::{Histogram, IntGauge};

use crate::lag::{Offset, TopicName, TopicPartition};
use crate::metrics::TaskMetrics;
use crate::task::config::CommitStrategy;
use crate::task::item::{Item, Outcome};

/// Lets counters start at 0: `increase` does not see the first event of a counter that starts with it.
pub(super) fn start_at_zero(metrics: &TaskMetrics, topic: &TopicName, commit: CommitStrategy) {
    let TaskMetrics {
        messages,
        commits,
        rebalances,
        duplicates,
        dead_letters,
        retries,
        // The rest are not counters, or their labels are not known beforehand.
        commit_duration: _,
        assigned_partitions: _,
        processing: _,
        errors: _,
    } = metrics;
    let topic = topic.as_str();
    for outcome in ["processed", "duplicate", "dead_letter"] {
        messages.with_label_values(&[topic, outcome]);
    }
    for result in ["ok", "error"] {
        commits.with_label_values(&[topic, commit.mode_label(), result]);
    }
    for event in ["assigned", "revoked", "lost"] {
        rebalances.with_label_values(&[topic, event]);
    }
    for counter in [duplicates, dead_letters, retries] {
        counter.with_label_values(&[topic]);
    }
}

/// Counts records of a topic that are done.
pub(super) fn count_done(
    metrics: &TaskMetrics,
    topic: &TopicName,
    processed: u64,
    duplicates: u64,
) {
    let topic = topic.as_str();
    for (outcome, records) in [("processed", processed), ("duplicate", duplicates)] {
        if records > 0 {
            let messages = metrics.messages.with_label_values(&[topic, outcome]);
            messages.inc_by(records);
        }
    }
    let counter = metrics.duplicates.with_label_values(&[topic]);
    counter.inc_by(duplicates);
}

pub(super) fn count_dead_letter(metrics: &TaskMetrics, topic: &TopicName) {
    let topic = topic.as_str();
    metrics.dead_letters.with_label_values(&[topic]).inc();
    let messages = &metrics.messages;
    messages.with_label_values(&[topic, "dead_letter"]).inc();
}

/// Notes how long the attempts of one call took, evenly shared. Returns how many of them were retries.
pub(super) fn count_attempts(
    metrics: &TaskMetrics,
    results: &[(Item, Outcome)],
    duration: Duration,
) -> u64 {
    let attempts = results
        .iter()
        .filter(|(_, outcome)| !matches!(outcome, Outcome::Untouched));
    let Ok(count @ 1..) = u32::try_from(attempts.clone().count()) else {
        return 0;
    };
    let seconds = (duration / count).as_secs_f64();
    let mut retries = 0;
    let mut series: Option<(&TopicName, Histogram)> = None;
    for (item, _) in attempts {
        let topic = &item.partition.topic;
        let histogram = match &mut series {
            Some((last, histogram)) if *last == topic => histogram,
            other => {
                let histogram = metrics.processing.with_label_values(&[topic.as_str()]);
                &mut other.insert((topic, histogram)).1
            }
        };
        histogram.observe(seconds);
        if item.attempt > 1 {
            metrics.retries.with_label_values(&[topic.as_str()]).inc();
            retries += 1;
        }
    }
    retries
}

/// Counts a commit for each of its topics.
pub(super) fn count_commit(
    metrics: &TaskMetrics,
    offsets: &[(TopicPartition, Offset)],
    mode: &str,
    result: &str,
) {
    for topic in topics(offsets.iter().map(|(partition, _)| partition)) {
        let commits = &metrics.commits;
        commits.with_label_values(&[topic, mode, result]).inc();
    }
}

/// Notes for each topic of a commit how long it took.
pub(super) fn observe_commit(
    metrics: &TaskMetrics,
    offsets: &[(TopicPartition, Offset)],
    duration: Duration,
) {
    for topic in topics(offsets.iter().map(|(partition, _)| partition)) {
        let durations = metrics.commit_duration.with_label_values(&[topic]);
        durations.observe(duration.as_secs_f64());
    }
}

/// Counts a rebalance for each of its topics.
pub(super) fn count_rebalance(metrics: &TaskMetrics, partitions: &[TopicPartition], event: &str) {
    for topic in topics(partitions.iter()) {
        let rebalances = &metrics.rebalances;
        rebalances.with_label_values(&[topic, event]).inc();
    }
}

fn topics<'a>(partitions: impl Iterator<Item = &'a TopicPartition>) -> BTreeSet<&'a str> {
    partitions
        .map(|partition| partition.topic.as_str())
        .collect()
}

/// Returns the gauge of assigned partitions of a partition's topic.
pub(super) fn assigned_gauge(metrics: &TaskMetrics, partition: &TopicPartition) -> IntGauge {
    let topic = partition.topic.as_str();
    metrics.assigned_partitions.with_label_values(&[topic])
}

pub(super) fn count_error(metrics: &TaskMetrics, code: &str) {
    metrics.errors.with_label_values(&[code]).inc();
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;

    use super::*;
    use crate::metrics::OwnMetrics;

    #[test]
    fn counters_start_at_0_before_anything_happens() {
        let own = OwnMetrics::new("0");
        let metrics = own.task();
        start_at_zero(metrics, &"task-created".into(), CommitStrategy::BATCHES);
        for (counters, count) in [
            (&metrics.messages, 3),
            (&metrics.commits, 2),
            (&metrics.rebalances, 3),
            (&metrics.duplicates, 1),
            (&metrics.dead_letters, 1),
            (&metrics.retries, 1),
        ] {
            let families = counters.collect();
            let values = families[0].get_metric().iter();
            let values: Vec<f64> = values
                .map(|metric| metric.get_counter().get_value())
                .collect();
            assert_eq!(values, vec![0.0; count], "{}", families[0].name());
        }
    }
}
