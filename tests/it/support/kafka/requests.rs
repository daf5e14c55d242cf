//! The requests that nodes have answered, whoever sent them.

use std::collections::BTreeMap;

use serde_json::json;

use super::Kafka;

impl Kafka {
    /// Returns how many requests all nodes have answered since they started, by API; they were built to count.
    pub(crate) fn requests(&self) -> BTreeMap<String, u64> {
        self.answer(json!({ "do": "requests", "jmx_ports": self.jmx_ports() }))
    }

    /// Returns how often clients have logged in again without connecting again (KIP-368); the nodes were built to count.
    pub(crate) fn repeated_log_ins(&self) -> u64 {
        self.answer(json!({ "do": "repeated-log-ins", "jmx_ports": self.jmx_ports() }))
    }

    fn jmx_ports(&self) -> Vec<u16> {
        self.nodes
            .values()
            .map(|node| node.jmx_port.expect("built with counting_requests"))
            .collect()
    }
}
