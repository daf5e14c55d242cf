//! The soak of who follows `__consumer_offsets`: groups come, commit and are deleted, members and topics come and go.
//!
//! The poll interval is 200 ms, and every wave takes some cycles: 300 waves are more than an hour's worth of cycles of
//! 10 s. The log of events is full before anything is measured, so that each event takes the place of another.
//!
//! What still grows is the C library's: with 400 waves the mean of memory grew by 245 KiB, ever more slowly. What is in use
//! by mallinfo2 stood still over 300 waves where threads kept no caches (`glibc.malloc.tcache_count=0`), at 3.2 MiB.
//!
//! ```text
//! LAGWATCH_SOAK_WAVES=300 cargo test --test it -- --ignored --nocapture soak::stream_kafka
//! ```

use std::thread;

use super::course::{Counters, Quarters, assert_names_are_not_remembered};
use super::world::LIMIT;
use crate::stream::world::number;
use crate::support::{Kafka, Lagwatch, ManyGroups, Member, Protocol, Running, eventually};

/// What comes with each wave and goes with it.
const TOPICS: usize = 8;
const GROUPS: usize = 24;
const PARTITIONS: i32 = 4;
/// What stays, and what its groups commit at once.
const STAYING_TOPIC: &str = "stays";
const STAYING_PARTITIONS: i32 = 50;
const STAYING_GROUPS: usize = 4;
/// How many records each of its partitions has.
const STAYING_END: usize = 50;
/// As many events as the log keeps.
const EVENTS: usize = 10_000;
/// Groups that get a member with every wave and lose it again.
const JOINED: [(&str, Protocol); 2] = [
    ("joined-classic", Protocol::Classic),
    ("joined-consumer", Protocol::Consumer),
];
/// By how much the mean of memory may grow, in KiB. With 300 waves that is 200 bytes for each name that has come and gone.
const MOST_KIB: f64 = 1_024.0;

#[test]
#[ignore = "needs Java 17 and Maven"]
fn nothing_grows_while_groups_members_and_topics_are_followed() {
    let kafka = Kafka::builder().start();
    kafka.create_topic(STAYING_TOPIC, STAYING_PARTITIONS);
    kafka.produce_for(&staying(STAYING_END));
    kafka.fill(&staying(0));
    let serve = follow(&kafka);
    let mut counters = Counters::default();
    fill_log_of_events(&kafka, &serve);
    let mut course = Vec::new();
    for wave in 1..=number("LAGWATCH_SOAK_WAVES", 12) {
        let topics = names(&format!("wave-{wave}-topic-"), TOPICS);
        let groups = ManyGroups {
            prefix: format!("wave-{wave}-group-"),
            groups: GROUPS,
            topics,
            partitions: PARTITIONS,
            end: 3,
            behind: 1,
            lagging_percent: 50,
        };
        let members = begin(&kafka, &groups);
        kafka.fill(&staying(wave % STAYING_END));
        wait_for(&serve, &mut counters, Expected::wave());
        end(&kafka, &groups, members);
        wait_for(&serve, &mut counters, Expected::rest());
        course.push(serve.vitals());
    }
    let samples = serve.scrape();
    assert_names_are_not_remembered(&samples, &["wave-", "joined-"]);
    for moved in [
        "kafka_consumergroup_commits_total",
        "kafka_consumergroup_rebalances_total",
        "kafka_consumergroup_member_joins_total",
        "kafka_consumergroup_member_leaves_total",
        "lagwatch_stream_records_total",
    ] {
        counters.assert_moved(moved);
    }
    for never in ["lagwatch_stream_drift_total", "lagwatch_stream_gaps_total"] {
        assert_eq!(samples.sum(never, &[]), 0.0, "{never}");
    }
    let quarters = Quarters::of(&course);
    quarters.report();
    quarters.assert_memory_is_flat(MOST_KIB);
    quarters.assert_handles_are_given_back();
    serve.stop().expect_success();
}

/// Starts `serve`, which follows the topic. librdkafka keeps the metadata of a topic for 15 minutes, 90 cycles of 10 s;
/// here for less, as cycles are shorter.
fn follow(kafka: &Kafka) -> Running {
    let serve = Lagwatch::new("serve")
        .config(&format!(
            "clusters:
  - bootstrap-servers: [\"{}\"]
    mode: stream
    poll-interval: 200ms
    reconcile-interval: 1s
    kafka-properties: {{ metadata.max.age.ms: 2000 }}
",
            kafka.bootstrap_servers()
        ))
        .start();
    serve.wait_until_ready();
    let mode = [("mode", "stream")];
    eventually("the mode", LIMIT, || {
        serve.scrape().value("lagwatch_collect_mode", &mode) == Some(1.0)
    });
    serve
}

/// Lets the same few groups commit until the log of events is full: nothing else is left of that.
fn fill_log_of_events(kafka: &Kafka, serve: &Running) {
    let commits = || {
        let commit = [("kind", "commit")];
        serve.scrape().sum("lagwatch_stream_records_total", &commit)
    };
    let before = commits();
    let at_once = STAYING_GROUPS * usize::try_from(STAYING_PARTITIONS).expect("it is small");
    for offset in 1..=EVENTS.div_ceil(at_once) {
        kafka.fill(&staying(offset));
    }
    eventually("a full log of events", LIMIT, || {
        commits() >= before + EVENTS as f64
    });
}

/// Returns the groups that stay, where they commit that offset.
fn staying(offset: usize) -> ManyGroups {
    ManyGroups {
        prefix: "stays-".to_owned(),
        groups: STAYING_GROUPS,
        topics: vec![STAYING_TOPIC.to_owned()],
        partitions: STAYING_PARTITIONS,
        end: i64::try_from(offset).expect("it is small"),
        behind: 0,
        lagging_percent: 0,
    }
}

/// Lets the topics and groups of a wave come, and a member join each group that stays.
fn begin<'a>(kafka: &'a Kafka, groups: &ManyGroups) -> Vec<Member<'a>> {
    thread::scope(|scope| {
        let joining = JOINED.map(|(group, protocol)| {
            scope.spawn(move || {
                let member = kafka.member(group).protocol(protocol);
                let member = member.subscribe(&[STAYING_TOPIC]).open();
                member
                    .wait_for_partitions(usize::try_from(STAYING_PARTITIONS).expect("it is small"));
                member.commit(STAYING_TOPIC, 0, 1);
                member
            })
        });
        at_once(&groups.topics, |topic| {
            kafka.create_topic(topic, PARTITIONS);
        });
        kafka.produce_for(groups);
        kafka.fill(groups);
        let members = joining.into_iter();
        members
            .map(|member| member.join().expect("it has told why"))
            .collect()
    })
}

fn end(kafka: &Kafka, groups: &ManyGroups, members: Vec<Member<'_>>) {
    at_once(&names(&groups.prefix, groups.groups), |group| {
        kafka.delete_group(group);
    });
    at_once(&groups.topics, |topic| kafka.delete_topic(topic));
    drop(members);
}

/// How much is to be shown.
#[derive(Clone, Copy)]
struct Expected {
    topics: usize,
    groups: usize,
    members: usize,
}

impl Expected {
    fn wave() -> Self {
        let Self { topics, groups, .. } = Self::rest();
        Self {
            topics: topics + TOPICS,
            groups: groups + GROUPS,
            members: JOINED.len(),
        }
    }

    fn rest() -> Self {
        Self {
            topics: 1,
            groups: STAYING_GROUPS + JOINED.len(),
            members: 0,
        }
    }
}

/// Waits until so much is shown.
fn wait_for(serve: &Running, counters: &mut Counters, expected: Expected) {
    let Expected {
        topics,
        groups,
        members,
    } = expected;
    let what = format!("{topics} topics, {groups} groups and {members} members");
    eventually(&what, LIMIT, || {
        let samples = serve.scrape();
        counters.see(&samples);
        let count = |name| samples.all(name, &[]).count();
        count("kafka_topic_partitions") == topics
            && count("kafka_consumergroup_members") == groups
            && samples.sum("kafka_consumergroup_members", &[]) == members as f64
    });
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

/// Does something for each name, on a few threads: most of it is waiting.
fn at_once(names: &[String], act: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        for names in names.chunks(names.len().div_ceil(8)) {
            let act = &act;
            scope.spawn(move || names.iter().for_each(|name| act(name)));
        }
    });
}
