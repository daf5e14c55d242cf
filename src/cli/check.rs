//! `lagwatch check`: is the configuration valid, and what may its credentials see?

use std::process::ExitCode;
use std::time::Duration;

use super::args::{ConfigArgs, quiet};
use super::exit::CommandResult;
use super::print::print;
use crate::app::check::{CheckResult, CheckStatus, check};
use crate::app::config::schema::LogFile;
use crate::app::config::{Config, parse_flag};
use crate::app::describe::escape;
use crate::app::logging;

const AFTER_HELP: &str = "\
One line for each thing: ok, note, missing (with the command that grants it) or unreachable.

Exit code 0: all is well. 1: something is missing. 2: the configuration is wrong, or nobody answers.";

/// Check a configuration, then connect and tell what its credentials may see
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CheckArgs {
    /// Only read the configuration; connect to nothing
    #[arg(long)]
    config_only: bool,
    /// The deadline of each call to Kafka
    #[arg(long, value_name = "DURATION", value_parser = parse_flag::<Duration>, default_value = "10s")]
    timeout: Duration,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(super) async fn run(args: CheckArgs, log: LogFile) -> CommandResult {
    let config = args.config.sources(quiet(log)).load()?;
    config.web.read_config_file()?;
    logging::install(&config.log)?;
    print(&line(CheckStatus::Good, &summary(&config)))?;
    if args.config_only {
        return Ok(ExitCode::SUCCESS);
    }
    let results = check(&config, args.timeout).await?;
    for CheckResult { status, text } in &results {
        print(&line(*status, text))?;
    }
    let worst = results.iter().map(|result| result.status).max();
    Ok(match worst.unwrap_or(CheckStatus::Good) {
        CheckStatus::Good | CheckStatus::Note => ExitCode::SUCCESS,
        CheckStatus::Missing => ExitCode::from(1),
        CheckStatus::Unreachable => ExitCode::from(2),
    })
}

fn summary(config: &Config) -> String {
    let clusters = match config.clusters.len() {
        1 => "1 cluster".to_owned(),
        several => format!("{several} clusters"),
    };
    match &config.consumer {
        Some(consumer) => format!(
            "the configuration is valid: {clusters}, a task consumer in group `{}`",
            consumer.task.group
        ),
        None => format!("the configuration is valid: {clusters}"),
    }
}

fn line(status: CheckStatus, text: &str) -> String {
    format!("{status:<11}  {}\n", escape(text))
}
