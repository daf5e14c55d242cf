//! The `consumer` section, checked: the task consumer's settings.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::connection;
use super::error::ConfigError;
use super::schema::{BackoffFile, CommitFile, ConsumerFile, Strategy};
use super::setting::Setting;
use super::validate::{Validator, value_or};
use crate::kafka::Connection;
use crate::lag::{GroupId, TopicName};
use crate::task::{Backoff, CommitMode, CommitStrategy, TaskConfig};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_RECORDS: NonZeroUsize = NonZeroUsize::new(500).expect("500 is not zero");

/// The task consumer and the connection it uses.
#[derive(Clone, Debug)]
pub struct TaskConsumerConfig {
    /// The index of its cluster.
    pub cluster: usize,
    /// Where that cluster is.
    pub connection: Connection,
    /// Its own settings.
    pub task: TaskConfig,
}

impl PartialEq for TaskConsumerConfig {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            cluster,
            connection,
            task,
        } = self;
        // A handler cannot be compared, and a configuration has none; `Debug` shows every other field.
        *cluster == other.cluster
            && *connection == other.connection
            && task.properties == other.task.properties
            && format!("{task:?}") == format!("{:?}", other.task)
    }
}

/// Returns the settings of the task consumer of the cluster at `connection`.
pub(super) fn resolve(
    validator: &Validator<'_>,
    file: &ConsumerFile,
    connection: &Connection,
) -> Result<TaskConfig, ConfigError> {
    let properties = connection::resolve_own(validator, &file.kafka_properties, connection)?;
    let defaults = match &file.preset {
        Some(preset) => TaskConfig::preset(preset.value),
        None => TaskConfig::default(),
    };
    let topics = topics(validator, &file.topics, defaults.topics)?;
    let group = match &file.group {
        Some(group) => GroupId::from(validator.name("group", group)?),
        None => defaults.group,
    };
    let dead_letter_topic = match &file.dead_letter_topic {
        Some(setting) => dead_letter_topic(validator, setting, &topics)?,
        None => defaults.dead_letter_topic,
    };
    Ok(TaskConfig {
        topics,
        group,
        auto_offset_reset: value_or(file.auto_offset_reset.as_ref(), defaults.auto_offset_reset),
        commit: commit(validator, &file.commit, defaults.commit)?,
        max_attempts: value_or(file.max_attempts.as_ref(), defaults.max_attempts),
        backoff: backoff(validator, &file.backoff, defaults.backoff)?,
        dead_letter_topic,
        audit_log: match &file.audit_log.path {
            Some(path) => path.value.clone().into(),
            None => defaults.audit_log,
        },
        processing_delay: value_or(file.processing_delay.as_ref(), defaults.processing_delay),
        grace_period: validator.positive_or(
            "grace-period",
            file.grace_period.as_ref(),
            defaults.grace_period,
        )?,
        client_id: value_or(file.client_id.as_ref(), defaults.client_id),
        properties,
        ..TaskConfig::default()
    })
}

fn topics(
    validator: &Validator<'_>,
    topics: &[Setting<String>],
    defaults: Vec<TopicName>,
) -> Result<Vec<TopicName>, ConfigError> {
    if topics.is_empty() {
        return Ok(defaults);
    }
    let checked = topics.iter().map(|topic| validator.name("topics", topic));
    checked.map(|name| name.map(TopicName::from)).collect()
}

fn dead_letter_topic(
    validator: &Validator<'_>,
    setting: &Setting<String>,
    consumed: &[TopicName],
) -> Result<TopicName, ConfigError> {
    let topic = TopicName::from(validator.name("dead-letter-topic", setting)?);
    if consumed.contains(&topic) {
        let problem = format!(
            "`dead-letter-topic` `{topic}` is consumed itself: a dead letter would come back for ever"
        );
        return Err(validator.error(&setting.origin, problem));
    }
    Ok(topic)
}

fn commit(
    validator: &Validator<'_>,
    file: &CommitFile,
    default: CommitStrategy,
) -> Result<CommitStrategy, ConfigError> {
    let CommitFile {
        strategy,
        records,
        interval,
        mode,
    } = file;
    let strategy = value_or(strategy.as_ref(), strategy_of(default));
    if strategy != Strategy::PerBatch {
        only_for_batches(validator, "records", records.as_ref())?;
        only_for_batches(validator, "mode", mode.as_ref())?;
    }
    if let (Strategy::PerMessage, Some(setting)) = (strategy, interval) {
        let problem = "`commit.interval` says nothing for strategy `per-message`, which commits each record at once";
        return Err(validator.error(&setting.origin, problem));
    }
    let interval = validator.positive_or("commit.interval", interval.as_ref(), DEFAULT_INTERVAL)?;
    Ok(match strategy {
        Strategy::PerMessage => CommitStrategy::PerMessage,
        Strategy::Auto => CommitStrategy::Auto { interval },
        Strategy::AutoStore => CommitStrategy::AutoStore { interval },
        Strategy::PerBatch => CommitStrategy::PerBatch {
            records: value_or(records.as_ref(), DEFAULT_RECORDS),
            interval,
            mode: value_or(mode.as_ref(), CommitMode::Async),
        },
    })
}

fn only_for_batches<T>(
    validator: &Validator<'_>,
    key: &str,
    setting: Option<&Setting<T>>,
) -> Result<(), ConfigError> {
    match setting {
        None => Ok(()),
        Some(setting) => Err(validator.error(
            &setting.origin,
            format!("`commit.{key}` is for strategy `per-batch` alone"),
        )),
    }
}

fn backoff(
    validator: &Validator<'_>,
    file: &BackoffFile,
    default: Backoff,
) -> Result<Backoff, ConfigError> {
    let initial =
        validator.positive_or("backoff.initial", file.initial.as_ref(), default.initial)?;
    let longest = default.max.max(initial);
    let max = validator.positive_or("backoff.max", file.max.as_ref(), longest)?;
    match &file.max {
        Some(setting) if max < initial => {
            let problem = format!(
                "`backoff.max` ({}) is shorter than `backoff.initial` ({})",
                humantime::format_duration(max),
                humantime::format_duration(initial),
            );
            Err(validator.error(&setting.origin, problem))
        }
        _ => Ok(Backoff { initial, max }),
    }
}

fn strategy_of(commit: CommitStrategy) -> Strategy {
    match commit {
        CommitStrategy::Auto { .. } => Strategy::Auto,
        CommitStrategy::AutoStore { .. } => Strategy::AutoStore,
        CommitStrategy::PerMessage => Strategy::PerMessage,
        CommitStrategy::PerBatch { .. } => Strategy::PerBatch,
    }
}
