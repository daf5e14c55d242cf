//! Which clusters there are: those of the file, one of them chosen, or one made by flags; each with a name of its own.

use super::error::{Origin, SettingProblem};
use super::overlay::Overlay;
use super::schema::ClusterFile;
use super::setting::Setting;
use crate::diagnostics::nearest;

/// Returns the one cluster that is asked for by name, or all of them.
pub(super) fn chosen(
    mut clusters: Vec<ClusterFile>,
    only: Option<&Setting<String>>,
) -> Result<Vec<ClusterFile>, SettingProblem> {
    if let Some(only) = only {
        let index = index_of(&clusters, only)?;
        clusters = vec![clusters.swap_remove(index)];
    }
    Ok(clusters)
}

/// Returns the clusters with what flags say laid over each; at least one.
pub(super) fn overridden(
    mut clusters: Vec<ClusterFile>,
    over: ClusterFile,
) -> Result<Vec<ClusterFile>, SettingProblem> {
    match (clusters.len(), over.bootstrap_servers.first()) {
        (0, None) => {
            return Err(SettingProblem::of_all(
                "no cluster: give `--bootstrap-server host:9092`, or a config file with `clusters`",
            ));
        }
        (0, Some(_)) => clusters.push(ClusterFile::default()),
        (1, _) | (_, None) => {}
        (several, Some(server)) => {
            let problem = format!(
                "one cluster is given, but the config file has {several}: choose one with `--cluster`"
            );
            return Err(server.problem(problem));
        }
    }
    for cluster in &mut clusters {
        cluster.overlay(over.clone());
    }
    Ok(clusters)
}

/// Refuses two clusters of one name, and a cluster without a name beside others.
pub(super) fn check_names(clusters: &[ClusterFile]) -> Result<(), SettingProblem> {
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
                Some(server) => server.problem(problem),
                None => SettingProblem::of_all(problem),
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
            return Err(name.problem(problem));
        }
    }
    Ok(())
}

/// Returns the index of the cluster the task consumer reads from.
pub(super) fn consumed(
    clusters: &[ClusterFile],
    cluster: &Option<Setting<String>>,
) -> Result<usize, SettingProblem> {
    match cluster {
        Some(name) => index_of(clusters, name),
        None if clusters.len() == 1 => Ok(0),
        None => {
            let names = names(clusters).join("`, `");
            let problem =
                format!("`consumer` does not say which `cluster` it reads from: one of `{names}`");
            Err(SettingProblem::of_all(problem))
        }
    }
}

fn index_of(clusters: &[ClusterFile], wanted: &Setting<String>) -> Result<usize, SettingProblem> {
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
        wanted.problem(problem)
    })
}

fn names(clusters: &[ClusterFile]) -> Vec<&str> {
    let names = clusters.iter().filter_map(|cluster| cluster.name.as_ref());
    names.map(|name| name.value.as_str()).collect()
}
