//! `groups`, `topics` and `read-committed-groups`: patterns and names, checked.

use super::connection::prefix;
use super::error::SettingProblem;
use super::schema::SelectionFile;
use super::setting::Setting;
use crate::collect::{Filter, PatternError, PatternList, Patterns};
use crate::lag::ClusterName;

/// `groups` or `topics`: a filter over what is listed, or names that are watched without listing.
pub(super) struct ResolvedSelection {
    pub(super) filter: Filter,
    pub(super) names: Vec<String>,
}

/// Returns `groups` or `topics` of a cluster; `excluded` are the patterns that apply where no others exclude.
pub(super) fn resolve(
    cluster: Option<&ClusterName>,
    key: &str,
    file: Option<&SelectionFile>,
    excluded: &[&str],
) -> Result<ResolvedSelection, SettingProblem> {
    let left_out = SelectionFile::default();
    let SelectionFile {
        include,
        exclude,
        names,
    } = file.unwrap_or(&left_out);
    let pattern = include.iter().chain(exclude).flatten().next();
    if let (Some(pattern), [_, ..]) = (pattern, names.as_slice()) {
        return Err(pattern.problem(format!(
            "`{key}` has both patterns and `names`: names are watched without listing, so no pattern would be asked"
        )));
    }
    for name in names {
        name.not_empty(&format!("{key}.names"))?;
    }
    let include = include.as_deref().unwrap_or_default();
    let excluded = exclude.as_deref().map_or(excluded.to_vec(), values);
    let filter = Filter::new(&values(include), &excluded).map_err(|error| {
        let patterns = match error.list {
            PatternList::Exclude => exclude.as_deref().unwrap_or_default(),
            _ => include,
        };
        let key = format!("{key}.{}", error.list);
        pattern_error(cluster, &key, patterns, &error)
    })?;
    let names = names.iter().map(|name| name.value.clone()).collect();
    Ok(ResolvedSelection { filter, names })
}

/// Returns the patterns of groups whose lag ends at the last stable offset.
pub(super) fn read_committed(
    cluster: Option<&ClusterName>,
    patterns: &[Setting<String>],
) -> Result<Patterns, SettingProblem> {
    let list = PatternList::ReadCommittedGroups;
    Patterns::new(list, &values(patterns))
        .map_err(|error| pattern_error(cluster, "read-committed-groups", patterns, &error))
}

/// Returns the error for a pattern, at its own line: the cluster, the key, the pattern and what is wrong with it.
fn pattern_error(
    cluster: Option<&ClusterName>,
    key: &str,
    patterns: &[Setting<String>],
    error: &PatternError,
) -> SettingProblem {
    let PatternError {
        number,
        pattern,
        reason,
        ..
    } = error;
    let prefix = prefix(cluster);
    let problem = format!("{prefix}`{key}`: `{pattern}` is no regular expression: {reason}");
    match patterns.get(number.saturating_sub(1)) {
        Some(setting) => setting.problem(problem),
        None => SettingProblem::of_all(problem),
    }
}

fn values(settings: &[Setting<String>]) -> Vec<&str> {
    settings
        .iter()
        .map(|setting| setting.value.as_str())
        .collect()
}
