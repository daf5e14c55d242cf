//! The settings of a task consumer: where to read, when to commit, what to do about failures.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::handler::TaskHandler;
use crate::kafka::OffsetReset;
use crate::lag::{GroupId, TopicName};

/// How one task consumer behaves. `Debug` shows the names of the properties alone: a value may be a secret.
#[derive(Clone)]
pub struct TaskConfig {
    /// The topics to subscribe to.
    pub topics: Vec<TopicName>,
    /// The consumer group to join.
    pub group: GroupId,
    /// Where to begin on a partition without a commit.
    pub auto_offset_reset: OffsetReset,
    /// When offsets are committed.
    pub commit: CommitStrategy,
    /// How often a record is tried before it goes to the dead-letter topic.
    pub max_attempts: NonZeroU32,
    /// How long a failed record waits for its next attempt.
    pub backoff: Backoff,
    /// Where records go that failed `max_attempts` times.
    pub dead_letter_topic: TopicName,
    /// The SQLite file with one row for each event that was done.
    pub audit_log: PathBuf,
    /// The work to do before an event counts as done; nothing: being in the audit log is the work.
    pub handler: Option<Arc<dyn TaskHandler>>,
    /// How long the work on each record takes at least; for demonstrations and tests.
    pub processing_delay: Duration,
    /// How many records may wait in memory on each partition; beyond it the partition is paused.
    pub buffered_records: NonZeroUsize,
    /// The longest wait for new records before other duties are looked at.
    pub poll_interval: Duration,
    /// How long one commit may take before it counts as failed.
    pub commit_timeout: Duration,
    /// How long partitions that are taken away are held back for the record in progress and its commit.
    pub revoke_timeout: Duration,
    /// How long a shutdown may take: the record in progress, the last commit and leaving the group.
    pub grace_period: Duration,
    /// The name Kafka shows for this client.
    pub client_id: String,
    /// librdkafka's own properties for the consumer, over those of the connection.
    pub properties: BTreeMap<String, String>,
}

/// When offsets are committed, and so what a crash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStrategy {
    /// librdkafka commits every `interval` whatever was handed to the processing step, finished or not.
    ///
    /// At most once: a crash after such a commit loses the record in progress. Kept to show why it loses.
    Auto {
        /// `auto.commit.interval.ms`.
        interval: Duration,
    },
    /// librdkafka commits every `interval` what was finished. At least once.
    AutoStore {
        /// `auto.commit.interval.ms`.
        interval: Duration,
    },
    /// Each record is committed, and the commit awaited, before the next one begins. At least once.
    PerMessage,
    /// A commit after `records` records or `interval`, whichever comes first. At least once.
    PerBatch {
        /// Finished records that make a batch full. Processing waits while two full batches have no commit.
        records: NonZeroUsize,
        /// The longest time a finished record stays without a commit.
        interval: Duration,
        /// Whether the next record waits for the commit.
        mode: CommitMode,
    },
}

/// Whether processing waits for a commit's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMode {
    /// It waits.
    Sync,
    /// It goes on; a commit that fails is made good by a later one.
    Async,
}

impl CommitMode {
    /// Returns the value of the label `mode` on the metrics of such commits.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// How long a failed record waits: doubling from `initial` up to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first attempt.
    pub initial: Duration,
    /// At most.
    pub max: Duration,
}

impl Backoff {
    /// Returns the wait after attempt number `attempts`, counted from 1.
    pub fn delay_after(self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }
}

/// Three policies for one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Only what is new matters and a loss does no harm: latest, auto.
    Dashboard,
    /// Every event, each one safe before the next: earliest, per message.
    Audit,
    /// Every event, in bulk: earliest, per batch.
    Analytics,
}

impl Preset {
    /// Every preset, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Dashboard, Self::Audit, Self::Analytics];

    /// Returns the preset's name as flags and files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Audit => "audit",
            Self::Analytics => "analytics",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or(UnknownPreset)
    }
}

/// The name is no preset's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `dashboard`, `audit` or `analytics`")]
pub struct UnknownPreset;

impl CommitStrategy {
    /// The interval of librdkafka's own commits, and of batches.
    const INTERVAL: Duration = Duration::from_secs(1);

    /// Per batch as most services want it: 500 records or a second, asynchronous.
    pub const BATCHES: Self = Self::PerBatch {
        records: NonZeroUsize::new(500).expect("500 is not zero"),
        interval: Self::INTERVAL,
        mode: CommitMode::Async,
    };

    /// Returns whether processing waits for a commit's answer; `None` where librdkafka commits.
    pub fn mode(self) -> Option<CommitMode> {
        match self {
            Self::Auto { .. } | Self::AutoStore { .. } => None,
            Self::PerMessage => Some(CommitMode::Sync),
            Self::PerBatch { mode, .. } => Some(mode),
        }
    }

    /// Returns the value of the label `mode` on the metrics of its commits.
    pub fn mode_label(self) -> &'static str {
        self.mode().map_or("auto", CommitMode::label)
    }
}

impl fmt::Debug for TaskConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topics,
            group,
            auto_offset_reset,
            commit,
            max_attempts,
            backoff,
            dead_letter_topic,
            audit_log,
            handler,
            processing_delay,
            buffered_records,
            poll_interval,
            commit_timeout,
            revoke_timeout,
            grace_period,
            client_id,
            properties,
        } = self;
        f.debug_struct("TaskConfig")
            .field("topics", topics)
            .field("group", group)
            .field("auto_offset_reset", auto_offset_reset)
            .field("commit", commit)
            .field("max_attempts", max_attempts)
            .field("backoff", backoff)
            .field("dead_letter_topic", dead_letter_topic)
            .field("audit_log", audit_log)
            .field("handler", handler)
            .field("processing_delay", processing_delay)
            .field("buffered_records", buffered_records)
            .field("poll_interval", poll_interval)
            .field("commit_timeout", commit_timeout)
            .field("revoke_timeout", revoke_timeout)
            .field("grace_period", grace_period)
            .field("client_id", client_id)
            .field("properties", &properties.keys())
            .finish()
    }
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            topics: vec!["task-created".into()],
            group: "task-notification-service".into(),
            auto_offset_reset: OffsetReset::Earliest,
            commit: CommitStrategy::BATCHES,
            max_attempts: NonZeroU32::new(5).expect("5 is not zero"),
            backoff: Backoff {
                initial: Duration::from_millis(100),
                max: Duration::from_secs(30),
            },
            dead_letter_topic: "task-created.dlq".into(),
            audit_log: "audit.sqlite".into(),
            handler: None,
            processing_delay: Duration::ZERO,
            buffered_records: NonZeroUsize::new(2_000).expect("2000 is not zero"),
            poll_interval: Duration::from_secs(1),
            commit_timeout: Duration::from_secs(10),
            revoke_timeout: Duration::from_secs(30),
            grace_period: Duration::from_secs(20),
            client_id: "lagwatch-task".to_owned(),
            properties: BTreeMap::new(),
        }
    }
}

impl TaskConfig {
    /// Returns the defaults with that preset's group, offset reset and commit strategy.
    pub fn preset(preset: Preset) -> Self {
        let (auto_offset_reset, commit) = match preset {
            Preset::Dashboard => (
                OffsetReset::Latest,
                CommitStrategy::Auto {
                    interval: CommitStrategy::INTERVAL,
                },
            ),
            Preset::Audit => (OffsetReset::Earliest, CommitStrategy::PerMessage),
            Preset::Analytics => (OffsetReset::Earliest, CommitStrategy::BATCHES),
        };
        Self {
            group: GroupId::from(format!("task-{preset}")),
            auto_offset_reset,
            commit,
            audit_log: format!("{preset}.sqlite").into(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let backoff = Backoff {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(1),
        };
        let delays: Vec<u128> = (1..=6)
            .map(|attempts| backoff.delay_after(attempts).as_millis())
            .collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(backoff.delay_after(u32::MAX), Duration::from_secs(1));
    }

    #[test]
    fn three_presets_are_three_policies_in_three_groups() {
        let [dashboard, audit, analytics] = Preset::ALL.map(TaskConfig::preset);
        assert_eq!(dashboard.auto_offset_reset, OffsetReset::Latest);
        assert!(matches!(dashboard.commit, CommitStrategy::Auto { .. }));
        assert_eq!(audit.auto_offset_reset, OffsetReset::Earliest);
        assert_eq!(audit.commit, CommitStrategy::PerMessage);
        assert_eq!(analytics.auto_offset_reset, OffsetReset::Earliest);
        assert!(matches!(analytics.commit, CommitStrategy::PerBatch { .. }));
        assert_ne!(dashboard.group, audit.group);
        assert_ne!(audit.group, analytics.group);
    }

    #[test]
    fn presets_are_known_by_their_names() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        assert_eq!("nightly".parse::<Preset>(), Err(UnknownPreset));
    }
}
