//! `lagwatch consume`: the task consumer alone.

use std::process::ExitCode;

use anyhow::Context;

use super::args::ConfigArgs;
use super::exit::CommandResult;
use crate::app::config::schema::{ConsumerFile, LogFile, WebFile};
use crate::app::consume::consume;
use crate::app::logging;
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
What a flag does not say comes from the file's `consumer` section, then from the preset, then from the defaults.
SIGINT and SIGTERM end it: it finishes the record in hand, commits and leaves its group. A second one aborts.
Metrics are served where --web.listen-address is given.";

/// Consume task-created events: process each one, then commit
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ConsumeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    task: Box<ConsumerFile>,
    #[command(flatten)]
    web: WebFile,
}

/// Runs the command.
pub(super) async fn run(args: ConsumeArgs, log: LogFile) -> CommandResult {
    let ConsumeArgs { config, task, web } = args;
    // There is nothing to scrape unless it is asked for: several consumers on one machine must not fight for a port.
    let serves = web.listen_address.is_some();
    let mut sources = config.sources(log);
    sources.overrides.consumer = Some(task);
    sources.overrides.web = web;
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
