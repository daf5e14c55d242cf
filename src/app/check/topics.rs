//! Which topics can be seen, and whether their log ends can be read.

use super::cluster::ClusterCheck;
use super::grant::word;
use super::result::CheckStatus;
use crate::kafka::{Admin, Metadata, OffsetQuery, OffsetSpec};
use crate::lag::{Isolation, TopicName, TopicPartition};

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
                let led = partitions
                    .iter()
                    .find_map(|partition| Some((partition.id, partition.leader?)));
                if let (None, Some((id, leader))) = (&query, led) {
                    query = Some(OffsetQuery {
                        partition: TopicPartition {
                            topic: topic.clone(),
                            partition: id,
                        },
                        leader,
                        spec: OffsetSpec::Latest,
                    });
                }
            }
            Err(error) => hidden.push((topic, error)),
        }
    }
    match seen {
        0 if hidden.is_empty() => check.add(
            CheckStatus::Missing,
            "no topic can be seen: there is none, the filter admits none, or Describe on the topics is not granted".to_owned(),
        ),
        seen => check.add(CheckStatus::Good, format!("topics that can be seen: {seen}")),
    }
    for (topic, error) in hidden {
        check.add_failure(
            &format!("topic `{topic}`"),
            error,
            &format!("--operation Describe --topic {}", word(topic.as_str())),
        );
    }
    query
}

/// Checks whether a log end can be read.
pub(super) async fn check_log(check: &mut ClusterCheck<'_>, query: OffsetQuery) {
    let topic = query.partition.topic.clone();
    let answers = check
        .admin
        .list_offsets(vec![query], Isolation::ReadUncommitted, check.limit)
        .await;
    match answers.into_iter().next() {
        Some((_, Ok(_))) => check.add(
            CheckStatus::Good,
            format!("log ends can be read: topic `{topic}`"),
        ),
        Some((_, Err(error))) => check.add_failure(
            &format!("reading the log end of topic `{topic}`"),
            &error,
            &format!("--operation Describe --topic {}", word(topic.as_str())),
        ),
        None => {}
    }
}
