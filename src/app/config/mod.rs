//! The configuration: one YAML file, overridden by the environment, overridden by flags.
//!
//! [`schema`] is the file as written, [`Overrides`] what flags and environment say in the same types, [`Config`] what
//! comes of both: typed, checked across keys, ready to be wired. Nothing here opens a connection, a port or a database.

mod address;
mod clusters;
mod consumer;
mod error;
mod interpolate;
mod overlay;
mod resolve;
pub mod schema;
mod secret;
mod setting;
mod shard;

pub use address::{ListenAddress, NoAddress};
pub use error::{ConfigError, environment_name};
pub use schema::{LogFormat, Mode};
pub use setting::{Origin, Scalar, Setting, nearest};
pub use shard::Sharding;

use std::path::{Path, PathBuf};

use self::overlay::Overlay;
use self::resolve::Resolver;
use self::schema::{ClusterFile, ConsumerFile, File, LogFile, WebFile};
use crate::collect::PollConfig;
use crate::http::WebConfig;
use crate::kafka::Connection;
use crate::lag::ClusterName;
use crate::task::TaskConfig;

/// Where settings come from, in the order of growing importance. Loaded again on SIGHUP.
#[derive(Default)]
pub struct Sources {
    /// The file; nothing: defaults alone.
    pub file: Option<PathBuf>,
    /// Flags, and the environment variables that stand for them.
    pub overrides: Overrides,
}

/// What flags and environment say, in the types of the file.
#[derive(Clone, Default)]
pub struct Overrides {
    /// The one cluster of the file to use; the others are left out.
    pub only_cluster: Option<Setting<String>>,
    /// Laid over every cluster; bootstrap servers make a cluster where the file has none.
    pub cluster: ClusterFile,
    /// Whether there is a task consumer.
    pub task: TaskChoice,
    /// Laid over `web`.
    pub web: WebFile,
    /// Laid over `log`.
    pub log: LogFile,
}

/// Whether a command runs the task consumer.
#[derive(Clone, Default)]
pub enum TaskChoice {
    /// If the file has a `consumer` section.
    #[default]
    AsConfigured,
    /// Always, with this laid over the section.
    Always(Box<ConsumerFile>),
}

/// Everything a command needs to know. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// The clusters, in the order of the file; at least one.
    pub clusters: Vec<ClusterConfig>,
    /// The task consumer.
    pub consumer: Option<ConsumerConfig>,
    /// The HTTP server.
    pub web: WebSettings,
    /// The log.
    pub log: LogConfig,
}

/// One cluster: how to connect and what to collect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where it is.
    pub connection: Connection,
    /// What its poller is told; holds its name.
    pub poll: PollConfig,
    /// How replicas share it.
    pub sharding: Sharding,
}

/// The task consumer and the connection it uses.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// The index of its cluster.
    pub cluster: usize,
    /// Where that cluster is.
    pub connection: Connection,
    /// What it is told.
    pub task: TaskConfig,
}

/// The HTTP server's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Where it listens.
    pub listen_address: ListenAddress,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// The web configuration file; nothing: plain HTTP for everybody.
    pub config_file: Option<PathBuf>,
}

/// The log's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A level or directives, checked.
    pub directives: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl Sources {
    /// Reads the file, lays the overrides over it and checks the whole.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in one line.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let file = match &self.file {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let path = self.file.as_deref().unwrap_or(Path::new(""));
        resolve(path, file, self.overrides.clone())
    }

    /// Reads the file and checks the settings of the server alone, for a command that needs no cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in one line.
    pub fn load_web(&self) -> Result<WebSettings, ConfigError> {
        let mut web = match &self.file {
            Some(path) => read(path)?.web,
            None => WebFile::default(),
        };
        web.overlay(self.overrides.web.clone());
        let path = self.file.as_deref().unwrap_or(Path::new(""));
        Resolver { path }.web(web)
    }

    /// Checks the settings of the log alone, for a command that needs no cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in one line.
    pub fn load_log(&self) -> Result<LogConfig, ConfigError> {
        let resolver = Resolver {
            path: Path::new(""),
        };
        resolver.log(self.overrides.log.clone())
    }
}

impl PartialEq for ConsumerConfig {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            cluster,
            connection,
            task,
        } = self;
        // A handler cannot be compared, and a configuration has none; `Debug` shows every other field.
        *cluster == other.cluster
            && *connection == other.connection
            && task.properties == other.task.properties
            && format!("{task:?}") == format!("{:?}", other.task)
    }
}

impl ClusterConfig {
    /// Returns the cluster's name, where it has one.
    pub fn name(&self) -> Option<&ClusterName> {
        self.poll.cluster.as_ref()
    }
}

impl WebSettings {
    /// Reads the web configuration file, for whoever serves; others may not be allowed to.
    ///
    /// # Errors
    ///
    /// It cannot be read, or says something that cannot be used.
    pub fn read_config_file(&self) -> Result<Option<WebConfig>, ConfigError> {
        let read = self.config_file.as_deref().map(WebConfig::load);
        Ok(read.transpose()?)
    }
}

impl Config {
    /// Returns the cluster of a command that is about exactly one.
    ///
    /// # Errors
    ///
    /// There are several.
    pub fn only_cluster(&self) -> Result<&ClusterConfig, ConfigError> {
        match self.clusters.as_slice() {
            [cluster] => Ok(cluster),
            clusters => Err(ConfigError::Whole(format!(
                "the config file has {} clusters: choose one with `--cluster`",
                clusters.len()
            ))),
        }
    }
}

fn resolve(path: &Path, file: File, overrides: Overrides) -> Result<Config, ConfigError> {
    let resolver = Resolver { path };
    let File {
        clusters,
        mut consumer,
        mut web,
        mut log,
    } = file;
    web.overlay(overrides.web);
    log.overlay(overrides.log);
    if let TaskChoice::Always(over) = overrides.task {
        consumer.get_or_insert_default().overlay(*over);
    }
    let clusters = resolver.chosen(clusters, overrides.only_cluster.as_ref())?;
    let clusters = resolver.overridden(clusters, overrides.cluster)?;
    resolver.check_names(&clusters)?;
    let consumed = match &consumer {
        Some(consumer) => resolver.consumed(&clusters, consumer.cluster.as_ref())?,
        None => 0,
    };
    let tells_groups = clusters
        .get(consumed)
        .is_some_and(|file| file.groups.is_some());
    let tells_topics = clusters
        .get(consumed)
        .is_some_and(|file| file.topics.is_some());
    let mut clusters = clusters
        .into_iter()
        .map(|cluster| resolver.cluster(cluster))
        .collect::<Result<Vec<_>, _>>()?;
    let consumer = match consumer {
        Some(consumer) => {
            let connection = clusters[consumed].connection.clone();
            Some(ConsumerConfig {
                cluster: consumed,
                task: resolver.task(consumer, &connection)?,
                connection,
            })
        }
        None => None,
    };
    if let Some(ConsumerConfig { cluster, task, .. }) = &consumer {
        if clusters[*cluster].sharding == Sharding::Group(task.group.clone()) {
            let problem = format!(
                "`shard.group` is the consumer's own group `{}`: the replicas need one of their own",
                task.group
            );
            return Err(ConfigError::Whole(problem));
        }
        // Least privilege: a sidecar that is told nothing else reads its own group and topics, and lists nothing.
        let poll = &mut clusters[*cluster].poll;
        if !tells_groups {
            poll.group_names = vec![task.group.clone()];
        }
        if !tells_groups && !tells_topics {
            poll.topic_names.clone_from(&task.topics);
        }
    }
    Ok(Config {
        clusters,
        consumer,
        web: resolver.web(web)?,
        log: resolver.log(log)?,
    })
}

fn read(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.display().to_string(),
        source,
    })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<File, ConfigError> {
    // A file of comments alone is a file in which every key is left out.
    let is_empty = text
        .lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#'));
    if is_empty {
        return Ok(File::default());
    }
    serde_saphyr::from_str(text).map_err(|error| ConfigError::from_yaml(path, &error))
}

#[cfg(test)]
mod tests;
