//! `shard`: how replicas share a cluster, checked.

use super::error::{Origin, SettingProblem};
use super::schema::ShardFile;
use super::setting::Setting;
use crate::lag::{GroupId, PartitionId, Share};

/// How replicas share a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharding {
    /// They do not: each collects everything.
    #[default]
    Off,
    /// As members of this group, among whom Kafka shares it out.
    Group(GroupId),
    /// By number.
    Fixed(Share),
}

/// Returns how the replicas share a cluster.
pub(super) fn resolve(file: Option<&ShardFile>) -> Result<Sharding, SettingProblem> {
    let Some(ShardFile {
        group,
        index,
        count,
    }) = file
    else {
        return Ok(Sharding::Off);
    };
    let both = |origin: &Origin, key: &str| {
        let problem = format!(
            "`shard` has both `group` and `{key}`: Kafka shares out what a group's members collect"
        );
        Err(SettingProblem::at(origin, problem))
    };
    let alone = |origin: &Origin, given: &str, missing: &str| {
        let problem = format!("`shard` has `{given}` but no `{missing}`");
        Err(SettingProblem::at(origin, problem))
    };
    match (group, index, count) {
        (None, None, None) => Ok(Sharding::Off),
        (Some(group), None, None) => Ok(Sharding::Group(group.not_empty("shard.group")?.into())),
        (None, Some(index), Some(count)) => fixed(index, count.value.get()),
        (Some(_), Some(index), _) => both(&index.origin, "index"),
        (Some(_), None, Some(count)) => both(&count.origin, "count"),
        (None, Some(index), None) => alone(&index.origin, "index", "count"),
        (None, None, Some(count)) => alone(&count.origin, "count", "index"),
    }
}

fn fixed(index: &Setting<u32>, count: u32) -> Result<Sharding, SettingProblem> {
    let value = index.value;
    let number = i32::try_from(value).ok().filter(|_| value < count);
    let Some(number) = number else {
        let problem = format!(
            "`shard.index` is {value}, and with `shard.count` {count} it goes from 0 to {}",
            count - 1
        );
        return Err(index.problem(problem));
    };
    let count = usize::try_from(count).expect("32 bits fit");
    Ok(Sharding::Fixed(Share::fixed(PartitionId(number), count)))
}
