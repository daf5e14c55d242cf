//! When topics delete records, as their configs say: read once for each topic, and for all of them every few minutes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::collect::config::PollConfig;
use crate::collect::fetch::{Budget, within};
use crate::collect::places::Map;
use crate::kafka::{Admin, KafkaError};
use crate::lag::{RetentionPolicy, TopicName};

/// How often the configs of topics are read again.
const INTERVAL: Duration = Duration::from_secs(300);

/// How soon, where they could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// What is known of the retention of topics.
#[derive(Debug, Default)]
pub(super) struct Policies {
    known: Map<TopicName, RetentionPolicy>,
    /// The topics that groups have something on.
    noted: BTreeSet<TopicName>,
    asked: HashSet<TopicName>,
    /// When all of them are read again.
    due: Option<Instant>,
    told: Option<&'static str>,
}

impl Policies {
    /// Returns a topic's policy; nothing where it could not be read.
    pub(super) fn of(&self, topic: &TopicName) -> Option<RetentionPolicy> {
        self.known.get(topic).copied()
    }

    /// Notes that a group has something on a topic, whose policy is to be read.
    pub(super) fn note(&mut self, topic: &TopicName) {
        if !self.noted.contains(topic) {
            self.noted.insert(topic.clone());
        }
    }

    /// Returns whether a topic's records are deleted by its size.
    pub(super) fn limits_size(&self, topic: &TopicName) -> bool {
        let policy = self.known.get(topic);
        policy.is_some_and(|policy| policy.limits_size())
    }

    /// Forgets topics that are not shown.
    pub(super) fn retain(&mut self, is_shown: impl Fn(&TopicName) -> bool) {
        self.noted.retain(&is_shown);
        self.known.retain(|topic, _| is_shown(topic));
        self.asked.retain(|topic| is_shown(topic));
    }

    /// Reads the policies of topics that were not read yet, and of all of them where that is due. Returns what failed.
    ///
    /// What may not be read any more, or cannot be understood, is unknown from then on. Where nobody answers, the policies
    /// of before stay, and are asked for again within a minute.
    pub(super) async fn fetch(
        &mut self,
        admin: &dyn Admin,
        config: &PollConfig,
        budget: Budget,
    ) -> Option<KafkaError> {
        let now = Instant::now();
        if self.due.is_none_or(|due| now >= due) {
            self.asked.clear();
            self.due = Some(now + INTERVAL);
        }
        let unread = self
            .noted
            .iter()
            .filter(|topic| !self.asked.contains(*topic));
        let topics: Vec<TopicName> = unread.cloned().collect();
        if topics.is_empty() {
            return None;
        }
        let limit = budget.request_timeout;
        let answer = within(limit, admin.topic_configs(&topics, limit)).await;
        let failure = match answer.and_then(|answer| answer) {
            Ok(configs) => self.take_in(configs),
            Err(error) => {
                if error.code.is_authorization() || error.code.is_unsupported() {
                    self.known.retain(|topic, _| !topics.contains(topic));
                } else {
                    self.due = Some(now + AFTER_FAILURE);
                }
                self.asked.extend(topics);
                Some(error)
            }
        };
        self.tell(config, failure.as_ref());
        // What a cluster cannot do is no failure.
        failure.filter(|error| !error.code.is_unsupported())
    }

    fn take_in(
        &mut self,
        configs: BTreeMap<TopicName, Result<BTreeMap<String, String>, KafkaError>>,
    ) -> Option<KafkaError> {
        let mut failure = None;
        for (topic, configs) in configs {
            self.asked.insert(topic.clone());
            let policy = configs.map(|configs| RetentionPolicy::of_topic(&configs));
            match policy {
                Ok(Ok(policy)) => {
                    self.known.insert(topic, policy);
                    continue;
                }
                // Unknown, and not unlimited.
                Ok(Err(_)) => {}
                Err(error) => failure = Some(error),
            }
            self.known.remove(&topic);
        }
        failure
    }

    /// Tells once why the retention of topics is not known.
    fn tell(&mut self, config: &PollConfig, failure: Option<&KafkaError>) {
        let code = failure.map(|error| error.code.name());
        if let Some(error) = failure
            && self.told != code
        {
            info!(
                cluster = config.cluster_label(),
                "when topics delete records cannot be read, so `kafka_consumergroup_retention_headroom_seconds` is absent for them: {error}"
            );
        }
        self.told = code;
    }
}
