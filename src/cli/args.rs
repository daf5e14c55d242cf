//! Flags that several commands share, and how they become settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::app::config::schema::{ClusterFile, LogFile, SelectionFile, WebFile};
use crate::app::config::{LogFormat, Origin, Scalar, Setting};

const PROPERTY_VARIABLE: &str = "LAGWATCH_X_";

/// How to reach a cluster.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// Where to begin: one or many brokers
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        env = "LAGWATCH_BOOTSTRAP_SERVER",
        hide_env = true
    )]
    bootstrap_server: Option<String>,
    /// A librdkafka property, such as security.protocol=SASL_SSL; NAME_file=PATH reads the value from a file
    #[arg(short = 'X', value_name = "PROPERTY=VALUE", value_parser = property)]
    properties: Vec<Property>,
}

/// How to reach a cluster that the environment must not choose: the demo writes to it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cluster")]
pub(super) struct RealClusterArgs {
    /// Play on this cluster instead of an embedded one: one or many brokers
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_server: Option<String>,
    /// A librdkafka property for it, such as security.protocol=SASL_SSL
    #[arg(short = 'X', value_name = "PROPERTY=VALUE", value_parser = property, requires = "bootstrap_server")]
    properties: Vec<Property>,
}

/// The config file, and which of its clusters.
#[derive(Args, Debug)]
#[command(next_help_heading = "Configuration")]
pub(super) struct FileArgs {
    /// The YAML file
    #[arg(long, value_name = "FILE", env = "LAGWATCH_CONFIG", hide_env = true)]
    pub(super) config: Option<PathBuf>,
    /// The one cluster of the file to use
    #[arg(long, value_name = "NAME", env = "LAGWATCH_CLUSTER", hide_env = true)]
    cluster: Option<String>,
}

/// Which groups and topics are watched, and how often. Patterns are regular expressions, found anywhere in the name.
#[derive(Args, Debug)]
#[command(next_help_heading = "Watching")]
pub(super) struct WatchArgs {
    /// Watch the groups that match [default: every group]
    #[arg(
        long = "group.filter",
        value_name = "REGEX",
        env = "LAGWATCH_GROUP_FILTER",
        hide_env = true
    )]
    group_filter: Vec<String>,
    /// But not those that match
    #[arg(
        long = "group.exclude",
        value_name = "REGEX",
        env = "LAGWATCH_GROUP_EXCLUDE",
        hide_env = true
    )]
    group_exclude: Vec<String>,
    /// Watch the topics that match [default: every topic]
    #[arg(
        long = "topic.filter",
        value_name = "REGEX",
        env = "LAGWATCH_TOPIC_FILTER",
        hide_env = true
    )]
    topic_filter: Vec<String>,
    /// But not those that match [default: ^__]
    #[arg(
        long = "topic.exclude",
        value_name = "REGEX",
        env = "LAGWATCH_TOPIC_EXCLUDE",
        hide_env = true
    )]
    topic_exclude: Vec<String>,
    /// From the start of one poll cycle to the start of the next [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = scalar::<Duration>, env = "LAGWATCH_POLL_INTERVAL", hide_env = true)]
    poll_interval: Option<Duration>,
}

/// The HTTP server.
#[derive(Args, Debug)]
#[command(next_help_heading = "HTTP")]
pub(super) struct WebArgs {
    /// Where to listen; no host: every interface [default: :9308]
    #[arg(
        long = "web.listen-address",
        value_name = "HOST:PORT",
        env = "LAGWATCH_WEB_LISTEN_ADDRESS",
        hide_env = true
    )]
    listen_address: Option<String>,
    /// The path of the metrics [default: /metrics]
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        env = "LAGWATCH_WEB_TELEMETRY_PATH",
        hide_env = true
    )]
    telemetry_path: Option<String>,
    /// TLS, basic auth and headers, in the form that Prometheus exporters share
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        env = "LAGWATCH_WEB_CONFIG_FILE",
        hide_env = true
    )]
    config_file: Option<String>,
}

/// The log, on standard error.
#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
pub(super) struct LogArgs {
    /// error, warn, info, debug, trace, off, or directives such as info,lagwatch::kafka=debug [default: info]
    #[arg(
        long = "log.level",
        value_name = "LEVEL",
        global = true,
        env = "LAGWATCH_LOG_LEVEL",
        hide_env = true
    )]
    level: Option<String>,
    /// text or json [default: text]
    #[arg(long = "log.format", value_name = "FORMAT", global = true, value_parser = scalar::<LogFormat>, env = "LAGWATCH_LOG_FORMAT", hide_env = true)]
    format: Option<LogFormat>,
}

/// A property as `-X` gives it. `Debug` shows no value: it may be a secret.
#[derive(Clone)]
pub(super) struct Property {
    name: String,
    value: String,
}

impl std::fmt::Debug for Property {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.name)
    }
}

impl ClusterArgs {
    /// Returns what is laid over every cluster of the file.
    pub(super) fn over(&self) -> ClusterFile {
        let mut over = cluster_file(self.bootstrap_server.as_deref(), &self.properties);
        for (name, setting) in properties_of(std::env::vars()) {
            over.kafka_properties.entry(name).or_insert(setting);
        }
        over
    }
}

impl RealClusterArgs {
    /// Returns the cluster; nothing where none is given.
    pub(super) fn over(&self) -> Option<ClusterFile> {
        let servers = self.bootstrap_server.as_deref()?;
        Some(cluster_file(Some(servers), &self.properties))
    }
}

fn cluster_file(servers: Option<&str>, properties: &[Property]) -> ClusterFile {
    let servers =
        servers.map(|servers| Setting::from_flag("--bootstrap-server", servers.to_owned()));
    let properties = properties
        .iter()
        .map(|Property { name, value }| (name.clone(), Setting::from_flag("-X", value.clone())));
    ClusterFile {
        bootstrap_servers: servers.into_iter().collect(),
        kafka_properties: properties.collect(),
        ..ClusterFile::default()
    }
}

/// Returns librdkafka's properties that the environment gives: `LAGWATCH_X_SASL_PASSWORD` is `sasl.password`.
fn properties_of(
    environment: impl Iterator<Item = (String, String)>,
) -> impl Iterator<Item = (String, Setting<String>)> {
    environment.filter_map(|(variable, value)| {
        let name = variable.strip_prefix(PROPERTY_VARIABLE)?;
        let name = name.to_lowercase().replace('_', ".");
        let origin = Origin::Variable(variable);
        Some((name, Setting { value, origin }))
    })
}

impl FileArgs {
    /// Returns the one cluster that is asked for.
    pub(super) fn only_cluster(&self) -> Option<Setting<String>> {
        flag("--cluster", self.cluster.clone())
    }
}

impl WatchArgs {
    /// Adds what is to be watched.
    pub(super) fn lay_over(&self, cluster: &mut ClusterFile) {
        let groups = selection(
            ("--group.filter", &self.group_filter),
            ("--group.exclude", &self.group_exclude),
        );
        let topics = selection(
            ("--topic.filter", &self.topic_filter),
            ("--topic.exclude", &self.topic_exclude),
        );
        cluster.groups = groups;
        cluster.topics = topics;
        cluster.poll_interval = flag("--poll-interval", self.poll_interval);
    }
}

impl WebArgs {
    /// Returns whether an address was given.
    pub(super) fn is_asked_for(&self) -> bool {
        self.listen_address.is_some()
    }

    /// Returns what is laid over `web`.
    pub(super) fn over(&self) -> WebFile {
        WebFile {
            listen_address: flag("--web.listen-address", self.listen_address.clone()),
            telemetry_path: flag("--web.telemetry-path", self.telemetry_path.clone()),
            config_file: flag("--web.config.file", self.config_file.clone()),
        }
    }
}

impl LogArgs {
    /// Returns what is laid over `log`.
    pub(super) fn over(&self) -> LogFile {
        LogFile {
            level: flag("--log.level", self.level.clone()),
            format: flag("--log.format", self.format),
        }
    }
}

impl LogArgs {
    /// Returns what is laid over `log` by a command whose answer is not its log: errors alone, unless told otherwise.
    pub(super) fn over_quiet(&self) -> LogFile {
        let mut over = self.over();
        let quiet = Setting::from_flag("--log.level", "error".to_owned());
        over.level.get_or_insert(quiet);
        over
    }
}

/// Returns the setting of a flag that was given.
pub(super) fn flag<T>(name: &'static str, value: Option<T>) -> Option<Setting<T>> {
    value.map(|value| Setting::from_flag(name, value))
}

/// Parses a flag as the file's scalars are parsed.
pub(super) fn scalar<T: Scalar>(text: &str) -> Result<T, String> {
    T::parse(text).map_err(|expected| format!("expected {expected}"))
}

fn selection(
    (include_flag, include): (&'static str, &[String]),
    (exclude_flag, exclude): (&'static str, &[String]),
) -> Option<SelectionFile> {
    let settings = |name, patterns: &[String]| {
        let settings: Vec<_> = patterns
            .iter()
            .map(|pattern| Setting::from_flag(name, pattern.clone()))
            .collect();
        (!settings.is_empty()).then_some(settings)
    };
    let include = settings(include_flag, include);
    let exclude = settings(exclude_flag, exclude);
    (include.is_some() || exclude.is_some()).then(|| SelectionFile {
        include,
        exclude,
        names: Vec::new(),
    })
}

fn property(text: &str) -> Result<Property, &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected PROPERTY=VALUE")?;
    if name.is_empty() {
        return Err("expected PROPERTY=VALUE");
    }
    Ok(Property {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_gives_properties_in_capitals() {
        let environment = [
            ("LAGWATCH_X_SASL_PASSWORD", "s=cret"),
            ("LAGWATCH_LOG_LEVEL", "debug"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let properties: Vec<_> = properties_of(environment.into_iter()).collect();
        let setting = Setting {
            value: "s=cret".to_owned(),
            origin: Origin::Variable("LAGWATCH_X_SASL_PASSWORD".to_owned()),
        };
        assert_eq!(properties, [("sasl.password".to_owned(), setting)]);
    }

    #[test]
    fn a_property_needs_a_name_and_shows_no_value() {
        assert!(property("novalue").is_err());
        assert!(property("=x").is_err());
        let secret = property("sasl.password=hunter2=").expect("it has a name");
        assert_eq!(secret.value, "hunter2=");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
