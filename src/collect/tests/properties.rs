//! Whatever fails, in whatever order: a figure that is shown was true in one cycle, and that not long ago.

use std::time::Instant;

use proptest::prelude::*;

use super::world::{Fault, Faults};
use super::*;
use crate::kafka::ErrorCode;

/// What goes wrong in one cycle.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Nothing,
    Metadata,
    Listing,
    EmptyListing,
    Describe,
    Commits,
    OneCommit,
    Leader,
    OneEnd,
    NoLeader,
    Topic,
    Everything,
}

const TROUBLES: [Trouble; 12] = [
    Trouble::Nothing,
    Trouble::Metadata,
    Trouble::Listing,
    Trouble::EmptyListing,
    Trouble::Describe,
    Trouble::Commits,
    Trouble::OneCommit,
    Trouble::Leader,
    Trouble::OneEnd,
    Trouble::NoLeader,
    Trouble::Topic,
    Trouble::Everything,
];

/// The truth of one cycle for one partition.
#[derive(Clone, Copy, Debug)]
struct Truth {
    read: Instant,
    committed: u64,
    log_end: u64,
}

fn afflict(world: &mut World, trouble: Trouble, fault: Fault) {
    let billing = || "billing".to_owned();
    let first = TopicPartition::new("orders", 0);
    world.log("orders", 0).leader = Some(1);
    let mut faults = Faults::default();
    match trouble {
        Trouble::Nothing => {}
        Trouble::Metadata => faults.metadata = Some(fault),
        Trouble::Listing => faults.listing = [(1, fault)].into(),
        Trouble::EmptyListing => faults.unlisted = [billing(), "steady".to_owned()].into(),
        Trouble::Describe => faults.describe = [(billing(), fault)].into(),
        Trouble::Commits => faults.commits = [(billing(), fault)].into(),
        Trouble::OneCommit => faults.commit_of = [(first, ErrorCode::new(-1))].into(),
        Trouble::Leader => faults.leaders = [(1, fault)].into(),
        Trouble::OneEnd => faults.end_of = [(first, ErrorCode::NOT_LEADER_FOR_PARTITION)].into(),
        Trouble::NoLeader => world.log("orders", 0).leader = None,
        Trouble::Topic => {
            faults.topics = [("orders", ErrorCode::TOPIC_AUTHORIZATION_FAILED)].into()
        }
        Trouble::Everything => {
            faults.metadata = Some(fault);
            faults.listing = [1, 2, 3].map(|broker| (broker, fault)).into();
            faults.leaders = [1, 2, 3].map(|broker| (broker, fault)).into();
            faults.commits = [billing(), "steady".to_owned()]
                .map(|id| (id, fault))
                .into();
            faults.describe = faults.commits.clone();
        }
    }
    world.faults = faults;
}

/// Makes every cycle's offsets, and the distance between them, unlike those of any other cycle.
fn move_on(world: &mut World, cycle: u16) -> Vec<Truth> {
    let mut truths = Vec::new();
    for number in 0..3_u16 {
        let committed = 1_000 * u64::from(cycle) + 10 * u64::from(number);
        let log_end = committed + 1 + 7 * u64::from(cycle) + u64::from(number);
        let id = TopicPartition::new("orders", i32::from(number));
        let raw = |offset: u64| i64::try_from(offset).expect("small");
        for group in ["billing", "steady"] {
            let commits = &mut world.group_mut(group).commits;
            commits.insert(id.clone(), raw(committed));
        }
        world.log("orders", usize::from(number)).end = raw(log_end);
        truths.push(Truth {
            read: tokio::time::Instant::now().into_std(),
            committed,
            log_end,
        });
    }
    truths
}

fn check(snapshot: &ClusterSnapshot, history: &[Vec<Truth>]) -> Result<(), TestCaseError> {
    for id in ["billing", "steady"] {
        for number in 0..3_usize {
            let partition = i32::try_from(number).expect("small");
            let Some(shown) = reading(snapshot, id, "orders", partition) else {
                continue;
            };
            let committed = match shown.committed {
                Committed::At(position) => position.value(),
                Committed::Never => return Err(TestCaseError::fail("it has always committed")),
            };
            let log_end = shown.marks.log_end.value();
            let truth = history
                .iter()
                .map(|cycle| cycle[number])
                .find(|truth| (truth.committed, truth.log_end) == (committed, log_end));
            let Some(truth) = truth else {
                return Err(TestCaseError::fail(format!("{shown:?} is of no cycle")));
            };
            let records = shown.lag().records(snapshot.uncommitted);
            prop_assert_eq!(records, Some(log_end - committed));
            let row = group(snapshot, id).expect("it has a reading");
            let measured = shown.measured(row.measured).instant;
            let age = snapshot.taken.saturating_duration_since(measured);
            prop_assert!(age <= snapshot.stale_after, "shown after {age:?}");
            let lateness = measured.saturating_duration_since(truth.read);
            prop_assert!(lateness <= PollConfig::default().cycle_limit());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_sequence_of_failures_shows_a_figure_that_was_not_true(
        script in proptest::collection::vec(
            (proptest::sample::select(&TROUBLES[..]), any::<bool>(), 0..25_u64),
            1..14,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of this thread alone");
        runtime.block_on(async {
            let mut watch = Watch::new(PollConfig::default(), |world| {
                orders(world);
                world.group("steady", 2, &[]);
            });
            let mut history = Vec::new();
            for ((trouble, is_silent, pause), cycle) in script.into_iter().zip(1..) {
                let fault = if is_silent {
                    Fault::Silence
                } else {
                    Fault::Error(ErrorCode::TRANSPORT)
                };
                afflict(&mut watch.world(), trouble, fault);
                history.push(move_on(&mut watch.world(), cycle));
                let snapshot = watch.poll().await;
                check(&snapshot, &history)?;
                tokio::time::advance(Duration::from_secs(pause)).await;
            }
            // Whatever happened, one good cycle shows the newest truth again.
            afflict(&mut watch.world(), Trouble::Nothing, Fault::Silence);
            history.push(move_on(&mut watch.world(), 99));
            let snapshot = watch.poll().await;
            check(&snapshot, &history)?;
            prop_assert_eq!(snapshot.outcome, CycleOutcome::Complete);
            for number in 0..3 {
                prop_assert_eq!(lag(&snapshot, "billing", "orders", number).map(|lag| lag > 690), Some(true));
            }
            Ok(())
        })?;
    }
}
