//! The configuration: one YAML file, overridden by the environment, overridden by flags.
//!
//! [`schema`] declares every key. [`Overrides`] is what flags and environment say in the types of the file, and [`Config`] what
//! comes of both: typed, checked across keys, ready to be wired. Nothing here opens a connection, a port or a database.

mod address;
mod cluster;
mod clusters;
mod connection;
mod consumer;
mod error;
mod interpolate;
mod log;
mod overlay;
pub mod schema;
mod secret;
mod selection;
mod setting;
mod shard;
mod web;
mod words;

pub use address::ListenAddress;
pub use cluster::ClusterConfig;
pub use consumer::TaskConsumerConfig;
pub use error::{ConfigError, Origin, environment_name};
pub use log::{LogConfig, parse_directives};
pub use schema::LogFormat;
pub use setting::{Setting, parse_flag};
pub use shard::Sharding;
pub use web::WebSettings;

use std::path::{Path, PathBuf};

use self::error::SettingProblem;
use self::overlay::Overlay;
use self::schema::{ClusterFile, ConfigFile, ConsumerFile, LogFile, WebFile};
use crate::collect::PollConfig;
use crate::diagnostics::read_yaml;
use crate::task::TaskConfig;

/// Where settings come from, in the order of growing importance. Loaded again on SIGHUP.
#[derive(Default)]
pub struct ConfigSources {
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
    /// Laid over `consumer`; makes a task consumer where the file has none.
    pub consumer: Option<Box<ConsumerFile>>,
    /// Laid over `web`.
    pub web: WebFile,
    /// Laid over `log`.
    pub log: LogFile,
}

/// Everything a command needs to know. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The clusters, in the order of the file; at least one.
    pub clusters: Vec<ClusterConfig>,
    /// The task consumer.
    pub consumer: Option<TaskConsumerConfig>,
    /// The HTTP server.
    pub web: WebSettings,
    /// The log.
    pub log: LogConfig,
}

impl ConfigSources {
    /// Reads the file, lays the overrides over it and checks the whole.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in one line.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let file = self.read()?;
        self.in_file(resolve(file, self.overrides.clone()))
    }

    /// Reads the file and checks the settings of the server alone, for a command that needs no cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in one line.
    pub fn load_web(&self) -> Result<WebSettings, ConfigError> {
        let mut web = self.read()?.web;
        web.overlay(self.overrides.web.clone());
        self.in_file(web::resolve(web))
    }

    /// Checks the settings of the log alone, for a command that needs no cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with them, in one line.
    pub fn load_log(&self) -> Result<LogConfig, ConfigError> {
        self.in_file(log::resolve(&self.overrides.log))
    }

    fn read(&self) -> Result<ConfigFile, ConfigError> {
        let Some(path) = &self.file else {
            return Ok(ConfigFile::default());
        };
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.display().to_string(),
            source,
        })?;
        self.in_file(parse(&text))
    }

    fn in_file<T>(&self, result: Result<T, SettingProblem>) -> Result<T, ConfigError> {
        let path = self.file.as_deref().unwrap_or(Path::new(""));
        result.map_err(|problem| problem.in_file(path))
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

fn resolve(file: ConfigFile, overrides: Overrides) -> Result<Config, SettingProblem> {
    let ConfigFile {
        clusters: files,
        consumer,
        web,
        log,
    } = overridden(file, overrides)?;
    let consumer = match consumer {
        Some(consumer) => Some((clusters::consumed(&files, &consumer.cluster)?, consumer)),
        None => None,
    };
    let clusters = files.iter().map(cluster::resolve);
    let mut clusters = clusters.collect::<Result<Vec<_>, _>>()?;
    let consumer = match consumer {
        Some((index, file)) => {
            let connection = clusters[index].connection.clone();
            let task = consumer::resolve(&file, &connection)?;
            check_shard_group(&clusters[index], &task)?;
            watch_own_group(&mut clusters[index].poll, &files[index], &task);
            Some(TaskConsumerConfig {
                cluster: index,
                connection,
                task,
            })
        }
        None => None,
    };
    Ok(Config {
        clusters,
        consumer,
        web: web::resolve(web)?,
        log: log::resolve(&log)?,
    })
}

/// Returns the file with the overrides laid over it and the clusters that are used: at least one, no two of a name.
fn overridden(mut file: ConfigFile, overrides: Overrides) -> Result<ConfigFile, SettingProblem> {
    let Overrides {
        only_cluster,
        cluster,
        consumer,
        web,
        log,
    } = overrides;
    file.web.overlay(web);
    file.log.overlay(log);
    file.consumer.overlay(consumer.map(|consumer| *consumer));
    file.clusters = clusters::chosen(file.clusters, only_cluster.as_ref())?;
    file.clusters = clusters::overridden(file.clusters, cluster)?;
    clusters::check_names(&file.clusters)?;
    Ok(file)
}

fn check_shard_group(cluster: &ClusterConfig, task: &TaskConfig) -> Result<(), SettingProblem> {
    if cluster.sharding != Sharding::Group(task.group.clone()) {
        return Ok(());
    }
    Err(SettingProblem::of_all(format!(
        "`shard.group` is the consumer's own group `{}`: the replicas need one of their own",
        task.group
    )))
}

/// Narrows what is collected to the consumer's own group and topics, as far as the file says nothing else.
///
/// Least privilege: a sidecar then lists nothing.
fn watch_own_group(poll: &mut PollConfig, file: &ClusterFile, task: &TaskConfig) {
    if file.groups.is_some() {
        return;
    }
    poll.group_names = vec![task.group.clone()];
    if file.topics.is_none() {
        poll.topic_names.clone_from(&task.topics);
    }
}

fn parse(text: &str) -> Result<ConfigFile, SettingProblem> {
    Ok(read_yaml(text)?)
}

#[cfg(test)]
mod tests;
