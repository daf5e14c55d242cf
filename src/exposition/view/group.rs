//! The view of a group.

use super::Scene;
use crate::lag::{Status, Verdict};
use crate::snapshot::{Activity, GroupRow, Membership};

/// A group at an instant.
#[derive(Clone, Copy)]
pub(crate) struct GroupView<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) row: &'a GroupRow,
    /// Its members and state, where they are fresh.
    pub(crate) membership: Option<&'a Membership>,
    /// Whether the newest cycle is recent enough to show a status.
    pub(super) is_judged: bool,
}

impl<'a> GroupView<'a> {
    /// Returns a group of a scene.
    pub(crate) fn new(scene: Scene<'a>, row: &'a GroupRow) -> Self {
        Self {
            scene,
            row,
            membership: scene.membership(row),
            is_judged: scene.is_judged(),
        }
    }

    /// Returns its status; nothing where the newest cycle is too old.
    pub(crate) fn status(&self) -> Option<Status> {
        self.is_judged.then(|| self.row.status())
    }

    /// Returns the reason of its status as a sentence; nothing where it is ok or absent.
    pub(crate) fn status_reason(&self) -> Option<String> {
        let GroupRow {
            verdict, failures, ..
        } = self.row;
        self.status()?;
        match (verdict, failures.first()) {
            (Verdict::Bad { .. }, _) => Some(verdict.sentence(self.row.judged_at).to_string()),
            (Verdict::Ok, Some(failure)) if self.row.partitions.is_empty() => {
                Some(format!("nothing could be read: {}", failure.message))
            }
            (Verdict::Ok, _) => None,
        }
    }

    /// Returns its counts of rebalances and members; nothing where its members are unknown.
    pub(crate) fn activity(&self) -> Option<&'a Activity> {
        self.membership.map(|_| &*self.row.activity)
    }
}
