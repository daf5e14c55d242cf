//! Whether the retention of topics can be read.

use super::cluster::ClusterCheck;
use super::grant;
use crate::kafka::{Admin, Metadata};
use crate::lag::TopicName;

/// What is not shown without it.
const WITHOUT: &str = "without it there is no retention headroom";

/// Checks the topics that the configuration names, as far as they are seen; where it names none, `topic`.
pub(super) async fn check(check: &mut ClusterCheck<'_>, metadata: &Metadata, topic: TopicName) {
    let named = &check.cluster.poll.topic_names;
    let topics: Vec<TopicName> = if named.is_empty() {
        vec![topic]
    } else {
        let is_seen = |topic: &&TopicName| metadata.topics.get(*topic).is_some_and(Result::is_ok);
        named.iter().filter(is_seen).cloned().collect()
    };
    let configs = match check.admin.topic_configs(&topics, check.limit).await {
        Ok(configs) => configs,
        Err(error) => {
            let text = format!("reading the configuration of topics: {error}; {WITHOUT}");
            return check.add_note(text);
        }
    };
    let mut readable = 0_usize;
    for (topic, config) in configs {
        let Err(error) = config else {
            readable += 1;
            continue;
        };
        let right = grant::right("DescribeConfigs", "topic", topic.as_str());
        // It takes one figure away, and nothing else: not everybody wants to grant it.
        let hint = check.hint(&error, &right);
        let text =
            format!("reading the configuration of topic `{topic}`: {error}; {WITHOUT}{hint}");
        check.add_note(text);
    }
    if readable > 0 {
        let tried = topics.len();
        check.add_good(format!(
            "topics whose configuration can be read: {readable} of {tried} tried"
        ));
    }
}
