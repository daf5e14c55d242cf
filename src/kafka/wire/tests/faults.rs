//! What slow, dead and wrong brokers cost, and what a caller who goes away leaves behind.

use super::*;

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
            .committed_offsets_of(group, Some(&partitions), TIMEOUT)
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
            .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
            .await;
        committed.expect("the coordinator is known");
        fixture.cluster.start_tracking();
        fixture.cluster.clear_requests();
        fixture
            .cluster
            .push_request_errors(Api::OFFSET_FETCH, &[code]);
        let committed = fixture
            .admin
            .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
            .await
            .expect("another broker answers");
        assert_eq!(committed, [(partitions[0].clone(), Ok(at(7)))], "{code}");
        assert_eq!(fixture.requests(Api::OFFSET_FETCH), 2, "{code}");
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
            .committed_offsets_of(&group, Some(&partitions), SHORT),
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
            .committed_offsets_of(&group, Some(&partitions), TIMEOUT);
        let gave_up = tokio::time::timeout(Duration::from_millis(20), call).await;
        assert!(gave_up.is_err(), "the answer is late");
    }
    // Its answer arrives before the next one, on the same connection, and must not be taken for it.
    let committed = fixture
        .admin
        .committed_offsets_of(&group, Some(&partitions), TIMEOUT)
        .await
        .expect("the coordinator answers");
    assert_eq!(committed, [(partitions[0].clone(), Ok(Committed::Never))]);
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
    assert_eq!(error.code, ErrorCode::NOT_LEADER_FOR_PARTITION);
}

#[tokio::test]
async fn a_client_is_gone_once_its_abandoned_calls_have_ended() {
    let fixture = Fixture::start(1);
    let partitions = fixture.create_topic("orders", 1);
    fixture.know_the_brokers().await;
    fixture
        .cluster
        .set_round_trip(BrokerId(1), Duration::from_secs(30))
        .expect("it exists");
    let Fixture { cluster, admin } = fixture;
    let group = GroupId::from("billing");
    {
        let call = admin.committed_offsets_of(&group, Some(&partitions), SHORT);
        let gave_up = tokio::time::timeout(Duration::from_millis(20), call).await;
        assert!(gave_up.is_err(), "the broker is slow");
    }
    let began = Instant::now();
    admin.close(TIMEOUT).await;
    assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    drop(cluster);
}

/// librdkafka writes to freed memory when it is destroyed at a bad moment of a call, so it is, at many moments.
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
    for moment in 0..30 {
        let changed = if moment % 2 == 0 {
            fixture.cluster.set_broker_down(BrokerId(2))
        } else {
            fixture.cluster.set_broker_up(BrokerId(2))
        };
        changed.expect("it exists");
        let admin = KafkaAdmin::connect(&fixture.cluster.connection(), ()).expect("it is valid");
        let groups: Vec<_> = (0..20)
            .map(|id| GroupId::from(format!("group-{id}")))
            .collect();
        let everything = async {
            let committed = join_all(
                groups
                    .iter()
                    .map(|group| admin.committed_offsets_of(group, Some(&partitions), SHORT)),
            );
            tokio::join!(
                admin.metadata(TopicSelection::All, SHORT),
                admin.metadata(TopicSelection::Named(&names), SHORT),
                committed,
                admin.describe_group(&groups[0], SHORT),
                admin.list_groups(&brokers, SHORT),
                admin.topic_configs(&names, SHORT),
                admin.list_offsets(queries.clone(), Isolation::ReadUncommitted, SHORT),
            )
        };
        let limit = Duration::from_millis(2 * moment);
        // How far it got is not the point.
        drop(tokio::time::timeout(limit, everything).await);
        let began = Instant::now();
        admin.close(TIMEOUT).await;
        assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_timeout_says_that_nobody_listens() {
    // A port that was free a moment ago: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let error = error_of(&address, ErrorCode::TRANSPORT).await;
    assert!(error.message.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_timeout_says_that_a_host_cannot_be_resolved() {
    // Too long for the domain name system, so the answer does not depend on the machine's network.
    let host = "no-such-host-".repeat(6);
    let error = error_of(&format!("{host}:9092"), ErrorCode::RESOLVE).await;
    assert!(error.message.contains(&host), "{error}");
}

/// Returns how a call fails, without waiting for its deadline.
async fn error_of(server: &str, code: ErrorCode) -> KafkaError {
    let admin = KafkaAdmin::connect(&Connection::plain([server]), ()).expect("it is valid");
    let metadata = admin.metadata(TopicSelection::All, TIMEOUT).await;
    let error = metadata.expect_err("there is no broker");
    assert_eq!(error.code, code);
    assert_eq!(admin.last_client_error(), Some(error.clone()));
    error
}

/// librdkafka may finish a lookup of leaders that the caller is still busy with, whenever metadata arrives meanwhile.
#[tokio::test]
async fn offsets_may_be_listed_while_metadata_arrives() {
    let fixture = Fixture::start(3);
    let partitions = fixture.create_topic("orders", 6);
    let queries = fixture.spread(&partitions, 3, OffsetSpec::Latest);
    let names = [TopicName::from("orders")];
    for _ in 0..30 {
        let admin = KafkaAdmin::connect(&fixture.cluster.connection(), ()).expect("it is valid");
        let listings = (0..20).map(|_| {
            let isolation = Isolation::ReadUncommitted;
            admin.list_offsets(queries.clone(), isolation, TIMEOUT)
        });
        let readings = (0..20).map(|_| admin.metadata(TopicSelection::Named(&names), TIMEOUT));
        let (listings, readings) = tokio::join!(join_all(listings), join_all(readings));
        assert!(readings.iter().all(Result::is_ok));
        let offsets = listings.iter().flatten();
        assert!(offsets.clone().all(|(_, offset)| offset.is_ok()));
        assert_eq!(offsets.count(), 20 * 6);
        admin.close(TIMEOUT).await;
    }
}
