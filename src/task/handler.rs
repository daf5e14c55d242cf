//! The processing step: what "doing" a task means.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

use super::event::TaskCreated;

/// Does the work that a `task-created` event asks for, such as sending a notification.
///
/// It is called for one record at a time, and not for an event that is in the audit log already. Between its end and
/// the audit log's row a crash is possible, so a handler may see an event again and must allow for it.
#[async_trait]
pub trait TaskHandler: fmt::Debug + Send + Sync + 'static {
    /// Does the work; `attempt` counts from 1.
    ///
    /// # Errors
    ///
    /// Whether trying again may help decides what happens to the record.
    async fn handle(&self, task: &TaskCreated, attempt: u32) -> Result<(), HandlerError>;
}

/// Why the work on a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandlerError {
    /// It may succeed later.
    #[error("{0}")]
    Transient(String),
    /// It never will: the record goes to the dead-letter topic at once.
    #[error("{0}")]
    Permanent(String),
}
