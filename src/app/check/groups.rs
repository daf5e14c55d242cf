//! Which groups can be seen, described and read.

use super::cluster::ClusterCheck;
use super::grant;
use crate::collect::skipped_as;
use crate::kafka::{Admin, ErrorCode, ListedGroup};
use crate::lag::{BrokerId, GroupId, TopicPartition};

/// Checks which groups can be seen; returns one of them.
pub(super) async fn check(check: &mut ClusterCheck<'_>, brokers: &[BrokerId]) -> Option<GroupId> {
    if let Some(group) = check.cluster.poll.group_names.first() {
        let named = check.cluster.poll.group_names.len();
        check.add_good(format!("groups named: {named}; none is listed"));
        return Some(group.clone());
    }
    let (mut groups, others) = list(check, brokers).await;
    groups.retain(|group| check.cluster.poll.groups.admits(group.as_str()));
    groups.sort_unstable();
    note_others(check, others);
    if groups.is_empty() {
        check.add_nothing_seen("group");
    } else {
        check.add_good(format!("groups that can be seen: {}", groups.len()));
    }
    // Coordinators refuse to describe the group without a name, whatever the rights are.
    groups.into_iter().find(|group| !group.as_str().is_empty())
}

/// Returns the groups that consume partitions, and descriptions of the others.
async fn list(check: &mut ClusterCheck<'_>, brokers: &[BrokerId]) -> (Vec<GroupId>, Vec<String>) {
    let (mut groups, mut others) = (Vec::new(), Vec::new());
    for (broker, listing) in check.admin.list_groups(brokers, check.limit).await {
        let listed = match listing {
            Ok(listed) => listed,
            Err(error) => {
                let what = format!("listing the groups of broker {broker}");
                check.add_failure(&what, &error, "--operation Describe --group '*'");
                continue;
            }
        };
        for ListedGroup {
            id,
            state,
            group_type,
            protocol_type,
        } in listed
        {
            match skipped_as(group_type, &protocol_type) {
                Some(word) => others.push(format!("{word} group `{id}` ({state})")),
                None => groups.push(id),
            }
        }
    }
    (groups, others)
}

/// Names groups that do not consume partitions; a few of them where they are many.
fn note_others(check: &mut ClusterCheck<'_>, mut others: Vec<String>) {
    const MOST: usize = 10;
    if others.is_empty() {
        return;
    }
    others.sort_unstable();
    let count = others.len();
    others.truncate(MOST);
    let mut named = others.join(", ");
    if count > MOST {
        named.push_str(&format!(" and {} more", count - MOST));
    }
    check.add_note(format!(
        "groups that do not consume partitions, which are only counted: {named}"
    ));
}

/// Checks whether a group can be described, and its committed offsets can be read.
pub(super) async fn check_group(
    check: &mut ClusterCheck<'_>,
    group: &GroupId,
    partition: Option<&TopicPartition>,
) {
    let right = grant::right("Describe", "group", group.as_str());
    check_description(check, group, &right).await;
    check_commits(check, group, partition, &right).await;
}

async fn check_description(check: &mut ClusterCheck<'_>, group: &GroupId, right: &str) {
    match check.admin.describe_group(group, check.limit).await {
        Ok(description) => {
            let members = description.members.len();
            let state = description.state;
            check.add_good(format!(
                "group `{group}` can be described: {state}, members: {members}"
            ));
        }
        Err(error) if error.code == ErrorCode::GROUP_ID_NOT_FOUND => check.add_good(format!(
            "group `{group}` does not exist, and could be described if it did"
        )),
        Err(error) if error.code.is_unsupported() => check.add_note(
            "the cluster cannot describe groups: members and states will not be shown".to_owned(),
        ),
        Err(error) => check.add_failure(&format!("describing group `{group}`"), &error, right),
    }
}

async fn check_commits(
    check: &mut ClusterCheck<'_>,
    group: &GroupId,
    partition: Option<&TopicPartition>,
    right: &str,
) {
    let names_topics = !check.cluster.poll.topic_names.is_empty();
    let named = partition.filter(|_| names_topics).map(std::slice::from_ref);
    let commits = check.admin.committed_offsets_of(group, named, check.limit);
    match commits.await {
        Ok(_) => {
            check.add_good(format!("committed offsets of group `{group}` can be read"));
        }
        Err(error) => {
            let what = format!("reading the committed offsets of group `{group}`");
            check.add_failure(&what, &error, right);
        }
    }
}
