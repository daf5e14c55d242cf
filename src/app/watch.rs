//! The pollers of all clusters: started together, changed one by one on reload.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::CLOSE_LIMIT;
use super::config::{ClusterConfig, Sharding};
use super::stage::Stage;
use crate::collect::{LogSource, OFFSETS_TOPIC, Poller, Remembered, ShardSource};
use crate::kafka::{ConnectionError, GroupShardMember, KafkaAdmin, LogReader};
use crate::lag::ClusterName;
use crate::metrics::OwnMetrics;
use crate::snapshot::{EventLog, SnapshotStore};

/// One poller for each cluster, and where they publish.
#[derive(Debug)]
pub struct Watch {
    store: Arc<SnapshotStore>,
    events: EventLog,
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
    /// What the poller leaves behind when it ends.
    ended: oneshot::Receiver<Remembered>,
}

impl Connected {
    /// Makes a client for each cluster. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of one; the clients made before are closed.
    pub async fn connect(
        clusters: Vec<ClusterConfig>,
        own: &OwnMetrics,
    ) -> Result<Self, ConnectionError> {
        let mut connected = Vec::new();
        for config in clusters {
            let requests = own.cluster(config.name());
            match KafkaAdmin::connect(&config.connection, requests) {
                Ok(admin) => connected.push((config, Arc::new(admin))),
                Err(error) => {
                    close(connected.into_iter().map(|(_, admin)| admin)).await;
                    return Err(error);
                }
            }
        }
        Ok(Self(connected))
    }
}

impl Watch {
    /// Starts to poll.
    pub fn start(
        clusters: Connected,
        own: OwnMetrics,
        store: Arc<SnapshotStore>,
        events: EventLog,
    ) -> Self {
        let mut watch = Self {
            store,
            events,
            own,
            stage: Stage::default(),
            clusters: Vec::new(),
        };
        let Connected(clusters) = clusters;
        let names = clusters.iter().map(|(config, _)| config.name().cloned());
        watch.store.set_clusters(names);
        watch.clusters = clusters
            .into_iter()
            .map(|(config, admin)| watch.poll(config, admin, Remembered::default()))
            .collect();
        watch
    }

    /// Returns the counters of this process.
    pub fn own(&self) -> &OwnMetrics {
        &self.own
    }

    /// Polls `clusters` from now on: removed ones end, new ones begin, those whose settings are as before just go on, and
    /// the others go on from their newest snapshot, and what was seen before it, with their new settings.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of one; nothing has changed then.
    pub async fn change(&mut self, clusters: Vec<ClusterConfig>) -> Result<(), ConnectionError> {
        let names: Vec<_> = clusters
            .iter()
            .map(|config| config.name().cloned())
            .collect();
        let is_kept = |watched: &Watched| clusters.contains(&watched.config);
        let mut next = Vec::new();
        for config in &clusters {
            if self
                .clusters
                .iter()
                .any(|watched| watched.config == *config)
            {
                continue;
            }
            let same = self.clusters.iter().find(|watched| watched.is_same(config));
            let admin = match same {
                Some(watched) => Arc::clone(&watched.admin),
                None => {
                    let requests = self.own.cluster(config.name());
                    Arc::new(KafkaAdmin::connect(&config.connection, requests)?)
                }
            };
            next.push((config.clone(), admin));
        }
        let (mut kept, ending): (Vec<_>, Vec<_>) = self.clusters.drain(..).partition(is_kept);
        let (mut remembered, mut removed) = (Vec::new(), Vec::new());
        for Watched {
            config,
            admin,
            stop,
            ended,
        } in ending
        {
            stop.cancel();
            // Only then may another poller publish to its slot. One that has panicked leaves nothing behind.
            let left = ended.await.unwrap_or_default();
            if next.iter().any(|(next, _)| next.name() == config.name()) {
                remembered.push((config.name().cloned(), left));
            } else {
                info!("{} is watched no more", described(config.name()));
                removed.push(config.name().cloned());
            }
            // Ends by itself in bounded time; a client that goes on is held by `next` as well.
            self.stage.spawn(async move {
                close([admin]).await;
                Ok(())
            });
        }
        self.store.set_clusters(names);
        for cluster in &removed {
            self.own.forget_cluster(cluster.as_ref());
        }
        for (config, admin) in next {
            let place = remembered
                .iter()
                .position(|(name, _)| name.as_ref() == config.name());
            let left = place.map(|index| remembered.swap_remove(index).1);
            kept.push(self.poll(config, admin, left.unwrap_or_default()));
        }
        self.clusters = kept;
        Ok(())
    }

    /// Waits until a poller ends although nobody told it to, and returns why.
    pub async fn broken(&mut self) -> anyhow::Error {
        self.stage.broken().await
    }

    /// Stops the pollers, then closes their clients.
    ///
    /// # Errors
    ///
    /// One of the pollers had panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        let outcome = self.stage.stop().await;
        close(self.clusters.into_iter().map(|watched| watched.admin)).await;
        outcome
    }

    fn poll(
        &mut self,
        config: ClusterConfig,
        admin: Arc<KafkaAdmin>,
        remembered: Remembered,
    ) -> Watched {
        let slots = self.store.slots();
        let slot = slots.iter().find(|slot| slot.cluster() == config.name());
        let slot = Arc::clone(slot.expect("the store was given the names of all clusters"));
        let poller = Poller::new(
            config.poll.clone(),
            Arc::clone(&admin) as Arc<_>,
            slot,
            self.own.cluster(config.name()),
        )
        .remembering(remembered);
        let (connection, own) = (config.connection.clone(), self.own.clone());
        let name = config.name().cloned();
        let poller = poller.following(LogSource::new(move || {
            let requests = own.cluster(name.as_ref());
            let reader = LogReader::start(&connection, OFFSETS_TOPIC, requests)?;
            Ok(Box::new(reader))
        }));
        let mut poller = poller.reporting_to(self.events.writer(config.name().cloned()));
        if let Sharding::Group(group) = &config.sharding {
            let (connection, group) = (config.connection.clone(), group.clone());
            poller = poller.sharing(ShardSource::new(move || {
                let member = GroupShardMember::join(&connection, group.clone(), OFFSETS_TOPIC)?;
                Ok(Box::new(member))
            }));
        }
        let stop = self.stage.token();
        let (end, ended) = oneshot::channel();
        let until = stop.clone();
        self.stage.spawn(async move {
            // Nobody listens when the process ends.
            let _ = end.send(poller.run(until).await);
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

/// Closes the clients that nobody else holds, all at once, and waits for their end, but not for brokers that are away.
async fn close(admins: impl IntoIterator<Item = Arc<KafkaAdmin>>) {
    let admins = admins.into_iter().filter_map(Arc::into_inner);
    join_all(admins.map(|admin| admin.close(CLOSE_LIMIT))).await;
}

fn described(cluster: Option<&ClusterName>) -> String {
    cluster.map_or_else(
        || "the cluster".to_owned(),
        |name| format!("cluster `{name}`"),
    )
}
