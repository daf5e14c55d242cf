//! The pollers of all clusters: started together, changed one by one on reload.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::config::ClusterConfig;
use super::stage::Stage;
use crate::collect::Poller;
use crate::kafka::{ConnectionError, KafkaAdmin};
use crate::lag::ClusterName;
use crate::metrics::OwnMetrics;
use crate::snapshot::SnapshotStore;

/// One poller for each cluster, and where they publish.
#[derive(Debug)]
pub struct Watch {
    store: Arc<SnapshotStore>,
    own: OwnMetrics,
    stage: Stage,
    clusters: Vec<Watched>,
}

/// Clusters whose clients are made, and nothing of which has been asked yet.
#[derive(Debug)]
pub struct Connected(Vec<(ClusterConfig, Arc<KafkaAdmin>)>);

#[derive(Debug)]
struct Watched {
    config: ClusterConfig,
    admin: Arc<KafkaAdmin>,
    stop: CancellationToken,
    /// Cancelled by the poller's own end.
    ended: CancellationToken,
}

impl Connected {
    /// Makes a client for each cluster. Connects to none.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of one.
    pub fn connect(
        clusters: Vec<ClusterConfig>,
        own: &OwnMetrics,
    ) -> Result<Self, ConnectionError> {
        let connect = |config: ClusterConfig| {
            let requests = own.cluster(config.name());
            let admin = KafkaAdmin::connect(&config.connection, requests)?;
            Ok((config, Arc::new(admin)))
        };
        clusters
            .into_iter()
            .map(connect)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Watch {
    /// Starts to poll.
    pub fn start(clusters: Connected, own: OwnMetrics, store: Arc<SnapshotStore>) -> Self {
        let mut watch = Self {
            store,
            own,
            stage: Stage::default(),
            clusters: Vec::new(),
        };
        let Connected(clusters) = clusters;
        let names = clusters.iter().map(|(config, _)| config.name().cloned());
        watch.store.set_clusters(names);
        watch.clusters = clusters
            .into_iter()
            .map(|(config, admin)| watch.poll(config, admin))
            .collect();
        watch
    }

    /// Returns the counters of this process.
    pub fn own(&self) -> &OwnMetrics {
        &self.own
    }

    /// Polls `clusters` from now on: removed ones end, new ones begin, and those that stay go on from their newest
    /// snapshot with their new settings.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of one; nothing has changed then.
    pub async fn change(&mut self, clusters: Vec<ClusterConfig>) -> Result<(), ConnectionError> {
        let mut next = Vec::new();
        for config in clusters {
            let same = self
                .clusters
                .iter()
                .find(|watched| watched.is_same(&config));
            let admin = match same {
                Some(watched) => Arc::clone(&watched.admin),
                None => {
                    let requests = self.own.cluster(config.name());
                    Arc::new(KafkaAdmin::connect(&config.connection, requests)?)
                }
            };
            next.push((config, admin));
        }
        for Watched {
            config,
            stop,
            ended,
            ..
        } in self.clusters.drain(..)
        {
            stop.cancel();
            // Only then may another poller publish to its slot.
            ended.cancelled().await;
            if !next.iter().any(|(next, _)| next.name() == config.name()) {
                info!("{} is watched no more", described(config.name()));
            }
        }
        let names = next.iter().map(|(config, _)| config.name().cloned());
        self.store.set_clusters(names);
        for (config, admin) in next {
            let watched = self.poll(config, admin);
            self.clusters.push(watched);
        }
        Ok(())
    }

    /// Waits until a poller ends although nobody told it to, and returns why.
    pub async fn broken(&mut self) -> anyhow::Error {
        self.stage.broken().await
    }

    /// Stops the pollers and waits for their end.
    ///
    /// # Errors
    ///
    /// One of them had panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stage.stop().await
    }

    fn poll(&mut self, config: ClusterConfig, admin: Arc<KafkaAdmin>) -> Watched {
        let slots = self.store.slots();
        let slot = slots.iter().find(|slot| slot.cluster() == config.name());
        let slot = Arc::clone(slot.expect("the store was given the names of all clusters"));
        let poller = Poller::new(
            config.poll.clone(),
            Arc::clone(&admin) as Arc<_>,
            slot,
            self.own.cluster(config.name()),
        );
        let stop = self.stage.token();
        let ended = CancellationToken::new();
        let (until, end) = (stop.clone(), ended.clone().drop_guard());
        self.stage.spawn(async move {
            poller.run(until).await;
            drop(end);
            Ok(())
        });
        Watched {
            config,
            admin,
            stop,
            ended,
        }
    }
}

impl Watched {
    /// Tells whether `other` is the same cluster, reached in the same way.
    fn is_same(&self, other: &ClusterConfig) -> bool {
        self.config.name() == other.name() && self.config.connection == other.connection
    }
}

fn described(cluster: Option<&ClusterName>) -> String {
    cluster.map_or_else(
        || "the cluster".to_owned(),
        |name| format!("cluster `{name}`"),
    )
}
