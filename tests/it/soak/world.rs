//! A world that never rests, for the soak: topics, groups and members that come in waves and go, and records all the time.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lagwatch::kafka::EmbeddedCluster;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::{Lagwatch, Running, Scratch, Signal, eventually};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const STAYING_GROUP: &str = "stays";
pub(crate) const TASK_GROUP: &str = "task-notification-service";
const STAYING_TOPIC: &str = "constant";
const TASK_TOPIC: &str = "task-created";
/// What comes with each wave and goes with the one after the next.
const TOPICS: usize = 4;
const GROUPS: usize = 8;
const PARTITIONS: i32 = 3;
/// How many tasks are done before anything is measured. Their rows take more pages of the audit log than SQLite keeps.
const FIRST_TASKS: u32 = 24_000;
/// For how many waves a member stays, and stays away.
const STAY: usize = 4;
/// librdkafka keeps the metadata of a topic for 15 minutes, 90 cycles of 10 s; compressed as the cycles are.
const METADATA_AGE_MS: u32 = 9_000;
/// Where the groups of empty topics stand.
const START: Offset = Offset::Offset(0);

/// Two clusters, a configuration file that follows them, and who uses them.
pub(crate) struct World {
    // Before the cluster that it says goodbye to.
    member: Option<Member>,
    /// Sends tasks until it is dropped.
    _producer: Running,
    one: EmbeddedCluster,
    two: EmbeddedCluster,
    config: PathBuf,
    scratch: Scratch,
}

/// A second member of the task consumer's group, which leaves when it is dropped.
struct Member {
    is_leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    pub(crate) fn start() -> Self {
        let cluster = || EmbeddedCluster::start(1).expect("loopback has free ports");
        let (one, two) = (cluster(), cluster());
        create(&one, TASK_TOPIC);
        create(&one, "task-created.dlq");
        for cluster in [&one, &two] {
            create(cluster, STAYING_TOPIC);
        }
        let producer = produce(&one).args(["--rate", "20"]).spawn();
        let scratch = Scratch::new();
        let mut world = Self {
            member: None,
            _producer: producer,
            one,
            two,
            config: scratch.path().join("lagwatch.yaml"),
            scratch,
        };
        world.begin(0);
        world
    }

    /// Starts `serve` on the world as it is, and waits until it has done the first tasks.
    pub(crate) fn serve(&self) -> Running {
        let serve = Lagwatch::new("serve")
            .args(["--config".as_ref(), self.config.as_os_str()])
            .start();
        serve.wait_until_ready();
        // No faster than they are done: what waits in a client takes memory, too.
        produce(&self.one)
            .args(["--count", &FIRST_TASKS.to_string(), "--rate", "8000"])
            .run()
            .expect_success();
        eventually("the first tasks", LIMIT, || {
            let done = serve.scrape().sum("lagwatch_task_messages_total", &[]);
            done >= f64::from(FIRST_TASKS)
        });
        serve
    }

    /// Lets the topics and groups of a wave come, those of the one before the last go, and a member come or go.
    pub(crate) fn begin(&mut self, wave: usize) {
        for topic in names("topic", wave..wave + 1, TOPICS) {
            create(&self.one, &topic);
        }
        let topics = names("topic", wave..wave + 1, TOPICS);
        // At once: each waits for its coordinator to be found.
        thread::scope(|scope| {
            for group in names("group", wave..wave + 1, GROUPS) {
                let (world, topics) = (&*self, &topics);
                scope.spawn(move || world.commit(&group, topics));
            }
            scope.spawn(|| self.commit(STAYING_GROUP, &[STAYING_TOPIC.to_owned()]));
        });
        if wave % (2 * STAY) == STAY {
            self.member = Some(Member::join(self.client(TASK_GROUP, "consumer")));
        } else if wave.is_multiple_of(STAY) {
            self.member = None;
        }
        fs::write(&self.config, self.yaml(wave)).expect("the folder is writable");
    }

    /// Lets `serve` know of the newest wave.
    pub(crate) fn tell(&self, serve: &Running) {
        let told = serve.log().matches("configuration reloaded").count();
        serve.signal(Signal::HangUp);
        eventually("the end of the reload", LIMIT, || {
            serve.log().matches("configuration reloaded").count() > told
        });
    }

    /// Returns the groups that are watched during a wave, in order.
    pub(crate) fn groups(wave: usize) -> Vec<String> {
        let mut groups = names("group", wave.saturating_sub(1)..wave + 1, GROUPS);
        groups.extend([STAYING_GROUP.to_owned(), TASK_GROUP.to_owned()]);
        groups.sort();
        groups
    }

    /// Returns the topics that are watched during a wave, in order.
    pub(crate) fn topics(wave: usize) -> Vec<String> {
        let mut topics = names("topic", wave.saturating_sub(1)..wave + 1, TOPICS);
        topics.extend([STAYING_TOPIC.to_owned(), TASK_TOPIC.to_owned()]);
        topics.sort();
        topics
    }

    /// Returns whether the second cluster is watched during a wave.
    pub(crate) fn has_second_cluster(wave: usize) -> bool {
        wave % 2 == 1
    }

    fn yaml(&self, wave: usize) -> String {
        let entry =
            |name: &str, cluster: &EmbeddedCluster, groups: &[String], topics: &[String]| {
                format!(
                    "- name: {name}
  bootstrap-servers: [\"{}\"]
  poll-interval: 100ms
  kafka-properties: {{ metadata.max.age.ms: {METADATA_AGE_MS} }}
  groups: {{ names: [{}] }}
  topics: {{ names: [{}] }}
",
                    cluster.bootstrap_servers(),
                    groups.join(", "),
                    topics.join(", "),
                )
            };
        let mut clusters = entry("one", &self.one, &Self::groups(wave), &Self::topics(wave));
        if Self::has_second_cluster(wave) {
            let (group, topic) = (STAYING_GROUP.to_owned(), STAYING_TOPIC.to_owned());
            clusters += &entry("two", &self.two, &[group], &[topic]);
        }
        let audit = self.scratch.path().join("audit.sqlite");
        format!(
            "clusters:
{clusters}consumer:
  cluster: one
  # The embedded cluster takes a session timeout for a classic rebalance of two.
  kafka-properties: {{ group.protocol: consumer }}
  audit-log: {{ path: {} }}
",
            audit.display()
        )
    }

    fn client(&self, group: &str, protocol: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.one.bootstrap_servers())
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("group.protocol", protocol)
            .create()
            .expect("the properties are valid")
    }

    fn commit(&self, group: &str, topics: &[String]) {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            for partition in 0..PARTITIONS {
                list.add_partition_offset(topic, partition, START)
                    .expect("the offset is valid");
            }
        }
        self.client(group, "classic")
            .commit(&list, CommitMode::Sync)
            .expect("the cluster takes commits");
    }
}

impl Member {
    /// Joins the group of the task consumer, at its first poll.
    fn join(consumer: BaseConsumer) -> Self {
        consumer
            .subscribe(&[TASK_TOPIC])
            .expect("the topic's name is valid");
        let is_leaving = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_leaving);
        let thread = thread::spawn(move || {
            // What it reads is read again by the task consumer, as it commits nothing.
            while !told.load(Ordering::Acquire) {
                drop(consumer.poll(Duration::from_millis(20)));
            }
        });
        Self {
            is_leaving,
            thread: Some(thread),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.is_leaving.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there has been told, and fails nothing that is looked at here.
            drop(thread.join());
        }
    }
}

fn produce(cluster: &EmbeddedCluster) -> Lagwatch {
    Lagwatch::new("produce").args(["--bootstrap-server", &cluster.bootstrap_servers()])
}

fn create(cluster: &EmbeddedCluster, topic: &str) {
    cluster
        .create_topic(topic, PARTITIONS, 1)
        .expect("the name is new");
}

fn names(kind: &str, waves: Range<usize>, count: usize) -> Vec<String> {
    waves
        .flat_map(|wave| (0..count).map(move |number| format!("{kind}-{wave}-{number}")))
        .collect()
}
