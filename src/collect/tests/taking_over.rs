//! What is taken over of a row is what would have been made anew.

use std::collections::BTreeSet;
use std::time::{Instant, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::collect::clock::Now;
use crate::collect::fetch::commits::{FetchedCommits, KnownCommits};
use crate::collect::fetch::groups::{Described, GroupAnswer, Seen};
use crate::collect::fetch::listing::Coverage;
use crate::collect::fetch::marks::Marks;
use crate::collect::fetch::topology::{Currency, Topology};
use crate::collect::memory::{JudgedGroups, JudgingInput, Memory, RequestTimes};
use crate::collect::rebuild::{Rebuild, Rebuilds};
use crate::collect::rows;
use crate::collect::update::{Cycle, Scope, Update};
use crate::kafka::{ErrorCode, GroupDescription, KafkaError, PartitionMetadata};
use crate::lag::{BrokerId, GroupId, Offset, PartitionId, Unavailable, Watermarks};
use crate::snapshot::{CollectMode, GroupState, GroupType, Member};

/// Partitions of `orders` and of `audit`.
const PARTITIONS: i32 = 3;

/// Something that happens to the cluster, or to the reading of it.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Records are written.
    Produce(usize, i64),
    /// The group consumes so many of them, or goes back.
    Commit(usize, i64),
    /// A commit expires.
    Uncommit(usize),
    /// Old records are deleted.
    Delete(usize, i64),
    /// A member takes the partition over from the other, or nobody does.
    Assign(usize, Option<bool>),
    State(GroupState),
    /// Whether what is read of the group, of a partition's commit or of its log fails from now on.
    FailGroup(bool),
    FailCommit(usize, bool),
    FailEnd(usize, bool),
    /// Seconds pass, and a cycle reads everything.
    Cycle(u64),
    /// Seconds pass, and what was committed since is read by itself, that of one partition in any case.
    Follow(usize, u64),
}

/// A cluster with one group.
#[derive(Clone, Debug)]
struct Scene {
    ends: Vec<i64>,
    starts: Vec<i64>,
    commits: Vec<Option<i64>>,
    owners: Vec<Option<bool>>,
    state: GroupState,
    fails: bool,
    commit_fails: Vec<bool>,
    end_fails: Vec<bool>,
    /// Where something was committed and not read yet.
    unread: BTreeSet<usize>,
    seconds: u64,
}

/// What one way of making rows remembers and shows.
struct Side {
    takes_over: bool,
    /// What the newest rows were made of, where a cycle has asked.
    known: KnownCommits,
    memory: Memory,
    shown: ClusterSnapshot,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let place = 0..2 * PARTITIONS as usize;
    let states = [
        GroupState::Stable,
        GroupState::Empty,
        GroupState::PreparingRebalance,
    ];
    let event = prop_oneof![
        3 => (place.clone(), 0..40_i64).prop_map(|(at, count)| Event::Produce(at, count)),
        6 => (place.clone(), -5..40_i64).prop_map(|(at, count)| Event::Commit(at, count)),
        1 => place.clone().prop_map(Event::Uncommit),
        1 => (place.clone(), 0..40_i64).prop_map(|(at, count)| Event::Delete(at, count)),
        1 => (place.clone(), any::<Option<bool>>()).prop_map(|(at, owner)| Event::Assign(at, owner)),
        1 => prop::sample::select(states.to_vec()).prop_map(Event::State),
        1 => prop::bool::weighted(0.3).prop_map(Event::FailGroup),
        1 => (place.clone(), prop::bool::weighted(0.3)).prop_map(|(at, fails)| Event::FailCommit(at, fails)),
        1 => (place.clone(), prop::bool::weighted(0.3)).prop_map(|(at, fails)| Event::FailEnd(at, fails)),
        // After more than three minutes without a look, what is made anew begins again, and what stood still does not.
        10 => prop_oneof![9 => 5..30_u64, 1 => 100..170_u64].prop_map(Event::Cycle),
        4 => (place, 1..5_u64).prop_map(|(at, seconds)| Event::Follow(at, seconds)),
    ];
    prop::collection::vec(event, 1..120)
}

fn id(place: usize) -> TopicPartition {
    let place = i32::try_from(place).expect("small");
    let topic = ["audit", "orders"][usize::from(place >= PARTITIONS)];
    TopicPartition::new(topic, place % PARTITIONS)
}

fn places() -> std::ops::Range<usize> {
    0..2 * PARTITIONS as usize
}

fn offset(value: i64) -> Offset {
    Offset::new(value).expect("it is not negative")
}

fn billing() -> GroupId {
    GroupId::from("billing")
}

impl Scene {
    fn new() -> Self {
        let all = places().len();
        Self {
            ends: vec![100; all],
            starts: vec![0; all],
            commits: (0..all).map(|place| (place != 1).then_some(100)).collect(),
            owners: (0..all).map(|place| (place > 0).then_some(true)).collect(),
            state: GroupState::Stable,
            fails: false,
            commit_fails: vec![false; all],
            end_fails: vec![false; all],
            unread: BTreeSet::new(),
            seconds: 0,
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Produce(at, count) => self.ends[at] += count,
            Event::Commit(at, count) => {
                self.unread.insert(at);
                let next = self.commits[at].unwrap_or(90) + count;
                self.commits[at] = Some(next.clamp(0, self.ends[at] + 3));
            }
            Event::Uncommit(at) => {
                self.unread.insert(at);
                self.commits[at] = None;
            }
            Event::Delete(at, count) => {
                self.starts[at] = (self.starts[at] + count).min(self.ends[at]);
            }
            Event::Assign(at, owner) => self.owners[at] = owner,
            Event::State(state) => self.state = state,
            Event::FailGroup(fails) => self.fails = fails,
            Event::FailCommit(at, fails) => self.commit_fails[at] = fails,
            Event::FailEnd(at, fails) => self.end_fails[at] = fails,
            Event::Cycle(seconds) | Event::Follow(_, seconds) => self.seconds += seconds,
        }
    }

    /// Returns what is known of the group. What is followed tells what the coordinator answers and also what was taken back,
    /// and never fails; an answer is compared with what is known.
    fn answer(&self, known: Option<&KnownCommits>) -> GroupAnswer {
        let error = || KafkaError::of(ErrorCode::TIMED_OUT);
        let is_followed = known.is_none();
        let commits = places().filter_map(|place| {
            let fails = self.commit_fails[place] && !is_followed;
            let commit = match (fails, self.commits[place]) {
                (true, _) => Err(error()),
                (false, Some(commit)) => Ok(Committed::At(offset(commit))),
                (false, None) if is_followed => Ok(Committed::Never),
                (false, None) => return None,
            };
            Some((id(place), commit))
        });
        let member = |which: bool| Member {
            id: format!("member-{which}").into(),
            assignment: places()
                .filter(|place| self.owners[*place] == Some(which))
                .map(id)
                .collect(),
            client_id: "client".into(),
            host: "/127.0.0.1".into(),
            instance_id: None,
        };
        let members = match self.state {
            GroupState::Empty => Vec::new(),
            _ => vec![member(false), member(true)],
        };
        GroupAnswer {
            listed: None,
            description: Described::Answered(GroupDescription {
                state: self.state,
                group_type: GroupType::Classic,
                protocol_type: "consumer".to_owned(),
                malformed: None,
                assignor: "range".to_owned(),
                coordinator: Some(BrokerId(1)),
                members,
            }),
            committed: match known {
                None => Ok(FetchedCommits::from_records(Arc::new(commits.collect()))),
                Some(_) if self.fails => Err(error()),
                Some(known) => Ok(known.compare(&billing(), commits.collect())),
            },
            seen: Seen::Compared,
        }
    }

    fn marks(&self, places: impl Iterator<Item = usize>) -> Marks {
        let marks = places.map(|place| {
            let read = Watermarks {
                log_start: Some(offset(self.starts[place])),
                log_end: offset(self.ends[place]),
                last_stable: None,
            };
            let fails = self.end_fails[place];
            let marks = if fails {
                Err(Unavailable::EndOffset)
            } else {
                Ok(read)
            };
            (id(place), marks)
        });
        marks.collect()
    }
}

impl Side {
    fn new(takes_over: bool, now: Now) -> Self {
        Self {
            takes_over,
            known: KnownCommits::default(),
            memory: Memory::default(),
            shown: rows::blank(&PollConfig::default(), now),
        }
    }

    fn cycle(&mut self, scene: &Scene, topology: &Arc<Topology>, now: Now) {
        let is_followed = scene.seconds.is_multiple_of(2);
        let answer = scene.answer((!is_followed).then_some(&self.known));
        let id = billing();
        let committed = answer.committed.as_ref();
        self.known
            .replace(committed.map(|commits| (&id, commits)).into_iter());
        let groups = [(billing(), answer)].into();
        let marks = scene.marks(places());
        let rebuilds = if self.takes_over {
            Rebuilds::of_cycle(&groups, &marks, &self.shown)
        } else {
            Rebuilds::default()
        };
        self.memory.observe_cycle(&marks, times(now));
        self.memory.observe_log_starts(&marks, now);
        let mut cycle = Cycle::new(Currency::Current, Vec::new());
        cycle.coverage = Coverage::Whole;
        let update = Update {
            scope: Scope::Whole(cycle),
            topology: Some(Arc::clone(topology)),
            groups,
            marks,
            rebuilds,
            mode: CollectMode::Poll,
        };
        self.show(update, JudgedGroups::All, now);
    }

    fn follow(&mut self, scene: &Scene, topology: &Arc<Topology>, now: Now) {
        let partitions: BTreeSet<_> = scene.unread.iter().copied().map(id).collect();
        let partitions = [(billing(), partitions)].into();
        let groups = [(billing(), scene.answer(None))].into();
        self.known.clear();
        let marks = scene.marks(scene.unread.iter().copied());
        let rebuilds = if self.takes_over {
            Rebuilds::of_changes(&groups, &partitions, &marks, &self.shown)
        } else {
            [(billing(), Rebuild::Whole)].into_iter().collect()
        };
        self.memory.observe_changes(&marks, times(now));
        let update = Update {
            scope: Scope::Part(partitions),
            topology: Some(Arc::clone(topology)),
            groups,
            marks,
            rebuilds,
            mode: CollectMode::Poll,
        };
        self.show(update, JudgedGroups::Changed, now);
    }

    fn show(&mut self, mut update: Update, judged: JudgedGroups, now: Now) {
        let config = PollConfig::default();
        let before = self.shown.group(&billing()).map(AsRef::as_ref);
        let group = (before, &update.groups[&billing()]);
        let rebuild = (update.rebuilds.of(&billing()), &update.marks);
        self.memory
            .update_standings(&billing(), group, rebuild, &config);
        let ages = self.memory.ages();
        let mut shown = rows::next(&self.shown, &mut update, &config, ages, now);
        let input = JudgingInput {
            judged,
            rebuilds: &update.rebuilds,
            previous: &self.shown,
            config: &config,
            now,
        };
        self.memory.judge(&mut shown, input);
        self.shown = shown;
    }
}

fn times(now: Now) -> RequestTimes {
    let at = now.timestamp();
    RequestTimes {
        asked_at: at,
        answered_at: at,
    }
}

fn topology(now: Instant) -> Arc<Topology> {
    let partition = |number: i32| PartitionMetadata {
        id: PartitionId(number),
        leader: Some(BrokerId(1)),
        replicas: vec![BrokerId(1)],
        in_sync: vec![BrokerId(1)],
    };
    let topics = ["audit", "orders"];
    let topics = topics.map(|name| (name.into(), Ok((0..PARTITIONS).map(partition).collect())));
    Arc::new(Topology {
        measured: now,
        brokers: Vec::new(),
        topics: topics.into(),
        topic_ids: std::collections::BTreeMap::new(),
    })
}

/// Compares the group's rows after a cycle; what was measured when, too.
fn compare(one: &ClusterSnapshot, other: &ClusterSnapshot) -> Result<(), TestCaseError> {
    let (one, other) = (one.group(&billing()), other.group(&billing()));
    let (Some(one), Some(other)) = (one, other) else {
        prop_assert_eq!(one.is_some(), other.is_some());
        return Ok(());
    };
    prop_assert_eq!(&one.partitions, &other.partitions);
    prop_assert!(one.shows_the_same_as(other), "{one:#?}\n{other:#?}");
    prop_assert_eq!(one.measured, other.measured);
    prop_assert_eq!(&one.to_judge, &other.to_judge);
    prop_assert_eq!(
        one.membership
            .as_ref()
            .map(|membership| membership.measured),
        other
            .membership
            .as_ref()
            .map(|membership| membership.measured)
    );
    Ok(())
}

/// Compares the group's rows between two cycles: of partitions at which nothing happened, what time alone makes graver is told
/// by the next cycle.
fn compare_changed(
    one: &ClusterSnapshot,
    other: &ClusterSnapshot,
    changed: &BTreeSet<usize>,
) -> Result<(), TestCaseError> {
    let (Some(one), Some(other)) = (one.group(&billing()), other.group(&billing())) else {
        return compare(one, other);
    };
    prop_assert_eq!(one.partitions.len(), other.partitions.len());
    for (one, other) in one.partitions.iter().zip(other.partitions.iter()) {
        if changed.iter().any(|place| id(*place) == one.id) {
            prop_assert_eq!(one, other);
            continue;
        }
        prop_assert!(one.reads_the_same_as(other), "{one:#?}\n{other:#?}");
        let [one, other] = [one, other].map(|row| row.judgement().finding);
        prop_assert!(
            one == other || one.status() < other.status(),
            "{one:?}, not {other:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_taken_over_are_those_made_anew(events in events()) {
        let (instant, time) = (Instant::now(), SystemTime::now());
        let at = |seconds| Now {
            instant: instant + Duration::from_secs(seconds),
            time: time + Duration::from_secs(seconds),
        };
        let topology = topology(instant);
        let mut scene = Scene::new();
        let mut sides = [true, false].map(|takes_over| Side::new(takes_over, at(0)));
        for event in events {
            scene.apply(event);
            if let Event::Follow(place, _) = event {
                scene.unread.insert(place);
            }
            let now = at(scene.seconds);
            for side in &mut sides {
                match event {
                    Event::Cycle(_) => side.cycle(&scene, &topology, now),
                    Event::Follow(..) => side.follow(&scene, &topology, now),
                    _ => {}
                }
            }
            let [one, other] = [&sides[0].shown, &sides[1].shown];
            match event {
                Event::Cycle(_) => compare(one, other)?,
                Event::Follow(..) => compare_changed(one, other, &scene.unread)?,
                _ => continue,
            }
            scene.unread.clear();
        }
    }
}
