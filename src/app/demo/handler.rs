//! The work of the demo's consumers: sometimes it fails at first, and one of them can be made to hang.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::task::{HandlerError, TaskCreated, TaskHandler};

/// Each task whose number ends in this fails twice before it succeeds.
const UNLUCKY: &str = "7";

/// Notifies somebody, who cannot be reached every so often.
#[derive(Debug)]
pub(super) struct Notify;

#[async_trait]
impl TaskHandler for Notify {
    async fn handle(&self, task: &TaskCreated, attempt: u32) -> Result<(), HandlerError> {
        if task.title.ends_with(UNLUCKY) && attempt <= 2 {
            let reason = "the mail server is busy".to_owned();
            return Err(HandlerError::Transient(reason));
        }
        Ok(())
    }
}

/// Counts tasks in a warehouse that can be closed for a while.
#[derive(Debug)]
pub(super) struct Analyse {
    pub(super) warehouse: watch::Receiver<Warehouse>,
}

/// Whether the warehouse takes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warehouse {
    Open,
    Closed,
}

#[async_trait]
impl TaskHandler for Analyse {
    async fn handle(&self, _task: &TaskCreated, _attempt: u32) -> Result<(), HandlerError> {
        let mut warehouse = self.warehouse.clone();
        // A demo that is over opens it by dropping the sender: nothing must hang then.
        let _opened = warehouse.wait_for(|state| *state == Warehouse::Open).await;
        Ok(())
    }
}
