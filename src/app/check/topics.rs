//! Which topics can be seen, and whether their log ends can be read.

use super::cluster::{ClusterCheck, log_end_query};
use super::grant;
use crate::kafka::{Metadata, OffsetQuery};
use crate::lag::{Isolation, TopicName};

/// Checks which topics can be seen; returns a question about one of them.
pub(super) fn check(check: &mut ClusterCheck<'_>, metadata: &Metadata) -> Option<OffsetQuery> {
    let poll = &check.cluster.poll;
    let is_watched =
        |topic: &TopicName| !poll.topic_names.is_empty() || poll.topics.admits(topic.as_str());
    let watched = metadata
        .topics
        .iter()
        .filter(|(topic, _)| is_watched(topic));
    let (mut seen, mut hidden, mut query) = (0_usize, Vec::new(), None);
    for (topic, partitions) in watched {
        match partitions {
            Ok(partitions) => {
                seen += 1;
                query = query.or_else(|| log_end_query(topic, partitions));
            }
            Err(error) => hidden.push((topic, error)),
        }
    }
    match seen {
        0 if hidden.is_empty() => check.add_nothing_seen("topic"),
        seen => check.add_good(format!("topics that can be seen: {seen}")),
    }
    for (topic, error) in hidden {
        let right = grant::right("Describe", "topic", topic.as_str());
        check.add_failure(&format!("topic `{topic}`"), error, &right);
    }
    query
}

/// Checks whether a log end can be read.
pub(super) async fn check_log(check: &mut ClusterCheck<'_>, query: OffsetQuery) {
    let topic = query.partition.topic.clone();
    match check.log_end(query, Isolation::ReadUncommitted).await {
        Ok(_) => check.add_good(format!("log ends can be read: topic `{topic}`")),
        Err(error) => {
            let what = format!("reading the log end of topic `{topic}`");
            let right = grant::right("Describe", "topic", topic.as_str());
            check.add_failure(&what, &error, &right);
        }
    }
}
