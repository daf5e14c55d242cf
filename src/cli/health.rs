//! `lagwatch health`: is the server on this machine alive?

use std::process::ExitCode;
use std::time::Duration;

use super::args::FileArgs;
use super::exit::CommandResult;
use super::print::print;
use crate::app::config::schema::WebFile;
use crate::app::config::{ConfigSources, Overrides, parse_flag};
use crate::app::health::ask;

const AFTER_HELP: &str = "\
For health checks of containers without a shell. Give it the file and the flags that the server was given.

Exit code 0: it is alive, whatever Kafka does. 1: it is not. 2: the configuration is wrong.";

/// Ask the server on this machine whether it is alive
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct HealthArgs {
    /// How long to wait for its answer
    #[arg(long, value_name = "DURATION", value_parser = parse_flag::<Duration>, default_value = "3s")]
    timeout: Duration,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    web: WebFile,
}

/// Runs the command.
pub(super) async fn run(args: HealthArgs) -> CommandResult {
    let HealthArgs { timeout, file, web } = args;
    let sources = ConfigSources {
        file: file.config,
        overrides: Overrides {
            web,
            ..Overrides::default()
        },
    };
    ask(&sources.load_web()?, timeout).await?;
    print("healthy\n")?;
    Ok(ExitCode::SUCCESS)
}
