//! What records and answers make known of a group.

use super::*;
use crate::collect::fetch::commits::FetchedCommits;
use crate::collect::fetch::groups::Seen;
use crate::kafka::{ErrorCode, KafkaError};
use crate::lag::PartitionId;

fn at(offset: i64) -> Offset {
    Offset::new(offset).expect("not negative")
}

fn commit(group: &'static str, partition: i32, offset: Option<i64>) -> Record<'static> {
    Record::OffsetCommit {
        group,
        topic: "t",
        partition: PartitionId(partition),
        commit: offset.map(|offset| OffsetCommit {
            committed: Committed::At(at(offset)),
            commit_timestamp_ms: 1_000 + offset,
        }),
    }
}

fn answer(commits: &[(i32, i64)]) -> GroupAnswer {
    let commits = commits.iter().map(|&(partition, offset)| {
        let id = TopicPartition::new("t", partition);
        (id, Ok(Committed::At(at(offset))))
    });
    GroupAnswer {
        listed: None,
        description: Described::NotFound,
        committed: Ok(FetchedCommits::from_records(Arc::new(commits.collect()))),
        seen: Seen::Compared,
    }
}

fn known(state: &State, position: i64) -> Option<Vec<(i32, u64)>> {
    let group = state.known(&"g".into(), at(position))?;
    let commits = group.commits();
    let commits = commits.iter().filter_map(|(id, commit)| match commit {
        Ok(Committed::At(offset)) => Some((id.partition.0, offset.value())),
        Ok(Committed::Never) => None,
        Err(error) => unreachable!("{error}"),
    });
    Some(commits.collect())
}

fn apply(state: &mut State, record: &Record<'_>, offset: i64) -> Option<StateChange> {
    apply_to(state, record, offset, &PollConfig::default())
}

fn apply_to(
    state: &mut State,
    record: &Record<'_>,
    offset: i64,
    config: &PollConfig,
) -> Option<StateChange> {
    let position = RecordPosition {
        offset: at(offset),
        timestamp_ms: None,
    };
    state.apply(record, position, Novelty::New, config)
}

#[test]
fn a_group_is_known_once_everything_before_its_answer_was_read() {
    let mut state = State::default();
    apply(&mut state, &commit("g", 0, Some(5)), 10);
    assert_eq!(known(&state, 11), None, "its coordinator was never asked");
    // Answered when the record at 12 was there already, and before the one at 13.
    state.apply_answer(
        &"g".into(),
        &answer(&[(0, 7), (1, 1)]),
        at(13),
        Novelty::Unknown,
    );
    apply(&mut state, &commit("g", 0, Some(6)), 11);
    assert_eq!(known(&state, 12), None, "older than the answer");
    apply(&mut state, &commit("g", 0, Some(7)), 12);
    assert_eq!(known(&state, 13), Some(vec![(0, 7), (1, 1)]));
    apply(&mut state, &commit("g", 1, Some(2)), 13);
    assert_eq!(known(&state, 14), Some(vec![(0, 7), (1, 2)]));
    apply(&mut state, &commit("g", 0, None), 14);
    assert_eq!(known(&state, 15), Some(vec![(1, 2)]));
    state.note_gap(|_| true);
    assert_eq!(known(&state, 15), None);
}

#[test]
fn an_answer_with_a_gap_makes_nothing_known() {
    let mut state = State::default();
    let mut gap = answer(&[(0, 7)]);
    let error = KafkaError::of(ErrorCode::TIMED_OUT);
    gap.committed = Ok(FetchedCommits::from_records(Arc::new(vec![(
        TopicPartition::new("t", 0),
        Err(error),
    )])));
    state.apply_answer(&"g".into(), &gap, at(0), Novelty::Unknown);
    assert_eq!(known(&state, 1), None);
}

#[test]
fn what_is_not_watched_touches_nothing() {
    let config = PollConfig {
        group_names: vec!["g".into()],
        topic_names: vec!["t".into()],
        ..PollConfig::default()
    };
    let mut state = State::default();
    let mut touches = |record: Record<'_>| apply_to(&mut state, &record, 0, &config).is_some();
    assert!(touches(commit("g", 0, Some(1))));
    assert!(!touches(commit("other", 0, Some(1))));
    let elsewhere = Record::OffsetCommit {
        group: "g",
        topic: "other",
        partition: PartitionId(0),
        commit: None,
    };
    assert!(!touches(elsewhere));
}

#[test]
fn drift_is_found_and_repaired_unless_a_record_explains_it() {
    let mut state = State::default();
    state.apply_answer(
        &"g".into(),
        &answer(&[(0, 1), (1, 1), (2, 1), (3, 1)]),
        at(0),
        Novelty::Unknown,
    );
    apply(&mut state, &commit("g", 1, Some(9)), 20);
    apply(&mut state, &commit("g", 3, None), 21);
    // Asked when everything before 20 was read: partitions 1 and 3 changed since, 2 and 4 drifted.
    let Ok(coordinators) = answer(&[(0, 1), (1, 5), (2, 8), (3, 1), (4, 4)]).committed else {
        unreachable!("made so");
    };
    let drift = state.reconcile(&"g".into(), &coordinators.commits(), at(20));
    let drift: Vec<i32> = drift.iter().map(|id| id.partition.0).collect();
    assert_eq!(drift, [2, 4]);
    assert_eq!(
        known(&state, 22),
        Some(vec![(0, 1), (1, 9), (2, 8), (4, 4)])
    );
    assert!(
        state
            .reconcile(&"g".into(), &coordinators.commits(), at(20))
            .is_empty()
    );
}

#[test]
fn each_commit_is_counted_once_and_a_tombstone_is_none() {
    let mut state = State::default();
    for offset in 1..=3 {
        apply(&mut state, &commit("g", 0, Some(offset)), offset);
    }
    apply(&mut state, &commit("g", 0, None), 4);
    for _ in 0..2 {
        let commits = state.activity(&"g".into(), None).commits[&TopicName::from("t")];
        assert_eq!(commits.count, 3);
        assert_eq!(commits.last_ms, Some(1_003));
    }
}

fn commits_of(state: &mut State, shown: Option<&Arc<Activity>>) -> u64 {
    let activity = state.activity(&"g".into(), shown);
    activity
        .commits
        .values()
        .map(|commits| commits.count)
        .sum::<u64>()
}

#[test]
fn counts_go_on_from_what_was_shown_and_outlive_a_row_that_is_gone_for_a_moment() {
    let mut state = State::default();
    apply(&mut state, &commit("g", 0, Some(1)), 1);
    let mut before = Activity::default();
    before.commits.entry("t".into()).or_default().count = 40;
    assert_eq!(commits_of(&mut state, Some(&Arc::new(before))), 41);
    // Its row went by an answer that was older than its next records.
    state.retain(|_| false);
    apply(&mut state, &commit("g", 0, Some(2)), 2);
    assert_eq!(commits_of(&mut state, None), 42);
    // It is deleted, and comes back after its series have gone.
    apply(&mut state, &commit("g", 0, None), 3);
    state.retain(|_| true);
    assert_eq!(commits_of(&mut state, None), 42);
    state.retain(|_| false);
    apply(&mut state, &commit("g", 0, Some(3)), 4);
    assert_eq!(commits_of(&mut state, None), 1);
}

#[test]
fn a_later_answer_takes_nothing_back_that_records_are_still_to_tell() {
    let mut state = State::default();
    state.apply_answer(&"g".into(), &answer(&[(0, 1)]), at(0), Novelty::Unknown);
    // Polled meanwhile, as the partition is behind: the records before 20 are read later.
    state.apply_answer(&"g".into(), &answer(&[(0, 9)]), at(20), Novelty::Unknown);
    assert_eq!(known(&state, 10), Some(vec![(0, 1)]));
    let change = apply(&mut state, &commit("g", 0, Some(9)), 10).expect("it is watched");
    let Some(EventKind::Commit { previous, .. }) = change.event else {
        panic!("not a commit: {change:?}");
    };
    assert_eq!(previous, Some(at(1)));
    assert_eq!(known(&state, 11), Some(vec![(0, 9)]));
}

#[test]
fn a_group_that_is_asked_about_before_its_first_record_was_read_is_counted_from_there() {
    let joined = Record::ConsumerGroupMember {
        group: "g",
        member: "a",
        is_deleted: false,
    };
    for (novelty, joins) in [(Novelty::New, 1), (Novelty::Unknown, 0)] {
        let mut state = State::default();
        // The record at 10 was there when the coordinator answered.
        state.apply_answer(&"g".into(), &answer(&[(0, 7)]), at(11), novelty);
        apply(&mut state, &joined, 10);
        assert_eq!(state.activity(&"g".into(), None).member_joins, joins);
    }
}

#[test]
fn commits_on_topics_that_are_not_left_are_forgotten_and_others_go_on() {
    let mut state = State::default();
    apply(&mut state, &commit("g", 0, Some(1)), 1);
    assert_eq!(commits_of(&mut state, None), 1);
    state.retain_topics(&"g".into(), |topic| topic.as_str() == "t");
    apply(&mut state, &commit("g", 0, Some(2)), 2);
    assert_eq!(commits_of(&mut state, None), 2);
    state.retain_topics(&"g".into(), |_| false);
    apply(&mut state, &commit("g", 0, Some(3)), 3);
    assert_eq!(commits_of(&mut state, None), 1);
}

#[test]
fn names_that_come_and_go_are_not_remembered() {
    let config = PollConfig {
        group_names: vec!["g".into()],
        ..PollConfig::default()
    };
    let mut state = State::default();
    for record in [commit("g", 0, Some(1)), commit("other", 0, Some(1))] {
        apply_to(&mut state, &record, 1, &config);
    }
    state.forget_names(|topic| topic.as_str() == "t");
    assert_eq!((state.topics.len(), state.ignored.len()), (1, 0));
    state.forget_names(|_| false);
    assert_eq!(state.topics.len(), 0);
    let change = apply_to(&mut state, &commit("g", 0, Some(2)), 2, &config);
    assert!(change.is_some(), "the pattern is matched again");
}
