//! `produce`: sends events until there are no more, or it is told to end.

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use crate::kafka::Connection;
use crate::task;
pub use crate::task::{Pace, ProduceConfig, ProduceSummary, Source};

/// Produces what `source` has. A wish to end stops it and waits for what is under way; a second one aborts.
///
/// # Errors
///
/// The client cannot be made or the input not be read.
pub async fn produce(
    config: ProduceConfig,
    connection: Connection,
    source: Source,
    signals: &mut Signals,
) -> anyhow::Result<ProduceSummary> {
    let shutdown = CancellationToken::new();
    let producing = task::produce(config, connection, source, shutdown.clone());
    tokio::pin!(producing);
    tokio::select! {
        summary = &mut producing => return Ok(summary?),
        () = signals.end() => shutdown.cancel(),
    }
    tokio::select! {
        summary = &mut producing => Ok(summary?),
        () = signals.end() => bail!("aborted by a second signal"),
    }
}
