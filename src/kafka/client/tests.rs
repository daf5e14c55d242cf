//! The admin client against an embedded cluster.

use std::collections::BTreeSet;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset as NativeOffset, TopicPartitionList};

use super::*;
use crate::kafka::embedded::{Api, EmbeddedCluster, TrackedRequest};
use crate::lag::Offset;

/// Far beyond what anything on loopback takes: only what hangs gets there.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A deadline that is meant to fire.
const SHORT: Duration = Duration::from_millis(400);

struct Fixture {
    cluster: EmbeddedCluster,
    admin: KafkaAdmin,
}

impl Fixture {
    fn start(brokers: i32) -> Self {
        let cluster = EmbeddedCluster::start(brokers).expect("loopback has free ports");
        let admin =
            KafkaAdmin::connect(&cluster.connection(), ()).expect("the connection is valid");
        Self { cluster, admin }
    }

    fn create_topic(&self, name: &str, partitions: i32) -> Vec<TopicPartition> {
        self.cluster
            .create_topic(name, partitions, 1)
            .expect("the name is new");
        (0..partitions)
            .map(|partition| TopicPartition::new(name, partition))
            .collect()
    }

    /// Gives each partition a leader, in turn, and returns what asks for them.
    fn spread(
        &self,
        partitions: &[TopicPartition],
        brokers: i32,
        spec: OffsetSpec,
    ) -> Vec<OffsetQuery> {
        let leaders = (1..=brokers).cycle().map(BrokerId);
        partitions
            .iter()
            .zip(leaders)
            .map(|(partition, leader)| {
                self.cluster
                    .set_leader(partition, Some(leader))
                    .expect("partition and broker exist");
                OffsetQuery {
                    partition: partition.clone(),
                    leader,
                    spec,
                }
            })
            .collect()
    }

    fn produce(&self, partition: &TopicPartition, records: i64) {
        let config = self.cluster.connection().client_config();
        let producer: BaseProducer = config
            .expect("the connection is valid")
            .create()
            .expect("the configuration is valid");
        for _ in 0..records {
            let record = BaseRecord::<(), str>::to(partition.topic.as_str())
                .partition(partition.partition.0)
                .payload("x");
            producer.send(record).expect("the queue is empty enough");
        }
        producer
            .flush(TIMEOUT)
            .expect("the cluster accepts records");
    }

    fn commit(&self, group: &GroupId, offsets: &[(TopicPartition, i64)]) {
        let mut config = self
            .cluster
            .connection()
            .client_config()
            .expect("it is valid");
        let consumer: BaseConsumer = config
            .set("group.id", group.as_str())
            .create()
            .expect("the configuration is valid");
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(
                partition.topic.as_str(),
                partition.partition.0,
                NativeOffset::Offset(*offset),
            )
            .expect("the offset is valid");
        }
        consumer
            .commit(&list, CommitMode::Sync)
            .expect("the cluster accepts commits");
    }

    async fn know_the_brokers(&self) {
        let metadata = self
            .admin
            .metadata(TopicSelection::Named(&[]), TIMEOUT)
            .await;
        metadata.expect("the brokers are up");
    }

    fn requests(&self, api: Api) -> usize {
        let requests = self.cluster.requests();
        requests.iter().filter(|request| request.api == api).count()
    }
}

fn at(offset: i64) -> Committed {
    Committed::At(Offset::new(offset).expect("not negative"))
}

fn listed(offset: i64) -> Option<Offset> {
    Offset::new(offset)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} never happened");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn committed_offsets_are_those_a_consumer_committed() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 3);
    let group = GroupId::from("billing \"eu\": ü");
    fixture.commit(
        &group,
        &[(partitions[0].clone(), 7), (partitions[2].clone(), 0)],
    );
    fixture.know_the_brokers().await;
    let committed = fixture
        .admin
        .committed_offsets(&group, Some(&partitions), TIMEOUT)
        .await
        .expect("the coordinator answers");
    assert_eq!(
        committed,
        vec![
            (partitions[0].clone(), Ok(at(7))),
            (partitions[1].clone(), Ok(Committed::Never)),
            (partitions[2].clone(), Ok(at(0))),
        ]
    );
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_an_error_at_its_place() {
    let fixture = Fixture::start(1);
    let mut partitions = fixture.create_topic("orders", 1);
    partitions.push(TopicPartition::new("gone", 0));
    let group = GroupId::from("billing");
    fixture.commit(&group, &[(partitions[0].clone(), 7)]);
    let committed = fixture
        .admin
        .committed_offsets(&group, Some(&partitions), TIMEOUT)
        .await
        .expect("the coordinator answers");
    let find = |partition| {
        let found = committed.iter().find(|(found, _)| *found == partition);
        found.expect("every partition is answered").1.clone()
    };
    assert_eq!(find(partitions[0].clone()), Ok(at(7)));
    let error = find(partitions[1].clone()).expect_err("there is no such topic");
    assert_eq!(error.code, ErrorCode::UNKNOWN_TOPIC_OR_PART);
}

#[tokio::test]
async fn log_ends_and_starts_are_those_of_the_leaders() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 6);
    let queries = fixture.spread(&partitions, 3, OffsetSpec::Latest);
    fixture.produce(&partitions[1], 5);
    for (spec, offset) in [(OffsetSpec::Latest, 5), (OffsetSpec::Earliest, 0)] {
        let queries = queries.iter().cloned();
        let queries = queries.map(|query| OffsetQuery { spec, ..query }).collect();
        let offsets = fixture
            .admin
            .list_offsets(queries, Isolation::ReadUncommitted, TIMEOUT)
            .await;
        assert_eq!(offsets.len(), 6);
        for (partition, answer) in offsets {
            let expected = if partition == partitions[1] {
                offset
            } else {
                0
            };
            let answer = answer.expect("every leader answers");
            assert_eq!(answer.offset, listed(expected), "{partition} {spec:?}");
        }
    }
}

#[tokio::test]
async fn a_leader_that_moved_is_found_once_the_metadata_was_read_again() {
    let fixture = Fixture::start(2);
    let partitions = fixture.create_topic("orders", 1);
    let names = [TopicName::from("orders")];
    for (selection, leader) in [
        (TopicSelection::All, BrokerId(2)),
        (TopicSelection::Named(&names), BrokerId(1)),
        (TopicSelection::All, BrokerId(2)),
    ] {
        fixture
            .cluster
            .set_leader(&partitions[0], Some(leader))
            .expect("partition and broker exist");
        let metadata = fixture.admin.metadata(selection, TIMEOUT).await;
        let orders = metadata.expect("the brokers are up").topics["orders"].clone();
        assert_eq!(orders.expect("it exists")[0].leader, Some(leader));
        fixture.cluster.start_tracking();
        fixture.cluster.clear_requests();
        let query = OffsetQuery {
            partition: partitions[0].clone(),
            leader,
            spec: OffsetSpec::Latest,
        };
        let offsets = fixture
            .admin
            .list_offsets(vec![query], Isolation::ReadUncommitted, TIMEOUT)
            .await;
        let offset = offsets[0].1.as_ref().expect("the leader answers").offset;
        assert_eq!(offset, listed(0));
        let mut requests = fixture.cluster.requests();
        requests.retain(|request| request.api == Api::LIST_OFFSETS);
        let asked = TrackedRequest {
            broker: leader,
            api: Api::LIST_OFFSETS,
        };
        assert_eq!(requests, [asked]);
    }
}

#[tokio::test]
async fn metadata_names_brokers_topics_and_leaders() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 2);
    fixture.create_topic("payments", 1);
    fixture
        .cluster
        .set_leader(&partitions[0], Some(BrokerId(2)))
        .expect("it exists");
    fixture
        .cluster
        .set_leader(&partitions[1], None)
        .expect("it exists");
    let names = [TopicName::from("orders"), TopicName::from("gone")];
    for selection in [TopicSelection::All, TopicSelection::Named(&names)] {
        let metadata = fixture
            .admin
            .metadata(selection, TIMEOUT)
            .await
            .expect("the brokers are up");
        let ids: Vec<_> = metadata.brokers.iter().map(|broker| broker.id.0).collect();
        assert_eq!(ids, [1, 2, 3], "{selection:?}");
        assert!(
            metadata
                .brokers
                .iter()
                .all(|broker| broker.host == "127.0.0.1" && broker.port > 0)
        );
        let orders = metadata.topics["orders"].as_ref().expect("it exists");
        let leaders: Vec<_> = orders.iter().map(|partition| partition.leader).collect();
        assert_eq!(leaders, [Some(BrokerId(2)), None], "{selection:?}");
        assert!(orders.iter().all(|partition| partition.replicas.len() == 1));
        match selection {
            TopicSelection::All => assert!(metadata.topics.contains_key("payments")),
            TopicSelection::Named(_) => {
                assert!(!metadata.topics.contains_key("payments"));
                let gone = metadata.topics["gone"].as_ref().expect_err("there is none");
                assert_eq!(gone.code, ErrorCode::UNKNOWN_TOPIC_OR_PART);
            }
        }
    }
    // Asking for a topic must not create it.
    let metadata = fixture.admin.metadata(TopicSelection::All, TIMEOUT).await;
    let names: BTreeSet<_> = metadata.expect("as above").topics.into_keys().collect();
    assert_eq!(names, ["orders", "payments"].map(TopicName::from).into());
}

#[tokio::test]
async fn five_hundred_calls_at_once_are_all_answered() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 12);
    fixture.know_the_brokers().await;
    let groups: Vec<_> = (0..500)
        .map(|id| GroupId::from(format!("group-{id}")))
        .collect();
    let answers = join_all(groups.iter().map(|group| {
        fixture
            .admin
            .committed_offsets(group, Some(&partitions), TIMEOUT)
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.expect("the coordinator answers").len(), 12);
    }
    assert_eq!(fixture.admin.client.in_flight(), 0);
}

#[tokio::test]
async fn an_injected_error_touches_one_call_alone() {
    let fixture = Fixture::start(1);
    let partitions = fixture.create_topic("orders", 1);
    fixture.know_the_brokers().await;
    fixture
        .cluster
        .push_request_errors(Api::OFFSET_FETCH, &[ErrorCode::GROUP_AUTHORIZATION_FAILED]);
    let groups: Vec<_> = (0..20)
        .map(|id| GroupId::from(format!("group-{id}")))
        .collect();
    let answers = join_all(groups.iter().map(|group| {
        fixture
            .admin
            .committed_offsets(group, Some(&partitions), TIMEOUT)
    }))
    .await;
    let codes: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Ok(partitions) => partitions.into_iter().find_map(|(_, offset)| offset.err()),
            Err(error) => Some(error),
        })
        .map(|error| error.code)
        .collect();
    assert_eq!(codes, [ErrorCode::GROUP_AUTHORIZATION_FAILED]);
}

#[tokio::test]
async fn a_coordinator_that_moved_is_found_within_the_call() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 1);
    let group = GroupId::from("billing");
    fixture.commit(&group, &[(partitions[0].clone(), 7)]);
    fixture.know_the_brokers().await;
    for code in [
        ErrorCode::NOT_COORDINATOR,
        ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::TRANSPORT,
    ] {
        let committed = fixture
            .admin
            .committed_offsets(&group, Some(&partitions), TIMEOUT)
            .await;
        committed.expect("the coordinator is known");
        fixture.cluster.start_tracking();
        fixture.cluster.clear_requests();
        fixture
            .cluster
            .push_request_errors(Api::OFFSET_FETCH, &[code]);
        let committed = fixture
            .admin
            .committed_offsets(&group, Some(&partitions), TIMEOUT)
            .await
            .expect("another broker answers");
        assert_eq!(committed, [(partitions[0].clone(), Ok(at(7)))], "{code}");
        assert_eq!(fixture.requests(Api::OFFSET_FETCH), 2, "{code}");
    }
}

#[tokio::test]
async fn a_client_belongs_to_no_group() {
    let fixture = Fixture::start(1);
    let partitions = fixture.create_topic("orders", 1);
    fixture.cluster.start_tracking();
    fixture.know_the_brokers().await;
    let group = GroupId::from("billing");
    let committed = fixture
        .admin
        .committed_offsets(&group, Some(&partitions), TIMEOUT)
        .await;
    committed.expect("the coordinator answers");
    for api in [Api::FIND_COORDINATOR, Api::JOIN_GROUP, Api::HEARTBEAT] {
        assert_eq!(fixture.requests(api), 0, "{api}");
    }
}

#[tokio::test]
async fn a_deadline_fires_while_a_broker_is_slow() {
    let fixture = Fixture::start(1);
    let partitions = fixture.create_topic("orders", 1);
    let queries = fixture.spread(&partitions, 1, OffsetSpec::Latest);
    fixture.know_the_brokers().await;
    let names = [TopicName::from("orders")];
    let warm = fixture
        .admin
        .metadata(TopicSelection::Named(&names), TIMEOUT)
        .await;
    warm.expect("the broker is up");
    fixture
        .cluster
        .set_round_trip(BrokerId(1), Duration::from_secs(30))
        .expect("it exists");
    let began = Instant::now();
    let group = GroupId::from("billing");
    let (all, named, committed, offsets) = tokio::join!(
        fixture.admin.metadata(TopicSelection::All, SHORT),
        fixture.admin.metadata(TopicSelection::Named(&names), SHORT),
        fixture
            .admin
            .committed_offsets(&group, Some(&partitions), SHORT),
        fixture
            .admin
            .list_offsets(queries, Isolation::ReadUncommitted, SHORT),
    );
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    for error in [
        all.err(),
        named.err(),
        committed.err(),
        offsets[0].1.clone().err(),
    ] {
        let error = error.expect("nobody answers in time");
        assert!(error.code.is_timeout(), "{error}");
    }
    assert_eq!(fixture.admin.client.in_flight(), 0);
}

#[tokio::test]
async fn a_dropped_call_is_forgotten_and_harms_nobody() {
    let fixture = Fixture::start(1);
    let partitions = fixture.create_topic("orders", 1);
    fixture.know_the_brokers().await;
    let group = GroupId::from("billing");
    fixture
        .cluster
        .push_broker_delay(BrokerId(1), Api::OFFSET_FETCH, Duration::from_millis(200))
        .expect("it exists");
    {
        let call = fixture
            .admin
            .committed_offsets(&group, Some(&partitions), TIMEOUT);
        let gave_up = tokio::time::timeout(Duration::from_millis(20), call).await;
        assert!(gave_up.is_err(), "the answer is late");
    }
    assert_eq!(fixture.admin.client.in_flight(), 0);
    // Its answer arrives before the next one, on the same connection, and must not be taken for it.
    let committed = fixture
        .admin
        .committed_offsets(&group, Some(&partitions), TIMEOUT)
        .await
        .expect("the coordinator answers");
    assert_eq!(committed, [(partitions[0].clone(), Ok(Committed::Never))]);
    assert_eq!(fixture.admin.client.in_flight(), 0);
}

#[tokio::test]
async fn a_broker_that_is_down_costs_only_its_own_partitions() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 6);
    let queries = fixture.spread(&partitions, 3, OffsetSpec::Latest);
    let ask = async |timeout| {
        fixture
            .admin
            .list_offsets(queries.clone(), Isolation::ReadUncommitted, timeout)
            .await
    };
    assert!(ask(TIMEOUT).await.iter().all(|(_, offset)| offset.is_ok()));
    fixture
        .cluster
        .set_broker_down(BrokerId(2))
        .expect("it exists");
    for (partition, offset) in ask(Duration::from_secs(1)).await {
        let leads = queries.iter().find(|query| query.partition == partition);
        let is_down = leads.expect("it was asked for").leader == BrokerId(2);
        match offset {
            Ok(offset) => assert_eq!((offset.offset, is_down), (listed(0), false), "{partition}"),
            Err(error) => assert!(
                is_down && is_unreachable(error.code),
                "{partition}: {error}"
            ),
        }
    }
    fixture
        .cluster
        .set_broker_up(BrokerId(2))
        .expect("it exists");
    assert!(ask(TIMEOUT).await.iter().all(|(_, offset)| offset.is_ok()));
}

#[tokio::test]
async fn a_partition_without_a_leader_does_not_hang_those_of_other_leaders() {
    let fixture = Fixture::start(2);
    let partitions = fixture.create_topic("orders", 2);
    let queries = fixture.spread(&partitions, 2, OffsetSpec::Latest);
    fixture
        .cluster
        .set_leader(&partitions[1], None)
        .expect("it exists");
    let began = Instant::now();
    let offsets = fixture
        .admin
        .list_offsets(queries, Isolation::ReadUncommitted, Duration::from_secs(1))
        .await;
    assert!(began.elapsed() < TIMEOUT);
    let (led, leaderless): (Vec<_>, Vec<_>) = offsets
        .into_iter()
        .partition(|(partition, _)| *partition == partitions[0]);
    assert_eq!(led[0].1.as_ref().map(|offset| offset.offset), Ok(listed(0)));
    let error = leaderless[0].1.as_ref().expect_err("it has no leader");
    assert!(error.code.is_retriable(), "{error}");
}

#[tokio::test]
async fn dropping_the_client_fails_nothing_else_and_ends_it() {
    let fixture = Fixture::start(1);
    let partitions = fixture.create_topic("orders", 1);
    fixture.know_the_brokers().await;
    fixture
        .cluster
        .set_round_trip(BrokerId(1), Duration::from_secs(30))
        .expect("it exists");
    let Fixture { cluster, admin } = fixture;
    let is_alive = admin.client.liveness();
    let admin = Arc::new(admin);
    let task = tokio::spawn(async move {
        let group = GroupId::from("billing");
        admin
            .committed_offsets(&group, Some(&partitions), TIMEOUT)
            .await
            .is_ok()
    });
    let deadline = Instant::now() + TIMEOUT;
    tokio::task::yield_now().await;
    task.abort();
    let aborted = task.await.expect_err("it was aborted");
    assert!(aborted.is_cancelled());
    eventually("the end of the client", || !is_alive()).await;
    assert!(Instant::now() < deadline);
    drop(cluster);
}

/// librdkafka ends the process when some of its calls are abandoned at a bad moment, so every kind is, at many moments.
#[tokio::test]
async fn a_client_may_be_dropped_at_any_moment_of_any_call() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 6);
    let queries = fixture.spread(&partitions, 3, OffsetSpec::Latest);
    let slow = Duration::from_millis(15);
    fixture
        .cluster
        .set_round_trip(BrokerId(3), slow)
        .expect("it exists");
    let names = [TopicName::from("orders")];
    let brokers = [1, 2, 3].map(BrokerId);
    for moment in 0..40 {
        let changed = if moment % 2 == 0 {
            fixture.cluster.set_broker_down(BrokerId(2))
        } else {
            fixture.cluster.set_broker_up(BrokerId(2))
        };
        changed.expect("it exists");
        let admin = KafkaAdmin::connect(&fixture.cluster.connection(), ()).expect("it is valid");
        let is_alive = admin.client.liveness();
        let groups: Vec<_> = (0..20)
            .map(|id| GroupId::from(format!("group-{id}")))
            .collect();
        let everything = async {
            let committed = join_all(
                groups
                    .iter()
                    .map(|group| admin.committed_offsets(group, Some(&partitions), TIMEOUT)),
            );
            let _ = tokio::join!(
                admin.metadata(TopicSelection::All, TIMEOUT),
                admin.metadata(TopicSelection::Named(&names), TIMEOUT),
                committed,
                admin.describe_group(&groups[0], TIMEOUT),
                admin.list_groups(&brokers, TIMEOUT),
                admin.topic_configs(&names, TIMEOUT),
                admin.list_offsets(queries.clone(), Isolation::ReadUncommitted, TIMEOUT),
            );
        };
        let limit = Duration::from_millis(2 * moment);
        // How far it got is not the point.
        let _ = tokio::time::timeout(limit, everything).await;
        assert_eq!(admin.client.in_flight(), 0);
        drop(admin);
        eventually("the end of the client", || !is_alive()).await;
    }
}

#[tokio::test]
async fn describing_is_unsupported_at_once_where_brokers_cannot() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 1);
    fixture.know_the_brokers().await;
    let group = GroupId::from("billing");
    let committed = fixture
        .admin
        .committed_offsets(&group, Some(&partitions), TIMEOUT)
        .await;
    committed.expect("the coordinator answers");
    fixture.cluster.start_tracking();
    let error = fixture
        .admin
        .describe_group(&group, TIMEOUT)
        .await
        .expect_err("the embedded cluster has no such request");
    assert!(error.code.is_unsupported(), "{error}");
    assert_eq!(fixture.cluster.requests(), []);
    let listing = fixture.admin.list_groups(&[BrokerId(1)], TIMEOUT).await;
    let error = listing[&BrokerId(1)].as_ref().expect_err("nor this one");
    assert!(error.code.is_unsupported(), "{error}");
}

#[tokio::test]
async fn a_steady_cycle_costs_one_request_a_group_and_a_few_a_broker() {
    const GROUPS: usize = 200;
    let fixture = Fixture::start(3);
    let mut partitions = Vec::new();
    for topic in 0..100 {
        partitions.extend(fixture.create_topic(&format!("topic-{topic}"), 30));
    }
    let names: Vec<TopicName> = (0..100)
        .map(|topic| format!("topic-{topic}").into())
        .collect();
    let groups: Vec<_> = (0..GROUPS)
        .map(|id| GroupId::from(format!("group-{id}")))
        .collect();
    let cycle = async |selection| {
        let metadata = fixture
            .admin
            .metadata(selection, TIMEOUT)
            .await
            .expect("it is up");
        let leaders: BTreeMap<TopicPartition, BrokerId> = metadata
            .topics
            .iter()
            .flat_map(|(topic, partitions)| {
                let partitions = partitions.as_ref().expect("it exists");
                partitions.iter().map(|partition| {
                    let id = TopicPartition {
                        topic: topic.clone(),
                        partition: partition.id,
                    };
                    (id, partition.leader.expect("it has one"))
                })
            })
            .collect();
        assert_eq!(leaders.len(), 3_000);
        let committed = join_all(groups.iter().map(|group| {
            fixture
                .admin
                .committed_offsets(group, Some(&partitions[..30]), TIMEOUT)
        }));
        assert!(committed.await.iter().all(Result::is_ok));
        for spec in [OffsetSpec::Latest, OffsetSpec::Earliest] {
            let queries = leaders.iter().map(|(partition, leader)| OffsetQuery {
                partition: partition.clone(),
                leader: *leader,
                spec,
            });
            let offsets = fixture
                .admin
                .list_offsets(queries.collect(), Isolation::ReadUncommitted, TIMEOUT)
                .await;
            assert!(offsets.iter().all(|(_, offset)| offset.is_ok()));
            assert_eq!(offsets.len(), 3_000);
        }
    };
    for (selection, metadata) in [(TopicSelection::All, 1), (TopicSelection::Named(&names), 2)] {
        cycle(selection).await;
        fixture.cluster.start_tracking();
        fixture.cluster.clear_requests();
        cycle(selection).await;
        let count = |api| fixture.requests(api);
        assert_eq!(count(Api::OFFSET_FETCH), GROUPS);
        assert_eq!(count(Api::LIST_OFFSETS), 6);
        assert_eq!(count(Api::METADATA), metadata);
        assert_eq!(fixture.cluster.requests().len(), GROUPS + 6 + metadata);
    }
}

#[tokio::test]
async fn a_timeout_says_that_nobody_listens() {
    // A port that was free a moment ago: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let admin = KafkaAdmin::connect(&Connection::plain([address]), ()).expect("it is valid");
    let error = admin
        .metadata(TopicSelection::All, Duration::from_secs(1))
        .await
        .expect_err("nobody listens");
    assert!(error.message.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_timeout_says_that_a_host_cannot_be_resolved() {
    let connection = Connection::plain(["no-such-host.invalid:9092"]);
    let admin = KafkaAdmin::connect(&connection, ()).expect("it is valid");
    let error = admin
        .metadata(TopicSelection::All, Duration::from_secs(2))
        .await
        .expect_err("there is no such host");
    assert!(error.message.contains("no-such-host.invalid"), "{error}");
    let last = admin.last_client_error().expect("it was said");
    assert_eq!(last.code, ErrorCode::RESOLVE);
}
