//! What a scrape shows and what it leaves out, straight from the renderer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lagwatch::exposition::{Encoding, Format, Rendering, Scrapes, body, render, render_own};
use lagwatch::lag::UncommittedPolicy;
use lagwatch::metrics::{OwnMetrics, Source, table};
use lagwatch::snapshot::{AbandonedPolicy, ClusterSnapshot, Exposure, Granularity, World};
use prometheus::Registry;

use super::world::{STALE_AFTER, empty, group, partition, rich, store, uniform, world};
use crate::support::Samples;

fn rendered(world: &World, now: Instant) -> (String, Rendering) {
    rendered_as(Format::Text, world, now)
}

fn rendered_as(format: Format, world: &World, now: Instant) -> (String, Rendering) {
    let rendering = render(world, now, format, Encoding::Identity);
    let own = render_own(&Registry::new(), format, Encoding::Identity);
    let text = String::from_utf8(body(&rendering.part, &own).concat());
    (text.expect("output is UTF-8"), rendering)
}

fn samples(world: &World, now: Instant) -> Samples {
    Samples::parse(&rendered(world, now).0)
}

#[test]
fn a_reading_is_shown_for_stale_after_and_then_absent() {
    let measured = Instant::now();
    let taken = measured + Duration::from_secs(10);
    let rows = vec![
        partition("t", 0, Some(1), [0, 5], measured),
        partition("t", 1, Some(1), [0, 7], taken),
    ];
    let world = world(vec![ClusterSnapshot {
        groups: vec![group("g", rows)],
        ..empty(None, taken)
    }]);
    let until = measured + STALE_AFTER;
    let lag = |now, partition| {
        samples(&world, now).value("kafka_consumergroup_lag", &[("partition", partition)])
    };

    assert_eq!(rendered(&world, taken).1.valid_until, Some(until));
    assert_eq!(lag(until, "0"), Some(4.0));
    let sum = |now| samples(&world, now).value("kafka_consumergroup_lag_sum", &[]);
    assert_eq!(sum(until), Some(10.0));

    let after = until + Duration::from_nanos(1);
    assert_eq!(lag(after, "0"), None, "neither kept nor 0");
    assert_eq!(lag(after, "1"), Some(6.0), "its neighbour is still fresh");
    assert_eq!(sum(after), None, "a sum of a part would look healthier");
    assert_eq!(
        rendered(&world, after).1.valid_until,
        Some(taken + STALE_AFTER)
    );

    let end = taken + STALE_AFTER + Duration::from_nanos(1);
    let (text, rendering) = rendered(&world, end);
    assert_eq!(rendering.valid_until, None, "nothing is left that ages");
    assert_eq!(kafka_series(&text), [""; 0], "nothing is kept");
    assert!(text.contains("lagwatch_up 0\n"), "{text}");
}

#[test]
fn what_a_group_never_committed_follows_the_policy() {
    let taken = Instant::now();
    for (uncommitted, lag, sum) in [
        (UncommittedPolicy::Absent, None, Some(2.0)),
        (UncommittedPolicy::LogStart, Some(30.0), Some(32.0)),
        (UncommittedPolicy::LogEnd, Some(0.0), Some(2.0)),
    ] {
        let rows = vec![
            partition("t", 0, Some(3), [0, 5], taken),
            partition("t", 1, None, [10, 40], taken),
        ];
        let samples = samples(
            &world(vec![ClusterSnapshot {
                uncommitted,
                groups: vec![group("g", rows)],
                ..empty(None, taken)
            }]),
            taken,
        );
        let value = |name, labels| samples.value(name, labels);
        let one = &[("partition", "1")];
        assert_eq!(
            value("kafka_consumergroup_lag", one),
            lag,
            "{uncommitted:?}"
        );
        assert_eq!(value("kafka_consumergroup_current_offset", one), None);
        assert_eq!(value("kafka_consumergroup_lag_sum", &[]), sum);
        let uncommitted = value("kafka_consumergroup_uncommitted_partitions", &[]);
        assert_eq!(uncommitted, Some(1.0));
    }
}

#[test]
fn granularity_decides_on_the_finest_series_of_a_group() {
    let taken = Instant::now();
    for (granularity, partitions, sums) in [
        (Granularity::Partition, 10, 1),
        (Granularity::Topic, 0, 1),
        (Granularity::Group, 0, 0),
    ] {
        let mut snapshot = uniform(1, 5, taken);
        snapshot.exposure.granularity = granularity;
        let samples = samples(&world(vec![snapshot]), taken);
        let count = |name| samples.all(name, &[]).count();
        assert_eq!(
            count("kafka_consumergroup_lag"),
            partitions,
            "{granularity:?}"
        );
        assert_eq!(
            count("kafka_consumergroup_lag_sum"),
            sums,
            "{granularity:?}"
        );
    }
}

#[test]
fn what_a_group_has_abandoned_is_left_out_of_its_sums_where_that_is_wanted() {
    let now = Instant::now();
    for (abandoned, expected) in [
        (AbandonedPolicy::Counted, Some(10.0)),
        (AbandonedPolicy::LeftOut, None),
    ] {
        let mut world = rich(now);
        let prod = world.clusters[0].1.as_mut().expect("it has a snapshot");
        Arc::make_mut(prod).exposure.abandoned = abandoned;
        let samples = samples(&world, now);
        let sum = |topic| {
            let labels = [("consumergroup", "billing"), ("topic", topic)];
            samples.value("kafka_consumergroup_current_offset_sum", &labels)
        };
        assert_eq!(sum("refunds"), expected, "{abandoned:?}");
        assert_eq!(sum("orders"), Some(28.0), "{abandoned:?}");
        let partition = [("consumergroup", "billing"), ("topic", "refunds")];
        let offset = samples.value("kafka_consumergroup_current_offset", &partition);
        assert_eq!(offset, Some(10.0), "the partition itself stays");
    }
}

/// Returns the lines of `kafka_*` series.
fn kafka_series(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines.filter(|line| line.starts_with("kafka_")).collect()
}

#[test]
fn the_limit_drops_series_from_the_end_and_counts_them() {
    let now = Instant::now();
    let whole = rich(now);
    let (text, rendering) = rendered(&whole, now);
    let all = kafka_series(&text).join("\n");
    let count = all.lines().count();
    assert_eq!(rendering.dropped, [0, 0, 0]);

    for max_series in 0..=count {
        let mut limited = rich(now);
        let prod = limited.clusters[0].1.as_mut().expect("it has a snapshot");
        Arc::make_mut(prod).exposure.max_series = max_series;
        let (text, rendering) = rendered(&limited, now);
        let kept = kafka_series(&text);
        assert_eq!(kept.len(), max_series);
        assert!(all.starts_with(&kept.join("\n")), "the beginning is kept");
        assert_eq!(rendering.dropped[0] as usize, count - max_series);
        let series = Samples::parse(&text).value("lagwatch_series", &[("cluster", "prod")]);
        assert_eq!(series, Some(max_series as f64));
    }
}

/// Returns the size of the lines of `kafka_*` series.
fn kafka_bytes(text: &str) -> usize {
    let lines = kafka_series(text).into_iter();
    lines.map(|line| line.len() + 1).sum()
}

#[test]
fn a_group_with_a_long_name_leaves_the_others_whole_and_is_counted() {
    let taken = Instant::now();
    let long_id = "m".repeat(32_000);
    let group_of = |id: &str, count: i32| {
        let rows = (0..count).map(|number| partition("t", number, Some(1), [0, 5], taken));
        group(id, rows.collect())
    };
    let others = vec![group_of("a", 20), group_of("z", 20)];
    let mut all = others.clone();
    all.insert(1, group_of(&long_id, 1_000));
    let world_of = |groups: &[_], max_series_bytes| {
        let exposure = Exposure {
            max_series_bytes,
            ..Exposure::default()
        };
        world(vec![ClusterSnapshot {
            groups: groups.to_vec(),
            exposure,
            ..empty(None, taken)
        }])
    };
    // What the group has once, and once a topic, fits; each metric of its partitions takes 32 MB.
    let budget = 1_000_000;
    for format in [Format::Text, Format::OpenMetrics] {
        let shown = |groups, limit| rendered_as(format, &world_of(groups, limit), taken);
        let (whole, unlimited) = shown(&all, usize::MAX);
        assert_eq!(unlimited.dropped, [0], "{format:?}");
        let (by_default, _) = shown(&all, Exposure::default().max_series_bytes);
        assert!(by_default == whole, "{format:?}: 160 MB fit");
        let (without, _) = shown(&others, usize::MAX);

        let (text, limited) = shown(&all, budget);
        let kept = kafka_series(&text);
        let (of_long, of_others): (Vec<&str>, Vec<&str>) =
            kept.iter().partition(|line| line.contains(&long_id));
        assert_eq!(of_others, kafka_series(&without), "{format:?}");
        assert!(!of_long.is_empty(), "{format:?}");
        let mut of_partitions = of_long.iter().filter(|line| line.contains("partition="));
        assert_eq!(of_partitions.next(), None, "{format:?}");
        assert!(kafka_bytes(&text) <= budget, "{format:?}");

        let dropped = kafka_series(&whole).len() - kept.len();
        assert!(dropped >= 5_000, "{format:?}: {dropped}");
        assert_eq!(limited.dropped, [dropped as u64], "{format:?}");
        let series = Samples::parse(&text).value("lagwatch_series", &[]);
        assert_eq!(series, Some(kept.len() as f64), "{format:?}");
    }
}

#[test]
fn a_row_passes_the_limit_on_bytes_as_a_whole_or_not_at_all() {
    let now = Instant::now();
    let whole = rich(now);
    let (text, _) = rendered(&whole, now);
    let count = kafka_series(&text).len();
    let bytes = kafka_bytes(&text);
    let lines_by_row = |lines: &[&str]| {
        let mut counts = BTreeMap::new();
        for line in lines {
            let (row, _) = line.split_once(",partition=").unwrap_or((line, ""));
            *counts.entry(row.to_owned()).or_insert(0) += 1;
        }
        counts
    };
    let all = lines_by_row(&kafka_series(&text));
    for max_series_bytes in (0..=bytes).step_by(97).chain([bytes - 1, bytes]) {
        let mut limited = rich(now);
        let prod = limited.clusters[0].1.as_mut().expect("it has a snapshot");
        Arc::make_mut(prod).exposure.max_series_bytes = max_series_bytes;
        let (text, rendering) = rendered(&limited, now);
        let kept = kafka_series(&text);
        assert!(kafka_bytes(&text) <= max_series_bytes);
        assert_eq!(rendering.dropped[0] as usize, count - kept.len());
        assert_eq!(kept.len() == count, max_series_bytes == bytes);
        for (row, lines) in lines_by_row(&kept) {
            assert_eq!(all[&row], lines, "{row} at {max_series_bytes}");
        }
    }
}

#[tokio::test]
async fn dropped_series_are_counted_once_for_each_snapshot() {
    let own = OwnMetrics::new("2.0.0");
    let taken = Instant::now();
    let limited = |taken| ClusterSnapshot {
        exposure: Exposure {
            max_series: 3,
            ..Exposure::default()
        },
        ..uniform(1, 5, taken)
    };
    // Of one group that nobody could describe: its status, two sums, one count of uncommitted partitions, one of commits,
    // one drain, one greatest age, one least headroom, and five series for each of ten partitions; and the number of brokers.
    let dropped = 59 - 3;
    let store = store(world(vec![limited(taken)]));
    let scrapes = Scrapes::new(Arc::clone(&store), own.clone());
    for (format, encoding) in [
        (Format::Text, Encoding::Identity),
        (Format::Text, Encoding::Gzip),
        (Format::Text, Encoding::Zstd),
        (Format::OpenMetrics, Encoding::Identity),
        (Format::Text, Encoding::Identity),
    ] {
        let scraped = scrapes.scrape(format, encoding).await;
        scraped.expect("nothing panics");
    }
    let counter = own.cluster(None).series_dropped();
    assert_eq!(counter.get(), dropped);

    let later = taken + Duration::from_millis(1);
    store.slots()[0].publish(limited(later));
    let scraped = scrapes.scrape(Format::Text, Encoding::Identity).await;
    scraped.expect("nothing panics");
    assert_eq!(counter.get(), 2 * dropped);
}

#[test]
fn clusters_stand_together_in_each_family_and_no_series_is_there_twice() {
    let now = Instant::now();
    let mut world = rich(now);
    let again = world.clusters[0].1.clone();
    world.clusters.push((Some("twin".into()), again));
    let (text, _) = rendered(&world, now);
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split(' ').next().unwrap_or_default();
            assert!(families.insert(family), "{family} begins twice");
        } else if !line.starts_with('#') {
            let (name, _) = line.split_once(['{', ' ']).expect("a sample has a value");
            assert_eq!(name, family, "{line}");
            let (id, _) = line.rsplit_once(' ').expect("a sample has a value");
            assert!(series.insert(id), "{id} is there twice");
        }
    }
    for cluster in ["prod", "twin"] {
        let samples = Samples::parse(&text);
        let labels = [("cluster", cluster)];
        let lag = samples.all("kafka_consumergroup_lag", &labels);
        assert_eq!(lag.count(), 5, "{cluster}");
    }
}

#[test]
fn a_cluster_without_a_name_has_no_cluster_label() {
    let taken = Instant::now();
    let (text, _) = rendered(&world(vec![uniform(1, 5, taken)]), taken);
    assert!(!text.contains("cluster="), "{text}");
    let own = OwnMetrics::new("2.0.0");
    own.cluster(None).polls("complete").inc();
    let part = render_own(own.registry(), Format::Text, Encoding::Identity);
    let first = render(&world(vec![]), taken, Format::Text, Encoding::Identity);
    let text = body(&first.part, &part).concat();
    let text = String::from_utf8(text).expect("output is UTF-8");
    assert!(
        text.contains("lagwatch_polls_total{result=\"complete\"} 1\n"),
        "{text}"
    );
}

#[test]
fn every_family_is_in_the_table_and_every_row_of_a_snapshot_is_rendered() {
    let now = Instant::now();
    let own = OwnMetrics::new("2.0.0");
    let world = render(&rich(now), now, Format::Text, Encoding::Identity);
    let own = render_own(own.registry(), Format::Text, Encoding::Identity);
    let text = String::from_utf8(body(&world.part, &own).concat()).expect("output is UTF-8");
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let Some(head) = line.strip_prefix("# HELP ") else {
            continue;
        };
        let (name, help) = head.split_once(' ').expect("every family has a help");
        if !name.starts_with("process_") {
            let metric = table::find(name).unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(metric.help, help);
        }
        assert!(seen.insert(name), "{name} comes from two places");
    }
    let rows = table::TABLE.iter();
    for metric in rows.filter(|metric| metric.source == Source::Snapshot) {
        assert!(seen.contains(metric.name), "{} is missing", metric.name);
    }
}
