//! The task consumer of this process, and what happens when it fails.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::config::ConsumerConfig;
use crate::metrics::TaskMetrics;
use crate::task::{self, TaskConsumer};

/// The wait before a failed consumer starts again: at first, and at most.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

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
    config: ConsumerConfig,
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
        config: ConsumerConfig,
        metrics: TaskMetrics,
        on_failure: OnFailure,
    ) -> anyhow::Result<Self> {
        let ConsumerConfig {
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
        let mut started = Instant::now();
        let mut outcome = consumer.run(shutdown.clone()).await;
        let (first, most) = RESTART;
        let mut wait = first;
        while let Err(failure) = outcome {
            let failure =
                anyhow::Error::new(failure).context(format!("task consumer of group `{group}`"));
            if shutdown.is_cancelled() || on_failure == OnFailure::End {
                return Err(failure);
            }
            metrics.errors.with_label_values(&[FAILED]).inc();
            if started.elapsed() >= RECOVERED {
                wait = first;
            }
            error!(%group, "{failure:#}; it starts again in {}", humantime::format_duration(wait));
            if shutdown
                .run_until_cancelled(tokio::time::sleep(wait))
                .await
                .is_none()
            {
                return Ok(());
            }
            wait = most.min(2 * wait);
            started = Instant::now();
            info!(%group, "starting the task consumer of group `{group}` again");
            let ConsumerConfig {
                connection, task, ..
            } = config.clone();
            outcome = task::run(task, connection, metrics.clone(), shutdown.clone()).await;
        }
        Ok(())
    }
}
