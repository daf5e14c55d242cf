//! The command that runs a node, by its release.

use std::path::Path;
use std::process::Command;

use super::install::{broker_class_path, java, java_from};
use super::secured::Secured;
use super::version::{KafkaVersion, MetadataStore};
use crate::support::process::run;

const CLUSTER_ID: &str = "lagwatch-test-clusterQ";

/// Returns the command that starts a node; its storage is formatted by the first start.
pub(super) fn node(
    version: KafkaVersion,
    folder: &Path,
    secured: Option<&Secured>,
    format: &[String],
    heap_mb: u32,
) -> Command {
    let data = folder.join("data");
    let properties = folder.join("server.properties");
    let secured = secured.iter().flat_map(|secured| secured.format());
    let format: Vec<String> = secured.chain(format.to_vec()).collect();
    if version == KafkaVersion::NEWEST {
        // One process formats and runs, which halves the start.
        let mut node = java("Node", heap_mb);
        node.args([
            CLUSTER_ID.as_ref(),
            data.as_os_str(),
            properties.as_os_str(),
        ]);
        node.args(format);
        return node;
    }
    let class_path = broker_class_path(version);
    let is_formatted = data.join("meta.properties").exists();
    if version.metadata_store() == MetadataStore::KRaft && !is_formatted {
        run(java_from(&class_path, "kafka.tools.StorageTool", heap_mb)
            .args(["format", "-t", CLUSTER_ID, "-c"])
            .arg(&properties)
            .args(format));
    }
    let mut node = java_from(&class_path, "kafka.Kafka", heap_mb);
    node.arg(properties);
    node
}
