//! The `consumer` section, checked: the task consumer's settings.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::connection;
use super::error::SettingProblem;
use super::schema::{BackoffFile, CommitFile, ConsumerFile, Strategy};
use super::setting::{Setting, positive_or, value_or};
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
    file: &ConsumerFile,
    connection: &Connection,
) -> Result<TaskConfig, SettingProblem> {
    let properties = connection::resolve_own(&file.kafka_properties, connection)?;
    let defaults = match &file.preset {
        Some(preset) => TaskConfig::preset(preset.value),
        None => TaskConfig::default(),
    };
    let topics = topics(&file.topics, defaults.topics)?;
    let group = match &file.group {
        Some(group) => GroupId::from(group.not_empty("group")?),
        None => defaults.group,
    };
    let dead_letter_topic = match &file.dead_letter_topic {
        Some(setting) => dead_letter_topic(setting, &topics)?,
        None => defaults.dead_letter_topic,
    };
    Ok(TaskConfig {
        topics,
        group,
        auto_offset_reset: value_or(&file.auto_offset_reset, defaults.auto_offset_reset),
        commit: commit(&file.commit, defaults.commit)?,
        max_attempts: value_or(&file.max_attempts, defaults.max_attempts),
        backoff: backoff(&file.backoff, defaults.backoff)?,
        dead_letter_topic,
        audit_log: match &file.audit_log.path {
            Some(path) => path.value.clone().into(),
            None => defaults.audit_log,
        },
        processing_delay: value_or(&file.processing_delay, defaults.processing_delay),
        grace_period: positive_or("grace-period", &file.grace_period, defaults.grace_period)?,
        client_id: value_or(&file.client_id, defaults.client_id),
        properties,
        ..TaskConfig::default()
    })
}

fn topics(
    topics: &[Setting<String>],
    defaults: Vec<TopicName>,
) -> Result<Vec<TopicName>, SettingProblem> {
    if topics.is_empty() {
        return Ok(defaults);
    }
    let checked = topics.iter().map(|topic| topic.not_empty("topics"));
    checked.map(|name| name.map(TopicName::from)).collect()
}

fn dead_letter_topic(
    setting: &Setting<String>,
    consumed: &[TopicName],
) -> Result<TopicName, SettingProblem> {
    let topic = TopicName::from(setting.not_empty("dead-letter-topic")?);
    if consumed.contains(&topic) {
        let problem = format!(
            "`dead-letter-topic` `{topic}` is consumed itself: a dead letter would come back for ever"
        );
        return Err(setting.problem(problem));
    }
    Ok(topic)
}

fn commit(file: &CommitFile, default: CommitStrategy) -> Result<CommitStrategy, SettingProblem> {
    let CommitFile {
        strategy,
        records,
        interval,
        mode,
    } = file;
    let strategy = value_or(strategy, strategy_of(default));
    if strategy != Strategy::PerBatch {
        only_for_batches("records", records)?;
        only_for_batches("mode", mode)?;
    }
    if let (Strategy::PerMessage, Some(setting)) = (strategy, interval) {
        let problem = "`commit.interval` says nothing for strategy `per-message`, which commits each record at once";
        return Err(setting.problem(problem));
    }
    let interval = positive_or("commit.interval", interval, DEFAULT_INTERVAL)?;
    Ok(match strategy {
        Strategy::PerMessage => CommitStrategy::PerMessage,
        Strategy::Auto => CommitStrategy::Auto { interval },
        Strategy::AutoStore => CommitStrategy::AutoStore { interval },
        Strategy::PerBatch => CommitStrategy::PerBatch {
            records: value_or(records, DEFAULT_RECORDS),
            interval,
            mode: value_or(mode, CommitMode::Async),
        },
    })
}

fn only_for_batches<T>(key: &str, setting: &Option<Setting<T>>) -> Result<(), SettingProblem> {
    match setting {
        None => Ok(()),
        Some(setting) => {
            let problem = format!("`commit.{key}` is for strategy `per-batch` alone");
            Err(setting.problem(problem))
        }
    }
}

fn backoff(file: &BackoffFile, default: Backoff) -> Result<Backoff, SettingProblem> {
    let initial = positive_or("backoff.initial", &file.initial, default.initial)?;
    let longest = default.max.max(initial);
    let max = positive_or("backoff.max", &file.max, longest)?;
    match &file.max {
        Some(setting) if max < initial => {
            let problem = format!(
                "`backoff.max` ({}) is shorter than `backoff.initial` ({})",
                humantime::format_duration(max),
                humantime::format_duration(initial),
            );
            Err(setting.problem(problem))
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
