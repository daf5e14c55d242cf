//! `lagwatch serve`: the exporter, and the sidecar.

use std::process::ExitCode;

use super::args::{ClusterArgs, FileArgs, LogArgs, WatchArgs, WebArgs};
use super::exit::CommandResult;
use crate::app::config::{ConfigSources, Overrides};
use crate::app::logging;
use crate::app::serve::serve;
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
With a `consumer` section and no `groups`, only that consumer's own group and topics are read, and nothing is listed:
this is the sidecar. SIGHUP reads the file again. SIGINT and SIGTERM end it: the consumer finishes the record in hand,
commits and leaves its group. A second one aborts.";

/// Watch one or many clusters and serve the metrics, with the task consumer beside them if the file has one
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    web: WebArgs,
}

/// Runs the command.
pub(super) async fn run(args: ServeArgs, log: &LogArgs) -> CommandResult {
    let ServeArgs {
        cluster,
        file,
        watch,
        web,
    } = args;
    let only_cluster = file.only_cluster();
    let mut over = cluster.over();
    watch.lay_over(&mut over);
    let sources = ConfigSources {
        file: file.config,
        overrides: Overrides {
            only_cluster,
            cluster: over,
            web: web.over(),
            log: log.over(),
            ..Overrides::default()
        },
    };
    let config = sources.load()?;
    let log = logging::install(&config.log)?;
    let mut signals = Signals::catch().map_err(anyhow::Error::from)?;
    serve(config, &sources, &log, &mut signals).await?;
    Ok(ExitCode::SUCCESS)
}
