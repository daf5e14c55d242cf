//! The admin client against a real Kafka: what it says is what Kafka's own client says.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lagwatch::kafka::{
    Admin, Connection, ErrorCode, KafkaAdmin, KafkaError, ListedGroup, OffsetQuery, OffsetSpec,
    RequestObserver, TopicSelection,
};
use lagwatch::lag::{BrokerId, Committed, GroupId, Isolation, Offset, TopicName, TopicPartition};
use lagwatch::snapshot::{GroupState, GroupType};

use crate::support::{Kafka, Protocol, eventually, unique};

/// Far beyond what a loaded machine takes: only what hangs gets there.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Requests by API, as the client counts them.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<Mutex<BTreeMap<String, u64>>>);

impl RequestObserver for Requests {
    fn sent(&self, api: &str, count: u64) {
        let mut requests = self.0.lock().expect("no test panics while counting");
        *requests.entry(api.to_owned()).or_default() += count;
    }
}

impl Requests {
    fn of(&self, api: &str) -> u64 {
        let requests = self.0.lock().expect("no test panics while counting");
        requests.get(api).copied().unwrap_or_default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs nothing")
        .block_on(future)
}

fn admin(kafka: &Kafka) -> KafkaAdmin {
    counting_admin(kafka).0
}

fn counting_admin(kafka: &Kafka) -> (KafkaAdmin, Requests) {
    let servers = kafka.bootstrap_servers();
    let requests = Requests::default();
    let connection = Connection::plain(servers.split(','));
    let admin = KafkaAdmin::connect(&connection, requests.clone()).expect("it is valid");
    (admin, requests)
}

async fn live_brokers(admin: &KafkaAdmin) -> Vec<BrokerId> {
    let metadata = admin.metadata(TopicSelection::All, TIMEOUT).await;
    let brokers = metadata.expect("the cluster is up").brokers;
    brokers.into_iter().map(|broker| broker.id).collect()
}

async fn listing(admin: &KafkaAdmin) -> BTreeMap<GroupId, (BrokerId, ListedGroup)> {
    let brokers = live_brokers(admin).await;
    let mut listed = BTreeMap::new();
    for (broker, groups) in admin.list_groups(&brokers, TIMEOUT).await {
        for group in groups.expect("every broker lists its groups") {
            listed.insert(group.id.clone(), (broker, group));
        }
    }
    listed
}

async fn list_offset(
    admin: &KafkaAdmin,
    partition: &TopicPartition,
    leader: BrokerId,
    spec: OffsetSpec,
) -> (Option<u64>, Option<i64>) {
    let query = OffsetQuery {
        partition: partition.clone(),
        leader,
        spec,
    };
    let answers = admin
        .list_offsets(vec![query], Isolation::ReadUncommitted, TIMEOUT)
        .await;
    let answer = answers[0].1.as_ref().expect("the leader answers");
    (answer.offset.map(Offset::value), answer.timestamp_ms)
}

fn committed_map(
    committed: Vec<(TopicPartition, Result<Committed, KafkaError>)>,
) -> BTreeMap<(String, i32), i64> {
    committed
        .into_iter()
        .map(|(partition, committed)| {
            let Committed::At(offset) = committed.expect("it may be read") else {
                panic!("{partition} was never committed, so it is not listed");
            };
            let offset = i64::try_from(offset.value()).expect("offsets fit");
            ((partition.topic.to_string(), partition.partition.0), offset)
        })
        .collect()
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn groups_are_listed_described_and_read_as_kafka_does() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic(&unique("orders"), 4);
    kafka.produce(&topic, 0, 10);
    kafka.produce(&topic, 1, 10);
    let name = |kind: &str| format!("{} \"{kind}\": ünï", unique("group"));
    let (classic, modern, simple, empty) = (
        name("classic"),
        name("modern"),
        name("simple"),
        name("empty"),
    );
    let member = |group: &str, protocol| {
        let member = kafka.member(group).subscribe(&[&topic]).protocol(protocol);
        let member = member.property("client.id", "reader").open();
        member.wait_for_partitions(4);
        member.consume(&topic, 0, 3);
        member
    };
    let _classic = member(&classic, Protocol::Classic);
    let _modern = member(&modern, Protocol::Consumer);
    let _simple = kafka.member(&simple).assign(&[(&topic, 1)]).open();
    _simple.consume(&topic, 1, 2);
    kafka.commit_for(&empty, &topic, 0, 5);

    let (admin, requests) = counting_admin(kafka);
    block_on(async {
        let listed = listing(&admin).await;
        for (group, group_type, state, is_simple) in [
            (&classic, GroupType::Classic, GroupState::Stable, false),
            (&modern, GroupType::Consumer, GroupState::Stable, false),
            (&simple, GroupType::Classic, GroupState::Empty, true),
            (&empty, GroupType::Classic, GroupState::Empty, true),
        ] {
            let id = GroupId::from(group.as_str());
            let (_, row) = &listed[&id];
            assert_eq!(
                (row.group_type, row.state, row.protocol_type.is_empty()),
                (group_type, state, is_simple),
                "{group}"
            );
            let ours = admin.describe_group(&id, TIMEOUT).await.expect("it exists");
            let theirs = kafka.describe_group(group);
            assert_eq!(ours.state.as_str(), theirs.state, "{group}");
            assert_eq!(ours.group_type, group_type, "{group}");
            assert_eq!(ours.coordinator, Some(BrokerId(1)), "{group}");
            let ours: Vec<_> = ours
                .members
                .iter()
                .map(|member| {
                    let assignment = member.assignment.iter();
                    let assignment: Vec<_> = assignment
                        .map(|partition| (partition.topic.to_string(), partition.partition.0))
                        .collect();
                    (
                        member.id.to_string(),
                        member.client_id.to_string(),
                        member.host.to_string(),
                        assignment,
                    )
                })
                .collect();
            let mut theirs: Vec<_> = theirs
                .members
                .into_iter()
                .map(|member| {
                    let mut assignment = member.assignment;
                    assignment.sort();
                    (member.id, member.client_id, member.host, assignment)
                })
                .collect();
            theirs.sort();
            assert_eq!(ours, theirs, "{group}");
            let committed = admin.committed_offsets_of(&id, None, TIMEOUT).await;
            let committed = committed_map(committed.expect("it may be read"));
            assert_eq!(committed, kafka.committed(group), "{group}");
        }
    });
    eventually("the statistics", TIMEOUT, || {
        requests.of("OffsetFetch") == 4
    });
    // A classic group costs two requests: librdkafka asks the KIP-848 way first.
    assert_eq!(requests.of("ConsumerGroupDescribe"), 4);
    assert_eq!(requests.of("DescribeGroups"), 3);
    assert_eq!(requests.of("FindCoordinator"), 0);
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_group_that_does_not_exist_is_not_found_and_has_committed_nothing() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic(&unique("orders"), 1);
    kafka.commit_for(&unique("somebody"), &topic, 0, 0);
    let admin = admin(kafka);
    let group = GroupId::from(unique("nobody"));
    block_on(async {
        let described = admin.describe_group(&group, TIMEOUT).await;
        let error = described.expect_err("no coordinator knows it");
        assert_eq!(error.code, ErrorCode::GROUP_ID_NOT_FOUND);
        let all = admin.committed_offsets_of(&group, None, TIMEOUT).await;
        assert_eq!(all.expect("nothing is no error"), []);
        let named = [TopicPartition::new(topic.as_str(), 0)];
        let named = admin
            .committed_offsets_of(&group, Some(&named), TIMEOUT)
            .await;
        let named = named.expect("nothing is no error");
        assert_eq!(named[0].1, Ok(Committed::Never));
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn offsets_are_found_by_position_and_by_time() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic(&unique("orders"), 2);
    kafka.produce(&topic, 0, 5);
    let partition = TopicPartition::new(topic.as_str(), 0);
    let admin = admin(kafka);
    let leader = BrokerId(kafka.leader(&topic, 0).expect("it has one"));
    block_on(async {
        let ask = async |spec| list_offset(&admin, &partition, leader, spec).await;
        assert_eq!(ask(OffsetSpec::Latest).await.0, Some(5));
        assert_eq!(ask(OffsetSpec::Earliest).await.0, Some(0));
        let (first, first_at) = ask(OffsetSpec::Timestamp(0)).await;
        assert_eq!(first, Some(0));
        let first_at = first_at.expect("the record has a time");
        let future = OffsetSpec::Timestamp(first_at + 3_600_000);
        assert_eq!(ask(future).await, (None, None));
        kafka.delete_records(&topic, 0, 2);
        assert_eq!(ask(OffsetSpec::Earliest).await.0, Some(2));
        let idle = TopicPartition::new(topic.as_str(), 1);
        for spec in [OffsetSpec::Latest, OffsetSpec::Earliest] {
            assert_eq!(list_offset(&admin, &idle, leader, spec).await.0, Some(0));
        }
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn topic_configurations_and_missing_topics_are_told_apart() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic_with(&unique("orders"), 1, 1, &[("retention.ms", "1234567")]);
    let (topic, gone) = (TopicName::from(topic), TopicName::from(unique("gone")));
    let names = [topic.clone(), gone.clone()];
    let admin = admin(kafka);
    block_on(async {
        let configs = admin.topic_configs(&names, TIMEOUT).await;
        let configs = configs.expect("the broker is up");
        let config = configs[&topic].as_ref().expect("it exists");
        assert_eq!(config["retention.ms"], "1234567");
        let error = configs[&gone].as_ref().expect_err("there is none");
        assert_eq!(error.code, ErrorCode::UNKNOWN_TOPIC_OR_PART);
        let metadata = admin
            .metadata(TopicSelection::Named(&names), TIMEOUT)
            .await
            .expect("the broker is up");
        let partitions = metadata.topics[&topic].as_ref().expect("it exists");
        assert_eq!(partitions.len(), 1);
        let error = metadata.topics[&gone].as_ref().expect_err("there is none");
        assert_eq!(error.code, ErrorCode::UNKNOWN_TOPIC_OR_PART);
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_group_costs_one_request_and_is_found_again_when_its_coordinator_dies() {
    const GROUPS: usize = 60;
    let kafka = Kafka::builder().nodes(3).start();
    let topic = kafka.create_topic("orders", 3);
    kafka.fill_groups("billing-", GROUPS, &topic, 3, 0);
    let (admin, requests) = counting_admin(&kafka);
    let groups: Vec<GroupId> = (0..GROUPS)
        .map(|id| GroupId::from(format!("billing-{id}")))
        .collect();
    let read_all = async |timeout| {
        let mut failed = Vec::new();
        for group in &groups {
            if let Err(error) = admin.committed_offsets_of(group, None, timeout).await {
                failed.push(error);
            }
        }
        failed
    };
    let listed = block_on(async {
        let listed = listing(&admin).await;
        assert_eq!(listed.len(), GROUPS);
        assert_eq!(read_all(TIMEOUT).await, []);
        listed
    });
    eventually("the statistics", TIMEOUT, || {
        requests.of("OffsetFetch") >= GROUPS as u64
    });
    assert_eq!(requests.of("OffsetFetch"), GROUPS as u64);
    assert_eq!(requests.of("FindCoordinator"), 0);

    let (victim, _) = listed[&groups[0]];
    assert_eq!(victim, BrokerId(kafka.coordinator(groups[0].as_str())));
    kafka.kill(victim.0);
    // Every cycle begins with the metadata, which tells that the broker is gone.
    let deadline = Instant::now() + Duration::from_secs(90);
    block_on(async {
        loop {
            let brokers = live_brokers(&admin).await;
            let failed = read_all(Duration::from_secs(5)).await;
            if failed.is_empty() && !brokers.contains(&victim) {
                break;
            }
            assert!(Instant::now() < deadline, "{brokers:?} {failed:?}");
        }
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_frozen_broker_costs_only_its_own_partitions() {
    let kafka = Kafka::builder().nodes(3).start();
    let topic = kafka.create_topic_with("orders", 6, 1, &[]);
    let (admin, _) = counting_admin(&kafka);
    let queries = |spec| -> Vec<OffsetQuery> {
        (0..6)
            .map(|partition| OffsetQuery {
                partition: TopicPartition::new(topic.as_str(), partition),
                leader: BrokerId(kafka.leader(&topic, partition).expect("it has one")),
                spec,
            })
            .collect()
    };
    let queries = queries(OffsetSpec::Latest);
    let victim = queries[0].leader;
    block_on(async {
        live_brokers(&admin).await;
        let ask = async |timeout| {
            admin
                .list_offsets(queries.clone(), Isolation::ReadUncommitted, timeout)
                .await
        };
        assert!(ask(TIMEOUT).await.iter().all(|(_, offset)| offset.is_ok()));
        kafka.pause(victim.0);
        let began = Instant::now();
        for (partition, offset) in ask(Duration::from_secs(2)).await {
            let query = queries.iter().find(|query| query.partition == partition);
            let is_frozen = query.expect("it was asked for").leader == victim;
            assert_eq!(offset.is_err(), is_frozen, "{partition}: {offset:?}");
            if let Err(error) = offset {
                assert!(error.code.is_timeout(), "{error}");
            }
        }
        assert!(began.elapsed() < TIMEOUT);
        kafka.resume(victim.0);
        assert!(ask(TIMEOUT).await.iter().all(|(_, offset)| offset.is_ok()));
    });
}
