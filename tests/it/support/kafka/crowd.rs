//! Many groups whose members come, go, die and commit by chance, and what those clients know for certain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kafka;
use super::install::java;
use crate::support::process::{Guarded, Scratch, show_log_on_panic};
use crate::support::wait::{eventually, wait_for};

/// The topics that every group consumes, and their partitions.
const TOPICS: [(&str, i32); 2] = [("orders", 6), ("payments", 3)];
/// How many records each partition has; commits lie at or before it.
const LOG_END: usize = 500;
/// Enough groups for every partition of `__consumer_offsets` to hold some.
const BYSTANDERS: usize = 60;
/// What the last sessions need to expire, and the last rebalances to end, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A crowd being put together.
#[derive(Debug)]
pub(crate) struct CrowdBuilder<'a> {
    kafka: &'a Kafka,
    groups: usize,
    seed: u64,
    faults: bool,
}

/// A running crowd; its clients die when it is dropped.
#[derive(Debug)]
pub(crate) struct Crowd {
    process: Guarded,
    stdin: ChildStdin,
    heard: Arc<Mutex<Heard>>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Heard {
    progress: Progress,
    truth: Option<Truth>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Progress {
    /// How many partition offsets were acknowledged.
    acknowledged: u64,
    /// How often members have come or gone in the group where they did least.
    acts: u64,
}

/// What the clients of a crowd that has come to rest know.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Truth {
    /// Errors that are no refusals: none unless nodes failed.
    pub(crate) troubles: u64,
    pub(crate) groups: BTreeMap<String, GroupTruth>,
}

/// How the members of a group take part in it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Range,
    Cooperative,
    /// KIP-848.
    Consumer,
    /// Commits without joining.
    Assign,
    /// Commits in transactions; every second such group is a KIP-848 group.
    Transactional,
}

/// What the clients of one group know.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct GroupTruth {
    pub(crate) kind: Kind,
    /// How many clients there are now; they are members unless the kind is [`Kind::Assign`].
    pub(crate) members: usize,
    /// How many said goodbye.
    pub(crate) left: usize,
    /// How many went without a word.
    pub(crate) vanished: usize,
    /// A deletion ends a life; the last one goes on, and may not have begun.
    lives: Vec<GroupLife>,
}

/// A group between two deletions.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct GroupLife {
    /// How many partition offsets Kafka has acknowledged, by topic.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// How many more it may have written, as nobody knows what became of them.
    pub(crate) uncertain: BTreeMap<String, u64>,
    /// The generations and epochs that members were told.
    pub(crate) rounds: BTreeSet<i32>,
    /// The ids of those who were told a generation or an epoch.
    pub(crate) members: BTreeSet<String>,
    /// Topic, partition, and the last offset acknowledged; more than one where later commits are uncertain.
    pub(crate) offsets: Vec<(String, i32, Vec<Option<i64>>)>,
}

impl Kafka {
    /// Begins a crowd of ten groups, two of each kind, in a cluster of its own.
    pub(crate) fn crowd(&self) -> CrowdBuilder<'_> {
        CrowdBuilder {
            kafka: self,
            groups: 10,
            seed: u64::from(std::process::id()),
            faults: false,
        }
    }
}

impl CrowdBuilder<'_> {
    /// How many groups; the kinds take turns.
    pub(crate) fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Nodes will fail: no client repeats a commit by itself, so that its outcome is known or known to be uncertain.
    pub(crate) fn expecting_faults(mut self) -> Self {
        self.faults = true;
        self
    }

    /// Creates the topics and lets the crowd in.
    pub(crate) fn start(self) -> Crowd {
        let Self {
            kafka,
            groups,
            seed,
            faults,
        } = self;
        for (topic, partitions) in TOPICS {
            kafka.create_topic(topic, partitions);
            for partition in 0..partitions {
                kafka.produce(topic, partition, LOG_END);
            }
        }
        // Makes `__consumer_offsets`, and every coordinator ready: later errors are worth a look.
        kafka.fill_groups("bystander-", BYSTANDERS, TOPICS[0].0, 1, 1);
        let plan = json!({
            "client": { "bootstrap.servers": kafka.bootstrap_servers() },
            "topics": BTreeMap::from(TOPICS), "log_end": LOG_END, "groups": groups, "slots": 4,
            "pace_ms": 2000, "seed": seed, "faults": faults,
        });
        Crowd::start(&plan)
    }
}

impl Crowd {
    fn start(plan: &Value) -> Self {
        let scratch = Scratch::new();
        let log = File::create(scratch.path().join("log")).expect("the folder is writable");
        let mut java = java("Crowd", 384);
        java.arg(plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = Guarded::spawn(&mut java);
        let stdin = process.child().stdin.take().expect("it is piped");
        let stdout = process.child().stdout.take().expect("it is piped");
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ear = Arc::clone(&heard);
        // It ends with the process.
        thread::spawn(move || listen(stdout, &ear));
        Self {
            process,
            stdin,
            heard,
            scratch,
        }
    }

    /// Lets the crowd go on for a while.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        thread::sleep(duration);
        self.assert_alive();
    }

    /// Waits until this many more partition offsets were acknowledged.
    pub(crate) fn wait_for_commits(&mut self, count: u64) {
        let before = self.progress().acknowledged;
        self.wait_until(&format!("{count} more commits"), |progress| {
            progress.acknowledged >= before + count
        });
    }

    /// Waits until members have come or gone this often in every group. All has happened in every group after seven.
    pub(crate) fn wait_for_acts(&mut self, count: u64) {
        self.wait_until(&format!("{count} acts"), |progress| progress.acts >= count);
    }

    fn wait_until(&mut self, what: &str, holds: impl Fn(Progress) -> bool) {
        eventually(what, LIMIT, || {
            self.assert_alive();
            holds(self.progress())
        });
    }

    /// Ends the commotion, waits until every group has come to rest, and returns what its clients know.
    ///
    /// Nobody commits any more; those who are members stay so.
    pub(crate) fn settle(&mut self) -> Truth {
        writeln!(self.stdin).expect("the crowd reads");
        wait_for("rest in every group", LIMIT, || {
            self.assert_alive();
            self.heard().truth.take()
        })
    }

    fn progress(&self) -> Progress {
        self.heard().progress
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().expect("who listens does not panic")
    }

    fn assert_alive(&mut self) {
        if let Some(status) = self.process.try_wait() {
            panic!("the crowd has ended with {status}");
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        show_log_on_panic("the crowd", &self.scratch.path().join("log"));
    }
}

impl GroupTruth {
    /// Returns every life that has left a trace, in their order.
    pub(crate) fn lives(&self) -> impl Iterator<Item = &GroupLife> {
        self.lives.iter().filter(|life| !life.is_empty())
    }

    /// Returns how often the group was deleted.
    pub(crate) fn deletions(&self) -> usize {
        self.lives.len() - 1
    }

    /// Returns how many members Kafka counts.
    pub(crate) fn members_in_kafka(&self) -> usize {
        match self.kind {
            Kind::Assign => 0,
            _ => self.members,
        }
    }
}

impl GroupLife {
    /// Returns whether its clients have done nothing that Kafka kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.acknowledged.is_empty() && self.uncertain.is_empty() && self.rounds.is_empty()
    }

    /// Returns whether nobody knows if Kafka has kept anything of it.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.acknowledged.is_empty() && self.rounds.is_empty()
    }

    /// Returns whether `count` commits of a topic agree with what the clients know.
    pub(crate) fn allows_commits(&self, topic: &str, count: u64) -> bool {
        let acknowledged = self.acknowledged.get(topic).copied().unwrap_or(0);
        let uncertain = self.uncertain.get(topic).copied().unwrap_or(0);
        (acknowledged..=acknowledged + uncertain).contains(&count)
    }
}

/// Keeps the newest of what the crowd tells.
fn listen(stdout: ChildStdout, heard: &Mutex<Heard>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let told: Told = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the crowd says `{line}`: {error}"));
        let mut heard = heard.lock().expect("who asks does not panic");
        match told {
            Told::Progress(progress) => heard.progress = progress,
            Told::Truth(truth) => heard.truth = Some(truth),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Progress(Progress),
    Truth(Truth),
}
