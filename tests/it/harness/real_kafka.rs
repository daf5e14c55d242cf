//! The harness itself on a real Kafka: what the other tests build on.

use std::time::Duration;

use crate::support::{Kafka, ManyGroups, Protocol, eventually, unique};

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_member_commits_what_it_has_read_and_nothing_else() {
    let kafka = Kafka::shared();
    let topic = kafka.create_topic(&unique("orders"), 2);
    assert_eq!(kafka.produce(&topic, 0, 10), 10);
    for protocol in [Protocol::Classic, Protocol::Consumer] {
        let group = unique("billing");
        let member = kafka
            .member(&group)
            .subscribe(&[&topic])
            .protocol(protocol)
            .open();
        member.wait_for_partitions(2);
        assert_eq!(member.consume(&topic, 0, 3), 3);
        assert_eq!(
            kafka.committed(&group).into_iter().collect::<Vec<_>>(),
            [((topic.clone(), 0), 3)]
        );
        let tool = kafka.consumer_groups_tool(&["--describe", "--group", &group]);
        let columns: Vec<Vec<&str>> = tool
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(
            columns
                .iter()
                .any(|row| row.starts_with(&[&group, &topic, "0", "3", "10", "7"])),
            "{tool}"
        );
        member.close();
        assert_eq!(kafka.describe_group(&group).state, "Empty");
    }
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_killed_node_comes_back_with_its_data() {
    let kafka = Kafka::builder().nodes(3).start();
    let topic = kafka.create_topic("orders", 3);
    kafka.produce(&topic, 0, 5);
    let leader = kafka.leader(&topic, 0).expect("the topic has leaders");
    kafka.kill(leader);
    eventually("another leader", Duration::from_secs(30), || {
        kafka.leader(&topic, 0).is_some_and(|node| node != leader)
    });
    kafka.restart(leader);
    assert_eq!(kafka.produce(&topic, 0, 1), 6);
    assert_eq!(kafka.read_all(&topic).len(), 6);
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn many_groups_lag_and_move_by_the_shares_they_are_told() {
    let kafka = Kafka::builder().counting_requests().start();
    let groups = ManyGroups {
        prefix: "many-".to_owned(),
        groups: 4,
        topics: vec![
            kafka.create_topic("one", 100),
            kafka.create_topic("two", 100),
        ],
        partitions: 100,
        end: 200,
        behind: 190,
        lagging_percent: 20,
    };
    kafka.produce_for(&groups);
    assert_eq!(kafka.read_all("two").len(), 100 * 200);
    kafka.fill(&groups);
    let offsets = || -> Vec<i64> {
        (0..groups.groups)
            .flat_map(|group| kafka.committed(&format!("many-{group}")).into_values())
            .collect()
    };
    let filled = offsets();
    let answered = kafka.requests()["OffsetFetch"];
    assert_eq!(offsets(), filled);
    assert_eq!(kafka.requests()["OffsetFetch"], answered + 4);
    let at = |offset: i64| filled.iter().filter(|found| **found == offset).count();
    assert_eq!((filled.len(), at(10), at(200)), (400, 80, 320));

    let moving = kafka.move_offsets(&groups, 10, Duration::from_millis(20), 3);
    eventually("a round", Duration::from_secs(20), || offsets() != filled);
    let rounds = i64::try_from(moving.rest()).expect("there are few");
    let moved: Vec<i64> = offsets()
        .into_iter()
        .zip(filled)
        .filter_map(|(now, before)| (now != before).then_some(now))
        .collect();
    assert_eq!(moved, [10 + 3 + rounds; 40]);
}
