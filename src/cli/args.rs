//! Flags that several commands share, beside those of [`schema`](crate::app::config::schema), and how they become settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command};

use crate::app::config::schema::{ClusterFile, LogFile, SelectionFile};
use crate::app::config::{ConfigSources, Origin, Overrides, Setting, environment_name};

const PROPERTY_VARIABLE: &str = "LAGWATCH_X_";

/// A property and its value.
type Property = (String, Setting<String>);

/// The config file, which of its clusters, and how to reach it.
#[derive(Args, Clone)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    file: FileArgs,
}

/// How to reach a cluster.
#[derive(Args, Clone)]
#[command(next_help_heading = "Cluster")]
struct ClusterArgs {
    /// Where to begin: one or many brokers
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_server: Option<Setting<String>>,
    /// A librdkafka property, such as security.protocol=SASL_SSL; NAME_file=PATH reads the value from a file
    #[arg(short = 'X', value_name = "PROPERTY=VALUE", value_parser = property)]
    properties: Vec<Property>,
}

/// How to reach a cluster that the environment must not choose: the demo writes to it.
#[derive(Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct RealClusterArgs {
    /// Play on this cluster instead of an embedded one: one or many brokers
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_server: Option<Setting<String>>,
    /// A librdkafka property for it, such as security.protocol=SASL_SSL
    #[arg(short = 'X', value_name = "PROPERTY=VALUE", value_parser = property, requires = "bootstrap_server")]
    properties: Vec<Property>,
}

/// The config file, and which of its clusters.
#[derive(Args, Clone)]
#[command(next_help_heading = "Configuration")]
pub(super) struct FileArgs {
    /// The YAML file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The one cluster of the file to use
    #[arg(long, value_name = "NAME")]
    cluster: Option<Setting<String>>,
}

/// Which groups and topics are watched, and how often. Patterns are regular expressions, found anywhere in the name.
#[derive(Args)]
#[command(next_help_heading = "Watching")]
pub(super) struct WatchArgs {
    /// Watch the groups that match [default: every group]
    #[arg(long = "group.filter", value_name = "REGEX")]
    group_filter: Option<Vec<Setting<String>>>,
    /// But not those that match
    #[arg(long = "group.exclude", value_name = "REGEX")]
    group_exclude: Option<Vec<Setting<String>>>,
    /// Watch the topics that match [default: every topic]
    #[arg(long = "topic.filter", value_name = "REGEX")]
    topic_filter: Option<Vec<Setting<String>>>,
    /// But not those that match [default: ^__]
    #[arg(long = "topic.exclude", value_name = "REGEX")]
    topic_exclude: Option<Vec<Setting<String>>>,
    /// From the start of one poll cycle to the start of the next [default: 10s]
    #[arg(long, value_name = "DURATION")]
    poll_interval: Option<Setting<Duration>>,
}

impl ConfigArgs {
    /// Returns where the settings come from, with these of the log.
    pub(super) fn sources(self, log: LogFile) -> ConfigSources {
        let ClusterArgs {
            bootstrap_server,
            properties,
        } = self.cluster;
        let mut cluster = cluster_file(bootstrap_server, properties);
        for (name, setting) in properties_of(std::env::vars()) {
            cluster.kafka_properties.entry(name).or_insert(setting);
        }
        ConfigSources {
            file: self.file.config,
            overrides: Overrides {
                only_cluster: self.file.cluster,
                cluster,
                log,
                ..Overrides::default()
            },
        }
    }
}

impl RealClusterArgs {
    /// Returns the cluster; nothing where none is given.
    pub(super) fn over(self) -> Option<ClusterFile> {
        let servers = self.bootstrap_server?;
        Some(cluster_file(Some(servers), self.properties))
    }
}

impl WatchArgs {
    /// Adds what is to be watched.
    pub(super) fn lay_over(self, cluster: &mut ClusterFile) {
        cluster.groups = selection(self.group_filter, self.group_exclude);
        cluster.topics = selection(self.topic_filter, self.topic_exclude);
        cluster.poll_interval = self.poll_interval;
    }
}

/// Returns the log's settings for a command that prints its result: only errors are logged, unless flags say otherwise.
pub(super) fn quiet(mut log: LogFile) -> LogFile {
    let errors_alone = Setting::from_flag("--log.level", "error".to_owned());
    log.level.get_or_insert(errors_alone);
    log
}

/// Lets an environment variable set what a flag under a heading sets: it is a key of the configuration.
///
/// `--help` never shows what the variable holds: it may be a secret.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(|arg| match (arg.get_help_heading(), arg.get_long()) {
        (Some(_), Some(long)) => {
            let variable = environment_name(long);
            arg.env(variable).hide_env(true)
        }
        _ => arg,
    })
}

fn cluster_file(servers: Option<Setting<String>>, properties: Vec<Property>) -> ClusterFile {
    ClusterFile {
        bootstrap_servers: servers.into_iter().collect(),
        kafka_properties: properties.into_iter().collect(),
        ..ClusterFile::default()
    }
}

/// Returns librdkafka's properties that the environment gives: `LAGWATCH_X_SASL_PASSWORD` is `sasl.password`.
fn properties_of(
    environment: impl Iterator<Item = (String, String)>,
) -> impl Iterator<Item = Property> {
    environment.filter_map(|(variable, value)| {
        let name = variable.strip_prefix(PROPERTY_VARIABLE)?;
        let name = name.to_lowercase().replace('_', ".");
        let origin = Origin::Variable(variable);
        Some((name, Setting { value, origin }))
    })
}

fn selection(
    include: Option<Vec<Setting<String>>>,
    exclude: Option<Vec<Setting<String>>>,
) -> Option<SelectionFile> {
    (include.is_some() || exclude.is_some()).then(|| SelectionFile {
        include,
        exclude,
        names: Vec::new(),
    })
}

fn property(text: &str) -> Result<Property, &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let setting = Setting::from_flag("-X", value.to_owned());
            Ok((name.to_owned(), setting))
        }
        _ => Err("expected PROPERTY=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::schema::{ConsumerFile, WebFile};

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
    fn a_property_needs_a_name() {
        assert!(property("novalue").is_err());
        assert!(property("=x").is_err());
        let (name, setting) = property("sasl.password=hunter2=").expect("it has a name");
        assert_eq!(name, "sasl.password");
        assert_eq!(setting, Setting::from_flag("-X", "hunter2=".to_owned()));
    }

    /// Checks that each default in the help of `A` is the one that applies without the flag.
    #[track_caller]
    fn assert_defaults<A: Args>(lay_over: impl Fn(A, &mut Overrides)) {
        let command = A::augment_args(Command::new("lagwatch").no_binary_name(true));
        let configured = |words: &[String]| {
            let matches = command.clone().get_matches_from(words);
            let mut sources = ConfigSources::default();
            let server = Setting::from_flag("--bootstrap-server", "a:1".to_owned());
            sources.overrides.cluster.bootstrap_servers.push(server);
            let args = A::from_arg_matches(&matches).expect("they match");
            lay_over(args, &mut sources.overrides);
            sources.load().expect("the defaults are valid")
        };
        let mut checked = 0;
        for arg in command.get_arguments() {
            let help = arg.get_help().expect("each has one").to_string();
            let default = help.split_once("[default: ").map(|(_, default)| default);
            let Some(default) = default.and_then(|default| default.strip_suffix(']')) else {
                continue;
            };
            if default == "every group" || default == "every topic" {
                continue;
            }
            let flag = format!("--{}", arg.get_long().expect("each has one"));
            let given = configured(&[flag.clone(), default.to_owned()]);
            assert_eq!(given, configured(&[]), "{flag} {default}");
            checked += 1;
        }
        assert!(checked > 0, "no help shows a default");
    }

    #[test]
    fn help_tells_the_defaults() {
        assert_defaults(|watch: WatchArgs, over| watch.lay_over(&mut over.cluster));
        assert_defaults(|task: Box<ConsumerFile>, over| over.consumer = Some(task));
        assert_defaults(|web: WebFile, over| over.web = web);
        assert_defaults(|log: LogFile, over| over.log = log);
    }
}
