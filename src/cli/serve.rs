//! `lagwatch serve`: the exporter, and the sidecar.

use std::process::ExitCode;

use super::args::{ConfigArgs, WatchArgs};
use super::exit::CommandResult;
use crate::app::config::schema::{LogFile, WebFile};
use crate::app::logging;
use crate::app::serve::serve;
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
With a `consumer` section and no `groups`, only that consumer's own group and topics are read, and nothing is listed:
this is the sidecar. SIGHUP reads the file again. SIGINT and SIGTERM end it: the consumer finishes the record in hand,
commits and leaves its group. A second one aborts.";

/// Watch one or many clusters and serve the metrics, with the task consumer beside them if the file has one
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    web: WebFile,
}

/// Runs the command.
pub(super) async fn run(args: ServeArgs, log: LogFile) -> CommandResult {
    let ServeArgs { config, watch, web } = args;
    let mut sources = config.sources(log);
    watch.lay_over(&mut sources.overrides.cluster);
    sources.overrides.web = web;
    let config = sources.load()?;
    let log = logging::install(&config.log)?;
    let mut signals = Signals::catch().map_err(anyhow::Error::from)?;
    serve(config, &sources, &log, &mut signals).await?;
    Ok(ExitCode::SUCCESS)
}
