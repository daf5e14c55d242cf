//! What fails, what it costs, and what is shown meanwhile: never a false figure.

use super::world::Fault;
use super::*;
use crate::collect::{PatternList, Patterns};
use crate::kafka::ErrorCode;
use crate::lag::{Distance, Unavailable};

const REFUSED: Fault = Fault::Error(ErrorCode::GROUP_AUTHORIZATION_FAILED);
const FRESH: [Option<u64>; 3] = [Some(10), Some(20), Some(30)];

/// Moves the logs on, so that new figures can be told from old ones.
fn move_on(watch: &Watch) {
    let mut world = watch.world();
    for number in 0..3 {
        world.log("orders", number).end = 200;
    }
}

fn two_groups() -> Watch {
    Watch::new(PollConfig::default(), |world| {
        orders(world);
        world.group("other", 2, &[("orders", 0, 50)]);
    })
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_keeps_its_last_good_pair_and_spoils_no_other() {
    let mut watch = two_groups();
    watch.poll().await;
    move_on(&watch);
    watch
        .world()
        .faults
        .commits
        .insert("billing".to_owned(), REFUSED);
    wait().await;
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Partial);
    assert_eq!(
        billing(&snapshot),
        FRESH,
        "both halves are of the first cycle"
    );
    assert_eq!(
        latest(&snapshot, "billing", "orders", 0),
        Some(Lag::Unavailable(Unavailable::Committed)),
        "the failure is told at once"
    );
    assert_eq!(lag(&snapshot, "other", "orders", 0), Some(150));
    let failures = &group(&snapshot, "billing").expect("the row stays").failures;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].operation, "committed_offsets");
    assert_eq!(failures[0].error, "GROUP_AUTHORIZATION_FAILED");
    let errors = watch
        .metrics
        .errors("committed_offsets", "GROUP_AUTHORIZATION_FAILED");
    assert_eq!(errors.get(), 1);
    assert_eq!(watch.metrics.group_collection_errors().get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_last_good_pair_is_absent_once_it_is_stale() {
    let mut watch = two_groups();
    watch.poll().await;
    watch
        .world()
        .faults
        .commits
        .insert("billing".to_owned(), REFUSED);
    tokio::time::advance(PollConfig::default().stale_after).await;
    assert_eq!(billing(&*watch.poll().await), FRESH, "just fresh enough");
    wait().await;
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), [None; 3]);
    assert_eq!(
        commits(&snapshot, "billing").len(),
        3,
        "the row tells what is missing"
    );
    watch.world().faults.commits.clear();
    assert_eq!(
        billing(&*watch.poll().await),
        FRESH,
        "one cycle is enough to recover"
    );
}

#[tokio::test(start_paused = true)]
async fn halves_of_two_cycles_are_never_mixed() {
    let mut watch = two_groups();
    watch.poll().await;
    {
        let mut world = watch.world();
        world
            .group_mut("billing")
            .commits
            .insert(TopicPartition::new("orders", 0), 99);
        let end = TopicPartition::new("orders", 0);
        world
            .faults
            .end_of
            .insert(end, ErrorCode::NOT_LEADER_FOR_PARTITION);
    }
    let snapshot = watch.poll().await;
    let shown = reading(&snapshot, "billing", "orders", 0).expect("the pair is kept");
    assert_eq!(
        (shown.committed, shown.marks.log_end.value()),
        (
            Committed::At(crate::lag::Offset::new(90).expect("positive")),
            100
        )
    );
    assert_eq!(
        latest(&snapshot, "billing", "orders", 0),
        Some(Lag::Unavailable(Unavailable::EndOffset))
    );
    assert_eq!(lag(&snapshot, "billing", "orders", 1), Some(20));
    assert_eq!(
        snapshot.outcome,
        CycleOutcome::Partial,
        "the leader did answer"
    );
}

#[tokio::test(start_paused = true)]
async fn one_commit_that_cannot_be_read_costs_only_its_partition() {
    let mut watch = two_groups();
    watch.world().faults.commit_of.insert(
        TopicPartition::new("orders", 1),
        ErrorCode::UNKNOWN_TOPIC_OR_PART,
    );
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), [Some(10), None, Some(30)]);
    assert_eq!(snapshot.outcome, CycleOutcome::Partial);
    assert_eq!(
        group(&snapshot, "billing").map(|row| row.failures.len()),
        Some(1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_silent_costs_only_its_partitions() {
    let mut watch = two_groups();
    watch.poll().await;
    move_on(&watch);
    watch.world().faults.leaders.insert(2, Fault::Silence);
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), [Some(110), Some(20), Some(130)]);
    assert_eq!(snapshot.outcome, CycleOutcome::Degraded);
    let errors = watch.metrics.errors("list_offsets", "_TIMED_OUT");
    assert_eq!(errors.get(), 2, "log starts and log ends of one broker");
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_a_leader_is_not_asked_about() {
    let mut watch = two_groups();
    watch.world().log("orders", 0).leader = None;
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), [None, Some(20), Some(30)]);
    assert_eq!(
        latest(&snapshot, "billing", "orders", 0),
        Some(Lag::Unavailable(Unavailable::NoLeader))
    );
    assert_eq!(snapshot.outcome, CycleOutcome::Partial);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_not_among_the_live_brokers_is_none() {
    let mut watch = two_groups();
    watch.world().brokers.remove(&2);
    let snapshot = watch.poll().await;
    assert_eq!(
        latest(&snapshot, "billing", "orders", 1),
        Some(Lag::Unavailable(Unavailable::NoLeader))
    );
    assert_eq!(snapshot.topics[0].partitions[1].leader, None);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_log_start_hides_only_what_needs_it() {
    let mut watch = two_groups();
    watch.world().faults.starts = Some(ErrorCode::UNKNOWN_TOPIC_OR_PART);
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), FRESH);
    assert_eq!(
        latest(&snapshot, "billing", "orders", 0),
        Some(Lag::Known(Distance {
            lag: 10,
            ahead: 0,
            lost: None
        }))
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_last_stable_offset_hides_only_read_committed_groups() {
    let config = PollConfig {
        read_committed: Patterns::new(PatternList::ReadCommittedGroups, &["^other$"])
            .expect("the pattern is valid"),
        ..PollConfig::default()
    };
    let mut watch = Watch::new(config, |world| {
        orders(world);
        world.group("other", 2, &[("orders", 0, 50)]);
        world.faults.stable = Some(ErrorCode::UNSUPPORTED_VERSION);
    });
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), FRESH);
    assert_eq!(lag(&snapshot, "other", "orders", 0), None);
}

#[tokio::test(start_paused = true)]
async fn members_are_kept_while_they_cannot_be_read() {
    let mut watch = two_groups();
    {
        let mut world = watch.world();
        world.topic("new", 1, 10);
        world.member("billing", "m", &[("orders", 0), ("new", 0)]);
    }
    watch.poll().await;
    watch
        .world()
        .faults
        .describe
        .insert("billing".to_owned(), REFUSED);
    wait().await;
    let snapshot = watch.poll().await;
    let row = group(&snapshot, "billing").expect("the group is there");
    let members = row
        .membership
        .as_ref()
        .map(|membership| membership.members.len());
    assert_eq!(members, Some(1));
    assert_eq!(billing(&snapshot), FRESH, "commits are read all the same");
    tokio::time::advance(PollConfig::default().stale_after).await;
    let snapshot = watch.poll().await;
    let row = group(&snapshot, "billing").expect("the group is there");
    assert!(row.membership.is_none(), "too old to be shown");
    let waiting = ("new-0".to_owned(), Some(false));
    assert!(
        commits(&snapshot, "billing").contains(&waiting),
        "still its partition"
    );
}

#[tokio::test(start_paused = true)]
async fn when_nobody_answers_that_is_told_at_once_and_rows_age() {
    let mut watch = two_groups();
    let up = watch.poll().await;
    {
        let mut world = watch.world();
        world.faults.metadata = Some(Fault::Silence);
        for broker in [1, 2, 3] {
            world
                .faults
                .listing
                .insert(broker, Fault::Error(ErrorCode::TRANSPORT));
        }
    }
    let started = tokio::time::Instant::now();
    let down = watch.poll().await;
    assert_eq!(down.outcome, CycleOutcome::Failed);
    assert!(started.elapsed() <= 2 * PollConfig::default().request_timeout);
    assert_eq!(billing(&down), FRESH);
    assert_eq!(
        latest(&down, "billing", "orders", 0),
        Some(Lag::Unavailable(Unavailable::Committed))
    );
    assert_eq!(
        (down.last_up, down.last_complete),
        (up.last_up, up.last_complete)
    );
    assert_eq!(down.brokers_measured, up.brokers_measured);
    tokio::time::advance(PollConfig::default().stale_after).await;
    let stale = watch.poll().await;
    assert_eq!(billing(&stale), [None; 3]);
    assert!(
        stale.topics[0]
            .partitions
            .iter()
            .all(|row| row.marks.is_none())
    );
    assert_eq!(
        ids(&stale),
        ["billing", "other"],
        "nothing says that they are gone"
    );
    watch.world().faults = Default::default();
    let back = watch.poll().await;
    assert_eq!(back.outcome, CycleOutcome::Complete);
    assert_eq!(billing(&back), FRESH);
}

#[tokio::test(start_paused = true)]
async fn a_cycle_without_metadata_goes_on_with_those_of_before() {
    let mut watch = two_groups();
    let first = watch.poll().await;
    move_on(&watch);
    watch.world().faults.metadata = Some(Fault::Silence);
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Degraded);
    assert_eq!(billing(&snapshot), [Some(110), Some(120), Some(130)]);
    assert_eq!(
        snapshot.brokers_measured, first.brokers_measured,
        "its age is told"
    );
    assert_eq!(snapshot.topics[0].measured, first.topics[0].measured);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_cannot_be_read_keeps_its_rows() {
    let mut watch = two_groups();
    watch.poll().await;
    let denied = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    watch.world().faults.topics.insert("orders", denied);
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Partial);
    assert_eq!(billing(&snapshot), FRESH);
    assert_eq!(snapshot.topics.len(), 1);
    tokio::time::advance(PollConfig::default().stale_after).await;
    wait().await;
    let snapshot = watch.poll().await;
    assert_eq!(billing(&snapshot), [None; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_coordinator_delays_the_others_by_one_timeout_at_most() {
    let config = PollConfig {
        max_in_flight: 8,
        ..PollConfig::default()
    };
    let (timeout, limit) = (config.request_timeout, config.cycle_limit());
    let mut watch = Watch::new(config, |world| {
        world.topic("orders", 3, 100);
        for number in 0..300 {
            world.group(
                &format!("g{number:03}"),
                number % 3 + 1,
                &[("orders", 0, 1)],
            );
        }
    });
    watch.poll().await;
    {
        let mut world = watch.world();
        world.log("orders", 0).end = 200;
        world.faults.listing.insert(2, Fault::Silence);
        for number in (1..300).step_by(3) {
            let id = format!("g{number:03}");
            world.faults.describe.insert(id.clone(), Fault::Silence);
            world.faults.commits.insert(id, Fault::Silence);
        }
    }
    let started = tokio::time::Instant::now();
    let snapshot = watch.poll().await;
    let took = started.elapsed();
    assert!(took <= 3 * timeout && took <= limit, "{took:?}");
    assert_eq!(snapshot.outcome, CycleOutcome::Degraded);
    assert_eq!(
        snapshot.groups.len(),
        300,
        "a silent broker deletes nothing"
    );
    for (row, number) in snapshot.groups.iter().zip(0..) {
        let expected = if number % 3 == 1 { 99 } else { 199 };
        let shown = lag(&snapshot, row.id.as_str(), "orders", 0);
        assert_eq!(shown, Some(expected), "{}", row.id);
    }
    watch.world().faults = Default::default();
    let snapshot = watch.poll().await;
    assert_eq!(snapshot.outcome, CycleOutcome::Complete);
    let is_fresh = |row: &Arc<GroupRow>| row.is_read_in_full();
    assert!(
        snapshot.groups.iter().all(is_fresh),
        "all are back in one cycle"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cycle_ends_within_its_limit_whatever_hangs() {
    let mut watch = Watch::new(PollConfig::default(), |world| {
        world.topic("orders", 3, 100);
        for number in 0..500 {
            let id = format!("g{number:03}");
            world.group(&id, 1, &[("orders", 0, 1)]);
            world.faults.describe.insert(id.clone(), Fault::Silence);
            world.faults.commits.insert(id, Fault::Silence);
        }
        world.faults.leaders.insert(1, Fault::Silence);
    });
    for _ in 0..2 {
        let started = tokio::time::Instant::now();
        let snapshot = watch.poll().await;
        // The grace is for clients that miss their own deadline.
        let limit = PollConfig::default().cycle_limit() + Duration::from_secs(1);
        assert!(started.elapsed() <= limit, "{:?}", started.elapsed());
        assert_eq!(snapshot.groups.len(), 500);
        assert_eq!(lag(&snapshot, "g000", "orders", 0), None);
    }
}
