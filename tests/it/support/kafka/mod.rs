//! A real Apache Kafka: its nodes as processes, its clients as Kafka ships them.

mod bulk;
mod clients;
mod connect_member;
mod crowd;
mod driver;
mod install;
mod kinds;
mod launch;
mod listener;
mod member;
mod offsets_log;
mod offsets_topic;
mod properties;
mod raw_connection;
mod raw_member;
mod requests;
mod secured;
mod transaction;
mod users;
mod version;
mod zookeeper;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use self::bulk::ManyGroups;
pub(crate) use self::connect_member::ConnectMember;
pub(crate) use self::crowd::{GroupTruth, Kind, Truth};
pub(crate) use self::kinds::{ShareMember, StreamsApp, StreamsOffsets};
pub(crate) use self::listener::Listener;
pub(crate) use self::member::{Member, Protocol};
pub(crate) use self::offsets_log::{Counts, OffsetsLog};
pub(crate) use self::offsets_topic::PrintedRecord;
use self::properties::{defaults, jmx_options, on_zookeeper};
pub(crate) use self::raw_member::{RawIdentity, RawMember, Refusal, assignment, subscription};
pub(crate) use self::secured::Secured;
pub(crate) use self::transaction::End;
pub(crate) use self::users::Grant;
pub(crate) use self::version::KafkaVersion;
use self::version::MetadataStore;
use self::zookeeper::ZooKeeper;
use super::process::{Guarded, Scratch, Signal, free_port, show_log_on_panic};

/// The id of a node, from 1.
pub(crate) type NodeId = i32;

/// Starting three nodes takes seconds; on a machine that compiles at the same time it takes many.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A cluster on loopback: combined KRaft nodes, or the brokers of an old release and a ZooKeeper.
///
/// Its processes die and its folder goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Kafka {
    version: KafkaVersion,
    nodes: BTreeMap<NodeId, Node>,
    zookeeper: Option<ZooKeeper>,
    heap_mb: u32,
    secured: Option<Secured>,
    /// What else the storage of a node is formatted with.
    format: Vec<String>,
    // Last: the folder goes after the processes that write there.
    scratch: Scratch,
}

#[derive(Debug)]
struct Node {
    port: u16,
    secured_port: u16,
    /// By the names of [`Listener`]s.
    listener_ports: BTreeMap<&'static str, u16>,
    /// Where its own figures can be asked for.
    jmx_port: Option<u16>,
    folder: PathBuf,
    process: Mutex<Option<Guarded>>,
}

/// What a cluster is to be.
#[derive(Debug)]
pub(crate) struct Builder {
    version: KafkaVersion,
    nodes: NodeId,
    properties: BTreeMap<String, String>,
    heap_mb: u32,
    secured: Option<Secured>,
    listeners: Vec<Listener>,
    format: Vec<String>,
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

    /// Begins a cluster of one node of the newest Kafka.
    pub(crate) fn builder() -> Builder {
        Builder {
            version: KafkaVersion::NEWEST,
            nodes: 1,
            properties: BTreeMap::new(),
            heap_mb: 0,
            secured: None,
            listeners: Vec::new(),
            format: Vec::new(),
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

    /// Returns `host:port` of every node at a [`Listener`], separated by commas.
    pub(crate) fn servers_of(&self, listener: &str) -> String {
        self.servers(|node| node.listener_ports[listener])
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
        if let Some(zookeeper) = &self.zookeeper {
            zookeeper.start(&install::broker_class_path(self.version));
        }
        for id in self.nodes.keys() {
            self.spawn(*id);
        }
        self.wait_for_nodes(&self.running());
    }

    /// Kills a node with SIGKILL. The others count it as gone after three seconds.
    pub(crate) fn kill(&self, id: NodeId) {
        drop(self.node(id).process().take());
    }

    /// Ends a node with SIGTERM, by which it hands over what it leads, and waits for its end.
    pub(crate) fn stop(&self, id: NodeId) {
        let mut process = self.node(id).process();
        let mut node = process
            .take()
            .unwrap_or_else(|| panic!("node {id} is down"));
        node.signal(Signal::Terminate);
        node.wait(START_LIMIT);
    }

    /// Starts a node that was killed or stopped, and waits until the cluster counts it as alive.
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
        let mut java = launch::node(
            self.version,
            &node.folder,
            self.secured.as_ref(),
            &self.format,
            self.heap_mb,
        );
        if let Some(port) = node.jmx_port {
            java.env("JDK_JAVA_OPTIONS", jmx_options(port));
        }
        java.stdin(Stdio::null())
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
        if let Some(zookeeper) = &self.zookeeper {
            show_log_on_panic("ZooKeeper", &zookeeper.log());
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
    /// Which release the brokers are of; clients and tools are those of the newest.
    pub(crate) fn version(mut self, version: KafkaVersion) -> Self {
        self.version = version;
        self
    }

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

    /// Adds a listener.
    pub(crate) fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// Lets a user log in by SCRAM, wherever a listener knows the mechanism.
    pub(crate) fn scram_user(mut self, user: &str, password: &str) -> Self {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let user = format!("{mechanism}=[name={user},password={password}]");
            self.format.extend(["--add-scram".to_owned(), user]);
        }
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
        let zookeeper = match self.version.metadata_store() {
            MetadataStore::ZooKeeper => Some(ZooKeeper::create(scratch.path())),
            MetadataStore::KRaft => None,
        };
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
                let of_version = self.version.properties().iter();
                properties.extend(of_version.map(|(name, value)| (*name, (*value).to_owned())));
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
                let mut properties: BTreeMap<String, String> = properties
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect();
                let listener_ports: BTreeMap<_, _> = self
                    .listeners
                    .iter()
                    .map(|listener| (listener.name, free_port()))
                    .collect();
                for listener in &self.listeners {
                    listener.add_to(&mut properties, listener_ports[listener.name]);
                }
                properties.extend(self.properties.clone());
                if let Some(ZooKeeper { port, .. }) = &zookeeper {
                    on_zookeeper(&mut properties, *port);
                }
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
                        listener_ports,
                        jmx_port: (self.counting == Counting::Told).then(free_port),
                        folder,
                        process: Mutex::new(None),
                    },
                )
            })
            .collect();
        Kafka {
            version: self.version,
            nodes,
            zookeeper,
            heap_mb: self.heap_mb.max(if self.nodes == 1 { 384 } else { 256 }),
            secured: self.secured,
            format: self.format,
            scratch,
        }
    }
}
