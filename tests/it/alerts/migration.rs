//! Who comes from another exporter finds its names again: the same, recorded, or told to have no equal.
//!
//! What the recorded ones hold is for `promtool test rules alerts/migration/tests/*.yaml` to tell.

use std::collections::BTreeSet;

use lagwatch::metrics::{Kind, table};

use super::rule_files::{Rule, RuleFile, parse, read, yaml_files};

/// An exporter, the file that recreates its names, and what it exposes of Kafka and of itself.
struct Peer {
    file: &'static str,
    names: &'static [&'static str],
}

const PEERS: [Peer; 4] = [
    // Source: danielqsj/kafka_exporter, `kafka_exporter.go`.
    Peer {
        file: "kafka-exporter",
        names: &[
            "kafka_brokers",
            "kafka_broker_info",
            "kafka_topic_partitions",
            "kafka_topic_partition_current_offset",
            "kafka_topic_partition_oldest_offset",
            "kafka_topic_partition_leader",
            "kafka_topic_partition_replicas",
            "kafka_topic_partition_in_sync_replica",
            "kafka_topic_partition_leader_is_preferred",
            "kafka_topic_partition_under_replicated_partition",
            "kafka_consumergroup_current_offset",
            "kafka_consumergroup_current_offset_sum",
            "kafka_consumergroup_lag",
            "kafka_consumergroup_lag_sum",
            "kafka_consumergroup_members",
            "kafka_consumergroupzookeeper_lag_zookeeper",
            "kafka_exporter_build_info",
        ],
    },
    // Source: seglo/kafka-lag-exporter, `Metrics.scala`; softwaremill/klag-exporter, `src/metrics/definitions.rs`.
    Peer {
        file: "kafka-lag-exporter",
        names: &[
            "kafka_partition_latest_offset",
            "kafka_partition_earliest_offset",
            "kafka_consumergroup_group_max_lag",
            "kafka_consumergroup_group_max_lag_seconds",
            "kafka_consumergroup_group_sum_lag",
            "kafka_consumergroup_group_offset",
            "kafka_consumergroup_group_lag",
            "kafka_consumergroup_group_lag_seconds",
            "kafka_consumergroup_group_topic_sum_lag",
            "kafka_consumergroup_poll_time_ms",
            "kafka_consumergroup_group_state",
            "kafka_consumergroup_group_messages_lost",
            "kafka_consumergroup_group_retention_margin",
            "kafka_consumergroup_group_lag_retention_ratio",
            "kafka_lag_exporter_up",
            "kafka_lag_exporter_last_update_timestamp_seconds",
            "kafka_lag_exporter_scrape_duration_seconds",
            "kafka_lag_exporter_data_loss_partitions_total",
            "kafka_lag_exporter_compaction_detected_total",
        ],
    },
    // Source: redpanda-data/kminion, `prometheus/exporter.go`; its end-to-end tests are a family.
    Peer {
        file: "kminion",
        names: &[
            "kminion_exporter_up",
            "kminion_exporter_offset_consumer_records_consumed_total",
            "kminion_kafka_cluster_info",
            "kminion_kafka_broker_info",
            "kminion_kafka_broker_log_dir_size_total_bytes",
            "kminion_kafka_topic_log_dir_size_total_bytes",
            "kminion_kafka_topic_info",
            "kminion_kafka_topic_high_water_mark_sum",
            "kminion_kafka_topic_partition_high_water_mark",
            "kminion_kafka_topic_low_water_mark_sum",
            "kminion_kafka_topic_partition_low_water_mark",
            "kminion_kafka_consumer_group_info",
            "kminion_kafka_consumer_group_members",
            "kminion_kafka_consumer_group_empty_members",
            "kminion_kafka_consumer_group_topic_members",
            "kminion_kafka_consumer_group_topic_assigned_partitions",
            "kminion_kafka_consumer_group_topic_offset_sum",
            "kminion_kafka_consumer_group_topic_partition_lag",
            "kminion_kafka_consumer_group_topic_lag",
            "kminion_kafka_consumer_group_offset_commits_total",
            "kminion_end_to_end_",
        ],
    },
    // Source: linkedin/Burrow, `core/internal/httpserver/prometheus.go`; statuses in `core/protocol/evaluator.go`, and
    // how a group's is capped in `core/internal/evaluator/caching.go`.
    Peer {
        file: "burrow",
        names: &[
            "burrow_kafka_consumer_lag_total",
            "burrow_kafka_consumer_status",
            "burrow_kafka_topic_partition_status",
            "burrow_kafka_consumer_current_offset",
            "burrow_kafka_consumer_partition_lag",
            "burrow_kafka_topic_partition_offset",
        ],
    },
];

fn rules(peer: &Peer) -> RuleFile {
    parse(&format!("alerts/migration/{}.rules.yaml", peer.file))
}

/// Returns what a file records under the peer's names: no colon, as the conventions keep it for other recorded series.
fn recorded(rules: &RuleFile) -> BTreeSet<&str> {
    let names = rules.rules().map(Rule::recorded);
    names.filter(|name| !name.contains(':')).collect()
}

#[test]
fn every_peer_has_a_file_of_rules_and_a_file_of_tests() {
    let files = |folder: &str, ending: &str| -> BTreeSet<String> {
        let paths = yaml_files(folder);
        let name = |path: &String| {
            let name = path.rsplit('/').next()?.strip_suffix(ending)?;
            Some(name.to_owned())
        };
        paths.iter().filter_map(name).collect()
    };
    let expected: BTreeSet<String> = PEERS.iter().map(|peer| peer.file.to_owned()).collect();
    assert_eq!(files("alerts/migration", ".rules.yaml"), expected);
    assert_eq!(files("alerts/migration/tests", ".yaml"), expected);
}

#[test]
fn what_is_recorded_is_a_name_of_the_peer_and_tested() {
    for peer in &PEERS {
        let rules = rules(peer);
        let tests = read(&format!("alerts/migration/tests/{}.yaml", peer.file));
        for name in recorded(&rules) {
            assert!(peer.names.contains(&name), "{}: no {name}", peer.file);
            assert!(table::find(name).is_none(), "lagwatch has {name} itself");
            assert!(
                tests.contains(&format!("expr: {name}")),
                "nobody tests {name}"
            );
        }
    }
}

#[test]
fn migration_rules_name_what_is_exposed_or_recorded() {
    for peer in &PEERS {
        let rules = rules(peer);
        let known: BTreeSet<&str> = rules.rules().map(Rule::recorded).collect();
        for rule in rules.rules() {
            for name in rule.parts().names {
                let family = ["_sum", "_count"]
                    .iter()
                    .find_map(|suffix| table::find(name.strip_suffix(suffix)?))
                    .filter(|metric| metric.kind == Kind::Histogram);
                assert!(
                    known.contains(name.as_str())
                        || table::find(&name).is_some()
                        || family.is_some(),
                    "{}: nobody exposes or records {name}",
                    peer.file
                );
            }
        }
    }
}

#[test]
fn every_name_of_a_peer_is_the_same_or_recorded_or_said_to_have_no_equal() {
    let readme = read("README.md");
    let (_, section) = readme
        .split_once("\n## Migration\n")
        .expect("there is a section");
    let (section, _) = section.split_once("\n## ").expect("another one follows");
    assert!(
        section.lines().count() <= 40,
        "it is to be read at a glance"
    );
    for peer in &PEERS {
        assert!(section.contains(&format!("`{}.rules.yaml`", peer.file)));
        let rules = rules(peer);
        let recorded = recorded(&rules);
        for name in peer.names {
            let ways = [
                table::find(name).is_some(),
                recorded.contains(name),
                // A family ends in an ellipsis.
                section.contains(&format!("| `{name}"))
                    || section.contains(&format!(", `{name}` |")),
            ];
            let count = ways.iter().filter(|way| **way).count();
            assert_eq!(count, 1, "{}: {name}: {ways:?}", peer.file);
        }
    }
}
