//! `serve` beside a transaction that is held open: what is behind it in its partition cannot be followed yet.
//!
//! The full size: `LAGWATCH_HELD_SECONDS=60`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::world::{current_offset, exact, follow, number, wait_for_cycles, wait_for_figures};
use crate::support::{
    Counts, End, Kafka, Member, OffsetsLog, Protocol, Running, Samples, eventually,
};
use crate::task::deployment::say;

/// The group whose offsets the transaction holds.
const HELD: &str = "held";
const TOPIC: &str = "orders";
const PARTITIONS: i32 = 2;
const LOG_END: usize = 1000;
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// One cycle sees that the partition is behind, and the next one asks its coordinator; both take their time.
const BY_POLLING: Duration = Duration::from_secs(2 * 3 + 5);
/// What is followed does not wait for a cycle.
const BY_FOLLOWING: Duration = Duration::from_millis(1500);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn a_transaction_held_open_leaves_the_others_fresh_and_every_count_exact() {
    let kafka = Kafka::builder().start();
    kafka.create_topic(TOPIC, PARTITIONS);
    for partition in 0..PARTITIONS {
        kafka.produce(TOPIC, partition, LOG_END);
    }
    let serve = follow(&kafka, POLL_INTERVAL);
    let mut world = World::begin(&kafka, &serve);
    let mut committed = 0;
    for (end, offset) in [(End::Commit, 400), (End::Abort, 700)] {
        let transaction = kafka.open_transaction(HELD, &[(TOPIC, 0, offset)]);
        let held_until = Instant::now() + Duration::from_secs(number("LAGWATCH_HELD_SECONDS", 15));
        world.open_one_of_each_kind(&format!("during-{end:?}"));
        world.let_members_join();
        world.commit_everywhere();
        world.wait_for_members(2);
        world.delete_simple_groups();
        world.let_members_leave();
        world.commit_everywhere();
        world.wait_for_members(1);
        while Instant::now() < held_until {
            world.commit_everywhere();
        }
        assert_eq!(behind(&serve.scrape()), Some(1.0));
        world.assert_held();
        transaction.end(end);
        committed += u64::from(end == End::Commit);
        eventually("no partition behind", BY_POLLING, || {
            behind(&serve.scrape()) == Some(0.0)
        });
        world.wait_for_agreement(committed);
    }
    wait_for_cycles(&serve, 2.0);
    world.wait_for_agreement(committed);
    let scrape = serve.scrape();
    assert_eq!(scrape.sum("lagwatch_stream_drift_total", &[]), 0.0);
    assert_eq!(scrape.sum("lagwatch_stream_gaps_total", &[]), 0.0);
    say(&format!(
        "acknowledged to visible, at most: {:.0?} beside the transaction, {:.0?} elsewhere; the poll interval is {POLL_INTERVAL:?}",
        world.longest_beside, world.longest_elsewhere
    ));
}

/// The groups of the test, by where they lie.
struct World<'a> {
    kafka: &'a Kafka,
    serve: &'a Running,
    /// In the partition of the group that is held.
    beside: Vec<Group<'a>>,
    elsewhere: Group<'a>,
    longest_beside: Duration,
    longest_elsewhere: Duration,
}

/// A group, and what the test has let it do.
struct Group<'a> {
    kafka: &'a Kafka,
    id: String,
    kind: Kind,
    /// The first one stays, and commits.
    members: Vec<Member<'a>>,
    deletions: usize,
    commits: i32,
    joins: usize,
    leaves: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Its member commits without joining.
    Simple,
    Joining(Protocol),
}

/// A commit that Kafka has acknowledged.
struct Commit {
    group: String,
    partition: i32,
    offset: i32,
    acknowledged: SystemTime,
}

impl<'a> World<'a> {
    fn begin(kafka: &'a Kafka, serve: &'a Running) -> Self {
        let held = kafka.offsets_partition(HELD);
        let elsewhere = id_of(kafka, "elsewhere", |partition| partition != held);
        let mut world = Self {
            kafka,
            serve,
            beside: Vec::new(),
            elsewhere: Group::open(kafka, elsewhere, Kind::Simple),
            longest_beside: Duration::ZERO,
            longest_elsewhere: Duration::ZERO,
        };
        world.open_one_of_each_kind("before");
        world.commit_everywhere();
        world
    }

    /// Opens groups in the partition of the one that is held.
    fn open_one_of_each_kind(&mut self, when: &str) {
        let held = self.kafka.offsets_partition(HELD);
        for (name, kind) in [
            ("simple", Kind::Simple),
            ("classic", Kind::Joining(Protocol::Classic)),
            ("consumer", Kind::Joining(Protocol::Consumer)),
        ] {
            let name = format!("{name}-{when}");
            let id = id_of(self.kafka, &name, |partition| partition == held);
            self.beside.push(Group::open(self.kafka, id, kind));
        }
        self.beside.iter().for_each(Group::wait_for_shares);
    }

    fn joining(&mut self) -> impl Iterator<Item = &mut Group<'a>> {
        let groups = self.beside.iter_mut();
        groups.filter(|group| group.kind != Kind::Simple)
    }

    fn let_members_join(&mut self) {
        self.joining().for_each(Group::join);
        self.beside.iter().for_each(Group::wait_for_shares);
    }

    fn let_members_leave(&mut self) {
        self.joining().for_each(Group::leave);
        self.beside.iter().for_each(Group::wait_for_shares);
    }

    /// Deletes the groups that have no members in Kafka, and waits until nothing of them shows.
    fn delete_simple_groups(&mut self) {
        let groups = self.beside.iter_mut();
        for group in groups.filter(|group| group.kind == Kind::Simple) {
            self.kafka.delete_group(&group.id);
            group.deletions += 1;
        }
        let gone = self
            .beside
            .iter()
            .filter(|group| group.kind == Kind::Simple);
        for Group { id, .. } in gone {
            let of_group = [("consumergroup", id.as_str())];
            eventually(&format!("the end of {id}"), BY_POLLING, || {
                let scrape = self.serve.scrape();
                scrape
                    .all("kafka_consumergroup_current_offset", &of_group)
                    .count()
                    == 0
            });
        }
    }

    /// Lets every group commit, and waits until each commit shows in its time.
    fn commit_everywhere(&mut self) {
        let beside: Vec<Commit> = self.beside.iter_mut().map(Group::commit).collect();
        let elsewhere = self.elsewhere.commit();
        let taken = elsewhere.wait_until_shown(self.serve, BY_FOLLOWING);
        self.longest_elsewhere = self.longest_elsewhere.max(taken);
        for commit in beside {
            let taken = commit.wait_until_shown(self.serve, BY_POLLING);
            self.longest_beside = self.longest_beside.max(taken);
        }
    }

    fn wait_for_members(&mut self, count: usize) {
        let serve = self.serve;
        for Group { id, .. } in self.joining() {
            let of_group = [("consumergroup", id.as_str())];
            eventually(&format!("{count} members of {id}"), BY_POLLING, || {
                let scrape = serve.scrape();
                scrape.value("kafka_consumergroup_members", &of_group) == Some(exact(count))
            });
        }
    }

    /// The test proves nothing unless what it has committed lies behind the stable end.
    fn assert_held(&self) {
        let log = self.kafka.offsets_log();
        for Group { id, commits, .. } in &self.beside {
            let stable = kept_of(&log, id).commits.get(TOPIC).copied().unwrap_or(0);
            assert!(stable < count_of(*commits), "all of {id} is stable");
        }
    }

    /// Waits until every figure is the one of Kafka, which has kept what the test has done and nothing else.
    fn wait_for_agreement(&self, commits_of_held: u64) {
        let log = self.kafka.offsets_log();
        let mut members = BTreeMap::from([(HELD, 0)]);
        let held = Counts {
            commits: [(TOPIC.to_owned(), commits_of_held)].into(),
            ..Counts::default()
        };
        assert_eq!(log.counts(HELD), [held]);
        for group in self.beside.iter().chain([&self.elsewhere]) {
            let Group {
                id,
                deletions,
                commits,
                joins,
                leaves,
                ..
            } = group;
            let made = Counts {
                commits: [(TOPIC.to_owned(), count_of(*commits))].into(),
                joins: *joins,
                leaves: *leaves,
                // How many a change of the members takes is the coordinator's affair.
                rounds: kept_of(&log, id).rounds,
            };
            assert_eq!(log.counts(id).len(), deletions + 1, "{id}");
            assert_eq!(kept_of(&log, id), made, "{id}");
            members.insert(id, joins - leaves);
        }
        wait_for_figures(self.serve, &members, &log);
    }
}

impl<'a> Group<'a> {
    fn open(kafka: &'a Kafka, id: String, kind: Kind) -> Self {
        let mut group = Self {
            kafka,
            id,
            kind,
            members: Vec::new(),
            deletions: 0,
            commits: 0,
            joins: 0,
            leaves: 0,
        };
        group.join();
        group
    }

    /// Lets another member come.
    fn join(&mut self) {
        let member = self.kafka.member(&self.id);
        let member = match self.kind {
            Kind::Simple => member.assign(&[(TOPIC, 0), (TOPIC, 1)]),
            Kind::Joining(Protocol::Consumer) => {
                member.subscribe(&[TOPIC]).protocol(Protocol::Consumer)
            }
            Kind::Joining(Protocol::Classic) => member
                .subscribe(&[TOPIC])
                .protocol(Protocol::Classic)
                .property("heartbeat.interval.ms", "500"),
        };
        self.members.push(member.open());
        self.joins += usize::from(self.kind != Kind::Simple);
    }

    /// Lets the newest member go.
    fn leave(&mut self) {
        self.members.pop().expect("one has joined").close();
        self.leaves += 1;
    }

    /// Waits until each member has some of the partitions, and none of them is left.
    fn wait_for_shares(&self) {
        Member::wait_for_shares(&self.members, PARTITIONS.unsigned_abs() as usize);
    }

    /// Lets the first member commit the next offset on a partition that it owns.
    fn commit(&mut self) -> Commit {
        self.commits += 1;
        let offset = self.commits;
        let (topic, partition) = self.members[0].assignment().remove(0);
        Commit {
            group: self.id.clone(),
            partition,
            offset,
            acknowledged: self.members[0].commit(&topic, partition, offset.into()),
        }
    }
}

impl Commit {
    /// Waits until it shows, at most for `limit` since it was acknowledged, and returns how long that took.
    fn wait_until_shown(&self, serve: &Running, limit: Duration) -> Duration {
        let Self {
            group,
            partition,
            offset,
            acknowledged,
        } = self;
        let elapsed = || acknowledged.elapsed().unwrap_or_default();
        let what = format!(
            "offset {offset} of {group}, which was committed {:?} ago",
            elapsed()
        );
        eventually(&what, limit.saturating_sub(elapsed()), || {
            current_offset(&serve.scrape(), group, TOPIC, *partition) == Some(exact(*offset))
        });
        elapsed()
    }
}

/// Returns an id of a group in a partition of `__consumer_offsets` that `suits`.
fn id_of(kafka: &Kafka, name: &str, suits: impl Fn(i32) -> bool) -> String {
    let mut ids = (0..).map(|number| format!("{name}-{number}"));
    let id = ids.find(|id| suits(kafka.offsets_partition(id)));
    id.expect("they do not end")
}

/// Returns all that Kafka has kept of a group, whatever was deleted.
fn kept_of(log: &OffsetsLog, id: &str) -> Counts {
    log.counts(id).pop().expect("there is one life at least")
}

fn behind(samples: &Samples) -> Option<f64> {
    samples.value("lagwatch_stream_partitions", &[("state", "behind")])
}

fn count_of(commits: i32) -> u64 {
    u64::from(commits.unsigned_abs())
}
