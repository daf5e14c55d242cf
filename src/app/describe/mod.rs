//! One poll of some groups of one cluster, by the same poller that serves the metrics; and its result, as text.

mod report;
mod table;

pub use report::{ColumnSet, Report};
pub use table::escape;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::CLOSE_LIMIT;
use super::config::ClusterConfig;
use crate::collect::{Filter, LogScope, PollConfig, Poller};
use crate::exposition::{GroupView, Scene, json};
use crate::kafka::{Admin, KafkaAdmin, TopicSelection, librdkafka_version};
use crate::lag::{GroupId, Share, TopicName};
use crate::metrics::OwnMetrics;
use crate::snapshot::{
    ClusterSnapshot, CycleOutcome, GroupRow, SkippedGroup, SnapshotSlot, SnapshotStore,
};

/// The groups and topics to describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// These groups; empty: every group.
    pub groups: Vec<GroupId>,
    /// These topics; empty: every topic.
    pub topics: Vec<TopicName>,
}

/// Polls a cluster as often as it is asked to.
pub struct Describer {
    poller: Poller,
    admin: Arc<KafkaAdmin>,
    slot: Arc<SnapshotSlot>,
    groups: Vec<GroupId>,
    servers: String,
    timeout: Duration,
}

impl Describer {
    /// Returns a describer of `cluster`; `timeout` is the deadline of each call. Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// librdkafka refuses the properties.
    pub fn connect(
        cluster: &ClusterConfig,
        selection: Selection,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let ClusterConfig {
            connection, poll, ..
        } = cluster;
        let admin = Arc::new(KafkaAdmin::connect(connection, ())?);
        let store = SnapshotStore::new([poll.cluster.clone()]);
        let slot = Arc::clone(&store.slots()[0]);
        let Selection { groups, topics } = selection;
        let config = PollConfig {
            request_timeout: timeout,
            // Filters and shares are for what is exported; what is asked for here is shown.
            share: Share::Whole,
            groups: Filter::default(),
            group_names: groups.clone(),
            topics: Filter::default(),
            topic_names: topics,
            // As Kafka's tool does: a cluster may have many more logs than the groups read.
            logs: LogScope::Groups,
            ..poll.clone()
        };
        let metrics = OwnMetrics::new(&librdkafka_version()).cluster(poll.cluster.as_ref());
        Ok(Self {
            poller: Poller::new(
                config,
                Arc::clone(&admin) as Arc<_>,
                Arc::clone(&slot),
                metrics,
            ),
            admin,
            slot,
            groups,
            servers: connection.bootstrap_servers.join(","),
            timeout,
        })
    }

    /// Polls once. What failed for one group or partition is shown on its row.
    ///
    /// # Errors
    ///
    /// Nothing could be read, and why.
    pub async fn describe(&mut self) -> anyhow::Result<DescribeResult> {
        let outcome = self.poller.poll_once().await;
        if outcome == CycleOutcome::Failed {
            return Err(self.explain().await);
        }
        let snapshot = self.slot.load().context("a cycle publishes its snapshot")?;
        let is_present = |id: &GroupId| snapshot.groups.iter().any(|group| group.id == *id);
        let absent = self
            .groups
            .iter()
            .filter(|id| !is_present(id))
            .cloned()
            .collect();
        Ok(DescribeResult { snapshot, absent })
    }

    /// Closes the client and waits for its end, for a bounded time.
    pub async fn close(self) {
        let Self { poller, admin, .. } = self;
        drop(poller);
        if let Some(admin) = Arc::into_inner(admin) {
            admin.close(CLOSE_LIMIT).await;
        }
    }

    /// Returns why nothing could be read.
    async fn explain(&self) -> anyhow::Error {
        let servers = &self.servers;
        // What the client says of itself, a refused password say, is known without waiting for another deadline.
        let reason = match self.admin.last_client_error() {
            Some(error) => Err(error),
            None => {
                let nothing = TopicSelection::Named(&[]);
                self.admin.metadata(nothing, self.timeout).await
            }
        };
        match reason {
            Err(error) => anyhow::Error::new(error).context(format!("reading from `{servers}`")),
            Ok(_) => anyhow::anyhow!("reading from `{servers}`: no broker answered in time"),
        }
    }
}

/// The result of one poll.
#[derive(Clone, Debug)]
pub struct DescribeResult {
    snapshot: Arc<ClusterSnapshot>,
    absent: Vec<GroupId>,
}

impl DescribeResult {
    /// Returns what is wrong with the poll as a whole: brokers that did not answer, groups that do not exist.
    pub fn complaints(&self) -> Vec<String> {
        let unanswered = "not every broker answered: groups may be missing".to_owned();
        let unanswered = (!self.snapshot.outcome.is_up()).then_some(unanswered);
        let absent = self.absent.iter().map(|id| {
            let group = escape(id.as_str());
            let mut skipped = self.snapshot.skipped.iter();
            match skipped.find(|skipped| skipped.id == *id) {
                Some(SkippedGroup {
                    protocol_type,
                    state,
                    ..
                }) => format!(
                    "group '{group}' is a {protocol_type} group in state {state}: it has no offsets to describe"
                ),
                None => format!("consumer group '{group}' does not exist"),
            }
        });
        unanswered.into_iter().chain(absent).collect()
    }

    /// Returns the report of each group, in the order of Kafka's tool.
    pub fn reports(&self, columns: ColumnSet) -> Vec<Report> {
        let scene = Scene {
            snapshot: &self.snapshot,
            now: self.snapshot.taken,
        };
        let groups = self.in_java_order().into_iter();
        groups
            .map(|group| Report::new(GroupView::new(scene, group), columns))
            .collect()
    }

    /// Returns the groups as `/api/v1/groups/{group}` answers them, in an array.
    pub fn to_json(&self) -> String {
        let now = Instant::now();
        let cluster = self.snapshot.cluster.as_ref();
        let bodies: Vec<_> = self
            .in_java_order()
            .into_iter()
            .map(|group| json::group_detail(cluster, &self.snapshot, group, now))
            .collect();
        serde_json::to_string_pretty(&bodies).expect("strings, numbers and lists of them")
    }

    /// Java compares strings by their UTF-16 units, and so orders Kafka's tool its groups.
    fn in_java_order(&self) -> Vec<&GroupRow> {
        let mut groups: Vec<&GroupRow> = self.snapshot.groups.iter().map(AsRef::as_ref).collect();
        groups.sort_by(|one, other| {
            let (one, other) = (one.id.as_str(), other.id.as_str());
            one.encode_utf16().cmp(other.encode_utf16())
        });
        groups
    }
}
