//! The `consumer` section: the task consumer's settings, checked.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::error::ConfigError;
use super::resolve::Resolver;
use super::schema::{BackoffFile, CommitFile, ConsumerFile, Strategy};
use super::secret;
use super::setting::Setting;
use crate::kafka::Connection;
use crate::lag::{GroupId, TopicName};
use crate::task::{Backoff, CommitMode, CommitStrategy, TaskConfig};

impl Resolver<'_> {
    /// Returns what the task consumer of `cluster` is told.
    pub(super) fn task(
        &self,
        file: ConsumerFile,
        cluster: &Connection,
    ) -> Result<TaskConfig, ConfigError> {
        let properties = self.task_properties(&file.kafka_properties, cluster)?;
        let defaults = file
            .preset
            .as_ref()
            .map_or_else(TaskConfig::default, |preset| {
                TaskConfig::preset(preset.value)
            });
        let mut topics = Vec::new();
        for topic in &file.topics {
            topics.push(TopicName::from(self.name("topics", topic)?));
        }
        if topics.is_empty() {
            topics = defaults.topics;
        }
        let group = match &file.group {
            Some(group) => GroupId::from(self.name("group", group)?),
            None => defaults.group,
        };
        let dead_letter_topic = match &file.dead_letter_topic {
            Some(setting) => {
                let topic = TopicName::from(self.name("dead-letter-topic", setting)?);
                if topics.contains(&topic) {
                    let problem = format!(
                        "`dead-letter-topic` `{topic}` is consumed itself: a dead letter would come back for ever"
                    );
                    return Err(self.error(&setting.origin, problem));
                }
                topic
            }
            None => defaults.dead_letter_topic,
        };
        Ok(TaskConfig {
            topics,
            group,
            auto_offset_reset: file
                .auto_offset_reset
                .map_or(defaults.auto_offset_reset, |setting| setting.value),
            commit: self.commit(file.commit, defaults.commit)?,
            max_attempts: file
                .max_attempts
                .map_or(defaults.max_attempts, |setting| setting.value),
            backoff: self.backoff(&file.backoff, defaults.backoff)?,
            dead_letter_topic,
            audit_log: file
                .audit_log
                .path
                .map_or(defaults.audit_log, |setting| setting.value.into()),
            processing_delay: file
                .processing_delay
                .map_or(defaults.processing_delay, |setting| setting.value),
            grace_period: self
                .positive("grace-period", file.grace_period.as_ref())?
                .unwrap_or(defaults.grace_period),
            client_id: file
                .client_id
                .map_or(defaults.client_id, |setting| setting.value),
            properties,
            ..TaskConfig::default()
        })
    }

    /// Returns the consumer's own properties, which are valid together with those of its cluster.
    fn task_properties(
        &self,
        own: &BTreeMap<String, Setting<String>>,
        cluster: &Connection,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let properties = secret::read_files(self, own)?;
        let mut together = cluster.clone();
        together.properties.extend(properties.clone());
        match together.validate() {
            Ok(()) => Ok(properties),
            Err(error) => Err(self.connection_error(None, &error, &[], own)),
        }
    }

    fn commit(
        &self,
        file: CommitFile,
        default: CommitStrategy,
    ) -> Result<CommitStrategy, ConfigError> {
        let CommitFile {
            strategy,
            records,
            interval,
            mode,
        } = file;
        let strategy = strategy.map_or(strategy_of(default), |setting| setting.value);
        let is_batch = strategy == Strategy::PerBatch;
        if !is_batch {
            self.only_for_batches("records", records.as_ref())?;
            self.only_for_batches("mode", mode.as_ref())?;
        }
        if let (Strategy::PerMessage, Some(setting)) = (strategy, &interval) {
            let problem = "`commit.interval` says nothing for strategy `per-message`, which commits each record at once";
            return Err(self.error(&setting.origin, problem));
        }
        let interval = self.positive("commit.interval", interval.as_ref())?;
        Ok(match strategy {
            Strategy::PerMessage => CommitStrategy::PerMessage,
            Strategy::Auto => CommitStrategy::Auto {
                interval: interval.unwrap_or(DEFAULT_INTERVAL),
            },
            Strategy::AutoStore => CommitStrategy::AutoStore {
                interval: interval.unwrap_or(DEFAULT_INTERVAL),
            },
            Strategy::PerBatch => CommitStrategy::PerBatch {
                records: records.map_or(DEFAULT_RECORDS, |setting| setting.value),
                interval: interval.unwrap_or(DEFAULT_INTERVAL),
                mode: mode.map_or(CommitMode::Async, |setting| setting.value),
            },
        })
    }

    fn only_for_batches<T>(
        &self,
        key: &str,
        setting: Option<&Setting<T>>,
    ) -> Result<(), ConfigError> {
        match setting {
            None => Ok(()),
            Some(setting) => Err(self.error(
                &setting.origin,
                format!("`commit.{key}` is for strategy `per-batch` alone"),
            )),
        }
    }

    fn backoff(&self, file: &BackoffFile, default: Backoff) -> Result<Backoff, ConfigError> {
        let initial = self
            .positive("backoff.initial", file.initial.as_ref())?
            .unwrap_or(default.initial);
        let max = self
            .positive("backoff.max", file.max.as_ref())?
            .unwrap_or(default.max.max(initial));
        match &file.max {
            Some(setting) if max < initial => {
                let problem = format!(
                    "`backoff.max` ({}) is shorter than `backoff.initial` ({})",
                    humantime::format_duration(max),
                    humantime::format_duration(initial),
                );
                Err(self.error(&setting.origin, problem))
            }
            _ => Ok(Backoff { initial, max }),
        }
    }
}

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_RECORDS: NonZeroUsize = NonZeroUsize::new(500).expect("500 is not zero");

fn strategy_of(commit: CommitStrategy) -> Strategy {
    match commit {
        CommitStrategy::Auto { .. } => Strategy::Auto,
        CommitStrategy::AutoStore { .. } => Strategy::AutoStore,
        CommitStrategy::PerMessage => Strategy::PerMessage,
        CommitStrategy::PerBatch { .. } => Strategy::PerBatch,
    }
}
