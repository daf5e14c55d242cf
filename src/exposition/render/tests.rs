//! A rendering that takes over what looks the same is the one that is made from nothing.

use std::io::Read;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::exposition::{body, render_own};
use crate::lag::{
    BrokerId, Committed, Drain, Finding, Headroom, Isolation, Limit, Method, Offset, Ownership,
    PartitionId, Timestamp, TopicPartition, Unavailable, Verdict, Wait, Watermarks,
};
use crate::snapshot::{
    Activity, ClusterSnapshot, CycleOutcome, Granularity, GroupRow, GroupState, GroupType,
    Judgement, Membership, Moment, OwnerInfo, PartitionRow, Reading, Revision, TopicPartitionRow,
    TopicRow, TopicSeries,
};

const STALE_AFTER: Duration = Duration::from_secs(30);

/// Groups of this many partitions: a run of partitions has about three of them, a run of groups some forty.
const PARTITIONS: i32 = 150;

/// When the tests began, which is at noon.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn noon() -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000))
}

fn moment(instant: Instant) -> Moment {
    Moment {
        instant,
        time: noon().after(instant.saturating_duration_since(*BEGUN)),
    }
}

fn offset(raw: i64) -> Offset {
    Offset::new(raw).expect("the tests use offsets from 0")
}

fn marks(log_end: i64) -> Watermarks {
    Watermarks {
        log_start: Some(Offset::ZERO),
        log_end: offset(log_end),
        last_stable: None,
    }
}

fn partition(number: i32, lag: i64, apart: Option<Instant>) -> PartitionRow {
    let topic = if number % 3 == 0 {
        "orders"
    } else {
        "payments"
    };
    let id = TopicPartition::new(topic, number);
    let wait = Wait::Since {
        earliest: None,
        likely: noon().before(Duration::from_millis(lag.unsigned_abs() * 7)),
        latest: noon(),
        method: Method::History,
    };
    let committed = Committed::At(offset(1_000));
    let isolation = Isolation::ReadUncommitted;
    let reading = Reading::new(committed, marks(1_000 + lag), isolation, Some(wait));
    let row = match apart {
        None => PartitionRow::new(id, Ok(reading), None),
        Some(at) => {
            let failed = (Unavailable::EndOffset, Some(reading.read_apart(moment(at))));
            PartitionRow::new(id, Err(failed), None)
        }
    };
    if lag == 0 {
        return row.judged(Judgement::caught_up(Ownership::Unknown));
    }
    let lag = lag.unsigned_abs();
    row.judged(Judgement {
        finding: Finding::Lagging {
            lag,
            since: noon().before(Duration::from_secs(60)),
        },
        drain: Drain::In(Duration::from_millis(lag * 13)),
        headroom: Headroom::Until {
            at: noon().after(Duration::from_secs(lag)),
            limit: Limit::Time,
        },
        ownership: Ownership::Unknown,
    })
}

fn membership(measured: Instant, state: GroupState) -> Arc<Membership> {
    Arc::new(Membership {
        measured,
        state,
        group_type: GroupType::Classic,
        assignor: "range".to_owned(),
        coordinator: Some(BrokerId(1)),
        members: Arc::default(),
    })
}

fn group(number: usize, measured: Instant) -> GroupRow {
    let mut partitions: Vec<_> = (0..PARTITIONS)
        .map(|number| partition(number, i64::from(number % 10 / 9), None))
        .collect();
    partitions.sort_by(|one, other| one.id.cmp(&other.id));
    GroupRow {
        revision: Revision::next(),
        id: format!("group-{number:03}").into(),
        membership: Some(membership(measured, GroupState::Stable)),
        measured: moment(measured),
        to_judge: None,
        partitions: partitions.into_iter().collect(),
        isolation: Isolation::ReadUncommitted,
        verdict: Verdict::Ok,
        judged_at: moment(measured).time,
        failures: Vec::new(),
        activity: Arc::default(),
    }
}

fn topic(number: usize, measured: Instant) -> TopicRow {
    let row = |number| TopicPartitionRow {
        id: PartitionId(number),
        leader: Some(BrokerId(1)),
        replicas: vec![BrokerId(1), BrokerId(2)],
        in_sync: vec![BrokerId(1)],
        marks: Some((measured, marks(1_000))),
    };
    TopicRow {
        revision: Revision::next(),
        name: format!("topic-{number:03}").into(),
        series: TopicSeries::Here,
        measured,
        partitions: (0..PARTITIONS).map(row).collect(),
    }
}

fn snapshot(name: Option<&str>, groups: usize, topics: usize, taken: Instant) -> ClusterSnapshot {
    ClusterSnapshot {
        cluster: name.map(Into::into),
        outcome: CycleOutcome::Complete,
        last_up: Some(taken),
        brokers_measured: Some(taken),
        topics: (0..topics)
            .map(|number| Arc::new(topic(number, taken)))
            .collect(),
        groups: (0..groups)
            .map(|number| Arc::new(group(number, taken)))
            .collect(),
        ..ClusterSnapshot::empty(taken, SystemTime::UNIX_EPOCH, STALE_AFTER)
    }
}

fn world(snapshots: &[ClusterSnapshot]) -> World {
    let clusters = snapshots.iter();
    World {
        generation: 1,
        clusters: clusters
            .map(|snapshot| (snapshot.cluster.clone(), Some(Arc::new(snapshot.clone()))))
            .collect(),
    }
}

/// Returns what a scraper reads.
fn read(rendering: &Rendering) -> Vec<u8> {
    let Rendering {
        part,
        format,
        encoding,
        ..
    } = rendering;
    let own = render_own(&Registry::new(), *format, *encoding);
    let sent = body(part, &own).concat();
    match encoding {
        Encoding::Identity => sent,
        Encoding::Zstd => zstd::decode_all(sent.as_slice()).expect("its frames are valid"),
        Encoding::Gzip => {
            let mut plain = Vec::new();
            let mut decoder = GzDecoder::new(sent.as_slice());
            decoder
                .read_to_end(&mut plain)
                .expect("it is one valid member");
            plain
        }
    }
}

/// Something that happens to the first of the clusters, or to time.
#[derive(Clone, Debug)]
enum Change {
    /// Nothing but a new cycle that reads everything as it was.
    Cycle,
    Passes(u64),
    Comes(usize),
    Goes(usize),
    Moves {
        group: usize,
        partition: usize,
        lag: i64,
    },
    FailsToBeRead {
        group: usize,
        partition: usize,
    },
    Rebalances(usize),
    Commits(usize),
    IsNotMeasured(usize),
    TopicMoves(usize),
    TopicIsShared(usize),
    Granularity(Granularity),
    Limit(usize),
    LimitBytes(usize),
    GetsALongName(usize),
    Owners(OwnerInfo),
}

fn any_change() -> impl Strategy<Value = Change> {
    let row = || any::<usize>();
    prop_oneof![
        2 => Just(Change::Cycle),
        1 => (1..40_u64).prop_map(Change::Passes),
        1 => (0..60_usize).prop_map(Change::Comes),
        1 => row().prop_map(Change::Goes),
        3 => (row(), row(), 0..3_i64)
            .prop_map(|(group, partition, lag)| Change::Moves { group, partition, lag }),
        1 => (row(), row()).prop_map(|(group, partition)| Change::FailsToBeRead { group, partition }),
        1 => row().prop_map(Change::Rebalances),
        1 => row().prop_map(Change::Commits),
        1 => row().prop_map(Change::IsNotMeasured),
        1 => row().prop_map(Change::TopicMoves),
        1 => row().prop_map(Change::TopicIsShared),
        1 => prop_oneof![
            Just(Change::Granularity(Granularity::Partition)),
            Just(Change::Granularity(Granularity::Topic)),
            Just(Change::Granularity(Granularity::Group)),
        ],
        1 => (0..20_000_usize).prop_map(Change::Limit),
        1 => (0..2_000_000_usize).prop_map(Change::LimitBytes),
        1 => row().prop_map(Change::GetsALongName),
        1 => prop_oneof![Just(OwnerInfo::Exposed), Just(OwnerInfo::Hidden)].prop_map(Change::Owners),
    ]
}

/// Returns one of some rows, to be changed.
fn pick<T: Clone>(rows: &mut [Arc<T>], at: usize) -> Option<&mut T> {
    let count = rows.len();
    rows.get_mut(at.checked_rem(count)?).map(Arc::make_mut)
}

fn change_partition(
    group: &mut GroupRow,
    at: usize,
    to: impl FnOnce(&PartitionRow) -> PartitionRow,
) {
    let at = at % group.partitions.len();
    let row = group.partitions.get_mut(at);
    *row = to(row);
}

fn catch_up(group: &mut GroupRow) {
    let rows = group.partitions.iter();
    group.partitions = rows
        .map(|row| partition(row.id.partition.0, 0, None))
        .collect();
}

/// Reads everything anew, as it was, but for what is `left_out`.
fn measure(snapshot: &mut ClusterSnapshot, now: Instant, left_out: Option<usize>) {
    snapshot.taken = now;
    snapshot.brokers_measured = Some(now);
    let left_out = left_out.and_then(|at| at.checked_rem(snapshot.groups.len()));
    for (index, group) in snapshot.groups.iter_mut().enumerate() {
        if Some(index) == left_out {
            continue;
        }
        let group = Arc::make_mut(group);
        group.measured = moment(now);
        group.judged_at = group.measured.time;
        let state = group
            .membership
            .as_ref()
            .map_or(GroupState::Dead, |one| one.state);
        group.membership = Some(membership(now, state));
    }
    for topic in &mut snapshot.topics {
        let topic = Arc::make_mut(topic);
        topic.measured = now;
        for row in &mut topic.partitions {
            row.marks = row.marks.map(|(_, marks)| (now, marks));
        }
    }
}

/// Publishes what comes of a change.
fn apply(change: &Change, snapshot: &mut ClusterSnapshot, now: &mut Instant) {
    let before = snapshot.clone();
    make_change(change, snapshot, now);
    snapshot.revise(&before);
}

fn make_change(change: &Change, snapshot: &mut ClusterSnapshot, now: &mut Instant) {
    let at = *now;
    match *change {
        Change::Cycle => measure(snapshot, at, None),
        Change::Passes(seconds) => *now += Duration::from_secs(seconds),
        Change::Comes(number) => {
            let row = Arc::new(group(number, at));
            let place = snapshot
                .groups
                .binary_search_by(|known| known.id.cmp(&row.id));
            if let Err(place) = place {
                snapshot.groups.insert(place, row);
            }
        }
        Change::Goes(at) => {
            if let Some(at) = at.checked_rem(snapshot.groups.len()) {
                snapshot.groups.remove(at);
            }
        }
        Change::Moves {
            group,
            partition: place,
            lag,
        } => {
            if let Some(group) = pick(&mut snapshot.groups, group) {
                change_partition(group, place, |row| partition(row.id.partition.0, lag, None));
            }
        }
        Change::FailsToBeRead {
            group,
            partition: place,
        } => {
            let measured = at - Duration::from_secs(10);
            if let Some(group) = pick(&mut snapshot.groups, group) {
                change_partition(group, place, |row| {
                    partition(row.id.partition.0, 1, Some(measured))
                });
            }
        }
        Change::Rebalances(group) => {
            if let Some(group) = pick(&mut snapshot.groups, group) {
                group.membership = Some(membership(at, GroupState::PreparingRebalance));
            }
        }
        Change::Commits(group) => {
            if let Some(group) = pick(&mut snapshot.groups, group) {
                group.activity = Arc::new(Activity {
                    rebalances: group.activity.rebalances + 1,
                    ..Activity::clone(&group.activity)
                });
            }
        }
        Change::IsNotMeasured(group) => measure(snapshot, at, Some(group)),
        Change::TopicMoves(topic) => {
            if let Some(topic) = pick(&mut snapshot.topics, topic) {
                topic.partitions[0].marks = Some((at, marks(2_000)));
            }
        }
        Change::TopicIsShared(topic) => {
            if let Some(topic) = pick(&mut snapshot.topics, topic) {
                topic.series = TopicSeries::Elsewhere;
            }
        }
        Change::Granularity(granularity) => snapshot.exposure.granularity = granularity,
        Change::Limit(limit) => snapshot.exposure.max_series = limit,
        Change::LimitBytes(limit) => snapshot.exposure.max_series_bytes = limit,
        Change::GetsALongName(group) => {
            if let Some(group) = pick(&mut snapshot.groups, group) {
                // Rows stay sorted.
                group.id = format!("{}-{}", group.id, "x".repeat(2_000)).into();
            }
        }
        Change::Owners(owners) => snapshot.exposure.owner_info = owners,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_renewed_is_what_is_made_from_nothing(
        changes in proptest::collection::vec(any_change(), 1..8),
        format in prop_oneof![Just(Format::Text), Just(Format::OpenMetrics)],
    ) {
        let mut now = Instant::now();
        let mut snapshots = [
            snapshot(Some("a"), 10, 4, now),
            snapshot(Some("b"), 1, 1, now),
            snapshot(None, 0, 0, now),
        ];
        let start = world(&snapshots);
        let mut renewed = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd]
            .map(|encoding| Arc::new(render(&start, now, format, encoding)));
        for change in changes {
            apply(&change, &mut snapshots[0], &mut now);
            let world = world(&snapshots);
            renewed = renewed.map(|before| Arc::new(before.renew(&world, now)));
            let anew = render(&world, now, format, Encoding::Identity);
            let expected = read(&anew);
            for renewed in &renewed {
                prop_assert!(read(renewed) == expected, "{:?}, after {change:?}", renewed.encoding);
                prop_assert_eq!(&renewed.dropped, &anew.dropped);
                prop_assert_eq!(renewed.valid_until, anew.valid_until);
                prop_assert_eq!(renewed.runs_made + renewed.runs_kept, anew.runs_made);
            }
        }
    }
}

#[test]
fn only_the_runs_of_what_changed_are_made() {
    let now = Instant::now();
    let mut snapshots = [
        snapshot(Some("a"), 60, 20, now),
        snapshot(Some("b"), 5, 5, now),
    ];
    // Where records wait, ages change with time alone.
    let groups = snapshots.iter_mut().flat_map(|one| &mut one.groups);
    groups.for_each(|group| catch_up(Arc::make_mut(group)));
    let first = render(&world(&snapshots), now, Format::Text, Encoding::Gzip);
    let first = Arc::new(first);
    assert!(first.runs_made > 30, "{}", first.runs_made);
    let later = now + Duration::from_secs(10);
    for (change, made) in [
        (Change::Cycle, 0),
        (
            Change::Moves {
                group: 17,
                partition: 3,
                lag: 5,
            },
            2,
        ),
        (
            Change::FailsToBeRead {
                group: 17,
                partition: 3,
            },
            2,
        ),
        (Change::TopicMoves(3), 1),
        (Change::Rebalances(17), 2),
    ] {
        let mut changed = snapshots.clone();
        measure(&mut changed[0], later, None);
        make_change(&change, &mut changed[0], &mut later.clone());
        changed[0].revise(&snapshots[0]);
        let second = Arc::clone(&first).renew(&world(&changed), later);
        assert_eq!(second.runs_made, made, "{change:?}");
        assert_eq!(second.runs_kept, first.runs_made - made, "{change:?}");
    }
    // Whatever else it shows, a run shows when it was measured by being shown at all.
    let mut patient = snapshots[1].clone();
    patient.stale_after = Duration::from_secs(3_600);
    patient.revise(&snapshots[1]);
    snapshots[1] = patient;
    let wide = Arc::clone(&first).renew(&world(&snapshots), now);
    let stale = Arc::new(wide).renew(
        &world(&snapshots),
        now + STALE_AFTER + Duration::from_secs(1),
    );
    assert!(stale.runs_kept > 0 && stale.runs_made > 30, "{stale:?}");
    let still = Arc::new(stale).renew(&world(&snapshots), now + 2 * STALE_AFTER);
    assert_eq!(still.runs_made, 0, "nothing is left that ages");
}

#[test]
fn what_is_not_taken_over_is_given_up_before_anything_is_made() {
    let now = Instant::now();
    let mut snapshots = [snapshot(None, 20, 0, now)];
    let first = render(&world(&snapshots), now, Format::Text, Encoding::Identity);
    let first = Arc::new(first);
    let granularity = Change::Granularity(Granularity::Topic);
    apply(&granularity, &mut snapshots[0], &mut now.clone());
    let old: Vec<_> = first.made.values().map(Arc::downgrade).collect();
    let second = world(&snapshots);
    let plan = Plan::new(&second, now, &first.made);
    drop(first);
    assert!(old.iter().all(|made| made.upgrade().is_none()));
    let kind = (Format::Text, Encoding::Identity);
    assert!(finish(plan, &second, now, kind).runs_made > 0);
}

#[test]
fn a_rendering_keeps_no_rows() {
    let now = Instant::now();
    let world = world(&[snapshot(None, 2, 1, now)]);
    let rendering = render(&world, now, Format::Text, Encoding::Identity);
    let snapshot = world.clusters[0].1.as_ref().map(Arc::downgrade);
    drop(world);
    assert!(snapshot.is_some_and(|snapshot| snapshot.upgrade().is_none()));
    assert!(rendering.runs_made > 0);
}

#[test]
fn a_body_shares_its_chunks_with_the_runs_it_is_made_of() {
    let now = Instant::now();
    let first = render(
        &world(&[snapshot(None, 20, 0, now)]),
        now,
        Format::Text,
        Encoding::Gzip,
    );
    let own = render_own(&Registry::new(), Format::Text, Encoding::Gzip);
    let (one, other) = (body(&first.part, &own), body(&first.part, &own));
    let largest = one.iter().map(bytes::Bytes::len).max();
    assert!(
        largest.is_some_and(|bytes| bytes < 64 * 1024),
        "{largest:?}"
    );
    let shared = one.iter().zip(&other);
    let shared = shared.filter(|(one, other)| one.as_ptr() == other.as_ptr());
    assert!(shared.count() >= one.len() - 1, "all but the checksum");
}
