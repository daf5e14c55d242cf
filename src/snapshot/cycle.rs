//! How a poll cycle collected a cluster, and how it ended.

/// How a cluster is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollectMode {
    /// Coordinators are asked about every group in every cycle.
    #[default]
    Poll,
    /// `__consumer_offsets` is followed.
    Stream {
        /// Partitions of it that are followed.
        live: usize,
        /// Partitions of it that are not, whose groups' coordinators are asked instead.
        behind: usize,
    },
}

impl CollectMode {
    /// Returns the mode's word in labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Stream { .. } => "stream",
        }
    }
}

/// How a poll cycle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CycleOutcome {
    /// Every fetch succeeded.
    Complete,
    /// All brokers answered, but some groups or partitions could not be read; their rows tell why.
    Partial,
    /// A fetch that could hide groups or topics failed: metadata, or a broker's listing or log ends.
    Degraded,
    /// Nothing could be read.
    Failed,
}

impl CycleOutcome {
    /// Every outcome, from best to worst.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Partial, Self::Degraded, Self::Failed];

    /// Returns the outcome's word in labels and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }

    /// Returns whether the cluster as a whole could be read.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Complete | Self::Partial)
    }
}
