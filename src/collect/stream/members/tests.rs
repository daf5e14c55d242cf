//! What records of members mean, one case after the other.

use super::*;
use crate::offsets_topic::{
    ClassicMember, CurrentAssignment, GroupMetadata, Malformed, Problem, Schema,
};
use crate::snapshot::{Activity, Member};

/// Far behind every answer of these tests.
const LATER: i64 = 1_000;

fn classic<'a>(generation: i32, members: &[&'a str]) -> Record<'a> {
    let member = |id: &&'a str| ClassicMember {
        id,
        instance_id: None,
        client_id: "client",
        client_host: "/127.0.0.1",
        assignment: Ok(Vec::new()),
    };
    Record::GroupMetadata {
        group: "g",
        metadata: Some(GroupMetadata {
            protocol_type: "consumer",
            generation,
            protocol: (!members.is_empty()).then_some("range"),
            members: members.iter().map(member).collect(),
        }),
    }
}

fn epoch(epoch: i32) -> Record<'static> {
    Record::ConsumerGroupEpoch {
        group: "g",
        epoch: Some(epoch),
    }
}

fn joined(member: &str) -> Record<'_> {
    Record::ConsumerGroupMember {
        group: "g",
        member,
        is_deleted: false,
    }
}

fn left(member: &str) -> Record<'_> {
    Record::ConsumerGroupMember {
        group: "g",
        member,
        is_deleted: true,
    }
}

fn reached(member: &str, epoch: i32) -> Record<'_> {
    Record::CurrentAssignment {
        group: "g",
        member,
        current: Some(CurrentAssignment {
            member_epoch: epoch,
            partitions: 0,
        }),
    }
}

fn position(offset: i64) -> RecordPosition {
    RecordPosition {
        offset: Offset::new(offset).expect("not negative"),
        timestamp_ms: Some(7),
    }
}

fn apply_answer(members: &mut GroupMembers, described: &Described, until: i64) {
    members.apply_answer(described, Offset::new(until).expect("not negative"));
}

/// Returns the rebalances, joins and leaves in records from `offset` on.
fn counted_from(
    members: &mut GroupMembers,
    offset: i64,
    records: &[Record<'_>],
) -> (u64, u64, u64) {
    let mut news = News::default();
    for (record, offset) in records.iter().zip(offset..) {
        members.apply(record, position(offset), &mut news);
    }
    let mut activity = Activity::default();
    news.add_to(&mut activity);
    (
        activity.rebalances,
        activity.member_joins,
        activity.member_leaves,
    )
}

fn counted(members: &mut GroupMembers, records: &[Record<'_>]) -> (u64, u64, u64) {
    counted_from(members, LATER, records)
}

fn described(group_type: GroupType, ids: &[&str]) -> Described {
    let member = |id: &&str| Member {
        id: (*id).into(),
        client_id: "client".into(),
        host: "/127.0.0.1".into(),
        instance_id: None,
        assignment: Vec::new(),
    };
    Described::Answered(GroupDescription {
        state: GroupState::Stable,
        group_type,
        protocol_type: "consumer".to_owned(),
        malformed: None,
        assignor: "range".to_owned(),
        coordinator: None,
        members: ids.iter().map(member).collect(),
    })
}

#[test]
fn a_member_whose_assignment_is_malformed_is_counted() {
    let malformed = Malformed {
        schema: Schema::Assignment,
        field: "AssignedPartitions",
        position: 7,
        problem: Problem::TopicName,
    };
    let mut record = classic(1, &["a", "b", "c"]);
    let Record::GroupMetadata {
        metadata: Some(metadata),
        ..
    } = &mut record
    else {
        panic!("it is the record of a classic group");
    };
    metadata.protocol_type = "sr";
    metadata.members[1].assignment = Err(malformed);
    metadata.members[2].assignment = Err(malformed);
    let mut members = GroupMembers::of_new_group();
    members.apply(&record, position(0), &mut News::default());
    let description = members.description().expect("a record has it");
    assert_eq!(description.protocol_type, "sr");
    let malformed = description.malformed.expect("two are malformed");
    assert_eq!(malformed.count, 2);
    assert_eq!(
        malformed.first,
        "malformed assignment of a classic member: field `AssignedPartitions` at byte 7: \
         it names a topic as Kafka never does"
    );
}

#[test]
fn a_new_generation_with_members_is_a_rebalance_of_a_classic_group() {
    let mut members = GroupMembers::of_new_group();
    let records = [
        classic(0, &[]),
        classic(1, &["a"]),
        // Written again, as when a static member returns.
        classic(1, &["a"]),
        classic(2, &["a", "b"]),
        classic(3, &["b"]),
        classic(4, &[]),
    ];
    assert_eq!(counted(&mut members, &records), (3, 2, 2));
    assert!(members.is_empty());
    let description = members.description().expect("known");
    assert_eq!(description.state, GroupState::Empty);
}

#[test]
fn the_first_member_to_reach_an_epoch_is_a_rebalance_of_a_consumer_group() {
    let mut members = GroupMembers::of_new_group();
    let records = [
        joined("a"),
        epoch(1),
        reached("a", 1),
        joined("b"),
        epoch(2),
        reached("b", 2),
        reached("a", 2),
        // Nobody reaches the third epoch.
        epoch(3),
        left("b"),
        epoch(4),
        reached("a", 4),
        left("a"),
        epoch(5),
    ];
    assert_eq!(counted(&mut members, &records), (3, 2, 2));
}

#[test]
fn a_rebalance_has_who_joined_and_left_and_the_share_of_each() {
    let mut members = GroupMembers::of_new_group();
    let mut news = News::default();
    members.apply(&classic(1, &["a", "b"]), position(0), &mut news);
    let update = members.apply(&classic(2, &["b", "c"]), position(1), &mut news);
    let rebalance = update.rebalance.expect("a new generation");
    assert_eq!(rebalance.generation, 2);
    assert_eq!(&*rebalance.assignor, "range");
    assert_eq!(rebalance.joined, ["c".into()]);
    assert_eq!(rebalance.left, ["a".into()]);
    let shares: Vec<_> = rebalance
        .members
        .iter()
        .map(|member| (&*member.id, member.before, member.after))
        .collect();
    let expected = [
        ("a", Some(0), None),
        ("b", Some(0), Some(0)),
        ("c", None, Some(0)),
    ];
    assert_eq!(shares, expected);
}

#[test]
fn an_epoch_that_began_before_anybody_listened_is_no_rebalance() {
    let mut members = GroupMembers::default();
    apply_answer(
        &mut members,
        &described(GroupType::Consumer, &["a", "b"]),
        0,
    );
    let records = [reached("a", 8), reached("b", 8)];
    assert_eq!(counted(&mut members, &records), (0, 0, 0));
    let records = [left("b"), epoch(9), reached("a", 9), joined("c"), epoch(10)];
    assert_eq!(counted(&mut members, &records), (1, 1, 1));
}

#[test]
fn an_answer_does_not_overtake_records_that_are_yet_to_come() {
    let mut members = GroupMembers::of_new_group();
    assert_eq!(counted(&mut members, &[classic(1, &["a"])]), (1, 1, 0));
    apply_answer(&mut members, &described(GroupType::Classic, &["a", "b"]), 0);
    assert_eq!(counted(&mut members, &[classic(2, &["a", "b"])]), (1, 1, 0));
    let mut members = GroupMembers::of_new_group();
    assert_eq!(counted(&mut members, &[joined("a"), epoch(1)]), (0, 1, 0));
    apply_answer(&mut members, &described(GroupType::Consumer, &["b"]), 0);
    let records = [joined("b"), epoch(2), left("a"), epoch(3)];
    assert_eq!(counted(&mut members, &records), (0, 1, 1));
}

#[test]
fn after_a_gap_nothing_is_counted_that_nobody_saw() {
    let mut members = GroupMembers::of_new_group();
    counted(&mut members, &[classic(1, &["a", "b"])]);
    members.note_gap();
    // Nobody could be asked.
    assert_eq!(counted(&mut members, &[classic(9, &["c"])]), (1, 0, 0));
    members.note_gap();
    apply_answer(&mut members, &described(GroupType::Classic, &["d"]), LATER);
    assert_eq!(
        counted(&mut members, &[classic(12, &["d", "e"])]),
        (1, 1, 0)
    );
    let mut members = GroupMembers::default();
    assert_eq!(counted(&mut members, &[joined("a"), left("b")]), (0, 0, 0));
}

#[test]
fn records_that_may_be_older_than_the_answer_are_not_compared_with_it() {
    let mut members = GroupMembers::default();
    apply_answer(
        &mut members,
        &described(GroupType::Classic, &["a", "b"]),
        12,
    );
    let records = [
        classic(5, &["a"]),
        // From here on records are compared with records.
        classic(6, &["a", "b"]),
        classic(7, &["a"]),
    ];
    assert_eq!(counted_from(&mut members, 10, &records), (3, 1, 1));
    let mut members = GroupMembers::default();
    apply_answer(&mut members, &described(GroupType::Consumer, &["a"]), 12);
    let records = [joined("b"), left("b"), joined("c"), left("a"), epoch(2)];
    assert_eq!(counted_from(&mut members, 10, &records), (0, 1, 1));
}

#[test]
fn who_the_members_of_a_consumer_group_are_is_asked_when_they_change() {
    let mut members = GroupMembers::default();
    apply_answer(&mut members, &described(GroupType::Consumer, &["a"]), 0);
    assert!(!members.is_to_be_asked());
    counted(&mut members, &[joined("b")]);
    assert!(members.is_to_be_asked());
    let answer = described(GroupType::Consumer, &["a", "b"]);
    members.renew(&answer);
    let Described::Answered(answer) = answer else {
        unreachable!("made so");
    };
    assert_eq!(members.description(), Some(answer));
}

#[test]
fn a_deleted_group_has_no_members_and_starts_again() {
    let mut members = GroupMembers::of_new_group();
    let gone = Record::GroupMetadata {
        group: "g",
        metadata: None,
    };
    let records = [
        classic(1, &["a", "b"]),
        classic(2, &[]),
        gone,
        classic(1, &["c"]),
    ];
    assert_eq!(counted(&mut members, &records[..3]), (1, 2, 2));
    assert_eq!(members.description(), None);
    assert_eq!(counted(&mut members, &records[3..]), (1, 1, 0));
}

#[test]
fn who_goes_over_to_the_other_protocol_neither_leaves_nor_joins() {
    let classic_is_gone = Record::GroupMetadata {
        group: "g",
        metadata: None,
    };
    let consumer_is_gone = Record::ConsumerGroupEpoch {
        group: "g",
        epoch: None,
    };
    let mut members = GroupMembers::of_new_group();
    let there = [
        classic(1, &["a", "b"]),
        classic_is_gone,
        joined("a"),
        joined("b"),
        epoch(2),
        joined("c"),
        epoch(3),
    ];
    assert_eq!(counted(&mut members, &there), (1, 3, 0));
    let back = [
        left("a"),
        left("b"),
        left("c"),
        consumer_is_gone,
        classic(4, &["a", "b"]),
    ];
    assert_eq!(counted(&mut members, &back), (1, 0, 1));
}
