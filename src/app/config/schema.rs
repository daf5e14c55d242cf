//! Every key of the configuration, with its help and, where there is one, its flag. All keys are optional.
//!
//! The name of a key is that of its field with `-` for `_`. The comment of a field with a flag is the flag's text in `--help`.
//! The flags of a cluster are in `cli/args.rs`, as not every command has all of them. `deploy/lagwatch.yaml` shows users every
//! key and its default, and `--help` the defaults of flags; tests compare both with what is here and what applies.
//!
//! No `Debug`: what is read here may hold secrets.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::overlay::{Overlay, sections};
use super::setting::Setting;
use crate::collect::Mode;
use crate::kafka::OffsetReset;
use crate::lag::UncommittedPolicy;
use crate::snapshot::{AbandonedPolicy, Granularity, OwnerInfo};
use crate::task::{CommitMode, Preset};

/// The whole file.
#[derive(Default, Deserialize)]
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

sections! {

/// One entry of `clusters`.
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
pub struct SelectionFile {
    /// Patterns of which at least one has to match.
    pub include: Option<Vec<Setting<String>>>,
    /// Patterns of which none may match.
    pub exclude: Option<Vec<Setting<String>>>,
    /// Exact names.
    pub names: Vec<Setting<String>>,
}

/// `shard`: a group of replicas, or the number of this one.
pub struct ShardFile {
    /// The consumer group that the replicas form.
    pub group: Option<Setting<String>>,
    /// This replica's number, from 0.
    pub index: Option<Setting<u32>>,
    /// How many replicas there are.
    pub count: Option<Setting<NonZeroU32>>,
}

/// `consumer`.
#[derive(Args)]
#[command(next_help_heading = "Consumer")]
pub struct ConsumerFile {
    /// The name of the cluster it consumes from; needed only where there are several.
    #[arg(skip)]
    pub cluster: Option<Setting<String>>,
    /// Three policies: dashboard (latest, auto), audit (earliest, per-message), analytics (earliest, per-batch)
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<Setting<Preset>>,
    /// A topic to consume; can be given several times [default: task-created]
    #[arg(long = "topic", value_name = "TOPIC")]
    pub topics: Vec<Setting<String>>,
    /// The group to join [default: task-notification-service]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<Setting<String>>,
    /// Where to begin without a commit: earliest or latest [default: earliest]
    #[arg(long, value_name = "RESET")]
    pub auto_offset_reset: Option<Setting<OffsetReset>>,
    /// When offsets are committed.
    #[command(flatten)]
    pub commit: CommitFile,
    /// How often a record is tried before it goes to the dead-letter topic [default: 5]
    #[arg(long, value_name = "N")]
    pub max_attempts: Option<Setting<NonZeroU32>>,
    /// How long a failed record waits.
    #[command(flatten)]
    pub backoff: BackoffFile,
    /// Where records go that failed too often [default: task-created.dlq]
    #[arg(long, value_name = "TOPIC")]
    pub dead_letter_topic: Option<Setting<String>>,
    /// What was done already.
    #[command(flatten)]
    pub audit_log: AuditLogFile,
    /// How long the work on each record takes at least [default: 0s]
    #[arg(long, value_name = "DURATION")]
    pub processing_delay: Option<Setting<Duration>>,
    /// How long a shutdown may take [default: 20s]
    #[arg(long, value_name = "DURATION")]
    pub grace_period: Option<Setting<Duration>>,
    /// The name Kafka shows for this client [default: lagwatch-task]
    #[arg(long, value_name = "NAME")]
    pub client_id: Option<Setting<String>>,
    /// librdkafka's own names, over those of the cluster; `NAME_file` reads the value from a file.
    #[arg(skip)]
    pub kafka_properties: BTreeMap<String, Setting<String>>,
}

/// `consumer.commit`.
#[derive(Args)]
pub struct CommitFile {
    /// auto (loses records in a crash), auto-store, per-message or per-batch [default: per-batch]
    #[arg(long = "commit-strategy", value_name = "STRATEGY")]
    pub strategy: Option<Setting<Strategy>>,
    /// per-batch: commit after N records [default: 500]
    #[arg(long = "commit-records", value_name = "N")]
    pub records: Option<Setting<NonZeroUsize>>,
    /// Commit after this long; not for per-message [default: 1s]
    #[arg(long = "commit-interval", value_name = "DURATION")]
    pub interval: Option<Setting<Duration>>,
    /// per-batch: sync waits for each commit, async goes on [default: async]
    #[arg(long = "commit-mode", value_name = "MODE")]
    pub mode: Option<Setting<CommitMode>>,
}

/// `consumer.backoff`.
#[derive(Args)]
pub struct BackoffFile {
    /// The wait after a first failed attempt; it doubles with each further one [default: 100ms]
    #[arg(long = "backoff", value_name = "DURATION")]
    pub initial: Option<Setting<Duration>>,
    /// The longest wait.
    #[arg(skip)]
    pub max: Option<Setting<Duration>>,
}

/// `consumer.audit-log`.
#[derive(Args)]
pub struct AuditLogFile {
    /// The SQLite file that knows what was done [default: audit.sqlite]
    #[arg(long = "audit-log", value_name = "FILE")]
    pub path: Option<Setting<String>>,
}

/// `web`.
#[derive(Args)]
#[command(next_help_heading = "HTTP")]
pub struct WebFile {
    /// Where to listen; no host: every interface [default: :9308]
    #[arg(long = "web.listen-address", value_name = "HOST:PORT")]
    pub listen_address: Option<Setting<String>>,
    /// The path of the metrics [default: /metrics]
    #[arg(long = "web.telemetry-path", value_name = "PATH")]
    pub telemetry_path: Option<Setting<String>>,
    /// TLS, basic auth and headers, in the form that Prometheus exporters share
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub config_file: Option<Setting<String>>,
}

/// `log`.
#[derive(Args)]
#[command(next_help_heading = "Log")]
pub struct LogFile {
    /// error, warn, info, debug, trace, off, or directives such as info,lagwatch::kafka=debug [default: info]
    #[arg(long = "log.level", value_name = "LEVEL", global = true)]
    pub level: Option<Setting<String>>,
    /// text or json [default: text]
    #[arg(long = "log.format", value_name = "FORMAT", global = true)]
    pub format: Option<Setting<LogFormat>>,
}

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
