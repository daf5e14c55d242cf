//! Tasks that begin and end together. Stages are stopped one after the other: what is watched before what watches it.

use std::future::Future;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A set of tasks with one way to stop them. Dropping it aborts them.
#[derive(Debug, Default)]
pub struct Stage {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Stage {
    /// Returns the token that every task of the stage ends on.
    pub fn token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Starts a task; it ends when its token is cancelled.
    pub fn spawn(&mut self, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until a task ends although nobody told it to, and returns why; for ever where all go on.
    ///
    /// # Cancel safety
    ///
    /// An end that is not returned is not lost.
    pub async fn broken(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                // Tasks that were stopped one by one, such as a removed cluster's, end without an error.
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => {
                    return anyhow::Error::new(error).context("a task of lagwatch ended");
                }
                None => return std::future::pending().await,
            }
        }
    }

    /// Stops the tasks and waits for their end.
    ///
    /// # Errors
    ///
    /// The first task that failed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended
                .context("a task of lagwatch ended")
                .and_then(|ended| ended);
            outcome = outcome.and(ended);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stage_stops_its_tasks_and_tells_the_first_failure() {
        let mut stage = Stage::default();
        let token = stage.token();
        stage.spawn(async move {
            token.cancelled().await;
            anyhow::bail!("the last commit failed")
        });
        let error = stage.stop().await.expect_err("its task failed");
        assert_eq!(error.to_string(), "the last commit failed");
    }

    #[tokio::test]
    async fn a_task_that_ends_well_breaks_nothing_and_one_that_fails_does() {
        let mut stage = Stage::default();
        stage.spawn(async { Ok(()) });
        stage.spawn(async { anyhow::bail!("no disk") });
        assert_eq!(stage.broken().await.to_string(), "no disk");
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_silence() {
        let mut stage = Stage::default();
        stage.spawn(async { panic!("a bug") });
        assert_eq!(stage.broken().await.to_string(), "a task of lagwatch ended");
    }
}
