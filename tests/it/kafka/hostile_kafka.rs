//! Members and groups of a real Kafka that make no sense: they harm nobody, and the sound group beside them is seen.
//!
//! Brokers store what members say unread, so anything may be in a subscription, an assignment and a name.
//! `LAGWATCH_SCALE=full` sends 2,000 blobs made by chance instead of 300; `LAGWATCH_SEED` repeats them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::hostile_stages::{Assignments, ODD_NAMES, TOPIC, ordinary, stages};
use crate::support::{
    Kafka, Lagwatch, RawIdentity, RawMember, Refusal, Running, Samples, assignment, eventually,
    get, subscription, unique,
};

/// The group that behaves; its figures never change.
const SOUND: &str = "sound";
const COMMITTED: i64 = 4;
const LOG_END: i64 = 10;
const LAG: f64 = 6.0;
const LIMIT: Duration = Duration::from_secs(60);
/// Members need not be described in every cycle.
const COUNTED_WITHIN: Duration = Duration::from_secs(15);
const MEMORY_KIB: u64 = 32 * 1024;
#[test]
#[ignore = "needs Java 17 and Maven"]
fn members_and_groups_that_make_no_sense_harm_nobody() {
    let kafka = kafka();
    let mut world = World::build(&kafka);
    let mut wrong = world.stage("ordinary members", ordinary(), Assignments::Sound);
    // From here on nothing may grow.
    world.remember_memory();
    for (name, identities, assignments) in stages() {
        wrong.extend(world.stage(&name, identities, assignments));
    }
    wrong.extend(world.finish());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn every_group_id_is_shown_with_its_own_offset() {
    let kafka = kafka();
    let mut world = World::build(&kafka);
    let mut wrong = world.odd_names();
    wrong.extend(world.finish());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The other tests mean something only while brokers take what it sends.
#[test]
#[ignore = "needs Java 17 and Maven"]
fn kafka_takes_every_member_and_every_group_id() {
    let kafka = kafka();
    let topic = kafka.create_topic(&unique("orders"), 1);
    let prefix = unique("taken");
    // Makes `__consumer_offsets`, without which nobody coordinates.
    kafka.commit_for(&prefix, &topic, 0, 0);
    for (name, identities, _) in stages() {
        let members = join(&kafka, &prefix, &name, identities);
        expect_membership(&name, members);
    }
    for group in ODD_NAMES {
        assert_eq!(
            kafka.raw_commit(group.as_bytes(), (&topic, 0), 1),
            Ok(()),
            "{group:?}"
        );
    }
    let sound = RawIdentity {
        group: prefix.clone().into_bytes(),
        metadata: subscription(&[topic.as_bytes()]),
        assignment: assignment(&[(topic.as_bytes(), &[0])]),
        ..RawIdentity::consumer("")
    };
    let member = kafka.raw_member(&sound).expect("it says what clients say");
    let described = kafka.describe_group(&prefix);
    assert_eq!(described.members[0].assignment, [(topic, 0)]);
    drop(member);
}

fn kafka() -> Kafka {
    Kafka::builder()
        // A group without members and offsets goes at once: the groups of earlier stages are no load for later ones.
        .property("offsets.retention.check.interval.ms", "1000")
        .start()
}

/// Lets members in, each alone in the group `PREFIX: STAGE, N`, and returns those that Kafka has let in.
///
/// Kafka does not answer a consumer whose subscription it cannot read. Its group may stay for a while.
fn join(kafka: &Kafka, prefix: &str, stage: &str, identities: Vec<RawIdentity>) -> Vec<RawMember> {
    let join = |(number, identity): (usize, RawIdentity)| {
        let has_sound_subscription = identity.metadata == RawIdentity::consumer("").metadata;
        let identity = RawIdentity {
            group: format!("{prefix}: {stage}, {number}").into_bytes(),
            ..identity
        };
        match kafka.raw_member(&identity) {
            Ok(member) => Some(member),
            Err(Refusal::NoAnswer) if !has_sound_subscription => None,
            Err(refusal) => panic!("{stage}, member {number}: {refusal:?}"),
        }
    };
    let members: Vec<RawMember> = thread::scope(|scope| {
        let joining: Vec<_> = identities
            .into_iter()
            .enumerate()
            .map(|numbered| scope.spawn(move || join(numbered)))
            .collect();
        joining
            .into_iter()
            .filter_map(|thread| thread.join().expect("Kafka lets it in"))
            .collect()
    });
    assert!(!members.is_empty(), "{stage}: nobody is a member");
    members
}

/// Asks for every member whether it is still one, and lets them go.
fn expect_membership(stage: &str, members: Vec<RawMember>) {
    for (number, mut member) in (0..).zip(members) {
        assert_eq!(member.heartbeat(), Ok(()), "{stage}, member {number}");
    }
}

/// A cluster with one sound group, and those that watch it.
struct World<'k> {
    kafka: &'k Kafka,
    watchers: Vec<Watcher>,
}

struct Watcher {
    mode: &'static str,
    serve: Running,
    watch: Watch,
    memory_kib: u64,
}

impl<'k> World<'k> {
    fn build(kafka: &'k Kafka) -> Self {
        kafka.create_topic(TOPIC, 3);
        for partition in 0..3 {
            assert_eq!(kafka.produce(TOPIC, partition, 10), LOG_END);
        }
        kafka.commit_for(SOUND, TOPIC, 0, COMMITTED);
        let watchers = ["poll", "stream"].map(|mode| {
            let serve = serve(kafka, mode);
            eventually("the lag of the sound group", LIMIT, || {
                sound_lag(&serve.scrape()) == Some(LAG)
            });
            let shown = [("mode", mode)];
            let shown = serve.scrape().value("lagwatch_collect_mode", &shown);
            assert_eq!(shown, Some(1.0), "mode {mode}");
            Watcher {
                mode,
                watch: Watch::start(serve.address()),
                serve,
                memory_kib: 0,
            }
        });
        Self {
            kafka,
            watchers: watchers.into(),
        }
    }

    fn remember_memory(&mut self) {
        for watcher in &mut self.watchers {
            watcher.memory_kib = watcher.serve.vitals().resident_kib;
        }
    }

    /// Lets members in, each in a group of its own, looks, and lets them go; returns what is wrong.
    fn stage(
        &mut self,
        name: &str,
        identities: Vec<RawIdentity>,
        assignments: Assignments,
    ) -> Vec<String> {
        let before: BTreeMap<_, _> = self
            .watchers
            .iter()
            .map(|watcher| (watcher.mode, watcher.errors().unwrap_or(0.0)))
            .collect();
        let members = join(self.kafka, "odd", name, identities);
        let mut wrong = self.look();
        self.watchers.retain_mut(|watcher| {
            wrong.extend(watcher.count_errors(before[watcher.mode], assignments));
            watcher.serve.is_running()
        });
        expect_membership(name, members);
        wrong.iter().map(|what| format!("{name}: {what}")).collect()
    }

    /// Waits until everyone has seen what is there now, and tries the commands; returns what is wrong.
    fn look(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.watchers.retain_mut(|watcher| {
            wrong.extend(watcher.see_a_whole_cycle());
            // One that has ended is reported once.
            watcher.serve.is_running()
        });
        for command in ["describe", "check"] {
            let arguments: &[&str] = match command {
                "describe" => &["--all-groups"],
                _ => &[],
            };
            let finished = Lagwatch::new(command)
                .args(["--bootstrap-server", &self.kafka.bootstrap_servers()])
                .args(arguments)
                .run();
            if !finished.status.success() {
                let mut output = finished.stdout.lines().chain(finished.stderr.lines());
                let problem = output.rfind(|line| is_problem(line));
                wrong.push(format!(
                    "{command} ended with {}: {}",
                    finished.status,
                    problem.unwrap_or("it prints no problem")
                ));
            } else if command == "describe" && !finished.stdout.contains(SOUND) {
                wrong.push(format!("describe does not show {SOUND}"));
            }
        }
        wrong
    }

    /// Commits for groups with odd names, and looks whether each has its own offset.
    fn odd_names(&mut self) -> Vec<String> {
        let long = "g".repeat(200);
        let names = || ODD_NAMES.into_iter().chain([long.as_str()]);
        for (offset, name) in (0..).zip(names()) {
            self.kafka
                .raw_commit(name.as_bytes(), (TOPIC, 1), offset)
                .unwrap_or_else(|error| panic!("committing for {name:?}: {error:?}"));
        }
        self.kafka
            .raw_commit(b"not UTF-8 \xff", (TOPIC, 1), 1)
            .expect("Kafka replaces what it cannot read");
        let mut wrong = self.look();
        for Watcher { mode, serve, .. } in &self.watchers {
            let samples = serve.scrape();
            for (offset, name) in (0..).zip(names()) {
                let shown = offset_of(&samples, name);
                if shown != vec![f64::from(offset)] {
                    wrong.push(format!(
                        "{mode}: {name:?} has offsets {shown:?}, not {offset}"
                    ));
                }
            }
            let answer = serve.get("/metrics");
            for escaped in [
                r#"consumergroup="with\na line feed""#,
                r#"consumergroup="with \"quotes\" and 'quotes'""#,
                r#"consumergroup="with \\ and \\n and \\""#,
            ] {
                if !answer.text().contains(escaped) {
                    wrong.push(format!("{mode}: no label is `{escaped}`"));
                }
            }
        }
        wrong
            .iter()
            .map(|what| format!("odd names: {what}"))
            .collect()
    }

    /// Ends the watches and returns every lie that they have seen.
    fn finish(self) -> Vec<String> {
        self.watchers
            .into_iter()
            .flat_map(|Watcher { mode, watch, .. }| {
                let lies = watch.finish().into_iter();
                lies.map(move |lie| format!("{mode}: {lie}"))
            })
            .collect()
    }
}

impl Watcher {
    /// Returns what `lagwatch_errors_total` counts; nothing where there is no answer.
    fn errors(&self) -> Option<f64> {
        Some(scrape(&self.serve)?.sum("lagwatch_errors_total", &[]))
    }

    /// Returns what is wrong with the errors that were counted since there were `before`.
    fn count_errors(&mut self, before: f64, assignments: Assignments) -> Option<String> {
        if assignments == Assignments::Malformed {
            let deadline = Instant::now() + COUNTED_WITHIN;
            while Instant::now() < deadline && self.errors().is_some_and(|now| now <= before) {
                thread::sleep(Duration::from_millis(100));
            }
        }
        let mode = self.mode;
        let Some(now) = self.errors() else {
            return Some(format!("{mode} has ended"));
        };
        match assignments {
            Assignments::Malformed if now <= before => Some(format!(
                "{mode} has counted no malformed assignment in lagwatch_errors_total"
            )),
            Assignments::Sound if now > before => Some(format!(
                "{mode} has counted {} errors, and there was none",
                now - before
            )),
            _ => None,
        }
    }

    /// Waits for the end of two cycles; returns what is wrong with the process then.
    fn see_a_whole_cycle(&mut self) -> Option<String> {
        let Self { mode, serve, .. } = self;
        // However they end: one group may fail, and the others are still read.
        let cycles = |serve: &Running| Some(scrape(serve)?.sum("lagwatch_polls_total", &[]));
        let before = cycles(serve).unwrap_or(0.0);
        // The one that is under way has begun before: the next one counts.
        eventually("the end of two cycles, or of the process", LIMIT, || {
            !serve.is_running() || cycles(serve).is_some_and(|count| count >= before + 2.0)
        });
        if !serve.is_running() {
            return Some(format!("{mode} has ended"));
        }
        let grown = serve.vitals().resident_kib.saturating_sub(self.memory_kib);
        let is_measured = self.memory_kib > 0;
        (is_measured && grown >= MEMORY_KIB).then(|| format!("{mode} has grown by {grown} KiB"))
    }
}

fn serve(kafka: &Kafka, mode: &str) -> Running {
    let servers = kafka.bootstrap_servers();
    let config = format!(
        "clusters:
  - bootstrap-servers: [\"{servers}\"]
    mode: {mode}
    stale-after: 30s
"
    );
    Lagwatch::new("serve")
        .config(&config)
        .args(["--poll-interval", "1s"])
        .start()
}

/// Scrapes; nothing where there is no answer.
fn scrape(serve: &Running) -> Option<Samples> {
    let answer = get(serve.address(), "/metrics", &[]).ok()?;
    Some(Samples::parse(answer.text()))
}

/// Returns whether a line that `describe` or `check` has printed says what is wrong, or how the process died.
fn is_problem(line: &str) -> bool {
    ["error", "missing", "unreachable", "lagwatch: ", "thread "]
        .iter()
        .any(|start| line.starts_with(start))
}

fn sound_lag(samples: &Samples) -> Option<f64> {
    let labels = [
        ("consumergroup", SOUND),
        ("topic", TOPIC),
        ("partition", "0"),
    ];
    samples.value("kafka_consumergroup_lag", &labels)
}

/// Returns the offsets that are shown for a group on partition 1; an absent label is the empty one.
fn offset_of(samples: &Samples, group: &str) -> Vec<f64> {
    samples
        .all(
            "kafka_consumergroup_current_offset",
            &[("topic", TOPIC), ("partition", "1")],
        )
        .filter(|sample| sample.labels.get("consumergroup").map_or("", |id| id) == group)
        .map(|sample| sample.value)
        .collect()
}

/// Scrapes all the while and remembers every scrape in which the sound group's lag is not the true one.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<String>>,
}

impl Watch {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut lies = BTreeSet::new();
            while !told.load(Ordering::Relaxed) {
                lies.extend(lie_of(address));
                thread::sleep(Duration::from_millis(100));
            }
            lies
        });
        Self { stop, thread }
    }

    fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch does not panic")
    }
}

fn lie_of(address: SocketAddr) -> Option<String> {
    let answer = match get(address, "/metrics", &[]) {
        Ok(answer) if answer.status == 200 => answer,
        Ok(answer) => return Some(format!("a scrape was answered {}", answer.status)),
        Err(error) => return Some(format!("a scrape failed: {error}")),
    };
    let shown = sound_lag(&Samples::parse(answer.text()));
    (shown != Some(LAG)).then(|| format!("a scrape showed {shown:?} as the lag of `{SOUND}`"))
}
