//! The poller on a real Kafka of three nodes: which groups there are, and when one is gone.

use std::sync::Arc;
use std::time::Duration;

use lagwatch::collect::{PollConfig, Poller};
use lagwatch::kafka::{Connection, KafkaAdmin};
use lagwatch::lag::Lag;
use lagwatch::metrics::OwnMetrics;
use lagwatch::snapshot::{
    ClusterSnapshot, CycleOutcome, GroupRow, GroupState, GroupType, Reading, SnapshotSlot,
    SnapshotStore,
};

use crate::support::{Kafka, Protocol};

const TOPIC: &str = "orders";
const RECORDS: usize = 10;
const COMMITTED: i64 = 4;
const LAG: u64 = 6;
/// Kafka itself takes seconds to elect and to delete; a loaded machine takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// A poller whose cycles the test starts.
struct Watch {
    runtime: tokio::runtime::Runtime,
    poller: Poller,
    slot: Arc<SnapshotSlot>,
}

impl Watch {
    fn new(kafka: &Kafka) -> Self {
        let connection = Connection::plain(kafka.bootstrap_servers().split(','));
        let metrics = OwnMetrics::new("test").cluster(None);
        let admin = KafkaAdmin::connect(&connection, ()).expect("the connection is valid");
        let slot = Arc::clone(&SnapshotStore::new([None]).slots()[0]);
        let config = PollConfig {
            // No figure becomes stale: a group that is missing was dropped.
            stale_after: Duration::from_secs(600),
            ..PollConfig::default()
        };
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime needs nothing"),
            poller: Poller::new(config, Arc::new(admin), Arc::clone(&slot), metrics),
            slot,
        }
    }

    fn poll(&mut self) -> Arc<ClusterSnapshot> {
        self.runtime.block_on(self.poller.poll_once());
        self.slot.load().expect("every cycle publishes")
    }

    /// Polls until `holds`, checking every snapshot on the way.
    fn poll_until(
        &mut self,
        what: &str,
        check: impl Fn(&ClusterSnapshot),
        holds: impl Fn(&ClusterSnapshot) -> bool,
    ) {
        let deadline = std::time::Instant::now() + LIMIT;
        loop {
            let snapshot = self.poll();
            check(&snapshot);
            if holds(&snapshot) {
                return;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "no sign of {what} within {LIMIT:?}"
            );
        }
    }
}

fn group<'a>(snapshot: &'a ClusterSnapshot, id: &str) -> Option<&'a GroupRow> {
    let mut rows = snapshot.groups.iter();
    rows.find(|row| row.id.as_str() == id).map(AsRef::as_ref)
}

fn lags(snapshot: &ClusterSnapshot, id: &str) -> Vec<(String, Option<u64>)> {
    let rows = group(snapshot, id).into_iter();
    rows.flat_map(|row| row.partitions.iter())
        .map(|row| {
            let lag = row.reading.as_ref().map(Reading::lag);
            let records = lag.and_then(|lag| lag.records(snapshot.uncommitted));
            (row.id.to_string(), records)
        })
        .collect()
}

fn state(snapshot: &ClusterSnapshot, id: &str) -> Option<(GroupState, GroupType, usize)> {
    let membership = group(snapshot, id)?.membership.as_ref()?;
    Some((
        membership.state,
        membership.group_type,
        membership.members.len(),
    ))
}

fn known(partition: i32) -> (String, Option<u64>) {
    (format!("{TOPIC}-{partition}"), Some(LAG))
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn every_kind_of_group_is_polled_and_only_deletion_takes_one_away() {
    let kafka = Kafka::builder().nodes(3).start();
    kafka.create_topic(TOPIC, 3);
    kafka.create_topic("payments", 1);
    for partition in 0..3 {
        kafka.produce(TOPIC, partition, RECORDS);
    }
    kafka.produce("payments", 0, RECORDS);
    let odd = "a \"b\" c:d gr\u{fc}n \u{1f4e6}";
    for id in ["simple", odd] {
        kafka.commit_for(id, TOPIC, 0, COMMITTED);
    }
    kafka.commit_for("simple", "payments", 0, COMMITTED);
    let classic = kafka.member("classic").subscribe(&[TOPIC]).open();
    classic.wait_for_partitions(3);
    classic.commit(TOPIC, 1, COMMITTED);
    let modern = kafka.member("modern").protocol(Protocol::Consumer);
    let modern = modern.subscribe(&[TOPIC]).open();
    modern.wait_for_partitions(3);
    modern.commit(TOPIC, 2, COMMITTED);

    let mut watch = Watch::new(&kafka);
    let snapshot = watch.poll();
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    let ids: Vec<&str> = snapshot.groups.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, [odd, "classic", "modern", "simple"]);
    assert_eq!(lags(&snapshot, odd), [known(0)]);
    let waiting = |partition| (format!("{TOPIC}-{partition}"), None);
    assert_eq!(
        lags(&snapshot, "classic"),
        [waiting(0), known(1), waiting(2)]
    );
    assert_eq!(
        lags(&snapshot, "modern"),
        [waiting(0), waiting(1), known(2)]
    );
    let of = |id| state(&snapshot, id);
    assert_eq!(
        of("classic"),
        Some((GroupState::Stable, GroupType::Classic, 1))
    );
    assert_eq!(
        of("modern"),
        Some((GroupState::Stable, GroupType::Consumer, 1))
    );
    assert_eq!(
        of("simple").map(|(state, _, members)| (state, members)),
        Some((GroupState::Empty, 0))
    );

    // While its coordinator moves, nobody lists the group: it stays, with figures that are true.
    let stays = |snapshot: &ClusterSnapshot| {
        assert_eq!(lags(snapshot, odd), [known(0)]);
    };
    for _ in 0..3 {
        let next = kafka.coordinator(odd) % 3 + 1;
        kafka.move_coordinator(odd, next);
        watch.poll_until("the new coordinator", stays, |snapshot| {
            let row = group(snapshot, odd).expect("it stays");
            let membership = row.membership.as_ref();
            let coordinator = membership.and_then(|membership| membership.coordinator);
            coordinator.is_some_and(|broker| broker.0 == next)
                && snapshot.outcome == CycleOutcome::Complete
        });
    }

    kafka.delete_group(odd);
    let snapshot = watch.poll();
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    assert!(group(&snapshot, odd).is_none(), "one whole cycle is enough");
    kafka.delete_topic("payments");
    watch.poll_until(
        "the topic's end",
        |_| {},
        |snapshot| {
            snapshot
                .topics
                .iter()
                .all(|row| row.name.as_str() != "payments")
        },
    );
    let snapshot = watch.poll();
    assert_eq!(lags(&snapshot, "simple"), [known(0)]);
    let is_known = |row: &&Arc<GroupRow>| {
        let is_unavailable = |lag| matches!(lag, Lag::Unavailable(_));
        !row.partitions
            .iter()
            .any(|row| is_unavailable(row.latest()))
    };
    assert_eq!(snapshot.groups.iter().filter(is_known).count(), 3);
    classic.close();
    modern.close();
}
