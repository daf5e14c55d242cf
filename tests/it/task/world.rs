//! A cluster, embedded or real, with a topic of tasks, and task consumers in this process that are watched.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lagwatch::kafka::consumer::ConsumerEvent;
use lagwatch::kafka::{
    Admin, AutoCommit, Connection, Consumer, ConsumerConfig, ConsumerRecord, EmbeddedCluster,
    Intake, KafkaAdmin, OffsetReset, OutgoingRecord, Producer, ProducerConfig, WriteOrder,
};
use lagwatch::lag::{Committed, GroupId, PartitionId, TopicPartition};
use lagwatch::metrics::OwnMetrics;
use lagwatch::task::{
    self, Backoff, CommitMode, CommitStrategy, HandlerError, TaskConfig, TaskCreated, TaskError,
    TaskHandler, TaskSummary,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;

use crate::support::{Kafka, Scratch};

/// The longest that anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The topic of the tasks.
pub(crate) const TOPIC: &str = "task-created";

/// A cluster, its topic, and a folder for audit logs.
pub(crate) struct World<C = EmbeddedCluster> {
    pub(crate) cluster: C,
    connection: Connection,
    scratch: Scratch,
    producer: Producer,
}

/// A task consumer that runs in this process.
pub(crate) struct RunningTask {
    run: JoinHandle<Result<TaskSummary, TaskError>>,
    shutdown: CancellationToken,
    own: OwnMetrics,
    log: Log,
}

/// What a task consumer has logged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// The calls of a handler: the event's id and the number of the attempt.
pub(crate) type Calls = Arc<Mutex<Vec<(String, u32)>>>;

type Rule = dyn Fn(&str, u32) -> Result<(), HandlerError> + Send + Sync;

/// A handler that notes its calls and fails where `rule` says so.
pub(crate) struct Recorder {
    calls: Calls,
    rule: Box<Rule>,
}

impl World {
    pub(crate) fn new(partitions: i32) -> Self {
        let cluster = EmbeddedCluster::start(1).expect("an embedded cluster");
        cluster
            .create_topic(TOPIC, partitions, 1)
            .expect("a new topic");
        let connection = cluster.connection();
        Self::around(cluster, connection)
    }
}

impl World<Kafka> {
    /// A real Kafka that takes the short session timeouts of [`World::config`].
    pub(crate) fn on_kafka(partitions: i32) -> Self {
        let cluster = Kafka::builder()
            .property("group.min.session.timeout.ms", "1000")
            .start();
        cluster.create_topic(TOPIC, partitions);
        let connection = Connection::plain([cluster.bootstrap_servers()]);
        Self::around(cluster, connection)
    }
}

impl<C> World<C> {
    fn around(cluster: C, connection: Connection) -> Self {
        let producer = Producer::connect(
            &connection,
            &ProducerConfig {
                client_id: "test".into(),
                delivery_timeout: LIMIT,
                order: WriteOrder::Any,
            },
        )
        .expect("valid properties");
        Self {
            cluster,
            connection,
            scratch: Scratch::new(),
            producer,
        }
    }

    /// Writes an event with that id.
    pub(crate) async fn send(&self, partition: i32, id: impl Display) {
        let value = format!(r#"{{"id":"{id}","title":"title of {id}","extra":[1]}}"#);
        self.send_raw(partition, &value).await;
    }

    pub(crate) async fn send_all(&self, partition: i32, ids: impl IntoIterator<Item: Display>) {
        for id in ids {
            self.send(partition, id).await;
        }
    }

    pub(crate) async fn send_raw(&self, partition: i32, value: &str) {
        let record = OutgoingRecord {
            topic: TOPIC.into(),
            partition: Some(PartitionId(partition)),
            key: Some(b"key".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: Vec::new(),
        };
        self.producer.send(record).await.expect("a delivery");
    }

    /// A group that reacts fast: per message, no delay, short intervals.
    pub(crate) fn config(&self, group: &str) -> TaskConfig {
        let properties = [
            // The embedded cluster takes most of it for every rebalance.
            ("session.timeout.ms", "1500"),
            ("heartbeat.interval.ms", "100"),
            ("fetch.wait.max.ms", "50"),
            ("topic.metadata.refresh.interval.ms", "200"),
            ("reconnect.backoff.max.ms", "200"),
        ];
        TaskConfig {
            topics: vec![TOPIC.into()],
            group: group.into(),
            commit: CommitStrategy::PerMessage,
            backoff: Backoff {
                initial: Duration::from_millis(20),
                max: Duration::from_millis(100),
            },
            dead_letter_topic: "dead".into(),
            audit_log: self.audit_log(group),
            poll_interval: Duration::from_millis(100),
            properties: properties
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..TaskConfig::default()
        }
    }

    pub(crate) fn audit_log(&self, group: &str) -> PathBuf {
        self.scratch.path().join(format!("{group}.sqlite"))
    }

    pub(crate) fn start(&self, config: TaskConfig) -> RunningTask {
        RunningTask::start(config, self.connection.clone())
    }

    /// Returns what the group has committed, by partition of the topic.
    pub(crate) async fn committed(&self, group: &str, partitions: i32) -> BTreeMap<i32, u64> {
        committed(&self.connection, group, partitions).await
    }

    pub(crate) async fn wait_for_commit(&self, group: &str, partition: i32, offset: u64) {
        until("the commit", async || {
            let committed = self.committed(group, partition + 1).await;
            committed.get(&partition) == Some(&offset)
        })
        .await;
    }

    /// Returns the ids in the group's audit log, in the order of partition and offset.
    pub(crate) fn audited(&self, group: &str) -> Vec<String> {
        audited(&self.audit_log(group))
    }

    pub(crate) async fn wait_for_audited(&self, group: &str, count: usize) {
        until("the audit log's rows", async || {
            self.audited(group).len() >= count
        })
        .await;
    }

    /// Reads the first `count` records of a topic.
    pub(crate) async fn read(&self, topic: &str, count: usize) -> Vec<ConsumerRecord> {
        let mut consumer = Consumer::start(
            &self.connection,
            ConsumerConfig {
                group: GroupId::from(crate::support::unique("reader")),
                topics: vec![topic.into()],
                offset_reset: OffsetReset::Earliest,
                auto_commit: AutoCommit::Off,
                client_id: "reader".into(),
                intake: Intake::Records {
                    buffered: 100.try_into().expect("not zero"),
                },
                poll_interval: Duration::from_millis(50),
                revoke_timeout: LIMIT,
                properties: BTreeMap::new(),
            },
        )
        .expect("valid properties");
        let mut found = Vec::new();
        let reading = async {
            while found.len() < count {
                match consumer.next().await {
                    Some(ConsumerEvent::Records { partition, records }) => {
                        consumer.release(&partition, records.len());
                        found.extend(records);
                    }
                    Some(_) => {}
                    None => panic!("the reader has ended"),
                }
            }
        };
        tokio::time::timeout(LIMIT, reading)
            .await
            .unwrap_or_else(|_| panic!("fewer than {count} records in `{topic}`"));
        found
    }
}

/// Returns what a group has committed, by partition of [`TOPIC`].
pub(crate) async fn committed(
    connection: &Connection,
    group: &str,
    partitions: i32,
) -> BTreeMap<i32, u64> {
    let admin = KafkaAdmin::connect(connection, ()).expect("valid properties");
    let partitions: Vec<_> = (0..partitions)
        .map(|partition| TopicPartition::new(TOPIC, partition))
        .collect();
    let deadline = Instant::now() + LIMIT;
    let offsets = loop {
        let answer = admin
            .committed_offsets_of(&group.into(), Some(&partitions), LIMIT)
            .await;
        match answer {
            // A cluster that has just started has no topic for them yet.
            Err(error) if error.code.is_not_coordinator() => break Vec::new(),
            // Or its coordinator has not read it yet.
            Err(_) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => break answer.expect("committed offsets"),
        }
    };
    offsets
        .into_iter()
        .filter_map(|(partition, answer)| match answer.expect("an offset") {
            Committed::At(offset) => Some((partition.partition.0, offset.value())),
            Committed::Never => None,
        })
        .collect()
}

/// Returns the ids in an audit log, in the order of partition and offset; none while there is no file.
pub(crate) fn audited(path: &std::path::Path) -> Vec<String> {
    let Ok(database) =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
    else {
        return Vec::new();
    };
    database
        .prepare("SELECT id FROM audit_log ORDER BY \"partition\", \"offset\"")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .unwrap_or_default()
}

/// Waits until `holds`; panics when it did not within [`LIMIT`].
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + LIMIT;
    while !holds().await {
        assert!(
            Instant::now() < deadline,
            "no sign of {what} within {LIMIT:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Returns a metric's value: a counter's or gauge's, or a histogram's count; 0 where it is not there.
pub(crate) fn metric(own: &OwnMetrics, name: &str, labels: &[(&str, &str)]) -> u64 {
    let families = own.registry().gather();
    let values = families
        .iter()
        .filter(|family| family.name() == name)
        .flat_map(|family| family.get_metric())
        .filter(|metric| {
            labels.iter().all(|(name, value)| {
                let mut pairs = metric.get_label().iter();
                pairs.any(|pair| pair.name() == *name && pair.value() == *value)
            })
        })
        .map(|metric| {
            metric.get_counter().get_value()
                + metric.get_gauge().get_value()
                + metric.get_histogram().get_sample_count() as f64
        });
    values.sum::<f64>() as u64
}

impl RunningTask {
    pub(crate) fn start(config: TaskConfig, connection: Connection) -> Self {
        let own = OwnMetrics::new("test");
        let shutdown = CancellationToken::new();
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let run = task::run(config, connection, own.task().clone(), shutdown.clone());
        let run = tokio::spawn(run.with_subscriber(subscriber));
        Self {
            run,
            shutdown,
            own,
            log,
        }
    }

    /// Ends it as SIGTERM does, and returns what it did.
    pub(crate) async fn stop(self) -> TaskSummary {
        self.shutdown.cancel();
        self.end().await.expect("a clean end")
    }

    pub(crate) async fn end(self) -> Result<TaskSummary, TaskError> {
        tokio::time::timeout(LIMIT, self.run)
            .await
            .expect("the task ends in time")
            .expect("the task does not panic")
    }

    /// Ends it in the middle of whatever it does, without a word to anybody.
    pub(crate) async fn abort(self) {
        self.run.abort();
        let _ = self.run.await;
    }

    pub(crate) fn request_stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.run.is_finished()
    }

    /// Returns the metrics, which stay readable when it has ended.
    pub(crate) fn own(&self) -> OwnMetrics {
        self.own.clone()
    }

    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        metric(&self.own, name, labels)
    }

    pub(crate) async fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: u64) {
        until(&format!("{name}{labels:?} {value}"), async || {
            assert!(self.is_running(), "the task has ended:\n{}", self.log());
            self.metric(name, labels) >= value
        })
        .await;
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Returns the log so that it can be read after the end.
    pub(crate) fn log_handle(&self) -> Log {
        self.log.clone()
    }

    pub(crate) async fn wait_for_line(&self, part: &str) {
        until(&format!("`{part}` in the log"), async || {
            assert!(self.is_running(), "the task has ended:\n{}", self.log());
            self.log().contains(part)
        })
        .await;
    }

    pub(crate) async fn wait_for_partitions(&self, count: u64) {
        until("the assignment", async || {
            assert!(self.is_running(), "the task has ended:\n{}", self.log());
            self.metric("lagwatch_task_assigned_partitions", &[]) == count
        })
        .await;
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no reader panics").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Recorder {
    /// Returns a handler whose calls end up in the list beside it.
    pub(crate) fn new(
        rule: impl Fn(&str, u32) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> (Arc<Self>, Calls) {
        let calls = Arc::default();
        let recorder = Self {
            calls: Arc::clone(&calls),
            rule: Box::new(rule),
        };
        (Arc::new(recorder), calls)
    }
}

#[async_trait]
impl TaskHandler for Recorder {
    async fn handle(&self, task: &TaskCreated, attempt: u32) -> Result<(), HandlerError> {
        let id = task.id.to_string();
        let result = (self.rule)(&id, attempt);
        self.calls
            .lock()
            .expect("no reader panics")
            .push((id, attempt));
        result
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Per batch of so many records or a time.
pub(crate) fn per_batch(records: usize, interval: Duration, mode: CommitMode) -> CommitStrategy {
    CommitStrategy::PerBatch {
        records: records.try_into().expect("not zero"),
        interval,
        mode,
    }
}
