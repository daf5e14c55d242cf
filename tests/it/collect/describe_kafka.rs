//! `describe` and `serve` against Kafka's own `kafka-consumer-groups`, row by row at quiet points.
//!
//! Between two points a random walk produces, consumes, commits, rewinds and deletes; `LAGWATCH_POINTS` sets how
//! many points there are (5 unless set; 20 for a release), `LAGWATCH_SEED` repeats a walk:
//!
//! ```text
//! LAGWATCH_POINTS=20 cargo test --test it -- --ignored describe_kafka
//! ```

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{RngExt, SeedableRng};

use crate::support::{
    Kafka, Lagwatch, Member, OffsetsRow, Protocol, Running, Samples, eventually, offsets_table,
};

type Partition = (String, i32);

/// Topics of the group with three members: twelve partitions.
const TOPICS: [(&str, i32); 3] = [("orders", 5), ("payments", 4), ("shipments", 3)];
const UNCOMMITTED: (&str, i32) = ("shipments", 2);
const THREE_MEMBERS: &str = "three members";
/// Names that break naive quoting, splitting and label escaping.
const HARD_NAMES: [&str; 6] = [
    r#"it's "quoted""#,
    "one:two: three",
    "two  spaces",
    r"back\slash {a=b}, %s",
    "größe 漢字 🦀",
    "-",
];

#[test]
#[ignore = "needs Java 17 and Maven"]
fn rows_and_metrics_agree_with_kafkas_own_tool_at_every_quiet_point() {
    let points = number("LAGWATCH_POINTS").unwrap_or(5);
    let seed = number("LAGWATCH_SEED").unwrap_or_else(rand::random);
    let kafka = Kafka::builder().start();
    let mut world = World::build(&kafka, seed);
    let serve = serve(&kafka);
    for point in 0..points {
        world.walk(25);
        let context = format!("at point {point} of the walk with LAGWATCH_SEED={seed}");
        let told = kafka.consumer_groups_tool(&["--describe", "--all-groups"]);
        let truth = offsets_table(&told);
        world.expect_all_kinds_of_rows(&truth, &told);
        let described = describe(&kafka, &["--all-groups"]);
        assert_eq!(described, truth, "{context}");
        assert_metrics_agree(&scrape_after_a_whole_cycle(&serve), &truth, &context);
    }
    assert!(points > 0, "LAGWATCH_POINTS is 0");
}

#[test]
#[ignore = "needs Java 17 and Maven"]
fn one_group_is_described_alone_by_its_exact_name() {
    let kafka = Kafka::builder().start();
    let world = World::build(&kafka, 1);
    for group in HARD_NAMES.iter().copied().chain([THREE_MEMBERS]) {
        let arguments = format!("--group={group}");
        let truth = offsets_table(&kafka.consumer_groups_tool(&["--describe", &arguments]));
        assert!(!truth.is_empty(), "Kafka's tool knows {group:?}");
        assert_eq!(describe(&kafka, &[&arguments]), truth);
    }
    drop(world);
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is no number")),
    )
}

pub(crate) fn describe(kafka: &Kafka, arguments: &[&str]) -> Vec<OffsetsRow> {
    let finished = Lagwatch::new("describe")
        .args(["--bootstrap-server", &kafka.bootstrap_servers()])
        .args(arguments)
        .run()
        .expect_success();
    offsets_table(&finished.stdout)
}

pub(crate) fn serve(kafka: &Kafka) -> Running {
    Lagwatch::new("serve")
        .args(["--bootstrap-server", &kafka.bootstrap_servers()])
        .args(["--poll-interval", "300ms"])
        .start()
}

/// Scrapes once a cycle has begun and ended since the call.
pub(crate) fn scrape_after_a_whole_cycle(serve: &Running) -> Samples {
    let complete = |samples: &Samples| {
        samples
            .value("lagwatch_polls_total", &[("result", "complete")])
            .unwrap_or(0.0)
    };
    // The cycle under way began before the call: the one after it counts.
    let enough = complete(&serve.scrape()) + 2.0;
    eventually("two complete cycles", Duration::from_secs(30), || {
        complete(&serve.scrape()) >= enough
    });
    serve.scrape()
}

/// Every number of the tool is a sample, and there is no sample more.
pub(crate) fn assert_metrics_agree(samples: &Samples, truth: &[OffsetsRow], context: &str) {
    let told = |name: &str| -> BTreeMap<(String, String, i32), f64> {
        samples
            .all(name, &[])
            .map(|sample| {
                let partition = sample
                    .label("partition")
                    .parse()
                    .expect("a partition is a number");
                let label = |name| sample.label(name).to_owned();
                (
                    (label("consumergroup"), label("topic"), partition),
                    sample.value,
                )
            })
            .collect()
    };
    let truth = |column: fn(&OffsetsRow) -> &str| -> BTreeMap<(String, String, i32), f64> {
        truth
            .iter()
            .filter(|row| column(row) != "-")
            .map(|row| {
                let value = column(row).parse().expect("the tool prints numbers");
                ((row.group.clone(), row.topic.clone(), row.partition), value)
            })
            .collect()
    };
    let lag = told("kafka_consumergroup_lag");
    assert_eq!(lag, truth(|row| &row.lag), "lag {context}");
    let current = told("kafka_consumergroup_current_offset");
    assert_eq!(
        current,
        truth(|row| &row.current_offset),
        "committed offsets {context}"
    );
    for ((_, topic, partition), end) in truth(|row| &row.log_end_offset) {
        let partition = partition.to_string();
        let labels = [("topic", topic.as_str()), ("partition", partition.as_str())];
        assert_eq!(
            samples.value("kafka_topic_partition_current_offset", &labels),
            Some(end),
            "log end of {labels:?} {context}"
        );
    }
}

pub(crate) fn rows_of<'a>(
    rows: &'a [OffsetsRow],
    group: &'a str,
) -> impl Iterator<Item = &'a OffsetsRow> {
    rows.iter().filter(move |row| row.group == group)
}

/// A cluster with every kind of group, and what the walk has to know of it.
struct World<'k> {
    kafka: &'k Kafka,
    random: StdRng,
    /// Log start and log end of every partition.
    logs: BTreeMap<Partition, (i64, i64)>,
    readers: Vec<Reader<'k>>,
    /// Groups without members that have committed on `orders`.
    memberless: Vec<String>,
}

/// A live consumer, and the next record it reads of each partition it owns.
struct Reader<'k> {
    member: Member<'k>,
    next: BTreeMap<Partition, i64>,
}

impl<'k> World<'k> {
    fn build(kafka: &'k Kafka, seed: u64) -> Self {
        let mut logs = BTreeMap::new();
        for (topic, partitions) in TOPICS {
            kafka.create_topic(topic, partitions);
            for partition in 0..partitions {
                let end = kafka.produce(topic, partition, 10);
                logs.insert((topic.to_owned(), partition), (0, end));
            }
        }
        let topics = TOPICS.map(|(topic, _)| topic);
        let three: Vec<_> = (0..3)
            .map(|_| kafka.member(THREE_MEMBERS).subscribe(&topics).open())
            .collect();
        let modern: Vec<_> = (0..2)
            .map(|_| {
                kafka
                    .member("modern")
                    .protocol(Protocol::Consumer)
                    .subscribe(&["payments"])
                    .open()
            })
            .collect();
        Member::wait_for_shares(&three, 12);
        Member::wait_for_shares(&modern, 4);
        let simple = kafka
            .member("simple")
            .assign(&[("orders", 0), ("payments", 1)])
            .open();
        simple.consume("orders", 0, 3);
        simple.consume("payments", 1, 10);
        let left = kafka.member("left").subscribe(&["orders"]).open();
        left.wait_for_partitions(5);
        left.consume("orders", 1, 4);
        left.close();
        for (group, offset) in HARD_NAMES.into_iter().zip(1..) {
            kafka.commit_for(group, "orders", 2, offset);
        }
        let mut world = Self {
            kafka,
            random: StdRng::seed_from_u64(seed),
            logs,
            readers: Vec::new(),
            memberless: HARD_NAMES
                .iter()
                .copied()
                .chain(["left"])
                .map(str::to_owned)
                .collect(),
        };
        for member in three {
            world.adopt(member, THREE_MEMBERS);
        }
        for member in modern {
            world.adopt(member, "modern");
        }
        world.adopt(simple, "simple");
        world
    }

    fn adopt(&mut self, member: Member<'k>, group: &str) {
        let committed = self.kafka.committed(group);
        let next = member
            .assignment()
            .into_iter()
            .map(|partition| {
                let next = committed.get(&partition).copied();
                (partition, next.unwrap_or(0))
            })
            .collect();
        self.readers.push(Reader { member, next });
    }

    /// Takes random steps; every one of them is over when this returns.
    fn walk(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.random.random_range(0..10) {
                0..3 => self.produce(),
                3..7 => self.consume(),
                7 => self.rewind(),
                8 => self.commit_without_members(),
                _ => self.delete(),
            }
        }
    }

    fn produce(&mut self) {
        let ((topic, partition), (_, end)) = self
            .logs
            .iter_mut()
            .choose(&mut self.random)
            .expect("there are partitions");
        *end = self
            .kafka
            .produce(topic, *partition, self.random.random_range(1..=20));
    }

    fn consume(&mut self) {
        let Some((reader, partition)) = self.choose_owned() else {
            return;
        };
        let reader = &mut self.readers[reader];
        let (start, end) = self.logs[&partition];
        let from = start.max(reader.next[&partition]);
        let records = self.random.random_range(0..=end - from);
        let records = usize::try_from(records).expect("nobody reads past the end");
        if records > 0 {
            let next = reader.member.consume(&partition.0, partition.1, records);
            reader.next.insert(partition, next);
        }
    }

    /// Commits an older offset, or one that retention has overtaken.
    fn rewind(&mut self) {
        let Some((reader, partition)) = self.choose_owned() else {
            return;
        };
        let offset = self.random.random_range(0..=self.logs[&partition].1);
        let Reader { member, .. } = &self.readers[reader];
        member.commit(&partition.0, partition.1, offset);
    }

    fn commit_without_members(&mut self) {
        let group = self
            .memberless
            .choose(&mut self.random)
            .expect("there are such groups");
        let partition = self.random.random_range(0..TOPICS[0].1);
        let topic = TOPICS[0].0;
        let end = self.logs[&(topic.to_owned(), partition)].1;
        let offset = self.random.random_range(0..=end);
        self.kafka.commit_for(group, topic, partition, offset);
    }

    fn delete(&mut self) {
        let ((topic, partition), (start, end)) = self
            .logs
            .iter_mut()
            .choose(&mut self.random)
            .expect("there are partitions");
        *start = self.random.random_range(*start..=*end);
        self.kafka.delete_records(topic, *partition, *start);
    }

    /// Returns a reader and one of its partitions, but never the one that is to stay without a commit.
    fn choose_owned(&mut self) -> Option<(usize, Partition)> {
        let owned = self.readers.iter().enumerate().flat_map(|(index, reader)| {
            reader
                .next
                .keys()
                .map(move |partition| (index, partition.clone()))
        });
        owned
            .filter(|(_, (topic, partition))| (topic.as_str(), *partition) != UNCOMMITTED)
            .choose(&mut self.random)
    }

    /// The comparison is worth something only while the tool shows every kind of group.
    fn expect_all_kinds_of_rows(&self, truth: &[OffsetsRow], told: &str) {
        let of = |group| rows_of(truth, group);
        assert_eq!(of(THREE_MEMBERS).count(), 12, "{told}");
        let uncommitted = of(THREE_MEMBERS)
            .find(|row| (row.topic.as_str(), row.partition) == UNCOMMITTED)
            .expect("it is assigned to a member");
        assert_eq!(
            (
                uncommitted.current_offset.as_str(),
                uncommitted.lag.as_str()
            ),
            ("-", "-")
        );
        assert_eq!(of("modern").filter(|row| row.consumer_id != "-").count(), 4);
        assert!(of("simple").count() >= 2);
        for group in &self.memberless {
            assert!(of(group).count() >= 1, "no row of {group:?}");
        }
    }
}
