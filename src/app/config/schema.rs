//! The configuration file as it is written: every key, each of them optional, nothing checked across keys.
//!
//! No `Debug`: what is read here may hold secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;

pub use crate::collect::Mode;
pub use crate::kafka::OffsetReset;
pub use crate::task::{CommitMode, Preset};

use super::setting::{Scalar, Setting, one_of};
use crate::lag::UncommittedPolicy;
use crate::snapshot::{AbandonedPolicy, Granularity, OwnerInfo};

/// The whole file.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConfigFile {
    /// The clusters to watch.
    pub clusters: Vec<ClusterFile>,
    /// The task consumer, side by side with the pollers.
    pub consumer: Option<ConsumerFile>,
    /// The HTTP server.
    pub web: WebFile,
    /// The log.
    pub log: LogFile,
}

/// One entry of `clusters`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClusterFile {
    /// The value of the label `cluster`.
    pub name: Option<Setting<String>>,
    /// `host:port`, one or many.
    pub bootstrap_servers: Vec<Setting<String>>,
    /// librdkafka's own names; `NAME_file` reads the value from a file.
    pub kafka_properties: BTreeMap<String, Setting<String>>,
    /// How the cluster is collected.
    pub mode: Option<Setting<Mode>>,
    /// From the start of one cycle to the start of the next.
    pub poll_interval: Option<Setting<Duration>>,
    /// How often what is followed is compared with what coordinators say.
    pub reconcile_interval: Option<Setting<Duration>>,
    /// The deadline of each call to Kafka.
    pub request_timeout: Option<Setting<Duration>>,
    /// How many requests may be in flight at once, each for up to a hundred groups.
    pub max_in_flight: Option<Setting<NonZeroUsize>>,
    /// The groups to watch.
    pub groups: Option<SelectionFile>,
    /// The topics to watch.
    pub topics: Option<SelectionFile>,
    /// The finest series of a group.
    pub granularity: Option<Setting<Granularity>>,
    /// What counts as lag where nothing was committed.
    pub uncommitted: Option<Setting<UncommittedPolicy>>,
    /// Whether topics that a group has abandoned count in its sums.
    pub abandoned: Option<Setting<AbandonedPolicy>>,
    /// Patterns of groups whose lag ends at the last stable offset.
    pub read_committed_groups: Vec<Setting<String>>,
    /// Whether members become labels of `kafka_consumergroup_partition_owner_info`.
    pub owner_info: Option<Setting<OwnerInfo>>,
    /// How replicas share the cluster.
    pub shard: Option<ShardFile>,
    /// How long a last good value may be shown.
    pub stale_after: Option<Setting<Duration>>,
    /// The most series of one snapshot.
    pub max_series: Option<Setting<NonZeroUsize>>,
    /// The most bytes of these series as text.
    pub max_series_bytes: Option<Setting<NonZeroUsize>>,
}

/// `groups` or `topics`: patterns for what is listed, and names that are watched without listing.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SelectionFile {
    /// Patterns of which at least one has to match.
    pub include: Option<Vec<Setting<String>>>,
    /// Patterns of which none may match.
    pub exclude: Option<Vec<Setting<String>>>,
    /// Exact names.
    pub names: Vec<Setting<String>>,
}

/// `shard`: a group of replicas, or the number of this one.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ShardFile {
    /// The consumer group that the replicas form.
    pub group: Option<Setting<String>>,
    /// This replica's number, from 0.
    pub index: Option<Setting<u32>>,
    /// How many replicas there are.
    pub count: Option<Setting<NonZeroU32>>,
}

/// `consumer`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConsumerFile {
    /// The name of the cluster it consumes from; needed only where there are several.
    pub cluster: Option<Setting<String>>,
    /// The topics.
    pub topics: Vec<Setting<String>>,
    /// The group.
    pub group: Option<Setting<String>>,
    /// Defaults for the group, the offset reset, the commits and the audit log.
    pub preset: Option<Setting<Preset>>,
    /// Where to begin on a partition without a commit.
    pub auto_offset_reset: Option<Setting<OffsetReset>>,
    /// When offsets are committed.
    pub commit: CommitFile,
    /// How often a record is tried.
    pub max_attempts: Option<Setting<NonZeroU32>>,
    /// How long a failed record waits.
    pub backoff: BackoffFile,
    /// Where records go that failed too often.
    pub dead_letter_topic: Option<Setting<String>>,
    /// What was done already.
    pub audit_log: AuditLogFile,
    /// How long the work on each record takes at least.
    pub processing_delay: Option<Setting<Duration>>,
    /// How long a shutdown may take.
    pub grace_period: Option<Setting<Duration>>,
    /// The name Kafka shows for this client.
    pub client_id: Option<Setting<String>>,
    /// librdkafka's own names, over those of the cluster; `NAME_file` reads the value from a file.
    pub kafka_properties: BTreeMap<String, Setting<String>>,
}

/// `consumer.commit`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CommitFile {
    /// Which strategy.
    pub strategy: Option<Setting<Strategy>>,
    /// `per-batch`: the largest number of finished records without a commit.
    pub records: Option<Setting<NonZeroUsize>>,
    /// All but `per-message`: the longest time a finished record stays without a commit.
    pub interval: Option<Setting<Duration>>,
    /// `per-batch`: whether the next record waits for the commit.
    pub mode: Option<Setting<CommitMode>>,
}

/// `consumer.backoff`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BackoffFile {
    /// After the first attempt.
    pub initial: Option<Setting<Duration>>,
    /// At most.
    pub max: Option<Setting<Duration>>,
}

/// `consumer.audit-log`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AuditLogFile {
    /// The SQLite file.
    pub path: Option<Setting<String>>,
}

/// `web`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WebFile {
    /// `host:port`; no host: every interface.
    pub listen_address: Option<Setting<String>>,
    /// The path of the metrics.
    pub telemetry_path: Option<Setting<String>>,
    /// The ecosystem's web configuration file: TLS and basic auth.
    pub config_file: Option<Setting<String>>,
}

/// `log`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LogFile {
    /// A level, or directives: `info,rdkafka=debug`.
    pub level: Option<Setting<String>>,
    /// Text for people or JSON for machines.
    pub format: Option<Setting<LogFormat>>,
}

/// Which commit strategy, before its figures are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// librdkafka commits what was handed out.
    Auto,
    /// librdkafka commits what was finished.
    AutoStore,
    /// Each record.
    PerMessage,
    /// A number of records, or an interval.
    PerBatch,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Scalar for Mode {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let words = [
            ("auto", Self::Auto),
            ("poll", Self::Poll),
            ("stream", Self::Stream),
        ];
        one_of(&words, text)
    }
}

impl Scalar for Strategy {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let words = [
            ("auto", Self::Auto),
            ("auto-store", Self::AutoStore),
            ("per-message", Self::PerMessage),
            ("per-batch", Self::PerBatch),
        ];
        one_of(&words, text)
    }
}

impl Scalar for CommitMode {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        one_of(&[("sync", Self::Sync), ("async", Self::Async)], text)
    }
}

impl Scalar for OffsetReset {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let words = [("earliest", Self::Earliest), ("latest", Self::Latest)];
        one_of(&words, text)
    }
}

impl Scalar for Preset {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        one_of(&Self::ALL.map(|preset| (preset.name(), preset)), text)
    }
}

impl Scalar for LogFormat {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        one_of(&[("text", Self::Text), ("json", Self::Json)], text)
    }
}

impl Scalar for Granularity {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let words = [
            ("partition", Self::Partition),
            ("topic", Self::Topic),
            ("group", Self::Group),
        ];
        one_of(&words, text)
    }
}

impl Scalar for UncommittedPolicy {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let words = [
            ("absent", Self::Absent),
            ("log-start", Self::LogStart),
            ("log-end", Self::LogEnd),
        ];
        one_of(&words, text)
    }
}

impl Scalar for AbandonedPolicy {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let words = [("counted", Self::Counted), ("left-out", Self::LeftOut)];
        one_of(&words, text)
    }
}

impl Scalar for OwnerInfo {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        one_of(
            &[("hidden", Self::Hidden), ("exposed", Self::Exposed)],
            text,
        )
    }
}
