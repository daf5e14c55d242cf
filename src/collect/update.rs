//! What was learned of a cluster, by a whole cycle or between two of them: from this the next snapshot is made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::failure::{Contact, Failure};
use super::fetch::groups::GroupAnswer;
use super::fetch::listing::Coverage;
use super::fetch::marks::Marks;
use super::fetch::topology::{Currency, Topology};
use super::kinds::SkippedGroups;
use super::rebuild::Rebuilds;
use crate::lag::{GroupId, TopicPartition};
use crate::snapshot::CollectMode;

/// What was learned of a cluster.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) scope: Scope,
    /// The newest topology; nothing where none was ever read.
    pub(super) topology: Option<Arc<Topology>>,
    /// One entry for each group whose state is known by its coordinator or by its records; none where the cycle ended before
    /// that.
    pub(super) groups: BTreeMap<GroupId, GroupAnswer>,
    /// One entry for each partition whose log was to be asked about.
    pub(super) marks: Marks,
    /// How much of each group's row is rebuilt.
    pub(super) rebuilds: Rebuilds,
    pub(super) mode: CollectMode,
}

/// How much of the cluster an update is about.
#[derive(Debug)]
pub(super) enum Scope {
    /// All of it.
    Whole(Cycle),
    /// These partitions of these groups, as their commits changed; everything else is as the newest cycle found it.
    Part(BTreeMap<GroupId, BTreeSet<TopicPartition>>),
}

/// What a whole cycle came to.
#[derive(Debug)]
pub(super) struct Cycle {
    pub(super) contact: Contact,
    pub(super) currency: Currency,
    pub(super) coverage: Coverage,
    pub(super) failures: Vec<Failure>,
    /// Groups that have no series of their own.
    pub(super) skipped: SkippedGroups,
}

impl Cycle {
    /// Returns a cycle that has fetched its topology alone.
    pub(super) fn new(currency: Currency, failures: Vec<Failure>) -> Self {
        Self {
            contact: match currency {
                Currency::Current => Contact::Made,
                Currency::Kept => Contact::None,
            },
            currency,
            coverage: Coverage::InPart,
            failures,
            skipped: SkippedGroups::new(),
        }
    }

    /// Adds what another phase came to.
    pub(super) fn add(&mut self, contact: Contact, failures: Vec<Failure>) {
        if contact == Contact::Made {
            self.contact = contact;
        }
        self.failures.extend(failures);
    }
}
