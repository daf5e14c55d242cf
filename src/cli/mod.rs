//! The command line: one module a subcommand; flags to settings, results to text, errors to exit codes.
//!
//! The only place that prints. What a command does is in `app`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what a command line is for, and happens nowhere else"
)]

mod args;
mod check;
mod consume;
mod demo;
mod describe;
mod exit;
mod health;
mod print;
mod produce;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tokio::runtime::Runtime;

pub use exit::CommandError;

use self::args::with_variables;
use self::exit::CommandResult;
use crate::app::config::schema::LogFile;
use crate::app::{share_heaps, skip_tls_cleanup};

const EXAMPLES: &str = "\
Examples:
  lagwatch demo                                       everything in one process, nothing to install
  lagwatch serve --bootstrap-server localhost:9092    every group of a cluster on http://localhost:9308/metrics
  lagwatch serve --config lagwatch.yaml               one or many clusters, and the task consumer beside them
  lagwatch describe --bootstrap-server localhost:9092 --all-groups
  lagwatch check --config lagwatch.yaml               is the file valid, and what may these credentials see?

Settings can also come from the environment: --log.level as LAGWATCH_LOG_LEVEL, librdkafka's property sasl.password
(-X) as LAGWATCH_X_SASL_PASSWORD. A flag wins over the environment, the environment over the config file, the file over
the default.

Exit codes:
  0  it did what was asked; serve, consume and demo: a signal or --duration ended it
  1  it failed while running: the port is taken, Kafka cannot be reached, a group cannot be read
  2  the command line or the configuration is wrong; nothing was started
  check alone: 0 all is well, 1 connected but something is missing, 2 the configuration is wrong or nobody answers";

/// Kafka consumer lag: how far every group is behind, as an exporter, a sidecar and a demo.
#[derive(Parser)]
#[command(name = "lagwatch", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    log: LogFile,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Serve(serve::ServeArgs),
    Consume(consume::ConsumeArgs),
    Produce(produce::ProduceArgs),
    Describe(describe::DescribeArgs),
    Check(check::CheckArgs),
    Health(health::HealthArgs),
}

/// Parses the command line, runs the command to its end and returns the exit code.
pub fn main() -> ExitCode {
    let matches = command_line().get_matches();
    let Cli { log, command } = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(log, command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

/// Returns the command line with its environment variables.
fn command_line() -> clap::Command {
    with_variables(Cli::command()).mut_subcommands(|command| match command.get_name() {
        // It writes to its cluster, which the environment must not choose.
        "demo" => command,
        _ => with_variables(command),
    })
}

fn run(log: LogFile, command: Command) -> CommandResult {
    share_heaps();
    skip_tls_cleanup();
    let runtime = Runtime::new().map_err(|error| CommandError::Running(error.into()))?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::run(args, log).await,
            Command::Serve(args) => serve::run(args, log).await,
            Command::Consume(args) => consume::run(args, log).await,
            Command::Produce(args) => produce::run(args, log).await,
            Command::Describe(args) => describe::run(args, log).await,
            Command::Check(args) => check::run(args, log).await,
            Command::Health(args) => health::run(args).await,
        }
    });
    // A librdkafka call or a read of standard input that never returns must not keep the process alive.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::environment_name;

    #[test]
    fn the_command_line_is_sound() {
        command_line().debug_assert();
    }

    #[test]
    fn the_environment_does_not_choose_the_cluster_of_the_demo() {
        let mut cli = command_line();
        let demo = cli.find_subcommand_mut("demo").expect("it is a command");
        let mut flags = demo.get_arguments();
        let server = flags.find(|arg| arg.get_long() == Some("bootstrap-server"));
        assert_eq!(server.expect("there is one").get_env(), None);
    }

    #[test]
    fn each_environment_variable_is_named_after_its_flag() {
        let cli = command_line();
        let mut checked = 0;
        for command in std::iter::once(&cli).chain(cli.get_subcommands()) {
            for arg in command.get_arguments() {
                let (Some(long), Some(variable)) = (arg.get_long(), arg.get_env()) else {
                    continue;
                };
                let expected = environment_name(&format!("--{long}"));
                assert_eq!(
                    variable.to_str(),
                    Some(expected.as_str()),
                    "{}",
                    command.get_name()
                );
                assert!(
                    arg.is_hide_env_set(),
                    "--{long} may show a secret in --help"
                );
                checked += 1;
            }
        }
        assert!(
            checked > 10,
            "only {checked} flags can be given by environment"
        );
    }
}
