//! Whether the members before and after a record can be compared, so that joins and leaves can be counted.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lag::Offset;

/// The ids of members.
pub(super) type MemberIds = BTreeSet<Arc<str>>;

/// Whether the members before a record can be compared with those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Possible,
    Impossible,
}

/// Where the members before a record are known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Basis {
    /// They are not known.
    #[default]
    Nothing,
    /// From a coordinator's answer. Records before `until` may be older than it.
    Answer { until: Offset },
    /// From records alone.
    Records,
}

impl Basis {
    /// Returns whether a record with the offset `at` is newer than the members before it.
    pub(super) fn comparison(self, at: Offset) -> Comparison {
        match self {
            Self::Records => Comparison::Possible,
            Self::Answer { until } if until <= at => Comparison::Possible,
            Self::Answer { .. } | Self::Nothing => Comparison::Impossible,
        }
    }
}
