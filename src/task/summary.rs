//! What one task consumer did.

/// What a task consumer did from its start to its end.
///
/// It is counted apart from the metrics, which all task consumers of a process share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskSummary {
    /// Records that were done for the first time.
    pub processed: u64,
    /// Records whose event was done before.
    pub duplicates: u64,
    /// Records that are in the dead-letter topic.
    pub dead_letters: u64,
    /// Attempts after the first.
    pub retries: u64,
}
