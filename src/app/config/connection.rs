//! `bootstrap-servers` and `kafka-properties`, checked as librdkafka checks them.

use std::collections::BTreeMap;

use super::error::SettingProblem;
use super::secret;
use super::setting::Setting;
use crate::kafka::{Connection, ConnectionError};
use crate::lag::ClusterName;

/// Returns a connection that librdkafka accepts.
pub(super) fn resolve(
    cluster: Option<&ClusterName>,
    servers: &[Setting<String>],
    properties: &BTreeMap<String, Setting<String>>,
) -> Result<Connection, SettingProblem> {
    let connection = Connection {
        bootstrap_servers: servers
            .iter()
            .flat_map(|setting| setting.value.split(','))
            .map(|server| server.trim().to_owned())
            .collect(),
        properties: secret::read_files(properties)?,
    };
    match connection.validate() {
        Ok(()) => Ok(connection),
        Err(refused) => Err(error(cluster, &refused, servers, properties)),
    }
}

/// Returns properties of a client's own, which are valid together with those of its cluster.
pub(super) fn resolve_own(
    own: &BTreeMap<String, Setting<String>>,
    cluster: &Connection,
) -> Result<BTreeMap<String, String>, SettingProblem> {
    let properties = secret::read_files(own)?;
    let mut together = cluster.clone();
    together.properties.extend(properties.clone());
    match together.validate() {
        Ok(()) => Ok(properties),
        Err(refused) => Err(error(None, &refused, &[], own)),
    }
}

/// Returns how an error about a cluster starts; empty where it has no name.
pub(super) fn prefix(cluster: Option<&ClusterName>) -> String {
    cluster.map_or_else(String::new, |name| format!("cluster `{name}`: "))
}

/// Returns the error for a connection that librdkafka refuses, at the server's or the property's own line.
fn error(
    cluster: Option<&ClusterName>,
    error: &ConnectionError,
    servers: &[Setting<String>],
    properties: &BTreeMap<String, Setting<String>>,
) -> SettingProblem {
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
    let problem = format!("{}{error}{hint}", prefix(cluster));
    match culprit {
        Some(setting) => setting.problem(problem),
        None => SettingProblem::of_all(problem),
    }
}
