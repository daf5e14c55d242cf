//! The poller against a scripted cluster, in paused time: one file a subject.

mod cycle;
mod deletion;
mod failing;
mod fake;
mod judging;
mod logs;
mod properties;
mod renewal;
mod running;
mod sharing;
mod standing;
mod taking_over;
mod world;

use std::sync::Arc;
use std::time::Duration;

use self::fake::FakeCluster;
use self::world::World;
use super::{PollConfig, Poller};
use crate::lag::{Committed, Lag, TopicPartition};
use crate::metrics::{ClusterMetrics, OwnMetrics};
use crate::snapshot::{
    ClusterSnapshot, CycleOutcome, GroupRow, PartitionRow, Reading, SnapshotSlot, SnapshotStore,
};

/// A poller of a scripted cluster, and where it publishes and counts.
struct Watch {
    cluster: Arc<FakeCluster>,
    slot: Arc<SnapshotSlot>,
    metrics: ClusterMetrics,
    poller: Poller,
}

impl Watch {
    fn new(config: PollConfig, fill: impl FnOnce(&mut World)) -> Self {
        let cluster = Arc::new(FakeCluster::new());
        fill(&mut cluster.world());
        let slot = Arc::clone(&SnapshotStore::new([config.cluster.clone()]).slots()[0]);
        let metrics = OwnMetrics::new("test").cluster(config.cluster.as_ref());
        let poller = Poller::new(
            config,
            Arc::clone(&cluster) as Arc<dyn crate::kafka::Admin>,
            Arc::clone(&slot),
            metrics.clone(),
        );
        Self {
            cluster,
            slot,
            metrics,
            poller,
        }
    }

    /// Runs one cycle and returns what it published.
    async fn poll(&mut self) -> Arc<ClusterSnapshot> {
        let outcome = self.poller.poll_once().await;
        let snapshot = self.snapshot();
        assert_eq!(snapshot.outcome, outcome, "the outcome is the snapshot's");
        snapshot
    }

    fn snapshot(&self) -> Arc<ClusterSnapshot> {
        self.slot.load().expect("every cycle publishes")
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.cluster.world()
    }

    fn polls(&self, outcome: CycleOutcome) -> u64 {
        self.metrics.polls(outcome.as_str()).get()
    }
}

/// Passes half a default poll interval, a sixth of the default `stale_after`.
async fn wait() {
    tokio::time::advance(Duration::from_secs(5)).await;
}

/// Returns a topic `orders` of three partitions, each ending at 100, and a group `billing` that is 10, 20 and 30 behind.
fn orders(world: &mut World) {
    world.topic("orders", 3, 100);
    let commits = [("orders", 0, 90), ("orders", 1, 80), ("orders", 2, 70)];
    world.group("billing", 1, &commits);
}

fn group<'a>(snapshot: &'a ClusterSnapshot, id: &str) -> Option<&'a GroupRow> {
    let mut rows = snapshot.groups.iter();
    rows.find(|row| row.id.as_str() == id).map(AsRef::as_ref)
}

fn partition<'a>(
    snapshot: &'a ClusterSnapshot,
    id: &str,
    topic: &str,
    number: i32,
) -> Option<&'a PartitionRow> {
    let id_of = TopicPartition::new(topic, number);
    let mut rows = group(snapshot, id)?.partitions.iter();
    rows.find(|row| row.id == id_of)
}

fn reading(snapshot: &ClusterSnapshot, id: &str, topic: &str, number: i32) -> Option<Reading> {
    partition(snapshot, id, topic, number)?.reading.clone()
}

/// Returns the lag that is shown; nothing where there is no figure.
fn lag(snapshot: &ClusterSnapshot, id: &str, topic: &str, number: i32) -> Option<u64> {
    reading(snapshot, id, topic, number)?
        .lag()
        .records(snapshot.uncommitted)
}

fn latest(snapshot: &ClusterSnapshot, id: &str, topic: &str, number: i32) -> Option<Lag> {
    partition(snapshot, id, topic, number).map(PartitionRow::latest)
}

/// Returns the lags of `orders` that are shown for `billing`.
fn billing(snapshot: &ClusterSnapshot) -> [Option<u64>; 3] {
    [0, 1, 2].map(|number| lag(snapshot, "billing", "orders", number))
}

fn ids(snapshot: &ClusterSnapshot) -> Vec<&str> {
    snapshot.groups.iter().map(|row| row.id.as_str()).collect()
}

/// Returns the partitions of a group and whether each has a commit; nothing for one that cannot be told.
fn commits(snapshot: &ClusterSnapshot, id: &str) -> Vec<(String, Option<bool>)> {
    let rows = group(snapshot, id).into_iter();
    let rows = rows.flat_map(|row| row.partitions.iter());
    let commit = |row: &PartitionRow| {
        let is_committed = row
            .reading
            .as_ref()
            .map(|reading| reading.committed != Committed::Never);
        (row.id.to_string(), is_committed)
    };
    rows.map(commit).collect()
}
