//! The exporters: how each is started, and where its figures are.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::args::Mode;
use crate::support::process::Scratch;

/// An exporter that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Lagwatch(Mode),
    KafkaExporter,
    Kminion(OffsetsFrom),
    KlagExporter,
}

/// Where KMinion takes committed offsets from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OffsetsFrom {
    AdminApi,
    OffsetsTopic,
}

/// When an exporter asks Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collects {
    /// In cycles of its own.
    InBackground,
    /// While the scraper waits.
    InScrape,
}

/// A build of an exporter, and how it is to collect: one column.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) build: String,
    pub(crate) product: Product,
    pub(crate) program: PathBuf,
}

/// What an exporter has to know to be started.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) bootstrap_servers: &'a str,
    pub(crate) port: u16,
    pub(crate) poll_interval: Duration,
    /// Where its configuration goes.
    pub(crate) scratch: &'a Scratch,
}

impl Subject {
    pub(crate) fn name(&self) -> String {
        match self.product {
            Product::Lagwatch(Mode::Poll) => format!("{}, poll", self.build),
            Product::Lagwatch(Mode::Stream) => format!("{}, stream", self.build),
            _ => self.build.clone(),
        }
    }

    /// Returns the command that starts it.
    pub(crate) fn command(&self, place: &Place<'_>) -> Command {
        let mut command = Command::new(&self.program);
        let Place {
            bootstrap_servers,
            port,
            scratch,
            ..
        } = place;
        let config = |name: &str| scratch.write(name, self.product.config(place));
        match self.product {
            Product::Lagwatch(_) => {
                command.arg("serve").arg("--config");
                command.arg(config("lagwatch.yaml"));
                command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            }
            Product::KafkaExporter => {
                command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
                command.args(
                    bootstrap_servers
                        .split(',')
                        .map(|server| format!("--kafka.server={server}")),
                );
                // Its default is a version whose requests Kafka 4 answers no more.
                command.args(["--kafka.version=3.6.0", "--topic.exclude=^__"]);
            }
            Product::Kminion(_) => {
                command.env("CONFIG_FILEPATH", config("kminion.yaml"));
            }
            Product::KlagExporter => {
                command.arg("--config").arg(config("klag.toml"));
            }
        }
        command
    }
}

impl Product {
    /// Returns the peer of a name.
    pub(crate) fn peer(name: &str) -> Option<Self> {
        match name {
            "kafka_exporter" => Some(Self::KafkaExporter),
            "kminion" => Some(Self::Kminion(OffsetsFrom::AdminApi)),
            "kminion-offsets-topic" => Some(Self::Kminion(OffsetsFrom::OffsetsTopic)),
            "klag-exporter" => Some(Self::KlagExporter),
            _ => None,
        }
    }

    /// Returns what it calls the lag of a group on a partition.
    pub(crate) fn lag_metric(self) -> &'static str {
        match self {
            Self::Lagwatch(_) | Self::KafkaExporter => "kafka_consumergroup_lag",
            Self::Kminion(_) => "kminion_kafka_consumer_group_topic_partition_lag",
            Self::KlagExporter => "kafka_consumergroup_group_lag",
        }
    }

    /// Returns the path that says by 200 that a first cycle is complete.
    pub(crate) fn ready_path(self) -> Option<&'static str> {
        match self {
            Self::Lagwatch(_) => Some("/readyz"),
            Self::KlagExporter => Some("/ready"),
            Self::KafkaExporter | Self::Kminion(_) => None,
        }
    }

    pub(crate) fn collects(self) -> Collects {
        match self {
            Self::Lagwatch(_) | Self::KlagExporter => Collects::InBackground,
            Self::KafkaExporter | Self::Kminion(_) => Collects::InScrape,
        }
    }

    fn config(self, place: &Place<'_>) -> String {
        let Place {
            bootstrap_servers,
            port,
            poll_interval,
            ..
        } = place;
        let interval_ms = poll_interval.as_millis();
        match self {
            Self::Lagwatch(mode) => {
                let mode = match mode {
                    Mode::Poll => "poll",
                    Mode::Stream => "stream",
                };
                format!(
                    "clusters:
  - bootstrap-servers: [\"{bootstrap_servers}\"]
    mode: {mode}
    poll-interval: {interval_ms}ms
"
                )
            }
            Self::KafkaExporter => String::new(),
            Self::Kminion(from) => {
                let mode = match from {
                    OffsetsFrom::AdminApi => "adminApi",
                    OffsetsFrom::OffsetsTopic => "offsetsTopic",
                };
                format!(
                    "kafka: {{ brokers: [\"{bootstrap_servers}\"] }}
minion:
  consumerGroups: {{ scrapeMode: {mode} }}
  topics: {{ ignoredTopics: [\"/^__.*/\"] }}
exporter: {{ host: 127.0.0.1, port: {port} }}
"
                )
            }
            Self::KlagExporter => format!(
                "[exporter]
poll_interval = \"{interval_ms}ms\"
http_host = \"127.0.0.1\"
http_port = {port}
granularity = \"partition\"

[[clusters]]
name = \"bench\"
bootstrap_servers = \"{bootstrap_servers}\"
topic_blacklist = [\"^__.*\"]
"
            ),
        }
    }
}
