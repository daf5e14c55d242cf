//! `shard`: how replicas share a cluster, checked.

use super::error::ConfigError;
use super::resolve::Resolver;
use super::schema::ShardFile;
use super::setting::{Origin, Setting};
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

impl Resolver<'_> {
    /// Returns how the replicas share a cluster.
    pub(super) fn sharding(&self, file: Option<ShardFile>) -> Result<Sharding, ConfigError> {
        let Some(ShardFile {
            group,
            index,
            count,
        }) = file
        else {
            return Ok(Sharding::Off);
        };
        match (group, index, count) {
            (None, None, None) => Ok(Sharding::Off),
            (Some(group), None, None) => {
                Ok(Sharding::Group(self.name("shard.group", &group)?.into()))
            }
            (None, Some(index), Some(count)) => self.fixed(&index, count.value.get()),
            (Some(_), Some(Setting { origin, .. }), _) => Err(self.both(&origin, "index")),
            (Some(_), None, Some(Setting { origin, .. })) => Err(self.both(&origin, "count")),
            (None, Some(Setting { origin, .. }), None) => {
                Err(self.alone(&origin, "index", "count"))
            }
            (None, None, Some(Setting { origin, .. })) => {
                Err(self.alone(&origin, "count", "index"))
            }
        }
    }

    fn fixed(&self, index: &Setting<u32>, count: u32) -> Result<Sharding, ConfigError> {
        let Setting { value, origin } = index;
        let number = i32::try_from(*value).ok().filter(|_| *value < count);
        let Some(number) = number else {
            let problem = format!(
                "`shard.index` is {value}, and with `shard.count` {count} it goes from 0 to {}",
                count - 1
            );
            return Err(self.error(origin, problem));
        };
        let count = usize::try_from(count).expect("32 bits fit");
        Ok(Sharding::Fixed(Share::fixed(PartitionId(number), count)))
    }

    fn both(&self, origin: &Origin, key: &str) -> ConfigError {
        let problem = format!(
            "`shard` has both `group` and `{key}`: Kafka shares out what a group's members collect"
        );
        self.error(origin, problem)
    }

    fn alone(&self, origin: &Origin, given: &str, missing: &str) -> ConfigError {
        self.error(origin, format!("`shard` has `{given}` but no `{missing}`"))
    }
}
