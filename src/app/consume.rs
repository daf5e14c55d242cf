//! `consume`: the task consumer alone, with metrics where they are asked for.

use tracing::info;

use super::config::{TaskConsumerConfig, WebSettings};
use super::consumer::{OnFailure, Ready};
use super::service::Prepared;
use super::signals::{Signals, Wish};

/// Consumes until it is told to end.
///
/// # Errors
///
/// Something cannot be opened (nothing was started then), or the consumer failed: whoever runs it starts it again.
pub async fn consume(
    config: TaskConsumerConfig,
    web: Option<&WebSettings>,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let prepared = Prepared::bind(web).await?;
    let metrics = prepared.own().task().clone();
    let consumer = Ready::open(config, metrics, OnFailure::End).await?;
    let mut service = prepared.start(Vec::new()).await?;
    let shutdown = service.work.token();
    service.work.spawn(consumer.run(shutdown));
    let broken = loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break Ok(()),
                Wish::Reload => info!("SIGHUP is passed over: only `serve` reads its configuration again"),
            },
            error = service.broken() => break Err(error),
        }
    };
    let stopped = service.stop(signals).await;
    broken.and(stopped)
}
