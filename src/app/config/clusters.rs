//! Which clusters there are: those of the file, one of them chosen, or one made by flags; each with a name of its own.

use super::error::ConfigError;
use super::overlay::Overlay;
use super::schema::ClusterFile;
use super::setting::{Origin, Setting};
use super::validate::Validator;
use crate::diagnostics::nearest;

/// Returns the one cluster that is asked for by name, or all of them.
pub(super) fn chosen(
    validator: &Validator<'_>,
    mut clusters: Vec<ClusterFile>,
    only: Option<&Setting<String>>,
) -> Result<Vec<ClusterFile>, ConfigError> {
    if let Some(only) = only {
        let index = index_of(validator, &clusters, only)?;
        clusters = vec![clusters.swap_remove(index)];
    }
    Ok(clusters)
}

/// Returns the clusters with what flags say laid over each; at least one.
pub(super) fn overridden(
    validator: &Validator<'_>,
    mut clusters: Vec<ClusterFile>,
    over: ClusterFile,
) -> Result<Vec<ClusterFile>, ConfigError> {
    match (clusters.len(), over.bootstrap_servers.first()) {
        (0, None) => {
            let problem =
                "no cluster: give `--bootstrap-server host:9092`, or a config file with `clusters`";
            return Err(ConfigError::Whole(problem.to_owned()));
        }
        (0, Some(_)) => clusters.push(ClusterFile::default()),
        (1, _) | (_, None) => {}
        (several, Some(server)) => {
            let problem = format!(
                "one cluster is given, but the config file has {several}: choose one with `--cluster`"
            );
            return Err(validator.error(&server.origin, problem));
        }
    }
    for cluster in &mut clusters {
        cluster.overlay(over.clone());
    }
    Ok(clusters)
}

/// Refuses two clusters of one name, and a cluster without a name beside others.
pub(super) fn check_names(
    validator: &Validator<'_>,
    clusters: &[ClusterFile],
) -> Result<(), ConfigError> {
    for (index, cluster) in clusters.iter().enumerate() {
        let Some(name) = &cluster.name else {
            if clusters.len() == 1 {
                return Ok(());
            }
            let problem = format!(
                "cluster {} of {} has no `name`: each needs one where there are several",
                index + 1,
                clusters.len()
            );
            return Err(match cluster.bootstrap_servers.first() {
                Some(server) => validator.error(&server.origin, problem),
                None => ConfigError::Whole(problem),
            });
        };
        let mut others = clusters[..index]
            .iter()
            .filter_map(|other| other.name.as_ref());
        if let Some(first) = others.find(|other| other.value == name.value) {
            let first = match first.origin {
                Origin::Line(line) => format!(" (the first is on line {line})"),
                _ => String::new(),
            };
            let problem = format!("two clusters are named `{}`{first}", name.value);
            return Err(validator.error(&name.origin, problem));
        }
    }
    Ok(())
}

/// Returns the index of the cluster the task consumer reads from.
pub(super) fn consumed(
    validator: &Validator<'_>,
    clusters: &[ClusterFile],
    cluster: Option<&Setting<String>>,
) -> Result<usize, ConfigError> {
    match cluster {
        Some(name) => index_of(validator, clusters, name),
        None if clusters.len() == 1 => Ok(0),
        None => {
            let names = names(clusters).join("`, `");
            let problem =
                format!("`consumer` does not say which `cluster` it reads from: one of `{names}`");
            Err(ConfigError::Whole(problem))
        }
    }
}

fn index_of(
    validator: &Validator<'_>,
    clusters: &[ClusterFile],
    wanted: &Setting<String>,
) -> Result<usize, ConfigError> {
    let is_wanted = |cluster: &ClusterFile| {
        let name = cluster.name.as_ref();
        name.is_some_and(|name| name.value == wanted.value)
    };
    clusters.iter().position(is_wanted).ok_or_else(|| {
        let names = names(clusters);
        let hint = match nearest(&wanted.value, names.iter().copied()) {
            Some(name) => format!("; did you mean `{name}`?"),
            None if names.is_empty() => "; no cluster has a name".to_owned(),
            None => format!("; there are `{}`", names.join("`, `")),
        };
        let problem = format!("no cluster is named `{}`{hint}", wanted.value);
        validator.error(&wanted.origin, problem)
    })
}

fn names(clusters: &[ClusterFile]) -> Vec<&str> {
    let names = clusters.iter().filter_map(|cluster| cluster.name.as_ref());
    names.map(|name| name.value.as_str()).collect()
}
