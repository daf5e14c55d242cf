//! The properties of a node's server and of its Java process.

use std::collections::BTreeMap;

use super::NodeId;

/// What every node has in common: as Kafka ships, but small and quick to notice a death.
pub(super) fn defaults(nodes: NodeId) -> BTreeMap<&'static str, String> {
    let fixed = [
        ("process.roles", "broker,controller"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        ),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "12"),
        ("transaction.state.log.num.partitions", "4"),
        ("transaction.state.log.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "500"),
        ("group.consumer.min.session.timeout.ms", "500"),
        ("group.consumer.heartbeat.interval.ms", "500"),
        ("group.consumer.min.heartbeat.interval.ms", "100"),
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
    ];
    let mut properties: BTreeMap<&'static str, String> = fixed
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    for replicated in [
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
    ] {
        properties.insert(replicated, nodes.to_string());
    }
    properties
}

/// Turns the properties of a KRaft node into those of a broker that keeps its metadata in ZooKeeper.
pub(super) fn on_zookeeper(properties: &mut BTreeMap<String, String>, zookeeper_port: u16) {
    let is_of_kraft = |name: &str| {
        name == "process.roles"
            || name == "node.id"
            || name == "listener.security.protocol.map"
            || name.starts_with("controller.")
            || name.starts_with("broker.session.")
            || name.starts_with("broker.heartbeat.")
    };
    let id = properties["node.id"].clone();
    let (listener, _controller) = properties["listeners"]
        .split_once(',')
        .expect("a node listens as a broker, then as a controller");
    let listener = listener.to_owned();
    properties.retain(|name, _| !is_of_kraft(name));
    properties.extend(
        [
            ("broker.id", id),
            ("listeners", listener),
            ("zookeeper.connect", format!("127.0.0.1:{zookeeper_port}")),
            // The server starts beside the brokers.
            ("zookeeper.connection.timeout.ms", "60000".to_owned()),
            ("zookeeper.session.timeout.ms", "3000".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
}

/// Opens a Java process to questions about its figures, on loopback alone.
pub(super) fn jmx_options(port: u16) -> String {
    let remote = "-Dcom.sun.management.jmxremote";
    format!(
        "{remote}.host=127.0.0.1 -Djava.rmi.server.hostname=127.0.0.1 {remote}.port={port} \
         {remote}.rmi.port={port} {remote}.authenticate=false {remote}.ssl=false"
    )
}
