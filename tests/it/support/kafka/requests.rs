//! The requests that nodes have answered, whoever sent them.

use std::collections::BTreeMap;

use serde_json::json;

use super::Kafka;

impl Kafka {
    /// Returns how many requests all nodes have answered since they started, by API; they were built to count.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        let ports: Vec<u16> = self
            .nodes
            .values()
            .map(|node| node.jmx_port.expect("built with counting_requests"))
            .collect();
        self.answer(json!({ "do": "requests", "jmx_ports": ports }))
    }
}
