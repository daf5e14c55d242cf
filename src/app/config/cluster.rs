//! One entry of `clusters`, checked: how to connect to the cluster and what to collect from it.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::connection;
use super::error::SettingProblem;
use super::schema::ClusterFile;
use super::selection;
use super::setting::{Setting, positive_or, value_or};
use super::shard::{self, Sharding};
use crate::collect::PollConfig;
use crate::kafka::Connection;
use crate::lag::ClusterName;
use crate::snapshot::Exposure;

/// Kafka's own topics are nobody's backlog.
const EXCLUDED_TOPICS: &[&str] = &["^__"];

/// One cluster: how to connect and what to collect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where it is.
    pub connection: Connection,
    /// The settings of its poller; holds its name.
    pub poll: PollConfig,
    /// How replicas share it.
    pub sharding: Sharding,
}

impl ClusterConfig {
    /// Returns the cluster's name, where it has one.
    pub fn name(&self) -> Option<&ClusterName> {
        self.poll.cluster.as_ref()
    }
}

/// Returns a cluster's connection and what to collect from it.
pub(super) fn resolve(file: &ClusterFile) -> Result<ClusterConfig, SettingProblem> {
    let name = match &file.name {
        Some(name) => Some(ClusterName::from(name.not_empty("name")?)),
        None => None,
    };
    let connection = connection::resolve(
        name.as_ref(),
        &file.bootstrap_servers,
        &file.kafka_properties,
    )?;
    let (poll, sharding) = poll(file, name)?;
    Ok(ClusterConfig {
        connection,
        poll,
        sharding,
    })
}

fn poll(
    file: &ClusterFile,
    name: Option<ClusterName>,
) -> Result<(PollConfig, Sharding), SettingProblem> {
    let select = |key, section: &Option<_>, excluded| {
        selection::resolve(name.as_ref(), key, section.as_ref(), excluded)
    };
    let defaults = PollConfig::default();
    let poll_interval = positive_or("poll-interval", &file.poll_interval, defaults.poll_interval)?;
    let request_timeout = positive_or(
        "request-timeout",
        &file.request_timeout,
        defaults.request_timeout,
    )?;
    let groups = select("groups", &file.groups, &[])?;
    let topics = select("topics", &file.topics, EXCLUDED_TOPICS)?;
    let sharding = shard::resolve(file.shard.as_ref())?;
    let mut poll = PollConfig {
        read_committed: selection::read_committed(name.as_ref(), &file.read_committed_groups)?,
        mode: value_or(&file.mode, defaults.mode),
        reconcile_interval: positive_or(
            "reconcile-interval",
            &file.reconcile_interval,
            defaults.reconcile_interval,
        )?,
        stale_after: stale_after(&file.stale_after, poll_interval)?,
        poll_interval,
        request_timeout,
        groups: groups.filter,
        group_names: groups.names.into_iter().map(Into::into).collect(),
        topics: topics.filter,
        topic_names: topics.names.into_iter().map(Into::into).collect(),
        uncommitted: value_or(&file.uncommitted, defaults.uncommitted),
        max_in_flight: count_or(&file.max_in_flight, defaults.max_in_flight),
        exposure: exposure(file, defaults.exposure),
        cluster: name,
        // What no key of the file sets: every watched topic has series of its own, so all their logs are read.
        ..defaults
    };
    apply_sharding(&mut poll, &sharding);
    Ok((poll, sharding))
}

fn apply_sharding(poll: &mut PollConfig, sharding: &Sharding) {
    match sharding {
        Sharding::Off => {}
        // Its members commit nothing: they have no lag to watch.
        Sharding::Group(group) => {
            poll.groups = std::mem::take(&mut poll.groups).without(group.as_str());
        }
        Sharding::Fixed(share) => poll.share = share.clone(),
    }
}

fn stale_after(
    setting: &Option<Setting<Duration>>,
    poll_interval: Duration,
) -> Result<Duration, SettingProblem> {
    match setting {
        Some(setting) if setting.value < poll_interval => Err(setting.problem(format!(
            "`stale-after` ({}) is shorter than `poll-interval` ({}): figures would vanish between two polls",
            humantime::format_duration(setting.value),
            humantime::format_duration(poll_interval),
        ))),
        setting => Ok(value_or(setting, 3 * poll_interval)),
    }
}

fn exposure(file: &ClusterFile, defaults: Exposure) -> Exposure {
    Exposure {
        granularity: value_or(&file.granularity, defaults.granularity),
        max_series: count_or(&file.max_series, defaults.max_series),
        max_series_bytes: count_or(&file.max_series_bytes, defaults.max_series_bytes),
        owner_info: value_or(&file.owner_info, defaults.owner_info),
        abandoned: value_or(&file.abandoned, defaults.abandoned),
    }
}

fn count_or(setting: &Option<Setting<NonZeroUsize>>, default: usize) -> usize {
    setting
        .as_ref()
        .map_or(default, |setting| setting.value.get())
}
