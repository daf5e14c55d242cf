//! How much of a snapshot becomes series.

/// How much of a cluster's snapshot becomes series, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The finest series of a group.
    pub granularity: Granularity,
    /// The most series one snapshot may become; the rest is dropped in a fixed order and counted.
    pub max_series: usize,
    /// The most bytes that the lines of these series may take, uncompressed. A family leaves out each group or topic whose
    /// lines would pass it; they are counted with the others.
    pub max_series_bytes: usize,
    /// Whether `kafka_consumergroup_partition_owner_info` is exposed.
    pub owner_info: OwnerInfo,
    /// Whether topics that a group has abandoned count in its sums.
    pub abandoned: AbandonedPolicy,
}

/// Whether the lag of topics that a group has abandoned counts in its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbandonedPolicy {
    /// It does: nothing is hidden.
    #[default]
    Counted,
    /// It does not; a topic of which nothing else is left has no sums.
    LeftOut,
}

/// The finest series of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// One series for each partition, and the sums for each topic.
    #[default]
    Partition,
    /// The sums for each topic alone.
    Topic,
    /// Only what a group has once: members, state, status.
    Group,
}

/// Whether the owners of partitions are exposed; their member ids change with every rebalance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnerInfo {
    /// No series.
    #[default]
    Hidden,
    /// One series for each owned partition.
    Exposed,
}

impl Default for Exposure {
    fn default() -> Self {
        Self {
            granularity: Granularity::default(),
            max_series: 2_000_000,
            // 2,000,000 series take about 202 MB: only long names reach this.
            max_series_bytes: 512 * 1024 * 1024,
            owner_info: OwnerInfo::default(),
            abandoned: AbandonedPolicy::default(),
        }
    }
}
