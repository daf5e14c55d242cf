//! `serve`: pollers of every cluster, the task consumer beside them, the server; reload while it runs.

use anyhow::Context;
use tracing::{info, warn};

use super::config::{Config, ConfigSources};
use super::consumer::{OnFailure, Ready};
use super::logging::LogHandle;
use super::service::{Prepared, Service};
use super::signals::{Signals, Wish};

/// Serves until it is told to end.
///
/// # Errors
///
/// Something cannot be opened (nothing was started then), or did not end well.
pub async fn serve(
    config: Config,
    sources: &ConfigSources,
    log: &LogHandle,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let prepared = Prepared::bind(Some(&config.web)).await?;
    let consumer = match config.consumer.clone() {
        Some(consumer) => {
            let metrics = prepared.own().task().clone();
            Some(Ready::open(consumer, metrics, OnFailure::Restart).await?)
        }
        None => None,
    };
    let mut service = prepared.start(config.clusters.clone()).await?;
    if let Some(consumer) = consumer {
        let shutdown = service.work.token();
        service.work.spawn(consumer.run(shutdown));
    }
    let mut config = config;
    let broken = loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break None,
                Wish::Reload => config = reload(config, sources, log, &mut service).await,
            },
            error = service.broken() => break Some(error),
        }
    };
    info!("shutting down");
    let stopped = service.stop(signals).await;
    match broken {
        Some(error) => Err(error),
        None => stopped,
    }
}

/// Reads the configuration again and applies what can be applied; returns what is in force afterwards.
async fn reload(
    current: Config,
    sources: &ConfigSources,
    log: &LogHandle,
    service: &mut Service,
) -> Config {
    match try_reload(&current, sources, log, service).await {
        Ok(config) => config,
        Err(error) => {
            warn!("configuration not reloaded, the old one stays in force: {error:#}");
            current
        }
    }
}

async fn try_reload(
    current: &Config,
    sources: &ConfigSources,
    log: &LogHandle,
    service: &mut Service,
) -> anyhow::Result<Config> {
    let next = sources.load()?;
    let web_config = next.web.read_config_file()?;
    let is_same_consumer = current.consumer == next.consumer;
    let consumer = match &next.consumer {
        Some(consumer) if !is_same_consumer => {
            let metrics = service.watch.own().task().clone();
            Some(Ready::open(consumer.clone(), metrics, OnFailure::Restart).await?)
        }
        _ => None,
    };
    service.change_web_config(web_config.as_ref())?;
    service
        .watch
        .change(next.clusters.clone())
        .await
        .context("changing the clusters")?;
    if !is_same_consumer {
        // The new member has joined already: partitions pass from one to the other.
        let before = std::mem::take(&mut service.work);
        if let Err(error) = before.stop().await {
            warn!("the task consumer of the old configuration did not end well: {error:#}");
        }
        if let Some(consumer) = consumer {
            let shutdown = service.work.token();
            service.work.spawn(consumer.run(shutdown));
        }
    }
    log.apply(&next.log)?;
    let waiting = for_the_next_start(current, &next);
    if waiting.is_empty() {
        info!("configuration reloaded");
    } else {
        let waiting = waiting.join("`, `");
        warn!("configuration reloaded, but `{waiting}` changes only at the next start");
    }
    Ok(next)
}

/// Returns the keys that differ and cannot change while the process runs.
fn for_the_next_start(current: &Config, next: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    if current.web != next.web {
        keys.push("web");
    }
    if current.log.format != next.log.format {
        keys.push("log.format");
    }
    keys
}
