//! The pollers of all clusters: started together, changed one by one on reload.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::CLOSE_LIMIT;
use super::config::{ClusterConfig, Sharding};
use super::stage::Stage;
use crate::collect::{LogSource, Memory, OFFSETS_TOPIC, Poller, ShardSource};
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
    clusters: Vec<RunningPoller>,
}

#[derive(Debug)]
struct RunningPoller {
    config: ClusterConfig,
    admin: Arc<KafkaAdmin>,
    stop: CancellationToken,
    /// What the poller returns when it ends.
    ended: oneshot::Receiver<Memory>,
}

impl Watch {
    /// Polls no cluster yet.
    pub fn new(own: OwnMetrics, store: Arc<SnapshotStore>, events: EventLog) -> Self {
        Self {
            store,
            events,
            own,
            stage: Stage::default(),
            clusters: Vec::new(),
        }
    }

    /// Returns the counters of this process.
    pub fn own(&self) -> &OwnMetrics {
        &self.own
    }

    /// Polls `clusters` from now on.
    ///
    /// Pollers of removed clusters end, those of new clusters start, and those whose settings are unchanged go on. A
    /// cluster whose settings have changed gets a new poller, which starts from the newest snapshot and what was
    /// observed before it.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of one; nothing has changed then.
    pub async fn change(&mut self, clusters: Vec<ClusterConfig>) -> Result<(), ConnectionError> {
        let next = self.connect_changed(&clusters).await?;
        let is_kept = |running: &RunningPoller| clusters.contains(&running.config);
        let (kept, ending): (Vec<_>, Vec<_>) = self.clusters.drain(..).partition(is_kept);
        self.clusters = kept;
        let (mut remembered, mut removed) = (BTreeMap::new(), Vec::new());
        for running in ending {
            let name = running.config.name().cloned();
            let left = self.end(running).await;
            if next
                .iter()
                .any(|(config, _)| config.name() == name.as_ref())
            {
                remembered.insert(name, left);
            } else {
                info!("{} is watched no more", described(name.as_ref()));
                removed.push(name);
            }
        }
        let names = clusters.iter().map(|config| config.name().cloned());
        self.store.set_clusters(names);
        for name in &removed {
            self.own.forget_cluster(name.as_ref());
        }
        for (config, admin) in next {
            let left = remembered.remove(&config.name().cloned());
            let running = self.poll(config, admin, left.unwrap_or_default());
            self.clusters.push(running);
        }
        Ok(())
    }

    /// Returns the clusters that are new or whose settings have changed, each with a client. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties of one; the clients made before are closed.
    async fn connect_changed(
        &self,
        clusters: &[ClusterConfig],
    ) -> Result<Vec<(ClusterConfig, Arc<KafkaAdmin>)>, ConnectionError> {
        let mut changed = Vec::new();
        for config in clusters {
            let mut running = self.clusters.iter();
            if running.any(|running| running.config == *config) {
                continue;
            }
            let same = self.clusters.iter().find(|running| running.is_same(config));
            let admin = match same {
                Some(running) => Arc::clone(&running.admin),
                None => {
                    let requests = self.own.cluster(config.name());
                    match KafkaAdmin::connect(&config.connection, requests) {
                        Ok(admin) => Arc::new(admin),
                        Err(error) => {
                            close(changed.into_iter().map(|(_, admin)| admin)).await;
                            return Err(error);
                        }
                    }
                }
            };
            changed.push((config.clone(), admin));
        }
        Ok(changed)
    }

    /// Stops a poller, starts to close its client and returns what the poller leaves behind.
    async fn end(&mut self, running: RunningPoller) -> Memory {
        let RunningPoller {
            admin, stop, ended, ..
        } = running;
        stop.cancel();
        // Only then may another poller publish to its slot. One that has panicked leaves nothing behind.
        let left = ended.await.unwrap_or_default();
        // Ends by itself in bounded time. A client that another poller takes over is held there too, and stays open.
        self.stage.spawn(async move {
            close([admin]).await;
            Ok(())
        });
        left
    }

    /// Waits until a poller ends that was not stopped, and returns why.
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
        memory: Memory,
    ) -> RunningPoller {
        let slots = self.store.slots();
        let slot = slots.iter().find(|slot| slot.cluster() == config.name());
        let slot = Arc::clone(slot.expect("the store was given the names of all clusters"));
        let poller = Poller::new(
            config.poll.clone(),
            Arc::clone(&admin) as Arc<_>,
            slot,
            self.own.cluster(config.name()),
        )
        .remembering(memory);
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
        RunningPoller {
            config,
            admin,
            stop,
            ended,
        }
    }
}

impl RunningPoller {
    /// Returns whether `other` is the same cluster, reached in the same way.
    fn is_same(&self, other: &ClusterConfig) -> bool {
        self.config.name() == other.name() && self.config.connection == other.connection
    }
}

/// Closes the clients that nobody else holds, all at once, and waits for their end, but not for unreachable brokers.
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
