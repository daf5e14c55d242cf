//! The harness itself on a real Kafka: what the other tests build on.

use std::time::Duration;

use crate::support::{Kafka, Protocol, eventually, unique};

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
