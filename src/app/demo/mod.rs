//! `demo`: a cluster, a producer, consumers, the poller and the server in one process.
//!
//! Everything moves within the first minute: lag grows and drains, a member joins and leaves, a consumer hangs and
//! recovers, records that nobody can read go to the dead letters.

mod cast;
mod handler;
mod script;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span};

use self::handler::Warehouse;
use self::script::Act;
use super::config::{ClusterConfig, ListenAddress, Sharding, TaskConsumerConfig, WebSettings};
use super::consumer::{OnFailure, Ready};
use super::listen;
use super::service::{Prepared, Service};
use super::signals::{Signals, Wish};
use super::stage::Stage;
use crate::collect::PollConfig;
use crate::kafka::{Connection, EmbeddedCluster};
use crate::metrics::TaskMetrics;
use crate::task::{Pace, Preset, ProduceConfig, RecordSource, TaskConfig, produce};

/// The brokers of the embedded cluster.
const BROKERS: i32 = 3;

/// Short, so that every act is seen at once.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The members that are always there.
const MEMBERS: usize = 2;

/// The embedded cluster waits for almost a whole session before it ends a rebalance, however fast its members are.
const SHORT_SESSION: [(&str, &str); 2] = [
    ("session.timeout.ms", "4000"),
    ("heartbeat.interval.ms", "500"),
];

/// The cluster that the demo plays on.
#[derive(Debug)]
pub enum DemoCluster {
    /// On a cluster inside this process.
    Embedded,
    /// On one that exists.
    Real(Connection),
}

/// Which port the server takes.
#[derive(Debug)]
pub enum Port {
    /// The default one, or any free one if it is taken.
    Any,
    /// This one.
    Exactly(ListenAddress),
}

/// A demo whose stage is set.
pub struct Demo {
    prepared: Prepared,
    connection: Connection,
    audit_logs: TempDir,
    cluster: Option<EmbeddedCluster>,
    port_was_taken: bool,
}

/// The players that come and go.
struct Ensemble {
    connection: Connection,
    /// Properties of the consumers alone.
    session: BTreeMap<String, String>,
    metrics: TaskMetrics,
    audit_logs: TempDir,
    warehouse: watch::Sender<Warehouse>,
    helper: Option<CancellationToken>,
}

impl Demo {
    /// Binds the port and starts the embedded cluster; nobody plays yet. `config_file` is the server's.
    ///
    /// # Errors
    ///
    /// The config file, the port, the folder of the audit logs or the cluster is not to be had.
    pub async fn set_up(
        on: DemoCluster,
        port: Port,
        config_file: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let web = |listen_address| WebSettings {
            listen_address,
            telemetry_path: "/metrics".to_owned(),
            config_file: config_file.clone(),
        };
        let (prepared, port_was_taken) = match port {
            Port::Exactly(address) => (Prepared::bind(Some(&web(address))).await?, false),
            Port::Any => match Prepared::bind(Some(&web(ListenAddress::default()))).await {
                Err(error) if listen::is_taken(&error) => {
                    let free = ListenAddress {
                        host: None,
                        port: 0,
                    };
                    (Prepared::bind(Some(&web(free))).await?, true)
                }
                prepared => (prepared?, false),
            },
        };
        let audit_logs = tempfile::Builder::new()
            .prefix("lagwatch-demo-")
            .tempdir()
            .context("making a folder for the audit logs")?;
        let (cluster, connection) = match on {
            DemoCluster::Real(connection) => (None, connection),
            DemoCluster::Embedded => {
                let cluster = embedded_cluster()?;
                let connection = cluster.connection();
                (Some(cluster), connection)
            }
        };
        Ok(Self {
            prepared,
            connection,
            audit_logs,
            cluster,
            port_was_taken,
        })
    }

    /// Returns where the server will answer.
    pub fn url(&self) -> Option<String> {
        self.prepared.url()
    }

    /// Returns the cluster's bootstrap servers.
    pub fn bootstrap_servers(&self) -> String {
        self.connection.bootstrap_servers.join(",")
    }

    /// Returns whether another port than the default one had to be taken.
    pub fn port_was_taken(&self) -> bool {
        self.port_was_taken
    }

    /// Returns the topic of the tasks.
    pub fn topic(&self) -> &'static str {
        cast::TOPIC
    }

    /// Plays until it is told to end.
    ///
    /// # Errors
    ///
    /// A consumer cannot begin, or something did not end well.
    pub async fn play(self, signals: &mut Signals) -> anyhow::Result<()> {
        let Self {
            prepared,
            connection,
            audit_logs,
            cluster,
            ..
        } = self;
        let session = match &cluster {
            Some(_) => SHORT_SESSION
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            None => BTreeMap::new(),
        };
        let mut ensemble = Ensemble {
            metrics: prepared.own().task().clone(),
            connection,
            session,
            audit_logs,
            warehouse: watch::Sender::new(Warehouse::Open),
            helper: None,
        };
        let mut service = prepared.start(vec![watched(&ensemble.connection)]).await?;
        let broken = match ensemble.enter(&mut service.work).await {
            Ok(()) => ensemble.perform(&mut service, signals).await,
            Err(error) => Err(error),
        };
        info!("the demo ends");
        ensemble.warehouse.send_replace(Warehouse::Open);
        let stopped = service.stop(signals).await;
        // Its brokers must outlive every client.
        drop(cluster);
        broken.and(stopped)
    }
}

impl Ensemble {
    /// Brings in everybody who is there from the beginning.
    async fn enter(&self, work: &mut Stage) -> anyhow::Result<()> {
        self.produce(work, cast::calm());
        let folder = self.audit_logs.path();
        for member in 1..=MEMBERS {
            self.consume(work, cast::notifier(member, folder)).await?;
        }
        let warehouse = self.warehouse.subscribe();
        for preset in Preset::ALL {
            let task = cast::preset(preset, &warehouse, folder);
            self.consume(work, task).await?;
        }
        Ok(())
    }

    /// Plays act after act until it is told to end, or something breaks.
    async fn perform(
        &mut self,
        service: &mut Service,
        signals: &mut Signals,
    ) -> anyhow::Result<()> {
        let beginning = Instant::now();
        for (at, act) in script::acts() {
            let due = beginning + at;
            loop {
                tokio::select! {
                    () = sleep_until(due) => break,
                    error = service.broken() => return Err(error),
                    wish = signals.next() => if wish == Wish::End { return Ok(()) },
                }
            }
            self.play(act, &mut service.work).await?;
        }
        Ok(())
    }

    async fn play(&mut self, act: Act, work: &mut Stage) -> anyhow::Result<()> {
        match act {
            Act::Wave => {
                info!(
                    "demo: a wave of tasks, more than two members can do: watch the lag grow, and drain"
                );
                self.produce(work, cast::wave());
            }
            Act::MemberJoins => {
                info!("demo: a third member joins: its group rebalances");
                let task = cast::notifier(MEMBERS + 1, self.audit_logs.path());
                self.helper = Some(self.consume(work, task).await?);
            }
            Act::MemberLeaves => {
                info!("demo: the third member leaves: its group rebalances");
                if let Some(helper) = self.helper.take() {
                    helper.cancel();
                }
            }
            Act::AnalyticsStalls => {
                info!("demo: task-analytics hangs: it stays a member, but its lag grows");
                self.warehouse.send_replace(Warehouse::Closed);
            }
            Act::AnalyticsRecovers => {
                info!("demo: task-analytics goes on: its lag drains");
                self.warehouse.send_replace(Warehouse::Open);
            }
        }
        Ok(())
    }

    fn produce(&self, work: &mut Stage, pace: Pace) {
        let (connection, shutdown) = (self.connection.clone(), work.token());
        let config = ProduceConfig {
            topic: cast::TOPIC.into(),
            ..ProduceConfig::default()
        };
        work.spawn(async move {
            produce(config, connection, RecordSource::Generated(pace), shutdown).await?;
            Ok(())
        });
    }

    /// Starts a consumer; the token that is returned ends it.
    async fn consume(
        &self,
        work: &mut Stage,
        task: TaskConfig,
    ) -> anyhow::Result<CancellationToken> {
        let config = TaskConsumerConfig {
            cluster: 0,
            connection: self.connection.clone(),
            task: TaskConfig {
                properties: self.session.clone(),
                ..task
            },
        };
        let who = match &config.task.client_id {
            client if *client == config.task.group.as_str() => client.clone(),
            client => format!("{}/{client}", config.task.group),
        };
        let speaker = info_span!("consumer", speaker = %who);
        let ready = Ready::open(config, self.metrics.clone(), OnFailure::Restart);
        let ready = ready.instrument(speaker.clone()).await?;
        let shutdown = work.token();
        work.spawn(ready.run(shutdown.clone()).instrument(speaker));
        Ok(shutdown)
    }
}

fn embedded_cluster() -> anyhow::Result<EmbeddedCluster> {
    let cluster = EmbeddedCluster::start(BROKERS).context("starting the embedded cluster")?;
    for (topic, partitions) in [(cast::TOPIC, cast::PARTITIONS), (cast::DEAD_LETTERS, 1)] {
        cluster
            .create_topic(topic, partitions, BROKERS)
            .with_context(|| format!("creating topic `{topic}`"))?;
    }
    Ok(cluster)
}

/// Returns what is watched: the groups and topics of the demo by name, as the embedded cluster can list no groups.
fn watched(connection: &Connection) -> ClusterConfig {
    ClusterConfig {
        connection: connection.clone(),
        poll: PollConfig {
            poll_interval: POLL_INTERVAL,
            stale_after: 3 * POLL_INTERVAL,
            group_names: cast::groups(),
            topic_names: vec![cast::TOPIC.into(), cast::DEAD_LETTERS.into()],
            ..PollConfig::default()
        },
        sharding: Sharding::Off,
    }
}
