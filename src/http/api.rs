//! The answers of `/api/v1`: from the path and the query of a request to a status and JSON.

use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::diagnostics::nearest;
use crate::exposition::json::{self, Page};
use crate::lag::ClusterName;
use crate::snapshot::{ClusterSnapshot, GroupRow, World};

/// The description of the API.
pub(super) const OPENAPI: &[u8] = include_bytes!("openapi.json");

const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;

/// A status and a JSON body.
pub(super) type JsonResponse = (StatusCode, Vec<u8>);

/// A cluster and its newest snapshot, which some clusters do not have yet.
type ClusterEntry = (Option<ClusterName>, Option<Arc<ClusterSnapshot>>);

#[derive(Debug, Default, Serialize)]
struct ErrorBody<'a> {
    error: String,
    /// The existing name most like the one asked for.
    nearest: Option<&'a str>,
    /// The clusters to choose from, where a group is in more than one.
    clusters: Vec<&'a ClusterName>,
}

/// What may stand behind the question mark; whatever else does is ignored.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    cluster: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// Answers `/api/v1/clusters`.
pub(super) fn clusters(world: &World, now: Instant) -> JsonResponse {
    ok(&json::clusters(world, now))
}

/// Answers `/api/v1/groups`.
pub(super) fn groups(world: &World, query: &str, now: Instant) -> JsonResponse {
    let query = match Query::parse(query) {
        Ok(query) => query,
        Err(error) => return malformed(error),
    };
    let cluster = query.cluster.as_deref();
    if selected(world, cluster).next().is_none() {
        return unknown_cluster(world, cluster.unwrap_or_default());
    }
    let page = Page {
        offset: query.offset.unwrap_or(0),
        limit: query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
    };
    ok(&json::group_summaries(world, cluster, page, now))
}

/// Answers `/api/v1/groups/{group}`; `group` is percent-encoded.
pub(super) fn group(world: &World, group: &str, query: &str, now: Instant) -> JsonResponse {
    let query = match Query::parse(query) {
        Ok(query) => query,
        Err(error) => return malformed(error),
    };
    let Ok(group) = percent_decode_str(group).decode_utf8() else {
        let error = "the group's name is not UTF-8".to_owned();
        return malformed(error);
    };
    let cluster = query.cluster.as_deref();
    if selected(world, cluster).next().is_none() {
        return unknown_cluster(world, cluster.unwrap_or_default());
    }
    let found: Vec<_> = selected(world, cluster)
        .filter_map(|(name, snapshot)| {
            let snapshot = snapshot.as_deref()?;
            Some((name.as_ref(), snapshot, find(snapshot, &group)?))
        })
        .collect();
    match found[..] {
        [] => {
            let groups = selected(world, cluster).filter_map(|(_, snapshot)| snapshot.as_deref());
            let names = groups.flat_map(|snapshot| &snapshot.groups);
            let nearest = nearest(&group, names.map(|row| row.id.as_str()));
            let error = format!("no group `{group}`");
            failure(StatusCode::NOT_FOUND, error, nearest)
        }
        [(name, snapshot, row)] => ok(&json::group_detail(name, snapshot, row, now)),
        [..] => {
            let body = ErrorBody {
                error: format!("group `{group}` is in several clusters: choose with `?cluster=`"),
                nearest: None,
                clusters: found.iter().filter_map(|(name, ..)| *name).collect(),
            };
            (StatusCode::BAD_REQUEST, json::to_bytes(&body))
        }
    }
}

pub(super) fn ok(body: &impl Serialize) -> JsonResponse {
    (StatusCode::OK, json::to_bytes(body))
}

pub(super) fn failure(status: StatusCode, error: String, nearest: Option<&str>) -> JsonResponse {
    let body = ErrorBody {
        error,
        nearest,
        clusters: Vec::new(),
    };
    (status, json::to_bytes(&body))
}

/// Answers that a parameter is wrong.
pub(super) fn malformed(error: String) -> JsonResponse {
    failure(StatusCode::BAD_REQUEST, error, None)
}

pub(super) fn unknown_cluster(world: &World, cluster: &str) -> JsonResponse {
    let names = world.clusters.iter().filter_map(|(name, _)| name.as_ref());
    let nearest = nearest(cluster, names.map(ClusterName::as_str));
    let error = format!("no cluster `{cluster}`");
    failure(StatusCode::NOT_FOUND, error, nearest)
}

/// Returns the cluster of that name, or all of them.
pub(super) fn selected<'a>(
    world: &'a World,
    cluster: Option<&str>,
) -> impl Iterator<Item = &'a ClusterEntry> {
    world.clusters.iter().filter(move |(name, _)| {
        cluster.is_none_or(|wanted| name.as_ref().is_some_and(|name| name.as_str() == wanted))
    })
}

fn find<'a>(snapshot: &'a ClusterSnapshot, group: &str) -> Option<&'a GroupRow> {
    let groups = &snapshot.groups;
    let index = groups.binary_search_by(|row| row.id.as_str().cmp(group));
    Some(&groups[index.ok()?])
}

impl Query {
    fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "cluster" if value.is_empty() => {}
                "cluster" => query.cluster = Some(value.into_owned()),
                "limit" => query.limit = Some(number(&name, &value)?),
                "offset" => query.offset = Some(number(&name, &value)?),
                _ => {}
            }
        }
        Ok(query)
    }
}

pub(super) fn number(name: &str, value: &str) -> Result<usize, String> {
    let parsed = value.parse();
    parsed.map_err(|_| format!("`{name}` is a number from 0, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_checked() {
        let query = Query::parse("cluster=a%20b&limit=5&offset=10&other=x").expect("valid");
        assert_eq!(
            query,
            Query {
                cluster: Some("a b".to_owned()),
                limit: Some(5),
                offset: Some(10),
            }
        );
        for text in ["limit=-1", "limit=x", "offset="] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }
}
