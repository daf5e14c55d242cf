//! The route table.

use thiserror::Error;

use crate::exposition::html::RouteLink;

/// Why the server cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The path does not begin with a slash, or has characters that paths do not have.
    #[error("telemetry path `{path}` is not a path such as `/metrics`")]
    NotAPath {
        /// As configured.
        path: String,
    },
    /// Another route has the path.
    #[error("telemetry path `{path}` is taken by another route")]
    PathTaken {
        /// As configured.
        path: String,
    },
}

/// Checks the path at which metrics are to be served.
///
/// # Errors
///
/// It is no path, or that of another route.
pub fn check_telemetry_path(path: &str) -> Result<(), HttpError> {
    Routes::new(path).map(drop)
}

/// What a route answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Index,
    Metrics,
    Healthz,
    Readyz,
    Clusters,
    Groups,
    Group,
    Events,
    OpenApi,
}

/// The routes of one server.
#[derive(Clone, Debug)]
pub(super) struct Routes(Vec<Route>);

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// What it answers with.
    pub(super) resource: Resource,
    /// The path; its last segment may be a placeholder in braces for the rest of a request's path.
    pub(super) path: String,
    summary: &'static str,
}

/// A request's route.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Matched<'a> {
    /// The path as the table has it, placeholder included: bounded, so fit to be a label.
    pub(super) path: &'a str,
    /// What it answers with.
    pub(super) resource: Resource,
    /// What stands in the placeholder's place, still percent-encoded; empty without one.
    pub(super) rest: &'a str,
}

const METRICS_SUMMARY: &str = "Prometheus text or OpenMetrics";

const FIXED: [(Resource, &str, &str); 8] = [
    (Resource::Index, "/", "this page"),
    (
        Resource::Healthz,
        "/healthz",
        "200 while the process serves",
    ),
    (Resource::Readyz, "/readyz", "200, or 503 and why not"),
    (
        Resource::Clusters,
        "/api/v1/clusters",
        "the clusters, as JSON",
    ),
    (Resource::Groups, "/api/v1/groups", "the groups, as JSON"),
    (
        Resource::Group,
        "/api/v1/groups/{group}",
        "one group with its members and partitions, as JSON",
    ),
    (
        Resource::Events,
        "/api/v1/events",
        "the newest commits and rebalances, as JSON or as server-sent events",
    ),
    (
        Resource::OpenApi,
        "/openapi.json",
        "the description of the API",
    ),
];

impl Routes {
    /// Returns the table with metrics at `telemetry_path`; at `/` they take the index page's place.
    pub(super) fn new(telemetry_path: &str) -> Result<Self, HttpError> {
        let path = telemetry_path.to_owned();
        let is_path = path.starts_with('/')
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#%{}\"<>\\^`|".contains(&byte));
        if !is_path {
            return Err(HttpError::NotAPath { path });
        }
        let mut routes: Vec<_> = FIXED
            .iter()
            .filter(|(resource, ..)| !(*resource == Resource::Index && path == "/"))
            .map(|&(resource, path, summary)| Route {
                resource,
                path: path.to_owned(),
                summary,
            })
            .collect();
        let table = Self(routes.clone());
        if table.find(&path).is_some() {
            return Err(HttpError::PathTaken { path });
        }
        let at = routes.len().min(1);
        routes.insert(
            at,
            Route {
                resource: Resource::Metrics,
                path,
                summary: METRICS_SUMMARY,
            },
        );
        Ok(Self(routes))
    }

    /// Returns the route of a request's path, which has no query.
    pub(super) fn find<'a>(&'a self, path: &'a str) -> Option<Matched<'a>> {
        self.0.iter().find_map(|route| {
            let rest = match route.path.split_once('{') {
                None => (route.path == path).then_some("")?,
                // A group's name may hold slashes, encoded or not.
                Some((prefix, _)) => path.strip_prefix(prefix)?,
            };
            Some(Matched {
                path: &route.path,
                resource: route.resource,
                rest,
            })
        })
    }

    /// Returns the table's rows for the index page.
    pub(super) fn links(&self) -> Vec<RouteLink> {
        let link = |route: &Route| RouteLink {
            path: route.path.clone(),
            summary: route.summary,
        };
        self.0.iter().map(link).collect()
    }

    /// Returns every path, for a client that is lost.
    pub(super) fn list(&self) -> String {
        let paths: Vec<_> = self.0.iter().map(|route| route.path.as_str()).collect();
        paths.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(routes: &Routes, path: &str) -> Option<(Resource, String)> {
        let matched = routes.find(path)?;
        Some((matched.resource, matched.rest.to_owned()))
    }

    #[test]
    fn paths_find_their_routes() {
        let routes = Routes::new("/metrics").expect("the default path");
        for (path, expected) in [
            ("/", Some((Resource::Index, ""))),
            ("/metrics", Some((Resource::Metrics, ""))),
            ("/metrics/", None),
            ("/api/v1/groups", Some((Resource::Groups, ""))),
            ("/api/v1/groups/", Some((Resource::Group, ""))),
            ("/api/v1/groups/a%2Fb/c", Some((Resource::Group, "a%2Fb/c"))),
            ("/api/v1", None),
            ("*", None),
        ] {
            let expected = expected.map(|(resource, rest)| (resource, rest.to_owned()));
            assert_eq!(found(&routes, path), expected, "{path}");
        }
    }

    #[test]
    fn a_telemetry_path_that_cannot_be_is_an_error() {
        for path in ["", "metrics", "/a b", "/a?b", "/{x}"] {
            assert!(
                matches!(Routes::new(path), Err(HttpError::NotAPath { .. })),
                "{path}"
            );
        }
        for path in ["/healthz", "/api/v1/groups", "/api/v1/groups/x"] {
            assert!(
                matches!(Routes::new(path), Err(HttpError::PathTaken { .. })),
                "{path}"
            );
        }
    }

    #[test]
    fn metrics_at_the_root_replace_the_index() {
        let routes = Routes::new("/").expect("exporters may serve metrics at the root");
        assert_eq!(
            found(&routes, "/"),
            Some((Resource::Metrics, String::new()))
        );
    }
}
