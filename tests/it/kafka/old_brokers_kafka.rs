//! `describe` and `serve` against brokers of several releases of Kafka: what each of them can answer, right.
//!
//! Clients and tools are those of the newest release. `LAGWATCH_KAFKA_VERSIONS` names the brokers (the oldest and the
//! newest unless set; all of them for a release):
//!
//! ```text
//! LAGWATCH_KAFKA_VERSIONS=3.3.2,3.9.1 cargo test --test it -- --ignored --test-threads=1 --nocapture old_brokers_kafka
//! ```

use std::env;
use std::time::{Duration, Instant};

use crate::collect::describe_kafka::{
    assert_metrics_agree, describe, rows_of, scrape_after_a_whole_cycle, serve,
};
use crate::stream::world::{LIMIT, current_offset, exact, follow};
use crate::support::{
    End, Kafka, KafkaVersion, Member, OffsetsRow, Protocol, Running, eventually, offsets_table,
};

const ORDERS: &str = "orders";
const PARTITIONS: i32 = 4;
/// Records in each partition.
const LOG_END: usize = 10;
/// A topic whose records Kafka keeps for as long as its own configuration says.
const PAYMENTS: &str = "payments";
const RETENTION: Duration = Duration::from_secs(3600);
/// How long Kafka keeps records unless a topic says otherwise.
const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
const POLL_INTERVAL: Duration = Duration::from_secs(12);

#[test]
#[ignore = "needs Java 17 and Maven"]
fn rows_and_metrics_agree_with_kafkas_own_tool_on_every_release() {
    each_version(|kafka, version| {
        let world = World::build(kafka, version);
        let printed = kafka.consumer_groups_tool(&["--describe", "--all-groups"]);
        let truth = offsets_table(&printed);
        world.expect_all_kinds_of_rows(&truth, &printed);
        assert_eq!(describe(kafka, &["--all-groups"]), truth, "Kafka {version}");
        let serve = serve(kafka);
        let context = format!("on Kafka {version}");
        assert_metrics_agree(&scrape_after_a_whole_cycle(&serve), &truth, &context);
        world.expect_members_and_states(&serve);
        world.expect_headroom(&serve);

        world.classic[0].commit(ORDERS, world.owned().1, 9);
        kafka.produce(ORDERS, 0, 5);
        let truth = offsets_table(&kafka.consumer_groups_tool(&["--describe", "--all-groups"]));
        let context = format!("on Kafka {version} after a commit");
        assert_metrics_agree(&scrape_after_a_whole_cycle(&serve), &truth, &context);
        expect_no_errors(&serve);
    });
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn commits_show_as_they_happen_on_every_release() {
    each_version(|kafka, version| {
        let world = World::build(kafka, version);
        let serve = follow(kafka, POLL_INTERVAL);
        let (topic, partition) = world.owned();
        for offset in [5, 6, 3] {
            world.classic[0].commit(topic, partition, offset);
            let committed = Instant::now();
            eventually("the commit", LIMIT, || {
                let shown = current_offset(&serve.scrape(), "classic", topic, partition);
                shown == Some(exact(offset))
            });
            let delay = committed.elapsed();
            assert!(delay < POLL_INTERVAL / 2, "Kafka {version}: {delay:?}");
        }
        let truth = offsets_table(&kafka.consumer_groups_tool(&["--describe", "--all-groups"]));
        let context = format!("in stream mode on Kafka {version}");
        assert_metrics_agree(&scrape_after_a_whole_cycle(&serve), &truth, &context);
        world.expect_members_and_states(&serve);
        expect_no_errors(&serve);
    });
}

/// Runs a check on a cluster of one node of each release.
#[expect(
    clippy::print_stdout,
    reason = "a failure belongs to the release named last"
)]
fn each_version(check: impl Fn(&Kafka, KafkaVersion)) {
    for version in versions() {
        let began = Instant::now();
        let kafka = Kafka::builder().version(version).start();
        println!("Kafka {version} answers after {:.1?}", began.elapsed());
        check(&kafka, version);
        println!("Kafka {version} took {:.1?}", began.elapsed());
    }
}

fn versions() -> Vec<KafkaVersion> {
    let Ok(names) = env::var("LAGWATCH_KAFKA_VERSIONS") else {
        return vec![KafkaVersion::NEWEST, KafkaVersion::OLDEST];
    };
    names
        .split(',')
        .map(|name| {
            KafkaVersion::of_name(name)
                .unwrap_or_else(|| panic!("LAGWATCH_KAFKA_VERSIONS: no release `{name}`"))
        })
        .collect()
}

/// Groups of every kind that a release knows and Kafka's consumer makes, all of them at rest.
struct World<'k> {
    version: KafkaVersion,
    classic: Vec<Member<'k>>,
    modern: Vec<Member<'k>>,
    /// Kept open: it has nothing else to say.
    _simple: Member<'k>,
}

impl<'k> World<'k> {
    fn build(kafka: &'k Kafka, version: KafkaVersion) -> Self {
        let retention_ms = RETENTION.as_millis().to_string();
        kafka.create_topic(ORDERS, PARTITIONS);
        let configs = [("retention.ms", retention_ms.as_str())];
        kafka.create_topic_with(PAYMENTS, PARTITIONS, 1, &configs);
        for topic in [ORDERS, PAYMENTS] {
            for partition in 0..PARTITIONS {
                kafka.produce(topic, partition, LOG_END);
            }
        }
        let classic: Vec<_> = (0..2)
            .map(|_| kafka.member("classic").subscribe(&[ORDERS]).open())
            .collect();
        Member::wait_for_shares(&classic, 4);
        let modern: Vec<_> = (0..if version.has_consumer_protocol() {
            2
        } else {
            0
        })
            .map(|_| {
                let member = kafka.member("modern").subscribe(&[PAYMENTS]);
                member.protocol(Protocol::Consumer).open()
            })
            .collect();
        if !modern.is_empty() {
            Member::wait_for_shares(&modern, 4);
        }
        for member in classic.iter().chain(&modern) {
            let (topic, partition) = &member.assignment()[0];
            member.consume(topic, *partition, 4);
        }
        let simple = kafka
            .member("simple")
            .assign(&[(ORDERS, 0), (PAYMENTS, 1)])
            .open();
        simple.consume(ORDERS, 0, 3);
        simple.consume(PAYMENTS, 1, 10);
        let left = kafka.member("left").subscribe(&[PAYMENTS]).open();
        left.wait_for_partitions(4);
        left.consume(PAYMENTS, 1, 7);
        left.close();
        kafka.commit_in_transaction("transactional", ORDERS, 2, 6, End::Commit);
        kafka.commit_for("größe 漢字: \"1\"", ORDERS, 3, 1);
        Self {
            version,
            classic,
            modern,
            _simple: simple,
        }
    }

    /// Returns the partition that the first classic member has committed on.
    fn owned(&self) -> (&'static str, i32) {
        let (_, partition) = self.classic[0].assignment()[0];
        (ORDERS, partition)
    }

    /// The comparison is worth something only while the tool shows every kind of group.
    fn expect_all_kinds_of_rows(&self, truth: &[OffsetsRow], printed: &str) {
        let of = |group| rows_of(truth, group);
        let owned = |group| of(group).filter(|row| row.consumer_id != "-").count();
        let uncommitted = of("classic").filter(|row| row.lag == "-").count();
        assert_eq!((owned("classic"), uncommitted), (4, 2), "{printed}");
        assert_eq!(owned("modern"), 2 * self.modern.len(), "{printed}");
        assert_eq!(of("simple").count(), 2, "{printed}");
        for group in ["left", "transactional", "größe 漢字: \"1\""] {
            assert_eq!(of(group).count(), 1, "{group}: {printed}");
        }
    }

    fn expect_members_and_states(&self, serve: &Running) {
        let scrape = serve.scrape();
        for (group, members, state) in [
            ("classic", 2.0, "Stable"),
            ("simple", 0.0, "Empty"),
            ("left", 0.0, "Empty"),
        ] {
            let shown = scrape.value("kafka_consumergroup_members", &[("consumergroup", group)]);
            assert_eq!(
                shown,
                Some(members),
                "members of {group} on {}",
                self.version
            );
            let labels = [("consumergroup", group), ("state", state)];
            let shown = scrape.value("kafka_consumergroup_state", &labels);
            assert_eq!(shown, Some(1.0), "{group} is {state} on {}", self.version);
        }
    }

    /// The records that a group has not read are kept for as long as their topic says.
    fn expect_headroom(&self, serve: &Running) {
        let scrape = serve.scrape();
        for (group, topic, partition, retention) in [
            ("left", PAYMENTS, "1", RETENTION),
            ("simple", ORDERS, "0", DEFAULT_RETENTION),
        ] {
            let labels = [
                ("consumergroup", group),
                ("topic", topic),
                ("partition", partition),
            ];
            let left = scrape
                .value("kafka_consumergroup_retention_headroom_seconds", &labels)
                .unwrap_or_else(|| panic!("no headroom of {labels:?} on {}", self.version));
            let most = retention.as_secs_f64();
            assert!(
                (most - 600.0..=most).contains(&left),
                "{labels:?}: {left} s"
            );
        }
    }
}

fn expect_no_errors(serve: &Running) {
    let scrape = serve.scrape();
    let errors: Vec<_> = scrape
        .all("lagwatch_errors_total", &[])
        .filter(|sample| sample.value > 0.0)
        .collect();
    assert!(errors.is_empty(), "{errors:?}\n{}", serve.log());
}
