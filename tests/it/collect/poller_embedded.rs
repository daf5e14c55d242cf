//! The poller on an embedded cluster: what a cycle costs, and what faults do to the figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lagwatch::collect::{PollConfig, Poller};
use lagwatch::kafka::{Api, EmbeddedCluster, ErrorCode, KafkaAdmin};
use lagwatch::lag::{BrokerId, Committed, GroupId, Lag, TopicName, TopicPartition, Unavailable};
use lagwatch::metrics::OwnMetrics;
use lagwatch::snapshot::{
    ClusterSnapshot, CycleOutcome, GroupRow, PartitionRow, SnapshotSlot, SnapshotStore,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

/// Far beyond what anything on loopback takes: only what hangs gets there.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The records in every partition, and how many of them each group has left.
const RECORDS: i64 = 5;
const BEHIND: u64 = 3;

/// An embedded cluster, and a poller that watches some topics and groups of it by name.
struct Fixture {
    cluster: EmbeddedCluster,
    config: PollConfig,
}

/// A poller and where it publishes.
struct Watch {
    poller: Poller,
    slot: Arc<SnapshotSlot>,
    own: OwnMetrics,
}

impl Fixture {
    fn start(brokers: i32) -> Self {
        Self {
            cluster: EmbeddedCluster::start(brokers).expect("loopback has free ports"),
            config: PollConfig {
                poll_interval: Duration::from_millis(100),
                request_timeout: Duration::from_secs(5),
                // Nothing becomes stale in these tests: what is absent was never known.
                stale_after: Duration::from_secs(600),
                ..PollConfig::default()
            },
        }
    }

    /// Returns three brokers, a topic `orders` with a partition led by each, and a group coordinated by each:
    /// `g1`, `g2` and `g3`, all [`BEHIND`] on every partition.
    fn orders() -> Self {
        let mut fixture = Self::start(3);
        fixture.create_topic("orders", 3);
        for broker in 1..=3 {
            fixture.lead("orders", broker - 1, broker);
        }
        fixture.produce("orders", 3);
        for broker in 1..=3 {
            let group = GroupId::from(format!("g{broker}"));
            let moved = fixture.cluster.set_coordinator(&group, BrokerId(broker));
            moved.expect("the broker exists");
            fixture.commit(&group, "orders", 3);
            fixture.config.group_names.push(group);
        }
        fixture
    }

    fn create_topic(&mut self, name: &str, partitions: i32) {
        let created = self.cluster.create_topic(name, partitions, 1);
        created.expect("the name is new");
        self.config.topic_names.push(TopicName::from(name));
    }

    fn lead(&self, topic: &str, partition: i32, broker: i32) {
        let partition = TopicPartition::new(topic, partition);
        let led = self.cluster.set_leader(&partition, Some(BrokerId(broker)));
        led.expect("partition and broker exist");
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        config
    }

    /// Writes [`RECORDS`] records to each partition.
    fn produce(&self, topic: &str, partitions: i32) {
        let producer: BaseProducer = self.client().create().expect("the properties are valid");
        for number in 0..RECORDS * i64::from(partitions) {
            let partition = i32::try_from(number).expect("small") % partitions;
            let record = BaseRecord::<(), str>::to(topic).partition(partition);
            let sent = producer.send(record.payload("x"));
            sent.expect("the queue is empty enough");
        }
        producer.flush(TIMEOUT).expect("the cluster takes records");
    }

    /// Commits for the group so that it is [`BEHIND`] on each partition.
    fn commit(&self, group: &GroupId, topic: &str, partitions: i32) {
        let mut config = self.client();
        config.set("group.id", group.as_str());
        let consumer: BaseConsumer = config.create().expect("the properties are valid");
        let mut list = TopicPartitionList::new();
        let at = Offset::Offset(RECORDS - i64::try_from(BEHIND).expect("small"));
        for partition in 0..partitions {
            let added = list.add_partition_offset(topic, partition, at);
            added.expect("the offset is valid");
        }
        let committed = consumer.commit(&list, CommitMode::Sync);
        committed.expect("the cluster takes commits");
    }

    fn watch(&self) -> Watch {
        let own = OwnMetrics::new("test");
        let metrics = own.cluster(None);
        let admin = KafkaAdmin::connect(&self.cluster.connection(), metrics.clone());
        let admin = Arc::new(admin.expect("the connection is valid"));
        let slot = Arc::clone(&SnapshotStore::new([None]).slots()[0]);
        let poller = Poller::new(self.config.clone(), admin, Arc::clone(&slot), metrics);
        Watch { poller, slot, own }
    }

    fn down(&self, broker: i32) {
        let down = self.cluster.set_broker_down(BrokerId(broker));
        down.expect("the broker exists");
    }

    fn up(&self, broker: i32) {
        let up = self.cluster.set_broker_up(BrokerId(broker));
        up.expect("the broker exists");
    }

    fn requests(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for request in self.cluster.requests() {
            *counts.entry(request.api.name()).or_default() += 1;
        }
        counts
    }
}

impl Watch {
    async fn poll(&mut self) -> Arc<ClusterSnapshot> {
        self.poller.poll_once().await;
        let snapshot = self.slot.load().expect("every cycle publishes");
        assert_true(&snapshot);
        snapshot
    }

    /// Polls until the cluster is read in full; the figures on the way are checked, too.
    async fn poll_until_complete(&mut self) -> Arc<ClusterSnapshot> {
        let complete = async {
            loop {
                let snapshot = self.poll().await;
                if snapshot.outcome == CycleOutcome::Complete {
                    return snapshot;
                }
            }
        };
        let complete = tokio::time::timeout(TIMEOUT, complete).await;
        complete.expect("the cluster can be read in full")
    }
}

/// Panics unless each figure that is shown is the true one: failures may hide it, never change it.
fn assert_true(snapshot: &ClusterSnapshot) {
    for group in &snapshot.groups {
        for row in group.partitions.iter() {
            let Some(reading) = &row.reading else {
                continue;
            };
            let records = reading.lag().records(snapshot.uncommitted);
            assert_eq!(records, Some(BEHIND), "{} of {}", row.id, group.id);
            assert_ne!(reading.committed, Committed::Never);
        }
    }
}

fn rows(snapshot: &ClusterSnapshot) -> impl Iterator<Item = (&GroupRow, &PartitionRow)> {
    let groups = snapshot.groups.iter().map(AsRef::as_ref);
    groups.flat_map(|group| group.partitions.iter().map(move |row| (group, row)))
}

fn is_fresh(row: &PartitionRow) -> bool {
    matches!(row.latest(), Lag::Known(_))
}

/// Panics unless every partition of every group has a figure, and exactly the expected ones have one of this cycle.
fn assert_fresh(snapshot: &ClusterSnapshot, expected: impl Fn(&str, i32) -> bool) {
    assert_eq!(rows(snapshot).count(), 9, "three groups, three partitions");
    for (group, row) in rows(snapshot) {
        assert!(row.reading.is_some(), "{} of {}", row.id, group.id);
        let expected = expected(group.id.as_str(), row.id.partition.0);
        assert_eq!(is_fresh(row), expected, "{} of {}", row.id, group.id);
    }
}

#[tokio::test]
async fn a_cycle_costs_one_request_a_group_and_a_few_a_broker() {
    const GROUPS: usize = 200;
    let mut fixture = Fixture::start(3);
    for number in 0..30 {
        fixture.create_topic(&format!("t{number}"), 100);
    }
    let config = &mut fixture.config;
    config.request_timeout = TIMEOUT;
    config.topic_names.clear();
    config.group_names = (0..GROUPS).map(|n| format!("g{n}").into()).collect();
    let mut watch = fixture.watch();
    // The first cycle also finds out who coordinates whom.
    watch.poll_until_complete().await;
    fixture.cluster.start_tracking();
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    let partitions = snapshot.topics.iter().flat_map(|row| &row.partitions);
    assert_eq!(partitions.filter(|row| row.marks.is_some()).count(), 3_000);
    let expected = BTreeMap::from([
        ("Metadata", 1),
        ("OffsetFetch", GROUPS),
        // Log starts and log ends, of three brokers.
        ("ListOffsets", 6),
    ]);
    assert_eq!(fixture.requests(), expected);
}

#[tokio::test]
async fn lag_costs_no_request() {
    let fixture = Fixture::orders();
    let mut watch = fixture.watch();
    watch.poll_until_complete().await;
    fixture.cluster.start_tracking();
    assert_fresh(&*watch.poll().await, |_, _| true);
    let expected = BTreeMap::from([("Metadata", 1), ("OffsetFetch", 3), ("ListOffsets", 6)]);
    assert_eq!(fixture.requests(), expected);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_yet_shows_nothing_and_then_everything() {
    let fixture = Fixture::orders();
    for broker in 1..=3 {
        fixture.down(broker);
    }
    let mut watch = fixture.watch();
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Failed);
    assert_eq!(snapshot.last_up, None);
    assert!(snapshot.groups.is_empty() && snapshot.topics.is_empty());
    for broker in 1..=3 {
        fixture.up(broker);
    }
    let snapshot = watch.poll_until_complete().await;
    assert_fresh(&snapshot, |_, _| true);
}

#[tokio::test]
async fn a_broker_that_is_down_costs_only_the_partitions_it_leads() {
    let fixture = Fixture::orders();
    let mut watch = fixture.watch();
    assert_fresh(&*watch.poll_until_complete().await, |_, _| true);
    fixture.down(2);
    let snapshot = watch.poll().await;
    // The metadata no longer name it, and every broker they do name answers.
    assert_eq!(snapshot.outcome, CycleOutcome::Partial);
    assert_fresh(&snapshot, |_, partition| partition != 1);
    let leaderless = rows(&snapshot).filter(|(_, row)| row.id.partition.0 == 1);
    for (_, row) in leaderless {
        assert_eq!(row.latest(), Lag::Unavailable(Unavailable::NoLeader));
    }
    fixture.up(2);
    let snapshot = watch.poll().await;
    assert_eq!(
        snapshot.outcome,
        CycleOutcome::Complete,
        "one cycle is enough"
    );
    assert_fresh(&snapshot, |_, _| true);
}

#[tokio::test]
async fn a_coordinator_that_moves_is_followed_within_the_cycle() {
    let fixture = Fixture::orders();
    let mut watch = fixture.watch();
    watch.poll_until_complete().await;
    for group in &fixture.config.group_names {
        let moved = fixture.cluster.set_coordinator(group, BrokerId(3));
        moved.expect("the broker exists");
    }
    // The embedded brokers answer for each other's groups; this is what a broker that gave them away says.
    // Two at most for one group, so that the third broker is one that knows it.
    let moved = [ErrorCode::NOT_COORDINATOR; 2];
    fixture
        .cluster
        .push_request_errors(Api::OFFSET_FETCH, &moved);
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_fresh(&snapshot, |_, _| true);
}

#[tokio::test]
async fn a_broker_that_does_not_answer_in_time_costs_only_the_partitions_it_leads() {
    let mut fixture = Fixture::orders();
    fixture.config.request_timeout = Duration::from_secs(2);
    let mut watch = fixture.watch();
    watch.poll_until_complete().await;
    // It is up and accepts connections, so that its partitions keep it as their leader.
    let slowed = fixture.cluster.set_round_trip(BrokerId(2), TIMEOUT);
    slowed.expect("the broker exists");
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Degraded);
    assert_fresh(&snapshot, |_, partition| partition != 1);
    let errors = watch.own.cluster(None).errors("list_offsets", "_TIMED_OUT");
    assert_eq!(errors.get(), 2, "log starts and log ends");
}

#[tokio::test]
async fn an_error_on_one_group_leaves_the_others_fresh() {
    let fixture = Fixture::orders();
    let mut watch = fixture.watch();
    watch.poll_until_complete().await;
    let refused = ErrorCode::GROUP_AUTHORIZATION_FAILED;
    fixture
        .cluster
        .push_request_errors(Api::OFFSET_FETCH, &[refused]);
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Partial);
    let broken: Vec<_> = snapshot
        .groups
        .iter()
        .filter(|row| !row.failures.is_empty())
        .map(|row| (row.id.to_string(), row.failures[0].error))
        .collect();
    let [(broken, error)] = broken.as_slice() else {
        panic!("one group was refused: {broken:?}");
    };
    assert_eq!(*error, "GROUP_AUTHORIZATION_FAILED");
    assert_fresh(&snapshot, |group, _| group != broken);
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert_fresh(&snapshot, |_, _| true);
}

#[tokio::test]
async fn a_group_without_commits_is_seen_waiting_and_an_unknown_topic_spoils_nothing() {
    let mut fixture = Fixture::orders();
    fixture.config.group_names.push("newcomer".into());
    fixture.config.topic_names.push("not-yet".into());
    let mut watch = fixture.watch();
    let outcome = watch.poller.poll_once().await;
    assert_eq!(outcome, CycleOutcome::Complete);
    let snapshot = watch.slot.load().expect("every cycle publishes");
    let newcomer = rows(&snapshot).filter(|(group, _)| group.id.as_str() == "newcomer");
    let backlogs: Vec<Lag> = newcomer.map(|(_, row)| row.latest()).collect();
    let backlog = u64::try_from(RECORDS).ok();
    assert_eq!(backlogs, [Lag::NoCommit { backlog }; 3]);
    assert_eq!(snapshot.topics.len(), 1);
}

#[tokio::test]
async fn a_running_poller_shows_the_truth_or_nothing_through_every_fault() {
    let mut fixture = Fixture::orders();
    fixture.config.request_timeout = Duration::from_secs(1);
    let Watch { poller, slot, own } = fixture.watch();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(poller.run(shutdown.clone()));
    let reach = async |outcomes: &[CycleOutcome]| {
        let reached = async {
            loop {
                if let Some(snapshot) = slot.load() {
                    assert_true(&snapshot);
                    if outcomes.contains(&snapshot.outcome) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(TIMEOUT, reached).await;
        reached.unwrap_or_else(|_| panic!("none of {outcomes:?} within {TIMEOUT:?}"));
    };
    reach(&[CycleOutcome::Complete]).await;
    for broker in 1..=3 {
        fixture.down(broker);
        reach(&[CycleOutcome::Partial, CycleOutcome::Degraded]).await;
        fixture.up(broker);
        reach(&[CycleOutcome::Complete]).await;
    }
    for broker in 1..=3 {
        fixture.down(broker);
    }
    reach(&[CycleOutcome::Failed]).await;
    for broker in 1..=3 {
        fixture.up(broker);
    }
    reach(&[CycleOutcome::Complete]).await;
    shutdown.cancel();
    running.await.expect("the poller ends");
    let failed = own.cluster(None).polls(CycleOutcome::Failed.as_str());
    assert!(failed.get() > 0);
}
