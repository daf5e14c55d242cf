//! `produce`: sends events until there are no more, or it is told to end.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::signals::Signals;
use crate::kafka::Connection;
use crate::task;
pub use crate::task::{Pace, ProduceConfig, ProduceSummary, RecordSource};

/// How often it is said how far the production is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Produces what `source` has. A wish to end stops it and waits for what is under way; a second one aborts.
///
/// # Errors
///
/// The client cannot be made or the input not be read.
pub async fn produce(
    config: ProduceConfig,
    connection: Connection,
    source: RecordSource,
    signals: &mut Signals,
) -> anyhow::Result<ProduceSummary> {
    let shutdown = CancellationToken::new();
    let (progress, state) = watch::channel(ProduceSummary::default());
    let config = ProduceConfig {
        progress: Some(progress),
        ..config
    };
    let producing = task::produce(config, connection, source, shutdown.clone());
    tokio::pin!(producing);
    tokio::select! {
        summary = &mut producing => return Ok(summary?),
        () = signals.end() => shutdown.cancel(),
        never = tell(state) => match never {},
    }
    tokio::select! {
        summary = &mut producing => Ok(summary?),
        () = signals.end() => bail!("aborted by a second signal"),
    }
}

/// Says every so often how far the production is, for ever.
async fn tell(state: watch::Receiver<ProduceSummary>) -> Infallible {
    let mut due = Instant::now() + PROGRESS;
    loop {
        sleep_until(due).await;
        due += PROGRESS;
        let ProduceSummary {
            delivered,
            failed,
            rejected,
        } = *state.borrow();
        info!(
            delivered,
            failed, rejected, "{delivered} delivered so far, {failed} failed"
        );
    }
}
