//! Task consumers as processes: a topic and a group of their own on a real Kafka, and their audit logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::world::audited;
use crate::support::{Kafka, Lagwatch, Running, Scratch, eventually, unique};

/// The longest that anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A topic, a group that consumes it, and the folder of its members' audit logs.
pub(crate) struct Deployment {
    pub(crate) kafka: &'static Kafka,
    pub(crate) topic: String,
    pub(crate) group: String,
    scratch: Scratch,
}

impl Deployment {
    pub(crate) fn new(partitions: i32) -> Self {
        let kafka = Kafka::shared();
        Self {
            kafka,
            topic: kafka.create_topic(&unique("task-created"), partitions),
            group: unique("tasks"),
            scratch: Scratch::new(),
        }
    }

    /// Writes that many tasks with different ids; their keys spread them over the partitions.
    pub(crate) fn produce(&self, count: usize) {
        let records: Vec<_> = (0..count)
            .map(|number| {
                let id = format!("task-{number:04}");
                let event = format!(r#"{{"id":"{id}","title":"title of {id}"}}"#);
                (id, event)
            })
            .collect();
        self.kafka.produce_keyed(&self.topic, &records);
    }

    /// Returns the ids that are in the topic, as Kafka's own consumer reads them.
    pub(crate) fn produced(&self) -> BTreeSet<String> {
        let records = self.kafka.read_all(&self.topic).into_iter();
        records.filter_map(|record| record.key).collect()
    }

    /// Begins the command line of a consumer that writes the audit log of that name.
    pub(crate) fn consumer(&self, audit_log: &str) -> Lagwatch {
        Lagwatch::new("consume")
            .args(["--bootstrap-server", &self.kafka.bootstrap_servers()])
            .args(["--topic", &self.topic, "--group", &self.group])
            .args([Path::new("--audit-log"), &self.audit_log(audit_log)])
    }

    /// Returns the ids in an audit log, in the order of partition and offset.
    pub(crate) fn audited(&self, audit_log: &str) -> Vec<String> {
        audited(&self.audit_log(audit_log))
    }

    /// Returns how many records lie before the committed offsets.
    pub(crate) fn committed(&self) -> usize {
        let offsets = self.kafka.committed(&self.group).into_values();
        usize::try_from(offsets.sum::<i64>()).expect("offsets are positive")
    }

    pub(crate) fn wait_for_commit_of(&self, records: usize) {
        eventually("the commit of every record", LIMIT, || {
            self.committed() == records
        });
    }

    fn audit_log(&self, name: &str) -> PathBuf {
        self.scratch.path().join(format!("{name}.sqlite"))
    }
}

/// Returns how many partitions a consumer that serves metrics says it has.
pub(crate) fn owned(consumer: &Running) -> u64 {
    let owned = consumer
        .scrape()
        .sum("lagwatch_task_assigned_partitions", &[]);
    owned as u64
}

/// Waits until the consumers have all of the partitions, and each of them `share` at least.
pub(crate) fn wait_for_shares(consumers: &[&Running], partitions: u64, share: u64) {
    let what = format!("{partitions} partitions shared by {}", consumers.len());
    eventually(&what, LIMIT, || {
        let shares: Vec<u64> = consumers.iter().map(|consumer| owned(consumer)).collect();
        shares.iter().sum::<u64>() == partitions && shares.iter().all(|owned| *owned >= share)
    });
}

/// Counts each id of several audit logs.
pub(crate) fn counted(logs: impl IntoIterator<Item = Vec<String>>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for id in logs.into_iter().flatten() {
        *counts.entry(id).or_insert(0) += 1;
    }
    counts
}

/// Prints what a test has found.
#[expect(clippy::print_stderr, reason = "the runner shows it with --nocapture")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
