//! The processing step: what "doing" a task means.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use super::event::TaskCreated;

/// Does the work that a `task-created` event asks for, such as sending a notification.
///
/// It is called for one record at a time, and not for an event that is in the audit log already. Between its end and
/// the audit log's row a crash is possible, so a handler may see an event again and must bear it.
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

/// How often a [`FaultyHandler`] fails on a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It succeeds.
    Never,
    /// The first so many attempts fail.
    Times(u32),
    /// Every attempt fails.
    Always,
}

/// A handler that fails where it is told to, for demonstrations and tests.
#[derive(Clone)]
pub struct FaultyHandler {
    rule: Arc<dyn Fn(&TaskCreated) -> Failure + Send + Sync>,
}

impl FaultyHandler {
    /// Returns a handler that fails as `rule` says.
    pub fn new(rule: impl Fn(&TaskCreated) -> Failure + Send + Sync + 'static) -> Self {
        Self {
            rule: Arc::new(rule),
        }
    }
}

#[async_trait]
impl TaskHandler for FaultyHandler {
    async fn handle(&self, task: &TaskCreated, attempt: u32) -> Result<(), HandlerError> {
        let fails = match (self.rule)(task) {
            Failure::Never => false,
            Failure::Times(times) => attempt <= times,
            Failure::Always => true,
        };
        if fails {
            Err(HandlerError::Transient(format!(
                "attempt {attempt} was made to fail"
            )))
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for FaultyHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyHandler").finish_non_exhaustive()
    }
}
