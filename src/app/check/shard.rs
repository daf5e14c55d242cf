//! Whether the replicas of a cluster can share it. The group is looked at and not joined: a rebalance would be felt.

use super::grant::word;
use super::{Look, Verdict};
use crate::app::config::Sharding;
use crate::kafka::{Admin, ReadRight};

impl Look<'_> {
    /// Tells what is to be seen of the replicas' group, where they form one, and whether it may be joined.
    pub(super) async fn at_shard_group(&mut self) {
        let Sharding::Group(group) = &self.cluster.sharding else {
            return;
        };
        let group = group.clone();
        let right = format!("--operation Read --group {}", word(group.as_str()));
        let replicas = match self.admin.describe_group(&group, self.limit).await {
            Err(error) if error.code.is_authorization() => {
                let what = format!("the shard group `{group}` cannot be joined");
                return self.failed(&what, &error, &right);
            }
            answer => answer.map_or(0, |description| description.members.len()),
        };
        let read_right = self.admin.read_right(&group, self.limit).await;
        let grant = self.grant(&right);
        let (verdict, text) = match read_right.unwrap_or(ReadRight::Untold) {
            ReadRight::Granted => (
                Verdict::Good,
                format!("the shard group `{group}` can be joined, replicas: {replicas}"),
            ),
            ReadRight::Missing => (
                Verdict::Missing,
                format!("the shard group `{group}` cannot be joined; grant it with {grant}"),
            ),
            ReadRight::Untold => (
                Verdict::Note,
                format!(
                    "shard group `{group}`, replicas: {replicas}; it takes Read on the group, which cannot be told: {grant}"
                ),
            ),
        };
        self.find(verdict, text);
    }
}
