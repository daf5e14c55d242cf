//! Commits of a group as part of a transaction.

use serde_json::json;

use super::Kafka;

/// How a [`Transaction`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

/// An open transaction: nothing after it in the log of its group's commits is stable.
///
/// Kafka ends it after ten minutes.
#[derive(Debug)]
#[must_use]
pub(crate) struct Transaction<'a> {
    kafka: &'a Kafka,
    id: String,
}

impl Kafka {
    /// Opens a transaction and commits in it, for a group that has no members: (topic, partition, offset).
    pub(crate) fn open_transaction(
        &self,
        group: &str,
        offsets: &[(&str, i32, i64)],
    ) -> Transaction<'_> {
        let request = json!({ "do": "transaction-open", "group": group, "offsets": offsets });
        Transaction {
            kafka: self,
            id: self.answer(request),
        }
    }

    /// Commits for a group without members, inside a transaction that then ends.
    pub(crate) fn commit_in_transaction(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        end: End,
    ) {
        let transaction = self.open_transaction(group, &[(topic, partition, offset)]);
        transaction.end(end);
    }
}

impl Transaction<'_> {
    pub(crate) fn end(self, end: End) {
        self.kafka.call(json!({
            "do": "transaction-end", "transaction": self.id, "commit": end == End::Commit,
        }));
    }
}
