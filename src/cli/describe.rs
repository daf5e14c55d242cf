//! `lagwatch describe`: what `kafka-consumer-groups.sh --describe` prints, and more with `--wide`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use super::args::{ConfigArgs, quiet};
use super::exit::CommandResult;
use super::print::print;
use crate::app::config::parse_flag;
use crate::app::config::schema::LogFile;
use crate::app::describe::{ColumnSet, DescribeResult, Describer, Selection, escape};
use crate::app::logging;
use crate::app::signals::Signals;

const AFTER_HELP: &str = "\
Rows: partitions with a member first, the member with the most partitions at the top, then those with a commit alone.
`-` stands where there is no value.

Exit code 0: all that was asked for is told. 1: something could not be read, or a group does not exist.";

/// Moves to the top of the terminal and clears it.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Print offsets and lag of groups once, like kafka-consumer-groups.sh --describe
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DescribeArgs {
    /// The group to describe; can be given several times
    #[arg(long, value_name = "GROUP", required_unless_present = "all_groups")]
    group: Vec<String>,
    /// Every group of the cluster
    #[arg(long, conflicts_with = "group")]
    all_groups: bool,
    /// Only these topics; can be given several times
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// table, or json: the objects of /api/v1/groups/{group}, in an array
    #[arg(long, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    output: Output,
    /// Also the group's state, the log start, records lost or ahead, and the backlog of partitions without a commit
    #[arg(long)]
    wide: bool,
    /// Print again after every so often, until a signal
    #[arg(long, value_name = "DURATION", value_parser = parse_flag::<Duration>)]
    watch: Option<Duration>,
    /// The deadline of each call to Kafka
    #[arg(long, value_name = "DURATION", value_parser = parse_flag::<Duration>, default_value = "10s")]
    timeout: Duration,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Runs the command.
pub(super) async fn run(args: DescribeArgs, log: LogFile) -> CommandResult {
    let config = args.config.clone().sources(quiet(log)).load()?;
    let cluster = config.only_cluster()?;
    logging::install(&config.log)?;
    let selection = Selection {
        groups: args
            .group
            .iter()
            .map(|group| group.as_str().into())
            .collect(),
        topics: args
            .topic
            .iter()
            .map(|topic| topic.as_str().into())
            .collect(),
    };
    let mut signals = Signals::catch().map_err(anyhow::Error::from)?;
    let mut describer = Describer::connect(cluster, selection, args.timeout)?;
    let outcome = args.describe(&mut describer, &mut signals).await;
    tokio::select! {
        () = describer.close() => {}
        () = signals.end() => {}
    }
    outcome
}

/// Whether everything that was asked for could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Completeness {
    Everything,
    InPart,
}

impl DescribeArgs {
    /// Describes and prints, once or until a signal.
    async fn describe(&self, describer: &mut Describer, signals: &mut Signals) -> CommandResult {
        loop {
            let described = tokio::select! {
                described = describer.describe() => described,
                () = signals.end() => return Ok(ExitCode::SUCCESS),
            };
            let completeness = match (described, self.watch) {
                (Ok(description), _) => self.print(&description)?,
                // A watch goes on through an outage: it is one of the things people watch for.
                (Err(error), Some(_)) => {
                    eprintln!("error: {}", escape(&format!("{error:#}")));
                    Completeness::InPart
                }
                (Err(error), None) => return Err(error.into()),
            };
            match (self.watch, completeness) {
                (None, Completeness::Everything) => return Ok(ExitCode::SUCCESS),
                (None, Completeness::InPart) => return Ok(ExitCode::from(1)),
                (Some(every), _) => tokio::select! {
                    () = tokio::time::sleep(every) => {}
                    () = signals.end() => return Ok(ExitCode::SUCCESS),
                },
            }
        }
    }

    /// Prints rows to standard output, and whatever is not as it should be to standard error.
    fn print(&self, description: &DescribeResult) -> anyhow::Result<Completeness> {
        if self.watch.is_some() && io::stdout().is_terminal() {
            print(CLEAR)?;
        }
        let mut complaints = description.complaints();
        let columns = if self.wide {
            ColumnSet::Wide
        } else {
            ColumnSet::AsKafka
        };
        for report in description.reports(columns) {
            if let Some(remark) = &report.remark {
                eprintln!("\n{remark}");
            }
            if self.output == Output::Table {
                print(&report.table)?;
            }
            complaints.extend(report.complaints);
        }
        if self.output == Output::Json {
            print(&format!("{}\n", description.to_json()))?;
        }
        for complaint in &complaints {
            eprintln!("error: {complaint}");
        }
        Ok(if complaints.is_empty() {
            Completeness::Everything
        } else {
            Completeness::InPart
        })
    }
}
