//! `lagwatch consume`: the task consumer alone.

use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::args::{ClusterArgs, FileArgs, LogArgs, WebArgs, flag, scalar};
use super::exit::CommandResult;
use crate::app::config::schema::{
    AuditLogFile, BackoffFile, CommitFile, CommitMode, ConsumerFile, OffsetReset, Preset, Strategy,
};
use crate::app::config::{ConfigSources, Overrides, Setting, TaskChoice};
use crate::app::consume::consume;
use crate::app::logging;
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
What a flag does not say comes from the file's `consumer` section, then from the preset, then from the defaults.
SIGINT and SIGTERM end it: it finishes the record in hand, commits and leaves its group. A second one aborts.
Metrics are served where --web.listen-address is given.";

/// Consume task-created events: process each one, then commit
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ConsumeArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    web: WebArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Consumer")]
struct TaskArgs {
    /// Three policies: dashboard (latest, auto), audit (earliest, per-message), analytics (earliest, per-batch)
    #[arg(long, value_name = "PRESET", value_parser = scalar::<Preset>, env = "LAGWATCH_PRESET", hide_env = true)]
    preset: Option<Preset>,
    /// A topic to consume; can be given several times [default: task-created]
    #[arg(long, value_name = "TOPIC", env = "LAGWATCH_TOPIC", hide_env = true)]
    topic: Vec<String>,
    /// The group to join [default: task-notification-service]
    #[arg(long, value_name = "GROUP", env = "LAGWATCH_GROUP", hide_env = true)]
    group: Option<String>,
    /// Where to begin without a commit: earliest or latest [default: earliest]
    #[arg(long, value_name = "RESET", value_parser = scalar::<OffsetReset>, env = "LAGWATCH_AUTO_OFFSET_RESET", hide_env = true)]
    auto_offset_reset: Option<OffsetReset>,
    /// auto (loses records in a crash), auto-store, per-message or per-batch [default: per-batch]
    #[arg(long, value_name = "STRATEGY", value_parser = scalar::<Strategy>, env = "LAGWATCH_COMMIT_STRATEGY", hide_env = true)]
    commit_strategy: Option<Strategy>,
    /// per-batch: commit after so many records [default: 500]
    #[arg(long, value_name = "N", value_parser = scalar::<NonZeroUsize>, env = "LAGWATCH_COMMIT_RECORDS", hide_env = true)]
    commit_records: Option<NonZeroUsize>,
    /// Commit after this long; not for per-message [default: 1s]
    #[arg(long, value_name = "DURATION", value_parser = scalar::<Duration>, env = "LAGWATCH_COMMIT_INTERVAL", hide_env = true)]
    commit_interval: Option<Duration>,
    /// per-batch: sync waits for each commit, async goes on [default: async]
    #[arg(long, value_name = "MODE", value_parser = scalar::<CommitMode>, env = "LAGWATCH_COMMIT_MODE", hide_env = true)]
    commit_mode: Option<CommitMode>,
    /// How often a record is tried before it goes to the dead-letter topic [default: 5]
    #[arg(long, value_name = "N", value_parser = scalar::<NonZeroU32>, env = "LAGWATCH_MAX_ATTEMPTS", hide_env = true)]
    max_attempts: Option<NonZeroU32>,
    /// The wait after a first failed attempt; it doubles with each further one [default: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = scalar::<Duration>, env = "LAGWATCH_BACKOFF", hide_env = true)]
    backoff: Option<Duration>,
    /// Where records go that failed too often [default: task-created.dlq]
    #[arg(
        long,
        value_name = "TOPIC",
        env = "LAGWATCH_DEAD_LETTER_TOPIC",
        hide_env = true
    )]
    dead_letter_topic: Option<String>,
    /// The SQLite file that knows what was done [default: audit.sqlite]
    #[arg(long, value_name = "FILE", env = "LAGWATCH_AUDIT_LOG", hide_env = true)]
    audit_log: Option<String>,
    /// How long the work on each record takes at least [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = scalar::<Duration>, env = "LAGWATCH_PROCESSING_DELAY", hide_env = true)]
    processing_delay: Option<Duration>,
    /// How long a shutdown may take [default: 20s]
    #[arg(long, value_name = "DURATION", value_parser = scalar::<Duration>, env = "LAGWATCH_GRACE_PERIOD", hide_env = true)]
    grace_period: Option<Duration>,
    /// The name Kafka shows for this client [default: lagwatch-task]
    #[arg(long, value_name = "NAME", env = "LAGWATCH_CLIENT_ID", hide_env = true)]
    client_id: Option<String>,
}

/// Runs the command.
pub(super) async fn run(args: ConsumeArgs, log: &LogArgs) -> CommandResult {
    let ConsumeArgs {
        cluster,
        file,
        task,
        web,
    } = args;
    let only_cluster = file.only_cluster();
    // There is nothing to scrape unless it is asked for: several consumers on one machine must not fight for a port.
    let serves = web.is_asked_for();
    let sources = ConfigSources {
        file: file.config,
        overrides: Overrides {
            only_cluster,
            cluster: cluster.over(),
            task: TaskChoice::Always(Box::new(task.over())),
            web: web.over(),
            log: log.over(),
        },
    };
    let config = sources.load()?;
    logging::install(&config.log)?;
    let mut signals = Signals::catch().map_err(anyhow::Error::from)?;
    let web = serves.then_some(&config.web);
    let consumer = config
        .consumer
        .context("a consumer is always configured here")?;
    consume(consumer, web, &mut signals).await?;
    Ok(ExitCode::SUCCESS)
}

impl TaskArgs {
    fn over(self) -> ConsumerFile {
        let Self {
            preset,
            topic,
            group,
            auto_offset_reset,
            commit_strategy,
            commit_records,
            commit_interval,
            commit_mode,
            max_attempts,
            backoff,
            dead_letter_topic,
            audit_log,
            processing_delay,
            grace_period,
            client_id,
        } = self;
        let topics = topic.into_iter();
        ConsumerFile {
            preset: flag("--preset", preset),
            topics: topics
                .map(|topic| Setting::from_flag("--topic", topic))
                .collect(),
            group: flag("--group", group),
            auto_offset_reset: flag("--auto-offset-reset", auto_offset_reset),
            commit: CommitFile {
                strategy: flag("--commit-strategy", commit_strategy),
                records: flag("--commit-records", commit_records),
                interval: flag("--commit-interval", commit_interval),
                mode: flag("--commit-mode", commit_mode),
            },
            max_attempts: flag("--max-attempts", max_attempts),
            backoff: BackoffFile {
                initial: flag("--backoff", backoff),
                max: None,
            },
            dead_letter_topic: flag("--dead-letter-topic", dead_letter_topic),
            audit_log: AuditLogFile {
                path: flag("--audit-log", audit_log),
            },
            processing_delay: flag("--processing-delay", processing_delay),
            grace_period: flag("--grace-period", grace_period),
            client_id: flag("--client-id", client_id),
            ..ConsumerFile::default()
        }
    }
}
