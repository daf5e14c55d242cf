//! Answers are those of the cluster.

use super::*;

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
        .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
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
        .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
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
