//! The task consumer of this process, and what happens when it fails.

use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::config::TaskConsumerConfig;
use crate::metrics::TaskMetrics;
use crate::task::{self, Backoff, TaskConsumer};

/// The wait before a failed consumer starts again.
const RESTART: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
};

/// A consumer that has run this long had recovered from whatever failed before.
const RECOVERED: Duration = Duration::from_secs(300);

/// The value of the label `code` that counts failed consumers in `lagwatch_task_errors_total`.
const FAILED: &str = "CONSUMER_FAILED";

/// What becomes of the process when its consumer fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It ends, so that whoever runs it starts it again: there is nothing else in it.
    End,
    /// It goes on and starts the consumer again, ever more slowly: the lag that grows meanwhile must stay visible.
    Restart,
}

/// A consumer that is ready: its audit log can be written and its properties are accepted.
pub struct Ready {
    config: TaskConsumerConfig,
    metrics: TaskMetrics,
    consumer: TaskConsumer,
    on_failure: OnFailure,
}

impl Ready {
    /// Opens the audit log and makes the clients.
    ///
    /// # Errors
    ///
    /// One of them cannot be used, and why.
    pub async fn open(
        config: TaskConsumerConfig,
        metrics: TaskMetrics,
        on_failure: OnFailure,
    ) -> anyhow::Result<Self> {
        let TaskConsumerConfig {
            connection, task, ..
        } = config.clone();
        let consumer = TaskConsumer::open(task, connection, metrics.clone()).await?;
        Ok(Self {
            config,
            metrics,
            consumer,
            on_failure,
        })
    }

    /// Consumes until `shutdown` is cancelled.
    ///
    /// # Errors
    ///
    /// The consumer failed and is not to be started again, or did not end in time.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self {
            config,
            metrics,
            consumer,
            on_failure,
        } = self;
        let group = config.task.group.clone();
        let subject = || format!("task consumer of group `{group}`");
        let first = async {
            let outcome = consumer.run(shutdown.clone()).await;
            outcome.map(drop).with_context(subject)
        };
        if on_failure == OnFailure::End {
            return first.await;
        }
        let again = || {
            info!(%group, "starting the task consumer of group `{group}` again");
            let TaskConsumerConfig {
                connection, task, ..
            } = config.clone();
            let running = task::run(task, connection, metrics.clone(), shutdown.clone());
            async { running.await.map(drop).with_context(subject) }
        };
        let failed = |failure: &anyhow::Error, wait| {
            metrics.errors.with_label_values(&[FAILED]).inc();
            let wait = humantime::format_duration(wait);
            error!(%group, "{failure:#}; it starts again in {wait}");
        };
        keep_running(first, again, failed, &shutdown).await
    }
}

/// Awaits `first` and then, as often as it fails, what `again` makes, after a wait that doubles from failure to failure.
///
/// `failed` is told each failure and the wait that follows. A shutdown ends the wait.
///
/// # Errors
///
/// A failure during the shutdown: nothing starts after it.
async fn keep_running<F>(
    first: impl Future<Output = anyhow::Result<()>>,
    again: impl Fn() -> F,
    failed: impl Fn(&anyhow::Error, Duration),
    shutdown: &CancellationToken,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let mut failures = 0_u32;
    let mut started = Instant::now();
    let mut outcome = first.await;
    while let Err(failure) = outcome {
        if shutdown.is_cancelled() {
            return Err(failure);
        }
        if started.elapsed() >= RECOVERED {
            failures = 0;
        }
        failures = failures.saturating_add(1);
        let wait = RESTART.delay_after(failures);
        failed(&failure, wait);
        let waited = shutdown.run_until_cancelled(sleep(wait)).await;
        if waited.is_none() {
            return Ok(());
        }
        started = Instant::now();
        outcome = again().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use anyhow::anyhow;

    use super::*;

    async fn broken() -> anyhow::Result<()> {
        Err(anyhow!("no disk"))
    }

    fn seconds(numbers: &[u64]) -> Vec<Duration> {
        numbers.iter().copied().map(Duration::from_secs).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_consumer_starts_again_ever_more_slowly_and_each_failure_is_told() {
        let (failures, starts) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let begun = Instant::now();
        let again = || {
            starts.borrow_mut().push(begun.elapsed());
            let ends_well = starts.borrow().len() == 9;
            async move { if ends_well { Ok(()) } else { broken().await } }
        };
        let failed = |failure: &anyhow::Error, wait| {
            assert_eq!(failure.to_string(), "no disk");
            failures.borrow_mut().push(wait);
        };
        let outcome = keep_running(broken(), again, failed, &CancellationToken::new()).await;
        outcome.expect("the last start went well");
        let waits = seconds(&[1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(failures.into_inner(), waits);
        let due = waits.iter().scan(Duration::ZERO, |due, wait| {
            *due += *wait;
            Some(*due)
        });
        // The timer's resolution is a millisecond, and each wait may end that much late.
        let starts = starts.into_inner();
        let starts = starts.iter().map(|at| Duration::from_secs(at.as_secs()));
        assert_eq!(starts.collect::<Vec<_>>(), due.collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_recovery_the_wait_is_short_again() {
        let (starts, waits) = (RefCell::new(0), RefCell::new(Vec::new()));
        let again = || {
            *starts.borrow_mut() += 1;
            let start = *starts.borrow();
            async move {
                match start {
                    1 => broken().await,
                    2 => {
                        sleep(RECOVERED).await;
                        broken().await
                    }
                    _ => Ok(()),
                }
            }
        };
        let failed = |_: &anyhow::Error, wait| waits.borrow_mut().push(wait);
        let outcome = keep_running(broken(), again, failed, &CancellationToken::new()).await;
        outcome.expect("the last start went well");
        assert_eq!(waits.into_inner(), seconds(&[1, 2, 1]));
    }

    async fn never() -> anyhow::Result<()> {
        unreachable!("nothing starts during a shutdown")
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_ends_the_wait_for_the_next_start() {
        let shutdown = CancellationToken::new();
        let failed = |_: &anyhow::Error, _| shutdown.cancel();
        let outcome = keep_running(broken(), never, failed, &shutdown).await;
        outcome.expect("it was told to end, and nothing is left to end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_during_the_shutdown_is_returned() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let failed = |_: &anyhow::Error, _| unreachable!("it does not start again");
        let outcome = keep_running(broken(), never, failed, &shutdown).await;
        let failure = outcome.expect_err("the consumer failed");
        assert_eq!(failure.to_string(), "no disk");
    }
}
