//! From what was written to what will be done: defaults filled in, every value checked, alone and against the others.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::error::ConfigError;
use super::schema::{ClusterFile, LogFile, SelectionFile, WebFile};
use super::secret;
use super::setting::{Origin, Setting};
use super::shard::Sharding;
use super::{ClusterConfig, ListenAddress, LogConfig, LogFormat, WebSettings};
use crate::app::logging;
use crate::collect::{Filter, PatternError, PatternList, Patterns, PollConfig};
use crate::kafka::{Connection, ConnectionError};
use crate::lag::ClusterName;
use crate::snapshot::Exposure;

/// Kafka's own topics are nobody's backlog.
const EXCLUDED_TOPICS: &[&str] = &["^__"];

/// The paths of the server's other routes.
const ROUTES: &[&str] = &["/", "/healthz", "/readyz"];

/// Turns settings into values and points at the ones that are wrong.
pub(super) struct Resolver<'a> {
    /// The file that lines refer to; without a file there are no lines.
    pub(super) path: &'a Path,
}

/// `groups` or `topics`, checked: a filter over what is listed, or names that are watched without listing.
struct Selection {
    filter: Filter,
    names: Vec<String>,
}

impl Resolver<'_> {
    /// Returns the error for the value that was given at `origin`.
    pub(super) fn error(&self, origin: &Origin, problem: impl ToString) -> ConfigError {
        ConfigError::at(origin, self.path, problem)
    }

    /// Returns a duration that must not be zero.
    pub(super) fn positive(
        &self,
        key: &str,
        setting: Option<&Setting<Duration>>,
    ) -> Result<Option<Duration>, ConfigError> {
        match setting {
            Some(Setting { value, origin }) if value.is_zero() => {
                Err(self.error(origin, format!("`{key}` must be more than 0")))
            }
            setting => Ok(setting.map(|setting| setting.value)),
        }
    }

    /// Returns a name that must not be empty.
    pub(super) fn name<'s>(
        &self,
        key: &str,
        setting: &'s Setting<String>,
    ) -> Result<&'s str, ConfigError> {
        if setting.value.is_empty() {
            return Err(self.error(&setting.origin, format!("`{key}` is empty")));
        }
        Ok(&setting.value)
    }

    /// Returns a cluster's connection and what to collect from it.
    pub(super) fn cluster(&self, file: ClusterFile) -> Result<ClusterConfig, ConfigError> {
        let name = match &file.name {
            Some(name) => Some(ClusterName::from(self.name("name", name)?)),
            None => None,
        };
        let connection = self.connection(
            name.as_ref(),
            &file.bootstrap_servers,
            file.kafka_properties,
        )?;
        let defaults = PollConfig::default();
        let poll_interval = self
            .positive("poll-interval", file.poll_interval.as_ref())?
            .unwrap_or(defaults.poll_interval);
        let request_timeout = self
            .positive("request-timeout", file.request_timeout.as_ref())?
            .unwrap_or(defaults.request_timeout);
        let groups = self.selection(name.as_ref(), "groups", file.groups, &[])?;
        let topics = self.selection(name.as_ref(), "topics", file.topics, EXCLUDED_TOPICS)?;
        let sharding = self.sharding(file.shard)?;
        let patterns = &file.read_committed_groups;
        let read_committed = Patterns::new(PatternList::ReadCommittedGroups, &values(patterns))
            .map_err(|error| {
                self.pattern_error(name.as_ref(), "read-committed-groups", patterns, &error)
            })?;
        let poll = PollConfig {
            mode: file.mode.map_or(defaults.mode, |mode| mode.value),
            reconcile_interval: self
                .positive("reconcile-interval", file.reconcile_interval.as_ref())?
                .unwrap_or(defaults.reconcile_interval),
            stale_after: self.stale_after(file.stale_after.as_ref(), poll_interval)?,
            poll_interval,
            request_timeout,
            groups: match &sharding {
                // Its members commit nothing: there is no lag to be watched.
                Sharding::Group(group) => groups.filter.without(group.as_str()),
                Sharding::Off | Sharding::Fixed(_) => groups.filter,
            },
            group_names: groups.names.into_iter().map(Into::into).collect(),
            topics: topics.filter,
            topic_names: topics.names.into_iter().map(Into::into).collect(),
            share: match &sharding {
                Sharding::Fixed(share) => share.clone(),
                Sharding::Off | Sharding::Group(_) => defaults.share,
            },
            // Every watched topic has series of its own.
            logs: defaults.logs,
            uncommitted: value_or(file.uncommitted, defaults.uncommitted),
            read_committed,
            max_in_flight: file
                .max_in_flight
                .map_or(defaults.max_in_flight, |setting| setting.value.get()),
            index_rounds: defaults.index_rounds,
            exposure: Exposure {
                granularity: value_or(file.granularity, defaults.exposure.granularity),
                max_series: file
                    .max_series
                    .map_or(defaults.exposure.max_series, |setting| setting.value.get()),
                max_series_bytes: file
                    .max_series_bytes
                    .map_or(defaults.exposure.max_series_bytes, |setting| {
                        setting.value.get()
                    }),
                owner_info: value_or(file.owner_info, defaults.exposure.owner_info),
                abandoned: value_or(file.abandoned, defaults.exposure.abandoned),
            },
            cluster: name,
        };
        Ok(ClusterConfig {
            connection,
            poll,
            sharding,
        })
    }

    /// Returns a connection that librdkafka accepts.
    fn connection(
        &self,
        cluster: Option<&ClusterName>,
        servers: &[Setting<String>],
        properties: BTreeMap<String, Setting<String>>,
    ) -> Result<Connection, ConfigError> {
        let connection = Connection {
            bootstrap_servers: servers
                .iter()
                .flat_map(|setting| setting.value.split(','))
                .map(|server| server.trim().to_owned())
                .collect(),
            properties: secret::read_files(self, &properties)?,
        };
        match connection.validate() {
            Ok(()) => Ok(connection),
            Err(error) => Err(self.connection_error(cluster, &error, servers, &properties)),
        }
    }

    /// Returns the error for a connection that librdkafka refuses, at the server's or the property's own line.
    pub(super) fn connection_error(
        &self,
        cluster: Option<&ClusterName>,
        error: &ConnectionError,
        servers: &[Setting<String>],
        properties: &BTreeMap<String, Setting<String>>,
    ) -> ConfigError {
        let culprit = match error {
            ConnectionError::BootstrapServer { server, .. } => servers
                .iter()
                .find(|setting| setting.value.contains(server.as_str())),
            ConnectionError::UnknownProperty { name, .. }
            | ConnectionError::InvalidProperty { name, .. }
            | ConnectionError::ReservedProperty { name, .. } => properties
                .get(name)
                .or_else(|| properties.get(&secret::file_key(name))),
            ConnectionError::Client { reason } => properties
                .iter()
                .find(|(name, _)| reason.contains(name.as_str()))
                .or_else(|| properties.iter().next())
                .map(|(_, setting)| setting),
            _ => None,
        };
        let hint = match error {
            ConnectionError::NoBootstrapServer => {
                ": give `bootstrap-servers` in the config file, or `--bootstrap-server`"
            }
            _ => "",
        };
        let problem = format!("{}{error}{hint}", named(cluster));
        match culprit {
            Some(setting) => self.error(&setting.origin, problem),
            None => ConfigError::Whole(problem),
        }
    }

    fn stale_after(
        &self,
        setting: Option<&Setting<Duration>>,
        poll_interval: Duration,
    ) -> Result<Duration, ConfigError> {
        match setting {
            None => Ok(3 * poll_interval),
            Some(Setting { value, origin }) if *value < poll_interval => Err(self.error(
                origin,
                format!(
                    "`stale-after` ({}) is shorter than `poll-interval` ({}): figures would vanish between two polls",
                    humantime::format_duration(*value),
                    humantime::format_duration(poll_interval),
                ),
            )),
            Some(setting) => Ok(setting.value),
        }
    }

    fn selection(
        &self,
        cluster: Option<&ClusterName>,
        key: &str,
        file: Option<SelectionFile>,
        excluded: &[&str],
    ) -> Result<Selection, ConfigError> {
        let SelectionFile {
            include,
            exclude,
            names,
        } = file.unwrap_or_default();
        let pattern = include.iter().chain(&exclude).flatten().next();
        if let (Some(pattern), [_, ..]) = (pattern, names.as_slice()) {
            return Err(self.error(
                &pattern.origin,
                format!("`{key}` has both patterns and `names`: names are watched without listing, so no pattern would be asked"),
            ));
        }
        for name in &names {
            self.name(&format!("{key}.names"), name)?;
        }
        let include = include.unwrap_or_default();
        let excluded = exclude.as_deref().map_or(excluded.to_vec(), values);
        let filter = Filter::new(&values(&include), &excluded).map_err(|error| {
            let patterns = match error.list {
                PatternList::Exclude => exclude.as_deref().unwrap_or_default(),
                _ => &include,
            };
            let key = format!("{key}.{}", error.list);
            self.pattern_error(cluster, &key, patterns, &error)
        })?;
        let names = names.into_iter().map(|name| name.value).collect();
        Ok(Selection { filter, names })
    }

    /// Returns the error for a pattern, at its own line: the cluster, the key, the pattern and what is wrong with it.
    fn pattern_error(
        &self,
        cluster: Option<&ClusterName>,
        key: &str,
        patterns: &[Setting<String>],
        error: &PatternError,
    ) -> ConfigError {
        let PatternError {
            number,
            pattern,
            reason,
            ..
        } = error;
        let named = named(cluster);
        let problem = format!("{named}`{key}`: `{pattern}` is no regular expression: {reason}");
        match patterns.get(number.saturating_sub(1)) {
            Some(setting) => self.error(&setting.origin, problem),
            None => ConfigError::Whole(problem),
        }
    }

    /// Returns the settings of the HTTP server.
    pub(super) fn web(&self, file: WebFile) -> Result<WebSettings, ConfigError> {
        let listen_address = match &file.listen_address {
            Some(setting) => setting.value.parse().map_err(|problem| {
                let Setting { value, origin } = setting;
                self.error(origin, format!("`listen-address` `{value}`: {problem}"))
            })?,
            None => ListenAddress::default(),
        };
        let telemetry_path = match file.telemetry_path {
            Some(Setting { value, origin }) => {
                if let Some(problem) = path_problem(&value) {
                    let problem = format!("`telemetry-path` `{value}` {problem}");
                    return Err(self.error(&origin, problem));
                }
                value
            }
            None => "/metrics".to_owned(),
        };
        let config_file = file.config_file.map(|setting| setting.value);
        let config_file = config_file.filter(|path| !path.is_empty());
        Ok(WebSettings {
            listen_address,
            telemetry_path,
            config_file: config_file.map(Into::into),
        })
    }

    /// Returns the settings of the log.
    pub(super) fn log(&self, file: LogFile) -> Result<LogConfig, ConfigError> {
        let directives = match file.level {
            Some(Setting { value, origin }) => {
                logging::parse_directives(&value).map_err(|problem| {
                    self.error(&origin, format!("log level `{value}`: {problem}"))
                })?;
                value
            }
            None => "info".to_owned(),
        };
        Ok(LogConfig {
            directives,
            format: value_or(file.format, LogFormat::default()),
        })
    }
}

fn named(cluster: Option<&ClusterName>) -> String {
    cluster.map_or_else(String::new, |name| format!("cluster `{name}`: "))
}

fn path_problem(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("does not begin with `/`");
    }
    if path.contains(['?', '#']) || path.contains(char::is_whitespace) {
        return Some("is no plain path");
    }
    let is_taken = ROUTES.contains(&path) || path.starts_with("/api/");
    is_taken.then_some("is another route's path")
}

fn value_or<T>(setting: Option<Setting<T>>, default: T) -> T {
    setting.map_or(default, |setting| setting.value)
}

fn values(settings: &[Setting<String>]) -> Vec<&str> {
    settings
        .iter()
        .map(|setting| setting.value.as_str())
        .collect()
}
