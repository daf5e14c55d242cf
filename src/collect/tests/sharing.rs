//! Sharing a cluster: what a replica collects as Kafka gives it partitions, and takes them away.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::collect::{OFFSETS_TOPIC, ShardSource};
use crate::kafka::{ErrorCode, KafkaError, ShardEvent, ShardMember};
use crate::lag::{PartitionId, Share, TopicName, partition_of};

const SHARES: usize = 8;
const GROUPS: usize = 40;

/// A replica whose partitions the test gives and takes.
struct Replica {
    events: mpsc::UnboundedSender<ShardEvent>,
    joined: Arc<AtomicUsize>,
    left: Arc<AtomicBool>,
    slot: Arc<SnapshotSlot>,
    metrics: ClusterMetrics,
    shutdown: CancellationToken,
    task: JoinHandle<crate::collect::Memory>,
}

struct Member {
    events: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<ShardEvent>>>,
    left: Arc<AtomicBool>,
}

/// Tells what is shown at the moment when it lets go.
#[derive(Debug)]
struct Witness {
    slot: Arc<SnapshotSlot>,
    seen: Arc<Mutex<Option<Vec<String>>>>,
}

#[async_trait]
impl ShardMember for Member {
    async fn next(&mut self) -> Option<ShardEvent> {
        match self.events.lock().await.recv().await? {
            ShardEvent::Trouble(error) if error.code == ErrorCode::DESTROY => None,
            event => Some(event),
        }
    }

    async fn close(self: Box<Self>, _: Duration) {
        self.left.store(true, Ordering::SeqCst);
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let snapshot = self.slot.load().expect("there was one");
        let shown = ids(&snapshot).into_iter().map(str::to_owned).collect();
        *self.seen.lock().expect("nobody panics") = Some(shown);
    }
}

fn fill(world: &mut World) {
    world.topic("orders", 3, 100);
    world.topic("payments", 1, 100);
    world.topic(OFFSETS_TOPIC, SHARES, 0);
    for number in 0..GROUPS {
        let commits = [("orders", 0, 90), ("payments", 0, 90)];
        world.group(&format!("group-{number}"), 1, &commits);
    }
}

fn replica() -> Replica {
    let config = PollConfig {
        topics: crate::collect::Filter::new(&[], &["^__"]).expect("valid patterns"),
        ..PollConfig::default()
    };
    let Watch {
        slot,
        metrics,
        poller,
        ..
    } = Watch::new(config, fill);
    let (events, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
    let (joined, left) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let (count, leaving) = (Arc::clone(&joined), Arc::clone(&left));
    let poller = poller.sharing(ShardSource::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Member {
            events: Arc::clone(&receiver),
            left: Arc::clone(&leaving),
        }))
    }));
    let shutdown = CancellationToken::new();
    Replica {
        events,
        joined,
        left,
        slot,
        metrics,
        task: tokio::spawn(poller.run(shutdown.clone())),
        shutdown,
    }
}

fn partitions(numbers: impl IntoIterator<Item = i32>) -> Vec<PartitionId> {
    numbers.into_iter().map(PartitionId).collect()
}

/// Returns the groups that lie in these partitions.
fn groups_in(numbers: &[i32]) -> BTreeSet<String> {
    let owned: BTreeSet<PartitionId> = partitions(numbers.iter().copied()).into_iter().collect();
    let names = (0..GROUPS).map(|number| format!("group-{number}"));
    names
        .filter(|name| owned.contains(&partition_of(name, SHARES)))
        .collect()
}

impl Replica {
    fn send(&self, event: ShardEvent) {
        self.events.send(event).expect("the poller runs");
    }

    fn shown(&self) -> Option<BTreeSet<String>> {
        let snapshot = self.slot.load()?;
        Some(ids(&snapshot).into_iter().map(str::to_owned).collect())
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("the task ends");
    }
}

async fn a_moment() {
    sleep(Duration::from_millis(500)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_collected_before_partitions_are_given() {
    let replica = replica();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(replica.shown(), None);
    replica.send(ShardEvent::Given(partitions([0, 3])));
    a_moment().await;
    let shown = replica.shown().expect("a cycle at once");
    assert_eq!(shown, groups_in(&[0, 3]));
    assert!(!shown.is_empty() && shown.len() < GROUPS);
    let snapshot = replica.slot.load().expect("a snapshot");
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_eq!(snapshot.shard_partitions, Some(2));
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_is_shown_no_more_when_the_others_may_have_it() {
    let replica = replica();
    replica.send(ShardEvent::Given(partitions(0..4)));
    a_moment().await;
    assert_eq!(replica.shown(), Some(groups_in(&[0, 1, 2, 3])));
    let seen = Arc::<Mutex<Option<Vec<String>>>>::default();
    replica.send(ShardEvent::Taken {
        partitions: partitions([1, 2]),
        hold: Box::new(Witness {
            slot: Arc::clone(&replica.slot),
            seen: Arc::clone(&seen),
        }),
    });
    a_moment().await;
    let seen = seen.lock().expect("nobody panics").clone();
    let seen: BTreeSet<String> = seen.expect("it was let go").into_iter().collect();
    assert_eq!(seen, groups_in(&[0, 3]));
    assert_eq!(replica.shown(), Some(groups_in(&[0, 3])));
    replica.send(ShardEvent::Given(partitions([2])));
    a_moment().await;
    assert_eq!(replica.shown(), Some(groups_in(&[0, 2, 3])));
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_has_series_with_the_replica_that_its_name_falls_to() {
    let replica = replica();
    let orders = partition_of("orders", SHARES);
    assert_ne!(orders, partition_of("payments", SHARES), "of two shares");
    replica.send(ShardEvent::Given(vec![orders]));
    a_moment().await;
    let snapshot = replica.slot.load().expect("a snapshot");
    let shown: Vec<&TopicName> = snapshot.topics_shown().map(|row| &row.name).collect();
    assert_eq!(shown, [&TopicName::from("orders")]);
    // The lag of its groups on the other one is known all the same.
    for row in &snapshot.groups {
        assert_eq!(lag(&snapshot, row.id.as_str(), "payments", 0), Some(10));
    }
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn trouble_is_counted_and_takes_nothing_away() {
    let replica = replica();
    replica.send(ShardEvent::Given(partitions([5])));
    for _ in 0..3 {
        let error = KafkaError::of(ErrorCode::GROUP_AUTHORIZATION_FAILED);
        replica.send(ShardEvent::Trouble(error));
    }
    a_moment().await;
    assert_eq!(replica.shown(), Some(groups_in(&[5])));
    let errors = replica
        .metrics
        .errors("join_shard_group", "GROUP_AUTHORIZATION_FAILED");
    assert_eq!(errors.get(), 3);
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_lost_shows_nothing_and_joins_again() {
    let replica = replica();
    replica.send(ShardEvent::Given(partitions([5])));
    a_moment().await;
    replica.send(ShardEvent::Trouble(KafkaError::of(ErrorCode::DESTROY)));
    a_moment().await;
    assert_eq!(replica.shown(), Some(BTreeSet::new()));
    replica.send(ShardEvent::Given(partitions([6])));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(replica.joined.load(Ordering::SeqCst), 2);
    assert_eq!(replica.shown(), Some(groups_in(&[6])));
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_cut_off_is_not_ready_until_it_has_a_place_again() {
    let replica = replica();
    replica.send(ShardEvent::Given(partitions([5])));
    a_moment().await;
    replica.send(ShardEvent::CutOff);
    for _ in 0..2 {
        a_moment().await;
        let snapshot = replica.slot.load().expect("a snapshot");
        assert_eq!(replica.shown(), Some(BTreeSet::new()));
        assert_eq!(snapshot.outcome, CycleOutcome::Degraded);
        sleep(Duration::from_secs(30)).await;
    }
    // The group may have no partition left for it.
    replica.send(ShardEvent::Given(Vec::new()));
    a_moment().await;
    let snapshot = replica.slot.load().expect("a snapshot");
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_ends_shows_nothing_and_leaves_its_group() {
    let replica = replica();
    replica.send(ShardEvent::Given(partitions([5])));
    a_moment().await;
    let (slot, left) = (Arc::clone(&replica.slot), Arc::clone(&replica.left));
    replica.stop().await;
    let snapshot = slot.load().expect("the last one");
    assert!(snapshot.groups.is_empty());
    assert!(left.load(Ordering::SeqCst));
}

#[tokio::test]
async fn replicas_with_numbers_share_out_every_group_once() {
    let mut seen = BTreeSet::new();
    for index in 0..3 {
        let config = PollConfig {
            share: Share::fixed(PartitionId(index), 3),
            ..PollConfig::default()
        };
        let mut watch = Watch::new(config, fill);
        for id in ids(&*watch.poll().await) {
            assert!(seen.insert(id.to_owned()), "{id} is shown twice");
        }
    }
    assert_eq!(seen.len(), GROUPS);
}
