//! Whether the replicas of a cluster can share it. The group is looked at and not joined: a rebalance would be felt.

use super::{Look, Verdict, principal};
use crate::app::config::Sharding;
use crate::kafka::{Admin, Connection};
use crate::lag::GroupId;

impl Look<'_> {
    /// Tells what is to be seen of the replicas' group, where they form one.
    pub(super) async fn at_shard_group(&mut self) {
        let Sharding::Group(group) = &self.cluster.sharding else {
            return;
        };
        let group = group.clone();
        let grant = grant(&self.cluster.connection, &group);
        match self.admin.describe_group(&group, self.limit).await {
            Err(error) if error.code.is_authorization() => self.find(
                Verdict::Missing,
                format!(
                    "the shard group `{group}` cannot be joined: {error}; grant it with {grant}"
                ),
            ),
            answer => {
                let replicas = answer.map_or(0, |description| description.members.len());
                self.find(
                    Verdict::Note,
                    format!(
                        "shard group `{group}`, replicas: {replicas}; it takes Read on the group, which was not tried: {grant}"
                    ),
                );
            }
        }
    }
}

/// Returns the command that grants what joining takes.
fn grant(connection: &Connection, group: &GroupId) -> String {
    let server = connection.bootstrap_servers.join(",");
    let principal = principal(connection);
    format!(
        "`kafka-acls.sh --bootstrap-server {server} --add --allow-principal User:{principal} --operation Read --group {group}`"
    )
}
