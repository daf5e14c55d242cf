//! What is asked for on the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::exporter::{Product, Subject};

/// Compares what exporters of consumer lag cost, on a Kafka of its own.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Args {
    /// Consumer groups.
    #[arg(long, default_value_t = 50)]
    pub(crate) groups: usize,

    /// Partitions of each topic; a group commits on all of those of one topic.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: i32,

    /// Topics, among which the groups are divided.
    #[arg(long, default_value_t = 1)]
    pub(crate) topics: usize,

    /// On how many percent of all offsets records wait; on the others none does.
    #[arg(long, default_value_t = 10, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) lagging: u8,

    /// How many percent of all offsets move in each cycle; they are some of those that lag.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) changing: u8,

    /// How lagwatch collects.
    #[arg(long, value_delimiter = ',', default_value = "poll,stream")]
    pub(crate) mode: Vec<Mode>,

    /// Builds of lagwatch, each with a name if there are several [default: the one that cargo has just built]
    #[arg(long, value_name = "[NAME=]PATH")]
    pub(crate) lagwatch: Vec<Named>,

    /// Other exporters: kafka_exporter, kminion, kminion-offsets-topic, klag-exporter.
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) peer: Vec<Named>,

    /// From the start of one cycle to the start of the next.
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) poll_interval: Duration,

    /// Cycles over which costs are averaged.
    #[arg(long, default_value_t = 5)]
    pub(crate) cycles: u32,

    /// Scrapes of one kind whose time is taken.
    #[arg(long, default_value_t = 15)]
    pub(crate) scrapes: u32,

    /// Scrapers at once; 0 leaves the phase out.
    #[arg(long, default_value_t = 10)]
    pub(crate) scrapers: usize,

    /// Commits whose way to a scrape is timed; 0 leaves the phase out.
    #[arg(long, default_value_t = 10)]
    pub(crate) commits: u32,

    /// How long one phase of one exporter may take; it ends with what it has by then.
    #[arg(long, default_value = "2m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) limit: Duration,

    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How lagwatch collects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Poll,
    Stream,
}

/// A program, by the name it is given here.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    name: Option<String>,
    path: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (Some(name.to_owned()), path),
            None => (None, text),
        };
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        if !path.is_file() {
            return Err(format!("there is no program at `{}`", path.display()));
        }
        Ok(Self { name, path })
    }
}

impl Args {
    /// Returns what is to be measured, in the order of the columns; ends the process where the arguments contradict.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        if self.changing > self.lagging {
            refuse("--changing is a part of --lagging: an offset moves over records that wait");
        }
        if self.groups == 0 || self.topics == 0 || self.topics > self.groups {
            refuse("there is at least one group, and one for each topic");
        }
        let builds = if self.lagwatch.is_empty() {
            vec![Named {
                name: None,
                path: env!("CARGO_BIN_EXE_lagwatch").into(),
            }]
        } else {
            self.lagwatch.clone()
        };
        let ours = self.mode.iter().flat_map(|mode| {
            let build = |build: &Named| Subject {
                build: build.name.clone().unwrap_or_else(|| "lagwatch".to_owned()),
                product: Product::Lagwatch(*mode),
                program: build.path.clone(),
            };
            builds.iter().map(build).collect::<Vec<_>>()
        });
        let peers = self.peer.iter().map(|peer| {
            let build = peer.name.clone().unwrap_or_default();
            let Some(product) = Product::peer(&build) else {
                refuse(&format!("no peer is called `{build}`"));
            };
            Subject {
                build,
                product,
                program: peer.path.clone(),
            }
        });
        ours.chain(peers).collect()
    }
}

fn refuse(why: &str) -> ! {
    clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{why}\n")).exit()
}
