//! A world with one of everything that exposition treats differently, and small ones to be counted.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lagwatch::lag::{
    BrokerId, Committed, Distance, Drain, Finding, GroupId, Headroom, Isolation, Lag, Limit,
    Method, Offset, Ownership, PartitionId, Timestamp, TopicPartition, Unavailable, Verdict, Wait,
    Watermarks, partition_lag,
};
use lagwatch::snapshot::{
    Activity, BrokerRow, ClusterSnapshot, CollectMode, Commits, CycleOutcome, Exposure,
    GroupFailure, GroupRow, GroupState, GroupType, Judgement, Member, MemberIndex, Membership,
    Moment, OwnerInfo, PartitionRow, Reading, Revision, SkippedGroup, SnapshotStore,
    TopicPartitionRow, TopicRow, TopicSeries, World,
};

/// How long readings of these worlds may be shown.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(30);

/// A group id with everything that has to be escaped somewhere.
pub(crate) const ODD_GROUP: &str = "odd \"quoted\" back\\slash\nline <b>&'ünï 日本/%2F?";

/// Returns a snapshot without rows, whose cycle ended completely at `taken`.
pub(crate) fn empty(cluster: Option<&str>, taken: Instant) -> ClusterSnapshot {
    // 2023-11-14T22:13:20.125Z
    let taken_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_125);
    ClusterSnapshot {
        skipped: Arc::from([SkippedGroup {
            id: "connect-cluster".into(),
            protocol_type: "connect",
            state: GroupState::Stable,
        }]),
        cluster: cluster.map(Into::into),
        outcome: CycleOutcome::Complete,
        last_complete: Some(taken_at),
        last_up: Some(taken),
        brokers_measured: Some(taken),
        ..ClusterSnapshot::empty(taken, taken_at, STALE_AFTER)
    }
}

/// Returns a partition that was read at `measured`.
pub(crate) fn partition(
    topic: &str,
    number: i32,
    committed: Option<i64>,
    [log_start, log_end]: [i64; 2],
    measured: Instant,
) -> PartitionRow {
    let offset = |raw| Offset::new(raw).expect("worlds use offsets from 0");
    let committed = committed.map_or(Committed::Never, |raw| Committed::At(offset(raw)));
    let marks = Watermarks {
        log_start: Some(offset(log_start)),
        log_end: offset(log_end),
        last_stable: None,
    };
    let lag = partition_lag(Ok(committed), Ok(marks), Isolation::ReadUncommitted);
    let reading = Reading::new(committed, marks, Isolation::ReadUncommitted, wait(lag));
    let reading = Ok(reading.read_apart(moment(measured)));
    PartitionRow::new(TopicPartition::new(topic, number), reading, None).judged(judgement(lag))
}

/// Returns what could be said of such a partition: it lags, and its records are safe for ten minutes.
fn judgement(lag: Lag) -> Judgement {
    let Lag::Known(Distance { lag, .. }) = lag else {
        return Judgement::default();
    };
    let (finding, drain, headroom) = if lag == 0 {
        (Finding::Ok, Drain::CaughtUp, Headroom::NothingUnread)
    } else {
        let since = now().before(Duration::from_secs(300));
        let until = Headroom::Until {
            at: now().after(Duration::from_secs(600)),
            limit: Limit::Time,
        };
        (Finding::Lagging { lag, since }, Drain::Never, until)
    };
    Judgement {
        finding,
        drain,
        headroom,
        ownership: Ownership::Unknown,
    }
}

/// Returns the instant of whatever is read and judged in these worlds.
fn now() -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000))
}

fn moment(instant: Instant) -> Moment {
    Moment {
        instant,
        time: now(),
    }
}

/// Returns a wait as of records that come every 100 ms, known to half a second.
fn wait(lag: Lag) -> Option<Wait> {
    let Lag::Known(Distance { lag, .. }) = lag else {
        return None;
    };
    if lag == 0 {
        return Some(Wait::Over);
    }
    let likely = now().before(Duration::from_millis(100 * lag));
    let half = Duration::from_millis(500);
    Some(Wait::Since {
        earliest: Some(likely.before(half)),
        likely,
        latest: likely.after(half).min(now()),
        method: Method::History,
    })
}

/// Returns a group that nobody could describe.
pub(crate) fn group(id: &str, partitions: Vec<PartitionRow>) -> Arc<GroupRow> {
    Arc::new(GroupRow {
        revision: Revision::next(),
        id: id.into(),
        membership: None,
        measured: moment(Instant::now()),
        to_judge: None,
        verdict: Verdict::Ok,
        judged_at: now(),
        partitions: partitions.into_iter().collect(),
        isolation: Isolation::default(),
        failures: Vec::new(),
        activity: Arc::default(),
    })
}

/// Returns a world of the given snapshots.
pub(crate) fn world(snapshots: Vec<ClusterSnapshot>) -> World {
    let judged = |mut snapshot: ClusterSnapshot| {
        for row in &mut snapshot.groups {
            let row = Arc::make_mut(row);
            let findings = row.partitions.iter();
            row.verdict = Verdict::of(findings.map(|row| (&row.id, row.judgement().finding)));
        }
        snapshot
    };
    let clusters = snapshots
        .into_iter()
        .map(judged)
        .map(|snapshot| (snapshot.cluster.clone(), Some(Arc::new(snapshot))));
    World {
        generation: 1,
        clusters: clusters.collect(),
    }
}

/// Returns a store that holds a world's snapshots.
pub(crate) fn store(world: World) -> Arc<SnapshotStore> {
    let store = SnapshotStore::new(world.clusters.iter().map(|(name, _)| name.clone()));
    for (slot, (_, snapshot)) in store.slots().iter().zip(world.clusters) {
        if let Some(snapshot) = snapshot {
            slot.publish(Arc::unwrap_or_clone(snapshot));
        }
    }
    Arc::new(store)
}

/// Returns one cluster of `groups` groups, each on one topic of 10 partitions, every lag being `lag`.
pub(crate) fn uniform(groups: usize, lag: i64, taken: Instant) -> ClusterSnapshot {
    let rows = |index: usize| {
        let partitions = (0..10).map(|number| partition("t", number, Some(0), [0, lag], taken));
        group(&format!("group-{index:05}"), partitions.collect())
    };
    ClusterSnapshot {
        skipped: Arc::from([SkippedGroup {
            id: "connect-cluster".into(),
            protocol_type: "connect",
            state: GroupState::Stable,
        }]),
        groups: (0..groups).map(rows).collect(),
        ..empty(None, taken)
    }
}

/// Returns a world as it is at `now`: three named clusters, one of them down, one without a snapshot yet.
pub(crate) fn rich(now: Instant) -> World {
    let taken = now - Duration::from_secs(3);
    let mut world = world(vec![prod(taken), down(taken)]);
    world.clusters.push((Some("new".into()), None));
    world
}

/// Everything at once: owners shown, a topic without a leader, members of both protocols, odd names, failures.
fn prod(taken: Instant) -> ClusterSnapshot {
    let stale = taken - STALE_AFTER;
    let broker = |id, address: &str| BrokerRow {
        id: BrokerId(id),
        address: address.to_owned(),
    };
    ClusterSnapshot {
        skipped: Arc::from([SkippedGroup {
            id: "connect-cluster".into(),
            protocol_type: "connect",
            state: GroupState::Stable,
        }]),
        outcome: CycleOutcome::Partial,
        mode: CollectMode::Stream {
            live: 49,
            behind: 1,
        },
        shard_partitions: Some(50),
        exposure: Exposure {
            owner_info: OwnerInfo::Exposed,
            ..Exposure::default()
        },
        brokers: [broker(1, "kafka-1:9092"), broker(2, "kafka-2:9092")].into(),
        topics: vec![Arc::new(orders_topic(taken))],
        groups: vec![
            Arc::new(billing(taken)),
            Arc::new(odd(taken)),
            Arc::new(unreadable(taken, stale)),
        ],
        ..empty(Some("prod"), taken)
    }
}

fn orders_topic(taken: Instant) -> TopicRow {
    let broker_ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let offset = |raw| Offset::new(raw).expect("worlds use offsets from 0");
    TopicRow {
        revision: Revision::next(),
        name: "orders".into(),
        series: TopicSeries::Here,
        measured: taken,
        partitions: vec![
            TopicPartitionRow {
                id: PartitionId(0),
                leader: Some(BrokerId(1)),
                replicas: broker_ids(&[1, 2]),
                in_sync: broker_ids(&[1, 2]),
                marks: Some((
                    taken,
                    Watermarks {
                        log_start: Some(offset(5)),
                        log_end: offset(20),
                        last_stable: Some(offset(18)),
                    },
                )),
            },
            TopicPartitionRow {
                id: PartitionId(1),
                leader: None,
                replicas: broker_ids(&[2, 1]),
                in_sync: broker_ids(&[2]),
                marks: None,
            },
        ],
    }
}

/// A group with a lag, a loss, a commit past the end and no commit, on two topics.
fn billing(taken: Instant) -> GroupRow {
    let member = |number: i32, instance: Option<&str>| Member {
        id: format!("billing-{number}-uuid").into(),
        client_id: format!("billing-{number}").into(),
        host: "/10.0.0.1".into(),
        instance_id: instance.map(Into::into),
        assignment: vec![
            TopicPartition::new("orders", number),
            TopicPartition::new("refunds", number),
        ],
    };
    let owned = |owner, mut row: PartitionRow| {
        row.owner = MemberIndex::new(owner);
        row
    };
    let abandoned = |row: PartitionRow| {
        let judgement = Judgement {
            ownership: Ownership::Abandoned,
            ..row.judgement()
        };
        row.judged(judgement)
    };
    GroupRow {
        membership: Some(Arc::new(Membership {
            measured: taken,
            state: GroupState::Stable,
            group_type: GroupType::Consumer,
            assignor: "uniform".to_owned(),
            coordinator: Some(BrokerId(2)),
            members: [member(0, None), member(1, Some("static-1"))].into(),
        })),
        partitions: [
            owned(0, partition("orders", 0, Some(3), [5, 20], taken)),
            owned(1, partition("orders", 1, Some(25), [0, 20], taken)),
            owned(
                0,
                abandoned(partition("refunds", 0, Some(10), [0, 10], taken)),
            ),
            owned(1, partition("refunds", 1, None, [0, 40], taken)),
        ]
        .into_iter()
        .collect(),
        activity: Arc::new(Activity {
            commits: [(
                "orders".into(),
                Commits {
                    count: 12,
                    last_ms: Some(1_700_000_000_250),
                },
            )]
            .into(),
            rebalances: 3,
            last_rebalance_ms: Some(1_600_000_000_000),
            member_joins: 4,
            member_leaves: 2,
        }),
        ..Arc::unwrap_or_clone(group("billing", Vec::new()))
    }
}

/// A group of an odd name that has to wait for a transaction.
fn odd(taken: Instant) -> GroupRow {
    let mut held = partition("orders", 0, Some(7), [0, 9], taken);
    if let Some(reading) = &mut held.reading {
        reading.isolation = Isolation::ReadCommitted;
        reading.marks.last_stable = Offset::new(7);
    }
    held.judge(Judgement::caught_up(Ownership::Unknown));
    GroupRow {
        isolation: Isolation::ReadCommitted,
        ..Arc::unwrap_or_clone(group(ODD_GROUP, vec![held]))
    }
}

/// A group whose newest reading failed for all partitions, and whose last good one is too old for one of them.
fn unreadable(taken: Instant, stale: Instant) -> GroupRow {
    let failed = |mut row: PartitionRow| {
        row.failure = Some(Unavailable::Committed);
        row
    };
    GroupRow {
        revision: Revision::next(),
        id: GroupId::from("unreadable"),
        membership: Some(Arc::new(Membership {
            measured: stale,
            state: GroupState::Stable,
            group_type: GroupType::Classic,
            assignor: "range".to_owned(),
            coordinator: Some(BrokerId(1)),
            members: Arc::default(),
        })),
        measured: moment(taken),
        to_judge: None,
        partitions: [
            failed(partition("orders", 0, Some(1), [0, 20], taken)),
            failed(partition("orders", 1, Some(1), [0, 20], stale)),
        ]
        .into_iter()
        .collect(),
        activity: Arc::default(),
        isolation: Isolation::default(),
        verdict: Verdict::Ok,
        judged_at: now(),
        failures: vec![GroupFailure {
            operation: "committed_offsets",
            error: "GROUP_AUTHORIZATION_FAILED",
            message: "Broker: Group authorization failed".to_owned(),
        }],
    }
}

/// A cluster that no cycle could read lately.
fn down(taken: Instant) -> ClusterSnapshot {
    ClusterSnapshot {
        outcome: CycleOutcome::Failed,
        last_complete: None,
        last_up: None,
        brokers_measured: None,
        ..empty(Some("lab"), taken)
    }
}
