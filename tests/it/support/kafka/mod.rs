//! A real Apache Kafka: its nodes as processes, its clients as Kafka ships them.

mod bulk;
mod clients;
mod crowd;
mod driver;
mod install;
mod member;
mod offsets_log;
mod offsets_topic;
mod requests;
mod secured;
mod transaction;
mod users;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use self::bulk::ManyGroups;
pub(crate) use self::crowd::{GroupTruth, Kind, Truth};
pub(crate) use self::member::{Member, Protocol};
pub(crate) use self::offsets_log::{Counts, OffsetsLog};
pub(crate) use self::offsets_topic::PrintedRecord;
pub(crate) use self::secured::Secured;
pub(crate) use self::transaction::End;
pub(crate) use self::users::Grant;
use super::process::{Guarded, Scratch, Signal, free_port, show_log_on_panic};

/// The id of a node, from 1.
pub(crate) type NodeId = i32;

/// Starting three nodes takes seconds; on a machine that compiles at the same time it takes many.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A cluster of combined KRaft nodes on loopback; its processes die and its folder goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Kafka {
    nodes: BTreeMap<NodeId, Node>,
    heap_mb: u32,
    secured: Option<Secured>,
    // Last: the folder goes after the processes that write there.
    _scratch: Scratch,
}

#[derive(Debug)]
struct Node {
    port: u16,
    secured_port: u16,
    /// Where its own figures can be asked for.
    jmx_port: Option<u16>,
    folder: PathBuf,
    process: Mutex<Option<Guarded>>,
}

/// What a cluster is to be.
#[derive(Debug)]
pub(crate) struct Builder {
    nodes: NodeId,
    properties: BTreeMap<String, String>,
    heap_mb: u32,
    secured: Option<Secured>,
    counting: Counting,
}

/// Whether nodes tell how many requests they have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    Hidden,
    Told,
}

impl Kafka {
    /// Returns the node that every test of this process may use, with names nobody else uses and without harming it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| Self::builder().start())
    }

    /// Begins a cluster of one node.
    pub(crate) fn builder() -> Builder {
        Builder {
            nodes: 1,
            properties: BTreeMap::new(),
            heap_mb: 0,
            secured: None,
            counting: Counting::Hidden,
        }
    }

    /// Returns `host:port` of every node, separated by commas.
    pub(crate) fn bootstrap_servers(&self) -> String {
        self.servers(|node| node.port)
    }

    /// Returns `host:port` of every node where it wants TLS and a password, separated by commas.
    pub(crate) fn secured_servers(&self) -> String {
        assert!(self.secured.is_some(), "nobody listens there");
        self.servers(|node| node.secured_port)
    }

    fn servers(&self, port: impl Fn(&Node) -> u16) -> String {
        let nodes = self.nodes.values();
        let servers: Vec<_> = nodes
            .map(|node| format!("127.0.0.1:{}", port(node)))
            .collect();
        servers.join(",")
    }

    /// Starts every node and waits until the cluster counts them all as alive.
    pub(crate) fn start(&self) {
        for id in self.nodes.keys() {
            self.spawn(*id);
        }
        self.wait_for_nodes(&self.running());
    }

    /// Kills a node with SIGKILL. The others count it as gone after three seconds.
    pub(crate) fn kill(&self, id: NodeId) {
        drop(self.node(id).process().take());
    }

    /// Starts a node that was killed, and waits until the cluster counts it as alive.
    pub(crate) fn restart(&self, id: NodeId) {
        self.spawn(id);
        self.wait_for_nodes(&self.running());
    }

    /// Freezes a node with SIGSTOP: it accepts connections and answers nothing.
    pub(crate) fn pause(&self, id: NodeId) {
        self.signal(id, Signal::Stop);
    }

    /// Lets a frozen node go on.
    pub(crate) fn resume(&self, id: NodeId) {
        self.signal(id, Signal::Continue);
    }

    /// Waits until the cluster counts exactly these nodes as alive.
    pub(crate) fn wait_for_nodes(&self, nodes: &[NodeId]) {
        let limit = u64::try_from(START_LIMIT.as_millis()).expect("it is small");
        self.call(json!({ "do": "wait-for-nodes", "nodes": nodes, "timeout_ms": limit }));
    }

    /// Waits until every replica of every partition is in sync: any node may go then.
    pub(crate) fn wait_for_replicas(&self) {
        self.call(json!({ "do": "wait-for-replicas" }));
    }

    fn running(&self) -> Vec<NodeId> {
        let running = |node: &Node| node.process().is_some();
        self.nodes
            .iter()
            .filter(|(_, node)| running(node))
            .map(|(id, _)| *id)
            .collect()
    }

    fn spawn(&self, id: NodeId) {
        let node = self.node(id);
        let mut process = node.process();
        assert!(process.is_none(), "node {id} is running");
        let log = File::options()
            .create(true)
            .append(true)
            .open(node.log())
            .expect("the folder is writable");
        let mut java = install::java("Node", self.heap_mb);
        if let Some(port) = node.jmx_port {
            java.env("JDK_JAVA_OPTIONS", jmx_options(port));
        }
        java.arg("lagwatch-test-clusterQ")
            .arg(node.folder.join("data"))
            .arg(node.folder.join("server.properties"))
            .args(self.secured.iter().flat_map(Secured::format))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be opened twice"))
            .stderr(log);
        *process = Some(Guarded::spawn(&mut java));
    }

    fn signal(&self, id: NodeId, signal: Signal) {
        let process = self.node(id).process();
        process
            .as_ref()
            .unwrap_or_else(|| panic!("node {id} is down"))
            .signal(signal);
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes
            .get(&id)
            .unwrap_or_else(|| panic!("there is no node {id}"))
    }

    /// Sends the driver a request about this cluster; panics with what Kafka's client says is wrong.
    fn call(&self, request: Value) -> Value {
        self.try_call(request.clone())
            .unwrap_or_else(|error| panic!("{request}: {error}"))
    }

    fn try_call(&self, mut request: Value) -> Result<Value, String> {
        request["client"] = json!({ "bootstrap.servers": self.bootstrap_servers() });
        driver::call(&request)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for (id, node) in &self.nodes {
            show_log_on_panic(&format!("Kafka node {id}"), &node.log());
        }
        let _ = self.try_call(json!({ "do": "forget" }));
    }
}

impl Node {
    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Guarded>> {
        self.process
            .lock()
            .expect("no test panics while it starts or stops a node")
    }
}

impl Builder {
    /// How many nodes; topics and Kafka's own topics are replicated to all of them by default.
    pub(crate) fn nodes(mut self, nodes: NodeId) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets a server property of every node.
    pub(crate) fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A write is acknowledged once this many nodes have it, so that the death of one of them takes nothing away.
    pub(crate) fn min_in_sync(self, nodes: NodeId) -> Self {
        self.property("min.insync.replicas", &nodes.to_string())
            .property("transaction.state.log.min.isr", &nodes.to_string())
    }

    /// Gives each node the memory to coordinate groups with so many committed offsets.
    pub(crate) fn for_offsets(mut self, count: usize) -> Self {
        // A node was seen to need half a kilobyte for each.
        self.heap_mb = 384 + u32::try_from(count / 1000).expect("memory is finite");
        self
    }

    /// Lets [`Kafka::requests`] be asked.
    pub(crate) fn counting_requests(mut self) -> Self {
        self.counting = Counting::Told;
        self
    }

    /// Adds a listener that wants TLS and a password; the harness itself goes on without.
    pub(crate) fn secured(mut self, secured: Secured) -> Self {
        self.secured = Some(secured);
        self
    }

    /// Lets the members of a crowd be missed soon after they vanish, and know every generation.
    pub(crate) fn for_crowds(self) -> Self {
        self.property("group.consumer.session.timeout.ms", "4000")
            // A generation is written before it is handed out. While the write waits for others to go with it, a
            // join may come in between: then nobody ever hears of the generation.
            .property("group.coordinator.append.linger.ms", "0")
    }

    /// Starts the cluster and waits until all of its nodes are alive.
    pub(crate) fn start(self) -> Kafka {
        let kafka = self.create();
        kafka.start();
        kafka
    }

    /// Lays the cluster out without starting a node: its address is known, and nobody is there yet.
    pub(crate) fn create(self) -> Kafka {
        let scratch = Scratch::new();
        let ports: Vec<(NodeId, u16, u16)> = (1..=self.nodes)
            .map(|id| (id, free_port(), free_port()))
            .collect();
        let voters: Vec<String> = ports
            .iter()
            .map(|(id, _, controller)| format!("{id}@127.0.0.1:{controller}"))
            .collect();
        let nodes = ports
            .iter()
            .map(|&(id, port, controller)| {
                let folder = scratch.path().join(format!("node-{id}"));
                fs::create_dir(&folder).expect("the folder is writable");
                let mut properties = defaults(self.nodes);
                properties.extend([
                    ("node.id", id.to_string()),
                    ("controller.quorum.voters", voters.join(",")),
                    (
                        "listeners",
                        format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"),
                    ),
                    (
                        "advertised.listeners",
                        format!("PLAINTEXT://127.0.0.1:{port}"),
                    ),
                    ("log.dirs", folder.join("data").display().to_string()),
                ]);
                let secured_port = free_port();
                if let Some(secured) = &self.secured {
                    secured.add_to(&mut properties, secured_port, &folder);
                }
                let overrides = self
                    .properties
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.clone()));
                properties.extend(overrides);
                let lines: String = properties
                    .iter()
                    .map(|(name, value)| format!("{name}={value}\n"))
                    .collect();
                fs::write(folder.join("server.properties"), lines).expect("the folder is writable");
                (
                    id,
                    Node {
                        port,
                        secured_port,
                        jmx_port: (self.counting == Counting::Told).then(free_port),
                        folder,
                        process: Mutex::new(None),
                    },
                )
            })
            .collect();
        Kafka {
            nodes,
            heap_mb: self.heap_mb.max(if self.nodes == 1 { 384 } else { 256 }),
            secured: self.secured,
            _scratch: scratch,
        }
    }
}

/// Opens a Java process to questions about its figures, on loopback alone.
fn jmx_options(port: u16) -> String {
    let remote = "-Dcom.sun.management.jmxremote";
    format!(
        "{remote}.host=127.0.0.1 -Djava.rmi.server.hostname=127.0.0.1 {remote}.port={port} \
         {remote}.rmi.port={port} {remote}.authenticate=false {remote}.ssl=false"
    )
}

/// What every node has in common: as Kafka ships, but small and quick to notice a death.
fn defaults(nodes: NodeId) -> BTreeMap<&'static str, String> {
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
