//! The table: name, type, help, labels and source of every metric.
//!
//! Label order is the order of exposition. `cluster` is not listed: it comes first wherever a cluster has a name.
//! Rows stand in the order of exposition, and what comes from a snapshot from the most to the least important: where
//! a cluster has more series than its limit allows, series are dropped from the end.

/// One metric family.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The family's name; counters end in `_total`.
    pub name: &'static str,
    /// Counter, gauge, histogram or untyped.
    pub kind: Kind,
    /// One sentence without a full stop at its end.
    pub help: &'static str,
    /// Label names besides `cluster`, in order.
    pub labels: &'static [&'static str],
    /// Where its values come from.
    pub source: Source,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
    /// Goes both ways, under a name whose ending is reserved for histograms, so that it may not be called a gauge.
    Untyped,
}

/// Where the values of a metric come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Rendered from the newest snapshot of each cluster; has the label `cluster` where it is named.
    Snapshot,
    /// Counted by this process for each cluster; has the label `cluster` where it is named.
    Cluster,
    /// Counted by this process as a whole.
    Process,
    /// Counted by the task consumer.
    Task,
}

macro_rules! metrics {
    ($( $id:ident = $kind:ident $source:ident $name:literal [$($label:literal),*] $help:literal; )*) => {
        $( #[doc = $help] pub static $id: Metric = Metric {
            name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*], source: Source::$source,
        }; )*

        /// Every metric, in the order of exposition.
        pub static TABLE: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    UP = Gauge Snapshot "lagwatch_up" [] "1 if the newest poll cycle could read the cluster (metadata, every broker's groups and log ends) and is not older than stale-after; else 0";
    LAST_SUCCESS_TIMESTAMP = Gauge Snapshot "lagwatch_last_success_timestamp_seconds" [] "When the newest complete poll cycle ended, in seconds since the epoch; absent before the first";
    BROKERS = Gauge Snapshot "kafka_brokers" [] "Brokers in the cluster's newest metadata";
    BROKER_INFO = Gauge Snapshot "kafka_broker_info" ["id", "address"] "A broker and its advertised address; the value is 1";
    GROUP_MEMBERS = Gauge Snapshot "kafka_consumergroup_members" ["consumergroup"] "Members of the group";
    GROUP_STATE = Gauge Snapshot "kafka_consumergroup_state" ["consumergroup", "state"] "The group's state: one series a group, the value is 1";
    GROUP_STATUS = Gauge Snapshot "kafka_consumergroup_status" ["consumergroup", "status"] "The group's status, that of its worst partition: one series a group, the value is 1";
    GROUP_INFO = Gauge Snapshot "kafka_consumergroup_info" ["consumergroup", "type", "protocol", "coordinator"] "The group's type, assignor and coordinator; the value is 1";
    GROUP_LAG_SUM = Untyped Snapshot "kafka_consumergroup_lag_sum" ["consumergroup", "topic"] "Sum of the group's lag on the topic; absent while the lag of any partition is unknown, and where none is committed";
    GROUP_LAG_SECONDS_MAX = Gauge Snapshot "kafka_consumergroup_lag_seconds_max" ["consumergroup", "topic"] "Age of the oldest record of the topic that the group has not consumed: 0 when it is caught up; while the age on some partition is unknown that of the others, absent where those are caught up";
    GROUP_HEADROOM_MIN = Gauge Snapshot "kafka_consumergroup_retention_headroom_seconds_min" ["consumergroup", "topic"] "Seconds until the topic's retention may delete the first of the records that the group has not read, of the partitions on which none is lost yet; absent where it is known of none";
    GROUP_DRAIN = Gauge Snapshot "kafka_consumergroup_drain_seconds" ["consumergroup", "topic"] "Seconds until the group is caught up on the topic at today's rates: 0 caught up, +Inf never; absent while that cannot be told";
    GROUP_CURRENT_OFFSET_SUM = Untyped Snapshot "kafka_consumergroup_current_offset_sum" ["consumergroup", "topic"] "Sum of the group's committed offsets on the topic; absent while any of them is unknown";
    GROUP_UNCOMMITTED_PARTITIONS = Gauge Snapshot "kafka_consumergroup_uncommitted_partitions" ["consumergroup", "topic"] "Partitions of the topic that are assigned to the group but have no commit";
    GROUP_LAG = Gauge Snapshot "kafka_consumergroup_lag" ["consumergroup", "topic", "partition"] "Records between the group's committed offset and the log end";
    GROUP_LAG_SECONDS = Gauge Snapshot "kafka_consumergroup_lag_seconds" ["consumergroup", "topic", "partition"] "Age of the first record that the group has not consumed; 0 when it is caught up, absent where it never committed and where only a lower bound is known";
    GROUP_CURRENT_OFFSET = Gauge Snapshot "kafka_consumergroup_current_offset" ["consumergroup", "topic", "partition"] "Committed offset: the next record the group will read";
    GROUP_LOST_RECORDS = Gauge Snapshot "kafka_consumergroup_lost_records" ["consumergroup", "topic", "partition"] "Records deleted from the log before the group read them; present only where there are some";
    GROUP_PARTITION_STATUS = Gauge Snapshot "kafka_consumergroup_partition_status" ["consumergroup", "topic", "partition", "status"] "Status of a partition that is not ok; the value is 1";
    GROUP_HEADROOM = Gauge Snapshot "kafka_consumergroup_retention_headroom_seconds" ["consumergroup", "topic", "partition"] "Seconds until the topic's retention may delete the first record that the group has not read: by age, and by size once the pace of the log start is known; absent where nothing is unread, nothing is deleted or nothing is known";
    GROUP_BLOCKED = Gauge Snapshot "kafka_consumergroup_blocked_records" ["consumergroup", "topic", "partition"] "Records behind an open transaction that a read_committed group has to wait for; present only where it has read everything before";
    GROUP_ABANDONED = Gauge Snapshot "kafka_consumergroup_abandoned_partitions" ["consumergroup", "topic"] "Partitions with a commit on a topic that no member of the group reads any more; present only where there are some";
    TOPIC_PARTITIONS = Gauge Snapshot "kafka_topic_partitions" ["topic"] "Partitions of the topic";
    TOPIC_PARTITION_CURRENT_OFFSET = Gauge Snapshot "kafka_topic_partition_current_offset" ["topic", "partition"] "Log end offset: the offset the next record will get";
    TOPIC_PARTITION_OLDEST_OFFSET = Gauge Snapshot "kafka_topic_partition_oldest_offset" ["topic", "partition"] "Log start offset: the first offset still stored";
    TOPIC_PARTITION_LAST_STABLE_OFFSET = Gauge Snapshot "kafka_topic_partition_last_stable_offset" ["topic", "partition"] "Last stable offset: the end of what a read_committed consumer may read, where it is asked for";
    TOPIC_PARTITION_UNDER_REPLICATED = Gauge Snapshot "kafka_topic_partition_under_replicated_partition" ["topic", "partition"] "1 if a replica of the partition is not in sync, else 0";
    TOPIC_PARTITION_LEADER = Gauge Snapshot "kafka_topic_partition_leader" ["topic", "partition"] "Node id of the partition's leader; absent while it has none";
    TOPIC_PARTITION_LEADER_IS_PREFERRED = Gauge Snapshot "kafka_topic_partition_leader_is_preferred" ["topic", "partition"] "1 if the leader is the partition's preferred one, else 0";
    TOPIC_PARTITION_IN_SYNC_REPLICA = Gauge Snapshot "kafka_topic_partition_in_sync_replica" ["topic", "partition"] "Replicas of the partition that are in sync";
    TOPIC_PARTITION_REPLICAS = Gauge Snapshot "kafka_topic_partition_replicas" ["topic", "partition"] "Replicas of the partition";
    GROUP_PARTITION_OWNER_INFO = Gauge Snapshot "kafka_consumergroup_partition_owner_info" ["consumergroup", "topic", "partition", "member_id", "client_id", "host"] "The member that owns the partition; opt-in; the value is 1";
    GROUP_COMMITS = Counter Snapshot "kafka_consumergroup_commits_total" ["consumergroup", "topic"] "Committed partition offsets seen since the group is watched; in poll mode a lower bound: what changed from poll to poll";
    GROUP_LAST_COMMIT = Gauge Snapshot "kafka_consumergroup_last_commit_timestamp_seconds" ["consumergroup", "topic"] "When the newest commit seen was made, in seconds since the epoch; in poll mode when it was first polled; absent before the first";
    GROUP_REBALANCES = Counter Snapshot "kafka_consumergroup_rebalances_total" ["consumergroup"] "Rebalances seen since the group is watched: new generations, or new epochs that a member reached; in poll mode a lower bound: polls that found other members or assignments. Absent where members cannot be told";
    GROUP_LAST_REBALANCE = Gauge Snapshot "kafka_consumergroup_last_rebalance_timestamp_seconds" ["consumergroup"] "When the newest rebalance seen was made, in seconds since the epoch; in poll mode when it was first polled; absent before the first";
    GROUP_MEMBER_JOINS = Counter Snapshot "kafka_consumergroup_member_joins_total" ["consumergroup"] "Members seen joining since the group is watched; in poll mode a lower bound. Absent where members cannot be told";
    GROUP_MEMBER_LEAVES = Counter Snapshot "kafka_consumergroup_member_leaves_total" ["consumergroup"] "Members seen leaving since the group is watched; in poll mode a lower bound. Absent where members cannot be told";
    COLLECT_MODE = Gauge Snapshot "lagwatch_collect_mode" ["mode"] "How the cluster is collected, poll or stream: one series, the value is 1";
    STREAM_PARTITIONS = Gauge Snapshot "lagwatch_stream_partitions" ["state"] "Partitions of __consumer_offsets that are followed (live), and those whose groups are polled instead (behind); absent in poll mode";
    GROUPS_SKIPPED = Gauge Snapshot "lagwatch_groups_skipped" ["protocol_type"] "Groups without series of their own, as their members do not consume partitions of topics, by protocol type: connect, sr (Schema Registry), share or other; absent where there are none";
    SHARD_PARTITIONS = Gauge Snapshot "lagwatch_shard_partitions" [] "Partitions of __consumer_offsets whose groups this replica collects, where replicas share the cluster; 1 where the replica's number is given";
    SHARD_GROUPS = Gauge Snapshot "lagwatch_shard_groups" [] "Groups this replica collects, where replicas share the cluster";
    SERIES = Gauge Snapshot "lagwatch_series" [] "Series of kafka_* rendered from the cluster's newest snapshot";
    SERIES_DROPPED = Counter Cluster "lagwatch_series_dropped_total" [] "Series left out because of max-series or max-series-bytes, added up over snapshots";
    POLLS = Counter Cluster "lagwatch_polls_total" ["result"] "Poll cycles by how they ended: complete, partial, degraded, failed; skipped for a tick that found the cycle before it still running";
    POLL_DURATION = Histogram Cluster "lagwatch_poll_duration_seconds" ["phase"] "Seconds a poll cycle spent in each phase: metadata, list_groups, describe_groups, committed_offsets, list_offsets, total";
    ERRORS = Counter Cluster "lagwatch_errors_total" ["operation", "error"] "Failed fetches by operation and by Kafka's name of the error";
    GROUP_COLLECTION_ERRORS = Counter Cluster "lagwatch_group_collection_errors_total" [] "Group rows that could not be read in full, added up over cycles";
    STREAM_RECORDS = Counter Cluster "lagwatch_stream_records_total" ["kind"] "Records read from __consumer_offsets: commit, tombstone, group, unknown, malformed";
    STREAM_BYTES = Counter Cluster "lagwatch_stream_bytes_total" [] "Bytes of the keys and values of the records read from __consumer_offsets";
    STREAM_GAPS = Counter Cluster "lagwatch_stream_gaps_total" [] "Times that a partition of __consumer_offsets had to be begun anew because records of it were gone; what they said is not counted";
    STREAM_DRIFT = Counter Cluster "lagwatch_stream_drift_total" [] "Followed offsets that differed from the coordinator's when they were compared; each is repaired, and each is a fault of lagwatch";
    KAFKA_REQUESTS = Counter Cluster "lagwatch_kafka_requests_total" ["api"] "Requests sent to Kafka by API";
    HTTP_REQUESTS = Counter Process "lagwatch_http_requests_total" ["route", "code"] "HTTP requests answered, by route and status code";
    HTTP_REQUEST_DURATION = Histogram Process "lagwatch_http_request_duration_seconds" ["route"] "Seconds from a request's head to its answer's body being ready";
    HTTP_CONNECTIONS = Gauge Process "lagwatch_http_connections" [] "Open HTTP connections";
    HTTP_REJECTED = Counter Process "lagwatch_http_rejected_connections_total" [] "Connections closed at once because the limit was reached";
    HTTP_TLS_HANDSHAKE_ERRORS = Counter Process "lagwatch_http_tls_handshake_errors_total" [] "TLS handshakes that failed or took too long";
    HTTP_EVENT_STREAMS = Gauge Process "lagwatch_http_event_streams" [] "Open streams of server-sent events";
    HTTP_EVENT_STREAMS_DROPPED = Counter Process "lagwatch_http_event_streams_dropped_total" ["reason"] "Event streams ended because of their readers: too_slow for one that missed events again before it had caught up, stalled for one that took nothing within the write timeout";
    BUILD_INFO = Gauge Process "lagwatch_build_info" ["version", "librdkafka"] "Versions of lagwatch and of librdkafka; the value is 1";
    TASK_MESSAGES = Counter Task "lagwatch_task_messages_total" ["topic", "outcome"] "Records the task consumer finished: processed, duplicate, dead_letter";
    TASK_COMMITS = Counter Task "lagwatch_task_commits_total" ["topic", "mode", "result"] "Offset commits of the task consumer by mode (auto, sync, async) and result (ok, error)";
    TASK_COMMIT_DURATION = Histogram Task "lagwatch_task_commit_duration_seconds" ["topic"] "Seconds from sending a commit to its answer; auto-commits are not timed";
    TASK_REBALANCES = Counter Task "lagwatch_task_rebalances_total" ["topic", "event"] "Rebalance events of the task consumer: assigned, revoked, lost";
    TASK_ASSIGNED_PARTITIONS = Gauge Task "lagwatch_task_assigned_partitions" ["topic"] "Partitions assigned to the task consumer";
    TASK_PROCESSING = Histogram Task "lagwatch_task_processing_seconds" ["topic"] "Seconds one attempt to process a record took";
    TASK_DUPLICATES = Counter Task "lagwatch_task_duplicates_total" ["topic"] "Redelivered records that were skipped because their event id was already done";
    TASK_DEAD_LETTERS = Counter Task "lagwatch_task_dead_letters_total" ["topic"] "Records given up and sent to the dead-letter topic";
    TASK_RETRIES = Counter Task "lagwatch_task_retries_total" ["topic"] "Attempts to process a record after its first";
    TASK_ERRORS = Counter Task "lagwatch_task_errors_total" ["code"] "Errors of the task consumer's Kafka client, by Kafka's name";
}

/// Returns the metric of that name.
pub fn find(name: &str) -> Option<&'static Metric> {
    TABLE.iter().copied().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every label, in the one order that all families keep.
    const LABEL_ORDER: &[&str] = &[
        "consumergroup",
        "topic",
        "partition",
        "id",
        "address",
        "state",
        "status",
        "type",
        "protocol",
        "protocol_type",
        "coordinator",
        "member_id",
        "client_id",
        "host",
        "kind",
        "mode",
        "result",
        "phase",
        "operation",
        "error",
        "api",
        "route",
        "version",
        "librdkafka",
        "outcome",
        "event",
        "code",
        "reason",
    ];

    fn is_name(name: &str) -> bool {
        name.starts_with(|char: char| char.is_ascii_lowercase())
            && name
                .chars()
                .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    }

    /// Returns every name that the samples of a family have.
    fn sample_names(metric: &Metric) -> Vec<String> {
        let suffixes: &[&str] = match metric.kind {
            Kind::Counter | Kind::Gauge | Kind::Untyped => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        let names = suffixes
            .iter()
            .map(|suffix| format!("{}{suffix}", metric.name));
        names.collect()
    }

    #[test]
    fn names_follow_the_conventions() {
        for metric in TABLE {
            let name = metric.name;
            assert!(is_name(name), "{name}");
            assert!(
                name.starts_with("kafka_") || name.starts_with("lagwatch_"),
                "{name}"
            );
            assert_eq!(
                metric.kind == Kind::Counter,
                name.ends_with("_total"),
                "{name}: `_total` is for counters, and for all of them"
            );
            let is_reserved = ["_sum", "_count", "_bucket"]
                .iter()
                .any(|end| name.ends_with(end));
            assert_eq!(
                metric.kind == Kind::Untyped,
                is_reserved,
                "{name}: an ending of histograms needs the untyped kind, which nothing else has"
            );
        }
    }

    #[test]
    fn help_is_one_sentence() {
        for Metric { name, help, .. } in TABLE {
            assert!(
                help.starts_with(|char: char| char.is_uppercase() || char.is_ascii_digit()),
                "{name}: {help}"
            );
            assert!(
                !help.ends_with('.') && !help.contains('\n') && help.trim() == *help,
                "{name}: {help}"
            );
        }
    }

    #[test]
    fn labels_stand_in_one_order() {
        for Metric { name, labels, .. } in TABLE {
            let position = |label: &&str| {
                LABEL_ORDER
                    .iter()
                    .position(|known| known == label)
                    .unwrap_or_else(|| panic!("{name}: label `{label}` has no place in the order"))
            };
            let positions: Vec<_> = labels.iter().map(position).collect();
            assert!(
                positions.is_sorted_by(|one, next| one < next),
                "{name}: {labels:?}"
            );
        }
    }

    #[test]
    fn no_two_families_share_a_name() {
        let mut seen = BTreeSet::new();
        for metric in TABLE {
            // OpenMetrics names the family of a counter without its suffix.
            let family = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            let mut names: BTreeSet<_> = sample_names(metric).into_iter().collect();
            names.insert(family.to_owned());
            for name in names {
                assert!(seen.insert(name.clone()), "{name} is there twice");
            }
        }
    }

    #[test]
    fn a_metric_is_found_by_its_name() {
        assert_eq!(find("kafka_consumergroup_lag"), Some(&GROUP_LAG));
        assert_eq!(find("kafka_consumergroup"), None);
    }
}
