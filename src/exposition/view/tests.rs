//! Metrics and JSON show the same values, and both leave out the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use prometheus::Registry;
use proptest::prelude::*;
use serde_json::Value;

use crate::exposition::json::group_detail;
use crate::exposition::{Encoding, Format, body, render, render_own};
use crate::lag::{
    Committed, Drain, Finding, Headroom, Isolation, Limit, Method, Offset, Ownership, Timestamp,
    TopicPartition, Unavailable, UncommittedPolicy, Verdict, Wait, Watermarks,
};
use crate::snapshot::{
    AbandonedPolicy, Activity, ClusterSnapshot, Commits, CycleOutcome, Exposure, GroupRow,
    GroupState, GroupType, Judgement, Membership, Moment, PartitionRow, Reading, Revision, World,
};

const STALE_AFTER: Duration = Duration::from_secs(30);

/// Samples by name and labels.
type Samples = BTreeMap<String, f64>;

/// The offsets of a partition, and when they were fetched.
#[derive(Clone, Debug)]
struct Read {
    committed: Option<i64>,
    log_start: Option<i64>,
    log_end: i64,
    last_stable: Option<i64>,
    isolation: Isolation,
    /// How long the first unread record had been waiting, where that is known, and what it rests on.
    waits: Option<(u64, Method)>,
    /// Why the newest cycle has no pair, where this one is kept, and its age in seconds.
    kept: Option<(Unavailable, u64)>,
}

#[derive(Clone, Debug)]
struct Partition {
    read: Option<Read>,
    is_abandoned: bool,
    drain: Drain,
    headroom_seconds: Option<u64>,
}

/// A group, the settings of its snapshot, and how old the snapshot is.
#[derive(Clone, Debug)]
struct Scenery {
    /// Of two topics, one after the other.
    partitions: Vec<Partition>,
    uncommitted: UncommittedPolicy,
    abandoned: AbandonedPolicy,
    has_members: bool,
    has_commits: bool,
    /// How old the snapshot is.
    seconds: u64,
}

fn any_offset() -> impl Strategy<Value = Option<i64>> {
    proptest::option::weighted(0.8, 0..50_i64)
}

prop_compose! {
    fn any_read()(
        committed in any_offset(),
        log_start in any_offset(),
        log_end in 0..50_i64,
        last_stable in any_offset(),
        isolation in prop::sample::select(vec![Isolation::ReadUncommitted, Isolation::ReadCommitted]),
        waits in proptest::option::weighted(0.8, (
            0..90_u64,
            prop::sample::select(vec![Method::History, Method::Index, Method::Bound]),
        )),
        kept in proptest::option::weighted(0.3, (
            prop::sample::select(vec![Unavailable::Committed, Unavailable::EndOffset, Unavailable::NoLeader]),
            0..40_u64,
        )),
    ) -> Read {
        Read { committed, log_start, log_end, last_stable, isolation, waits, kept }
    }
}

prop_compose! {
    fn any_partition()(
        read in proptest::option::weighted(0.85, any_read()),
        is_abandoned in prop::bool::weighted(0.2),
        drain in prop_oneof![
            Just(Drain::CaughtUp),
            Just(Drain::Unknown),
            Just(Drain::Never),
            (1..90_u64).prop_map(|seconds| Drain::In(Duration::from_secs(seconds))),
        ],
        headroom_seconds in proptest::option::of(0..90_u64),
    ) -> Partition {
        Partition { read, is_abandoned, drain, headroom_seconds }
    }
}

prop_compose! {
    fn any_scenery()(
        partitions in prop::collection::vec(any_partition(), 0..5),
        uncommitted in prop::sample::select(vec![
            UncommittedPolicy::Absent,
            UncommittedPolicy::LogStart,
            UncommittedPolicy::LogEnd,
        ]),
        abandoned in prop::sample::select(vec![AbandonedPolicy::Counted, AbandonedPolicy::LeftOut]),
        has_members in any::<bool>(),
        has_commits in any::<bool>(),
        seconds in prop_oneof![4 => 0..25_u64, 1 => 31..40_u64],
    ) -> Scenery {
        Scenery { partitions, uncommitted, abandoned, has_members, has_commits, seconds }
    }
}

fn noon() -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(1_700_000_000))
}

fn offset(raw: i64) -> Offset {
    Offset::new(raw).expect("the tests use offsets from 0")
}

impl Partition {
    fn row(&self, id: TopicPartition, taken: Instant) -> PartitionRow {
        let Some(read) = &self.read else {
            let row = PartitionRow::new(id, Err((Unavailable::EndOffset, None)), None);
            return row.judged(Judgement {
                finding: Finding::Unknown(Unavailable::EndOffset),
                drain: Drain::Unknown,
                headroom: Headroom::Unknown,
                ownership: Ownership::Unknown,
            });
        };
        let marks = Watermarks {
            log_start: read.log_start.map(offset),
            log_end: offset(read.log_end),
            last_stable: read.last_stable.map(offset),
        };
        let committed = read
            .committed
            .map_or(Committed::Never, |at| Committed::At(offset(at)));
        let wait = read.waits.map(|(seconds, method)| {
            let since = noon().before(Duration::from_secs(seconds));
            Wait::Since {
                earliest: Some(since),
                likely: since,
                latest: since,
                method,
            }
        });
        let reading = Reading::new(committed, marks, read.isolation, wait);
        let (reading, finding) = match read.kept {
            None => (Ok(reading), Finding::Ok),
            Some((reason, seconds)) => {
                let age = Duration::from_secs(seconds);
                let measured = Moment {
                    instant: taken - age,
                    time: noon().before(age),
                };
                let kept = Some(reading.read_apart(measured));
                (Err((reason, kept)), Finding::Unknown(reason))
            }
        };
        let headroom = self.headroom_seconds.map(|seconds| Headroom::Until {
            at: noon().after(Duration::from_secs(seconds)),
            limit: Limit::Time,
        });
        PartitionRow::new(id, reading, None).judged(Judgement {
            finding,
            drain: self.drain,
            headroom: headroom.unwrap_or(Headroom::Unknown),
            ownership: if self.is_abandoned {
                Ownership::Abandoned
            } else {
                Ownership::Unknown
            },
        })
    }
}

impl Scenery {
    fn snapshot(&self, taken: Instant) -> ClusterSnapshot {
        let topics = ["orders", "payments"];
        let half = self.partitions.len().div_ceil(2);
        let rows = self.partitions.iter().zip(0..).map(|(partition, number)| {
            let topic = topics[usize::from(number >= half)];
            let number = i32::try_from(number).expect("there are few");
            partition.row(TopicPartition::new(topic, number), taken)
        });
        let commits = Commits {
            count: 7,
            last_ms: Some(1_700_000_000_000),
        };
        let activity = Activity {
            commits: self
                .has_commits
                .then(|| ("orders".into(), commits))
                .into_iter()
                .collect(),
            rebalances: 3,
            last_rebalance_ms: Some(1_700_000_000_000),
            ..Activity::default()
        };
        let membership = Membership {
            measured: taken,
            state: GroupState::Stable,
            group_type: GroupType::Classic,
            assignor: "range".to_owned(),
            coordinator: None,
            members: Arc::default(),
        };
        let group = GroupRow {
            revision: Revision::next(),
            id: "billing".into(),
            membership: self.has_members.then(|| Arc::new(membership)),
            measured: Moment {
                instant: taken,
                time: noon(),
            },
            to_judge: None,
            partitions: rows.collect(),
            isolation: Isolation::ReadUncommitted,
            verdict: Verdict::Ok,
            judged_at: noon(),
            failures: Vec::new(),
            activity: Arc::new(activity),
        };
        ClusterSnapshot {
            outcome: CycleOutcome::Complete,
            last_up: Some(taken),
            uncommitted: self.uncommitted,
            exposure: Exposure {
                abandoned: self.abandoned,
                ..Exposure::default()
            },
            groups: vec![Arc::new(group)],
            ..ClusterSnapshot::empty(taken, SystemTime::UNIX_EPOCH, STALE_AFTER)
        }
    }
}

/// Returns the samples of Kafka's groups, without the labels that are the same for all.
fn samples(snapshot: &ClusterSnapshot, now: Instant) -> Samples {
    let world = World {
        generation: 1,
        clusters: vec![(None, Some(Arc::new(snapshot.clone())))],
    };
    let rendering = render(&world, now, Format::Text, Encoding::Identity);
    let own = render_own(&Registry::new(), Format::Text, Encoding::Identity);
    let text = String::from_utf8(body(&rendering.part, &own).concat()).expect("it is text");
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("kafka_consumergroup_"));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let series = series.replace("consumergroup=\"billing\"", "");
            (series, value.parse().expect("it is a number"))
        })
        .collect()
}

/// Compares a sample with its field in JSON. A sample of 0 may be absent where the family `is_sparse`.
fn compare(
    samples: &Samples,
    series: &str,
    json: &Value,
    is_sparse: bool,
) -> Result<(), TestCaseError> {
    let sample = samples.get(series).copied();
    let told = json.as_f64();
    prop_assert!(told.is_some() || json.is_null(), "{series}: {json}");
    let is_left_out = is_sparse && sample.is_none() && told == Some(0.0);
    prop_assert!(
        is_left_out || sample == told,
        "{series} is {sample:?}, and {json} in JSON"
    );
    Ok(())
}

/// Compares the label `status` with its field in JSON. A sample of `ok` may be absent where the family `is_sparse`.
fn compare_word(
    samples: &Samples,
    name: &str,
    labels: &str,
    json: &Value,
    is_sparse: bool,
) -> Result<(), TestCaseError> {
    let start = format!("{name}{{{labels},status=\"");
    let mut words = samples
        .keys()
        .filter_map(|series| series.strip_prefix(&start)?.strip_suffix("\"}"));
    let word = words.next();
    prop_assert_eq!(words.next(), None);
    let is_left_out = is_sparse && word.is_none() && *json == "ok";
    prop_assert!(is_left_out || word == json.as_str(), "{start}: {json}");
    Ok(())
}

fn compare_topic(samples: &Samples, topic: &Value) -> Result<(), TestCaseError> {
    let name = topic["topic"].as_str().expect("it has a name");
    let labels = format!(",topic=\"{name}\"");
    for (family, field) in [
        ("lag_sum", "lag"),
        ("current_offset_sum", "current_offset_sum"),
        ("uncommitted_partitions", "uncommitted_partitions"),
        ("commits_total", "commits"),
    ] {
        compare(
            samples,
            &format!("{family}{{{labels}}}"),
            &topic[field],
            false,
        )?;
    }
    let drain = samples.get(&format!("drain_seconds{{{labels}}}"));
    let word = match drain {
        Some(seconds) if seconds.is_infinite() => "never",
        Some(0.0) => "caught_up",
        Some(_) => "in_time",
        None => "unknown",
    };
    prop_assert!(topic["drain"] == word || drain.is_none() && topic["drain"].is_null());
    prop_assert_eq!(
        drain.copied().filter(|seconds| seconds.is_finite()),
        topic["drain_seconds"].as_f64()
    );
    let abandoned = samples.get(&format!("abandoned_partitions{{{labels}}}"));
    prop_assert_eq!(&topic["abandoned"], abandoned.is_some());
    let headrooms = topic["partitions"].as_array().into_iter().flatten();
    let headrooms = headrooms.filter_map(|row| row["retention_headroom_seconds"].as_f64());
    let least = samples.get(&format!("retention_headroom_seconds_min{{{labels}}}"));
    prop_assert!(least.is_none_or(|least| headrooms.clone().any(|headroom| headroom == *least)));
    let last = samples.get(&format!("last_commit_timestamp_seconds{{{labels}}}"));
    prop_assert_eq!(last.is_some(), topic["last_commit_at"].is_string());
    for partition in topic["partitions"].as_array().expect("it is a list") {
        let labels = format!("{labels},partition=\"{}\"", partition["partition"]);
        for (family, field, is_sparse) in [
            ("lag", "lag", false),
            ("lag_seconds", "lag_seconds", false),
            ("current_offset", "current_offset", false),
            ("lost_records", "lost", true),
            (
                "retention_headroom_seconds",
                "retention_headroom_seconds",
                false,
            ),
            ("blocked_records", "blocked", false),
        ] {
            let series = format!("{family}{{{labels}}}");
            compare(samples, &series, &partition[field], is_sparse)?;
        }
        compare_word(
            samples,
            "partition_status",
            &labels,
            &partition["status"],
            true,
        )?;
        prop_assert_eq!(
            partition["lag"].is_null(),
            !partition["lag_reason"].is_null()
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn json_and_metrics_agree(scenery in any_scenery()) {
        let now = Instant::now() + Duration::from_secs(3_600);
        let snapshot = scenery.snapshot(now - Duration::from_secs(scenery.seconds));
        let samples = samples(&snapshot, now);
        let detail = group_detail(None, &snapshot, &snapshot.groups[0], now);
        let detail = serde_json::to_value(detail).expect("it is JSON");
        let topics = detail["topic_list"].as_array().expect("it is a list");
        for topic in topics {
            compare_topic(&samples, topic)?;
        }
        compare_word(&samples, "status", "", &detail["status"], false)?;
        for (family, field) in [
            ("members", "members"),
            ("rebalances_total", "rebalances"),
            ("member_joins_total", "member_joins"),
            ("member_leaves_total", "member_leaves"),
        ] {
            compare(&samples, &format!("{family}{{}}"), &detail[field], false)?;
        }
        let last = samples.get("last_rebalance_timestamp_seconds{}");
        prop_assert_eq!(last.is_some(), detail["last_rebalance_at"].is_string());
        // The group's age is the greatest of its topics; null where all known ages are 0 and one is unknown.
        let ages = topics.iter().map(|topic| {
            let series = format!("lag_seconds_max{{,topic={}}}", topic["topic"]);
            samples.get(&series).copied()
        });
        let ages: Vec<Option<f64>> = ages.collect();
        let greatest = ages.iter().copied().flatten().reduce(f64::max);
        match detail["lag_seconds"].as_f64() {
            Some(told) => prop_assert_eq!(Some(told), greatest),
            None => prop_assert!(greatest.is_none_or(|greatest| greatest == 0.0)),
        }
    }
}

#[test]
fn a_group_that_is_read_in_part_does_not_look_caught_up() {
    let read = Read {
        committed: Some(5),
        log_start: Some(0),
        log_end: 5,
        last_stable: None,
        isolation: Isolation::ReadUncommitted,
        waits: None,
        kept: None,
    };
    let partition = |read| Partition {
        read,
        is_abandoned: false,
        drain: Drain::CaughtUp,
        headroom_seconds: None,
    };
    let scenery = Scenery {
        partitions: vec![partition(Some(read)), partition(None)],
        uncommitted: UncommittedPolicy::Absent,
        abandoned: AbandonedPolicy::Counted,
        has_members: true,
        has_commits: false,
        seconds: 0,
    };
    let now = Instant::now();
    let mut snapshot = scenery.snapshot(now);
    let group = Arc::make_mut(&mut snapshot.groups[0]);
    let mut rows: Vec<PartitionRow> = group.partitions.iter().cloned().collect();
    rows[1].id.topic = "orders".into();
    group.partitions = rows.into_iter().collect();
    let detail = group_detail(None, &snapshot, &snapshot.groups[0], now);
    let detail = serde_json::to_value(detail).expect("it is JSON");
    assert_eq!(detail["lag_seconds"], Value::Null);
    assert_eq!(detail["lag"], Value::Null);
    assert_eq!(detail["topic_list"][0]["partitions"][0]["lag_seconds"], 0.0);
    let samples = samples(&snapshot, now);
    assert_eq!(samples.get("lag_seconds_max{,topic=\"orders\"}"), None);
}
