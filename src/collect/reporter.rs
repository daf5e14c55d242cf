//! What the log says of a cluster: one line when its condition changes, not one a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::config::PollConfig;
use super::failure::{Failure, Subject};
use crate::kafka::MalformedMembers;
use crate::lag::{GroupId, TopicName};
use crate::snapshot::{ClusterSnapshot, CycleOutcome};

/// Remembers what was last said of a cluster.
#[derive(Debug)]
pub(super) struct Reporter {
    cluster: String,
    told: Option<Condition>,
    undescribable: BTreeSet<GroupId>,
    /// Groups that were last said to have malformed assignments.
    malformed: BTreeSet<GroupId>,
    /// The topics and groups the configuration names, as the log spells them.
    named: BTreeSet<Named>,
    /// Those of them that were last said not to exist.
    absent: BTreeSet<Named>,
}

/// Something the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Topic(TopicName),
    Group(GroupId),
}

/// What is worth a line when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    outcome: CycleOutcome,
    /// The groups that could not be read, where that is all that is wrong.
    failing: BTreeSet<GroupId>,
}

impl Reporter {
    /// Returns a reporter that has said nothing yet.
    pub(super) fn new(config: &PollConfig) -> Self {
        let topics = config.topic_names.iter().cloned().map(Named::Topic);
        let groups = config.group_names.iter().cloned().map(Named::Group);
        Self {
            cluster: config.cluster.as_ref().map_or_else(
                || "the cluster".to_owned(),
                |cluster| format!("cluster `{cluster}`"),
            ),
            told: None,
            undescribable: BTreeSet::new(),
            malformed: BTreeSet::new(),
            named: topics.chain(groups).collect(),
            absent: BTreeSet::new(),
        }
    }

    /// Says what is new since the cycle before.
    pub(super) fn report(
        &mut self,
        snapshot: &ClusterSnapshot,
        failures: &[Failure],
        took: Duration,
    ) {
        let cluster = &self.cluster;
        let duration_ms = took.as_millis();
        debug!(%cluster, duration_ms, outcome = snapshot.outcome.as_str(), "polled {cluster}");
        if snapshot.outcome.is_up() {
            self.report_absent(snapshot, failures);
        }
        let cluster = &self.cluster;
        let condition = Condition::of(snapshot.outcome, failures);
        if self.told.as_ref() == Some(&condition) {
            return;
        }
        match condition.outcome {
            CycleOutcome::Complete => info!(
                %cluster,
                duration_ms,
                groups = snapshot.groups.len(),
                topics = snapshot.topics.len(),
                "{cluster} is read in full: {} groups, {} topics",
                snapshot.groups.len(),
                snapshot.topics.len(),
            ),
            CycleOutcome::Partial if !condition.is_news(self.told.as_ref()) => {
                info!(%cluster, failing = condition.failing.len(), "some groups of {cluster} can be read again");
            }
            CycleOutcome::Partial => {
                warn!(%cluster, "parts of {cluster} cannot be read: {}", why(failures));
            }
            CycleOutcome::Degraded => {
                warn!(%cluster, "{cluster} is read with gaps: {}", why(failures));
            }
            CycleOutcome::Failed => {
                warn!(%cluster, "{cluster} cannot be read: {}", why(failures));
            }
        }
        self.told = Some(condition);
    }

    /// Says which groups the cluster cannot describe, as far as that is new: in one line, however many they are.
    pub(super) fn report_undescribable(&mut self, undescribable: &BTreeSet<GroupId>) {
        let cluster = &self.cluster;
        let mut news = undescribable.difference(&self.undescribable);
        if let Some(group) = news.next() {
            let groups = match news.count() {
                0 => format!("group `{group}`: its"),
                others => format!("group `{group}` and {others} more: their"),
            };
            info!(%cluster, %group, "{cluster} cannot describe {groups} members and state are not shown");
        }
        self.undescribable.clone_from(undescribable);
    }

    /// Logs each group with members whose assignment cannot be read once, until it has none.
    pub(super) fn report_malformed(&mut self, malformed: &BTreeMap<GroupId, &MalformedMembers>) {
        let cluster = &self.cluster;
        for (group, MalformedMembers { count, first }) in malformed {
            if !self.malformed.contains(group) {
                warn!(%cluster, %group, "group `{group}` has malformed assignments, members: {count}; they are ignored, its offsets and lag are not affected: {first}");
            }
        }
        self.malformed = malformed.keys().cloned().collect();
    }

    /// Says which of the names in the configuration do not exist, as far as that is new.
    fn report_absent(&mut self, snapshot: &ClusterSnapshot, failures: &[Failure]) {
        let Self { cluster, named, .. } = self;
        if named.is_empty() {
            return;
        }
        let unreadable = failures
            .iter()
            .filter_map(|failure| match &failure.subject {
                Subject::Topic(topic) => Some(Named::Topic(topic.clone())),
                _ => None,
            });
        let topics = snapshot
            .topics
            .iter()
            .map(|row| Named::Topic(row.name.clone()));
        let groups = snapshot
            .groups
            .iter()
            .map(|row| Named::Group(row.id.clone()));
        let present: BTreeSet<Named> = topics.chain(groups).chain(unreadable).collect();
        let absent: BTreeSet<Named> = named.difference(&present).cloned().collect();
        for name in absent.difference(&self.absent) {
            match name {
                Named::Topic(topic) => {
                    warn!(%cluster, %topic, "{cluster} has no topic `{topic}`, which the configuration names");
                }
                Named::Group(group) => {
                    info!(%cluster, %group, "{cluster} has no group `{group}` yet, which the configuration names");
                }
            }
        }
        self.absent = absent;
    }
}

impl Condition {
    fn of(outcome: CycleOutcome, failures: &[Failure]) -> Self {
        let failing = failures
            .iter()
            .filter_map(|failure| match &failure.subject {
                Subject::Group(group) => Some(group.clone()),
                _ => None,
            });
        Self {
            outcome,
            failing: if outcome == CycleOutcome::Partial {
                failing.collect()
            } else {
                BTreeSet::new()
            },
        }
    }

    /// Returns whether something fails that did not fail when `before` was logged.
    fn is_news(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| {
            before.outcome != self.outcome || !self.failing.is_subset(&before.failing)
        })
    }
}

/// Returns the first failure, the gravest kind first, and how many more there are.
fn why(failures: &[Failure]) -> String {
    let grave = failures.iter().find(|failure| failure.hides_rows());
    match (grave.or_else(|| failures.first()), failures.len()) {
        (None, _) => "nobody answered".to_owned(),
        (Some(failure), 1) => failure.to_string(),
        (Some(failure), 2) => format!("{failure}; and 1 more failure"),
        (Some(failure), count) => format!("{failure}; and {} more failures", count - 1),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::{Instant, SystemTime};

    use super::super::clock::Now;
    use super::super::failure::Operation;
    use super::super::rows::blank;
    use super::*;
    use crate::kafka::{ErrorCode, KafkaError};
    use crate::lag::BrokerId;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut buffer = self.0.lock().expect("one thread writes");
            buffer.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn failure(operation: Operation, subject: Subject) -> Failure {
        let error = KafkaError {
            code: ErrorCode::TIMED_OUT,
            message: "too late".to_owned(),
        };
        Failure::new(operation, subject, &error)
    }

    fn group(id: &str) -> Failure {
        failure(Operation::CommittedOffsets, Subject::Group(id.into()))
    }

    /// Returns what `speak` logs from `info` up, without times and fields.
    fn logged(speak: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, speak);
        let bytes = lines.0.lock().expect("nobody writes any more").clone();
        let text = String::from_utf8(bytes).expect("lines are text");
        let line = |line: &str| {
            let end = line.find(" cluster=").unwrap_or(line.len());
            line[..end].trim().to_owned()
        };
        text.lines().map(line).collect()
    }

    /// Returns what is logged over these cycles.
    fn told(config: &PollConfig, cycles: &[(CycleOutcome, Vec<Failure>)]) -> Vec<String> {
        let now = Now {
            instant: Instant::now(),
            time: SystemTime::now(),
        };
        logged(|| {
            let mut reporter = Reporter::new(config);
            for (outcome, failures) in cycles {
                let mut snapshot = blank(config, now);
                snapshot.outcome = *outcome;
                reporter.report(&snapshot, failures, Duration::ZERO);
            }
        })
    }

    #[test]
    fn each_change_is_told_once() {
        use CycleOutcome::{Complete, Degraded, Failed, Partial};
        let lost = || vec![failure(Operation::Metadata, Subject::Cluster)];
        let silent = || {
            let subject = Subject::Broker(BrokerId(2));
            vec![group("a"), failure(Operation::ListGroups, subject)]
        };
        let cycles = [
            (Failed, lost()),
            (Failed, lost()),
            (Complete, vec![]),
            (Complete, vec![]),
            (Degraded, silent()),
            (Degraded, silent()),
            (Partial, vec![group("a")]),
            (Partial, vec![group("a")]),
            (Partial, vec![group("a"), group("b")]),
            (Partial, vec![group("b")]),
            (Complete, vec![]),
        ];
        let expected = [
            "WARN the cluster cannot be read: metadata: too late (`_TIMED_OUT`)",
            "INFO the cluster is read in full: 0 groups, 0 topics",
            "WARN the cluster is read with gaps: list_groups of broker 2: too late (`_TIMED_OUT`); and 1 more failure",
            "WARN parts of the cluster cannot be read: committed_offsets of group `a`: too late (`_TIMED_OUT`)",
            "WARN parts of the cluster cannot be read: committed_offsets of group `a`: too late (`_TIMED_OUT`); and 1 more failure",
            "INFO some groups of the cluster can be read again",
            "INFO the cluster is read in full: 0 groups, 0 topics",
        ];
        assert_eq!(told(&PollConfig::default(), &cycles), expected);
    }

    #[test]
    fn groups_that_cannot_be_described_are_told_once() {
        let lines = logged(|| {
            let mut reporter = Reporter::new(&PollConfig::default());
            for groups in [&["a", "b", "c"][..], &["a", "b", "c"], &["a", "d"], &[]] {
                let groups = groups.iter().map(|&group| group.into()).collect();
                reporter.report_undescribable(&groups);
            }
        });
        let expected = [
            "INFO the cluster cannot describe group `a` and 2 more: their members and state are not shown",
            "INFO the cluster cannot describe group `d`: its members and state are not shown",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn names_of_the_configuration_that_do_not_exist_are_told_once() {
        let config = PollConfig {
            cluster: Some("prod".into()),
            topic_names: vec!["orders".into()],
            group_names: vec!["billing".into()],
            ..PollConfig::default()
        };
        let cycles = [
            (CycleOutcome::Complete, vec![]),
            (CycleOutcome::Complete, vec![]),
        ];
        let expected = [
            "WARN cluster `prod` has no topic `orders`, which the configuration names",
            "INFO cluster `prod` has no group `billing` yet, which the configuration names",
            "INFO cluster `prod` is read in full: 0 groups, 0 topics",
        ];
        assert_eq!(told(&config, &cycles), expected);
    }
}
