//! Users of a secured listener, and exactly what each of them may do.

use serde_json::json;

use super::Kafka;

/// One operation on one resource, in Kafka's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// `topic`, `group` or `cluster`.
    pub(crate) resource: String,
    pub(crate) name: String,
    /// `literal` or `prefixed`.
    pub(crate) pattern: String,
    /// `Describe`, `DescribeConfigs`, `Read`, …
    pub(crate) operation: String,
}

impl Kafka {
    /// Lets a user log in with SCRAM-SHA-512.
    pub(crate) fn add_user(&self, user: &str, password: &str) {
        self.call(json!({ "do": "add-user", "user": user, "password": password }));
    }

    /// Takes every right of a user and gives it these; the nodes need an authorizer.
    pub(crate) fn grant_only(&self, user: &str, grants: &[Grant]) {
        let grants: Vec<_> = grants
            .iter()
            .map(|grant| {
                let Grant { resource, name, pattern, operation } = grant;
                json!({ "resource": resource, "name": name, "pattern": pattern, "operation": operation })
            })
            .collect();
        self.call(json!({ "do": "grant-only", "user": user, "grants": grants }));
    }
}
