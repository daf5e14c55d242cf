//! `lagwatch produce`: something to consume.

use std::num::{NonZeroU32, NonZeroU64};
use std::process::ExitCode;

use tokio::io::{BufReader, stdin};

use super::args::ConfigArgs;
use super::exit::CommandResult;
use super::print::print;
use crate::app::config::schema::LogFile;
use crate::app::logging;
use crate::app::produce::{Pace, ProduceConfig, ProduceSummary, RecordSource, produce};
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
Prints how many were delivered. Exit code 1: some were not, or a line was no event.";

/// Send task-created events: at a rate, or from JSON lines on standard input
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ProduceArgs {
    /// The topic
    #[arg(long, value_name = "TOPIC", default_value = "task-created")]
    topic: String,
    /// Events a second [default: as fast as Kafka takes them]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// How many [default: until a signal]
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Make each record of that number one that no consumer can read
    #[arg(long, value_name = "N")]
    poison_every: Option<NonZeroU64>,
    /// Send the events on standard input instead: one JSON object with `id` and `title` a line
    #[arg(long, conflicts_with_all = ["rate", "count", "poison_every"])]
    stdin: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(super) async fn run(args: ProduceArgs, log: LogFile) -> CommandResult {
    let config = args.config.sources(log).load()?;
    let connection = config.only_cluster()?.connection.clone();
    logging::install(&config.log)?;
    let mut signals = Signals::catch().map_err(anyhow::Error::from)?;
    let source = if args.stdin {
        RecordSource::Lines(Box::new(BufReader::new(stdin())))
    } else {
        RecordSource::Generated(Pace {
            rate: args.rate,
            count: args.count,
            poison_every: args.poison_every,
        })
    };
    let config = ProduceConfig {
        topic: args.topic.into(),
        ..ProduceConfig::default()
    };
    let ProduceSummary {
        delivered,
        failed,
        rejected,
    } = produce(config, connection, source, &mut signals).await?;
    print(&format!(
        "{delivered} delivered, {failed} failed, {rejected} lines left out\n"
    ))?;
    Ok(if failed + rejected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
