//! Whether the replicas of a cluster can share it. The group is described and not joined: a join would rebalance it.

use super::cluster::ClusterCheck;
use super::grant;
use super::result::CheckStatus;
use crate::app::config::Sharding;
use crate::kafka::{Admin, ReadRight};

/// Checks the group that the replicas form, where they form one: its members, and whether it may be joined.
pub(super) async fn check(check: &mut ClusterCheck<'_>) {
    let Sharding::Group(group) = &check.cluster.sharding else {
        return;
    };
    let group = group.clone();
    let right = grant::right("Read", "group", group.as_str());
    let replicas = match check.admin.describe_group(&group, check.limit).await {
        Err(error) if error.code.is_authorization() => {
            let what = format!("the shard group `{group}` cannot be joined");
            return check.add_failure(&what, &error, &right);
        }
        answer => answer.map_or(0, |description| description.members.len()),
    };
    let read_right = check.admin.read_right(&group, check.limit).await;
    let grant = check.grant(&right);
    let (status, text) = match read_right.unwrap_or(ReadRight::Untold) {
        ReadRight::Granted => (
            CheckStatus::Good,
            format!("the shard group `{group}` can be joined, replicas: {replicas}"),
        ),
        ReadRight::Missing => (
            CheckStatus::Missing,
            format!("the shard group `{group}` cannot be joined; grant it with {grant}"),
        ),
        ReadRight::Untold => (
            CheckStatus::Note,
            format!(
                "shard group `{group}`, replicas: {replicas}; it takes Read on the group, which cannot be told: {grant}"
            ),
        ),
    };
    check.add(status, text);
}
