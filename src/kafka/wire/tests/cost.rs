//! How many requests a question costs.

use std::sync::Mutex;

use super::*;
use crate::kafka::requests::RequestObserver;

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
            .committed_offsets_of(group, Some(&partitions), TIMEOUT)
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.expect("the coordinator answers").len(), 12);
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
        .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
        .await;
    committed.expect("the coordinator answers");
    for api in [Api::FIND_COORDINATOR, Api::JOIN_GROUP, Api::HEARTBEAT] {
        assert_eq!(fixture.requests(api), 0, "{api}");
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
        .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
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
                .committed_offsets_of(group, Some(&partitions[..30]), TIMEOUT)
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
    for selection in [TopicSelection::All, TopicSelection::Named(&names)] {
        cycle(selection).await;
        fixture.cluster.start_tracking();
        fixture.cluster.clear_requests();
        cycle(selection).await;
        let count = |api| fixture.requests(api);
        assert_eq!(count(Api::OFFSET_FETCH), GROUPS);
        assert_eq!(count(Api::LIST_OFFSETS), 6);
        assert_eq!(count(Api::METADATA), 1);
        assert_eq!(fixture.cluster.requests().len(), GROUPS + 6 + 1);
    }
}

#[derive(Clone, Default)]
struct Counted(Arc<Mutex<BTreeMap<String, usize>>>);

impl RequestObserver for Counted {
    fn sent(&self, api: &str, count: u64) {
        let mut counted = self.0.lock().expect("nobody panics while counting");
        *counted.entry(api.to_owned()).or_default() += usize::try_from(count).expect("it is small");
    }
}

#[tokio::test]
async fn requests_are_counted_as_the_brokers_count_them() {
    let cluster = EmbeddedCluster::start(3).expect("loopback has free ports");
    cluster.start_tracking();
    cluster
        .create_topic("orders", 6, 1)
        .expect("the name is new");
    let counted = Counted::default();
    let admin = KafkaAdmin::connect(&cluster.connection(), counted.clone()).expect("it is valid");
    for cycle in 0..20 {
        let metadata = admin.metadata(TopicSelection::All, TIMEOUT).await;
        let orders = metadata.expect("it is up").topics["orders"].clone();
        let queries = orders
            .expect("it exists")
            .into_iter()
            .map(|partition| OffsetQuery {
                partition: TopicPartition::new("orders", partition.id.0),
                leader: partition.leader.expect("it has one"),
                spec: OffsetSpec::Latest,
            });
        admin
            .list_offsets(queries.collect(), Isolation::ReadUncommitted, TIMEOUT)
            .await;
        let group = GroupId::from(format!("group-{cycle}"));
        let partitions = [TopicPartition::new("orders", 0)];
        let committed = admin
            .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
            .await;
        committed.expect("the coordinator answers");
    }
    let received = |api: Api| {
        let requests = cluster.requests();
        requests.iter().filter(|request| request.api == api).count()
    };
    eventually("the same counts", || {
        let sent = counted.0.lock().expect("nobody panics while counting");
        [
            (Api::METADATA, 20),
            (Api::LIST_OFFSETS, 60),
            (Api::OFFSET_FETCH, 20),
        ]
        .into_iter()
        .all(|(api, count)| sent.get(api.name()) == Some(&count) && received(api) == count)
    })
    .await;
}
