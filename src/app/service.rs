//! What serves and watches: prepared without starting anything, run, and stopped in order.
//!
//! The port is bound before any client is made: a client begins to connect at once, and a process that cannot serve
//! must not have touched Kafka.
//!
//! Whoever works on Kafka stops first, so that its last commits are seen; then the pollers; then the server, which
//! answers to the end.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::bail;
use tokio::net::TcpListener;
use tracing::info;

use super::config::{ClusterConfig, WebSettings};
use super::listen;
use super::signals::Signals;
use super::stage::Stage;
use super::watch::Watch;
use crate::http::{self, HttpConfig, Sources, WebConfig};
use crate::kafka::librdkafka_version;
use crate::metrics::OwnMetrics;
use crate::snapshot::{EventBounds, EventLog, SnapshotStore};

/// A bound port, and the counters that will be served there. Nothing runs yet, and Kafka knows nothing of it.
pub struct Prepared {
    own: OwnMetrics,
    server: Option<(TcpListener, HttpConfig)>,
}

/// What runs.
pub struct Service {
    /// Those who work on Kafka.
    pub work: Stage,
    /// The pollers.
    pub watch: Watch,
    server: Stage,
    web_config: Option<WebConfig>,
}

impl Prepared {
    /// Reads the web configuration file and binds the port, if there is to be a server.
    ///
    /// # Errors
    ///
    /// The file cannot be used, the port is taken, or the host is none of this machine's.
    pub async fn bind(web: Option<&WebSettings>) -> anyhow::Result<Self> {
        let server = match web {
            Some(web) => {
                let config = HttpConfig {
                    telemetry_path: web.telemetry_path.clone(),
                    web_config: web.read_config_file()?,
                    ..HttpConfig::default()
                };
                Some((listen::bind(&web.listen_address).await?, config))
            }
            None => None,
        };
        let own = OwnMetrics::new(&librdkafka_version());
        Ok(Self { own, server })
    }

    /// Returns the counters of this process.
    pub fn own(&self) -> &OwnMetrics {
        &self.own
    }

    /// Returns where the server will answer, as a browser on this machine would open it.
    pub fn url(&self) -> Option<String> {
        let (listener, config) = self.server.as_ref()?;
        let has_tls = config.web_config.as_ref().is_some_and(WebConfig::has_tls);
        let scheme = if has_tls { "https" } else { "http" };
        listen::url(scheme, listener).ok()
    }

    /// Makes a client for each cluster, then starts the pollers and the server.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of a cluster; nothing was started then.
    pub async fn start(self, clusters: Vec<ClusterConfig>) -> anyhow::Result<Service> {
        let url = self.url();
        let Self {
            own,
            server: prepared,
        } = self;
        let store = Arc::new(SnapshotStore::default());
        let events = EventLog::new(SystemTime::now(), EventBounds::default());
        let mut watch = Watch::new(own.clone(), Arc::clone(&store), events.clone());
        watch.change(clusters).await?;
        let mut server = Stage::default();
        let mut web_config = None;
        if let Some((listener, config)) = prepared {
            web_config.clone_from(&config.web_config);
            let url = url.unwrap_or_default();
            info!("metrics on {url}{}", config.telemetry_path);
            let sources = Sources { store, events, own };
            let shutdown = server.token();
            server.spawn(async move { Ok(http::run(listener, config, sources, shutdown).await?) });
        }
        Ok(Service {
            work: Stage::default(),
            watch,
            server,
            web_config,
        })
    }
}

impl Service {
    /// Takes over a web configuration file that was read again; another file waits for the next start.
    ///
    /// # Errors
    ///
    /// The server cannot change in this way while it runs; nothing has changed then.
    pub fn change_web_config(&self, next: Option<&WebConfig>) -> anyhow::Result<()> {
        match (&self.web_config, next) {
            (Some(current), Some(next)) if current == next => Ok(current.replace_by(next)?),
            _ => Ok(()),
        }
    }

    /// Waits until something ends although nobody told it to, and returns why; for ever where all goes on.
    ///
    /// # Cancel safety
    ///
    /// An end that is not returned is not lost.
    pub async fn broken(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.work.broken() => error,
            error = self.watch.broken() => error,
            error = self.server.broken() => error,
        }
    }

    /// Stops everything in order; a wish to end that comes meanwhile aborts.
    ///
    /// # Errors
    ///
    /// Something did not end well, or not in time.
    pub async fn stop(self, signals: &mut Signals) -> anyhow::Result<()> {
        let Self {
            work,
            watch,
            server,
            web_config: _,
        } = self;
        let stopping = async {
            let work = work.stop().await;
            let watch = watch.stop().await;
            let server = server.stop().await;
            work.and(watch).and(server)
        };
        tokio::select! {
            outcome = stopping => outcome,
            () = signals.end() => bail!("aborted by a second signal"),
        }
    }
}
