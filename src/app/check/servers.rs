//! Whether the bootstrap servers can be reached.

use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::cluster::ClusterCheck;
use super::result::CheckStatus;

/// Checks each bootstrap server.
pub(super) async fn check(check: &mut ClusterCheck<'_>) {
    for server in &check.cluster.connection.bootstrap_servers {
        let (status, found) = match reach(server, check.limit).await {
            Ok(()) => (CheckStatus::Good, " answers".to_owned()),
            Err(problem) => (CheckStatus::Missing, format!(": {problem}")),
        };
        check.add(status, format!("bootstrap server `{server}`{found}"));
    }
}

/// Opens a connection to `server` and closes it again.
async fn reach(server: &str, limit: Duration) -> Result<(), String> {
    let address = server
        .rsplit_once("://")
        .map_or(server, |(_, address)| address);
    let connecting = async {
        let addresses: Vec<_> = lookup_host(address)
            .await
            .map_err(|error| format!("cannot be resolved: {error}"))?
            .collect();
        let connected = TcpStream::connect(addresses.as_slice()).await;
        connected
            .map(drop)
            .map_err(|error| format!("cannot be reached: {error}"))
    };
    match timeout(limit, connecting).await {
        Ok(outcome) => outcome,
        Err(_) => Err("does not answer in time".to_owned()),
    }
}
