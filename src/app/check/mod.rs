//! What a configuration's credentials may see: every kind of call that is made, tried once.

mod cluster;
mod configs;
mod grant;
mod groups;
mod offsets_topic;
mod result;
mod servers;
mod shard;
mod topics;

pub use result::{CheckResult, CheckStatus};

use std::time::Duration;

use self::cluster::ClusterCheck;
use super::CLOSE_LIMIT;
use super::config::Config;
use crate::kafka::{Admin, KafkaAdmin, Metadata, TopicSelection};
use crate::lag::BrokerId;

/// Checks every cluster of `config`, one after the other; `limit` is the deadline of each call.
///
/// # Errors
///
/// librdkafka refuses the properties of one.
pub async fn check(config: &Config, limit: Duration) -> anyhow::Result<Vec<CheckResult>> {
    let mut results = Vec::new();
    for cluster in &config.clusters {
        let admin = KafkaAdmin::connect(&cluster.connection, ())?;
        let mut check = ClusterCheck::new(&admin, cluster, limit);
        check_cluster(&mut check).await;
        results.extend(check.into_results());
        admin.close(CLOSE_LIMIT).await;
    }
    Ok(results)
}

async fn check_cluster(check: &mut ClusterCheck<'_>) {
    servers::check(check).await;
    let Some(metadata) = check_metadata(check).await else {
        return;
    };
    let brokers: Vec<BrokerId> = metadata.brokers.iter().map(|broker| broker.id).collect();
    check.add_good(format!("brokers alive: {}", brokers.len()));
    let query = topics::check(check, &metadata);
    if let Some(group) = groups::check(check, &brokers).await {
        let partition = query.as_ref().map(|query| &query.partition);
        groups::check_group(check, &group, partition).await;
    }
    match query {
        Some(query) => {
            let topic = query.partition.topic.clone();
            topics::check_log(check, query).await;
            configs::check(check, &metadata, topic).await;
        }
        None => check.add_note("log ends: not tried, as no topic can be seen".to_owned()),
    }
    offsets_topic::check(check).await;
    shard::check(check).await;
}

/// Returns the cluster's metadata; without it nothing else is tried.
async fn check_metadata(check: &mut ClusterCheck<'_>) -> Option<Metadata> {
    let selection = match check.cluster.poll.topic_names.as_slice() {
        [] => TopicSelection::All,
        names => TopicSelection::Named(names),
    };
    match check.admin.metadata(selection, check.limit).await {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            let servers = check.cluster.connection.bootstrap_servers.join(",");
            check.add(
                CheckStatus::Unreachable,
                format!("reading metadata from `{servers}`: {error}"),
            );
            None
        }
    }
}
