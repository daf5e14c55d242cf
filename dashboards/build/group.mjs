// Group: how far one group is behind, why, and what happens next.

import { BLUE, coloured, fixed, GREEN, GREY, ORANGE, PINK, SKY, steps, VERMILLION } from "./colours.mjs";
import { CLUSTER, dashboard, JOB, listed, oneOf } from "./dashboard.mjs";
import { events, heatmap, instant, lines, range, stat, table, timeline, WORD_CELL } from "./panels.mjs";
import {
  groupState,
  groupStatus,
  NEVER,
  NEVER_MAPPING,
  partitionStatus,
  STATE_MAPPING,
  STATUS_MAPPING,
} from "./words.mjs";

const OURS = 'job=~"$job",cluster=~"$cluster"';
const GROUP = `${OURS},consumergroup="$consumergroup"`;
const GROUP_TOPICS = `${GROUP},topic=~"$topic"`;
const LOGS = `${OURS},topic=~"$topic"`;
const PARTITION = "cluster, topic, partition";

// Replicas that watch the same group have the same series: each counts once.
const lag = `max by (cluster, topic) (kafka_consumergroup_lag_sum{${GROUP_TOPICS}})`;
const oldest = (by) => `max by (${by}) (kafka_consumergroup_lag_seconds_max{${GROUP_TOPICS}})`;
const seconds = (by) => `max by (${by}) (kafka_consumergroup_lag_seconds{${GROUP_TOPICS}})`;
const drain = (by) => `max by (${by}) (kafka_consumergroup_drain_seconds{${GROUP_TOPICS}})`;
const nearest = (by) => `min by (${by}) (kafka_consumergroup_retention_headroom_seconds_min{${GROUP_TOPICS}})`;
const headroom = (by) => `min by (${by}) (kafka_consumergroup_retention_headroom_seconds{${GROUP_TOPICS}})`;
const perPartition = (metric) => `max by (${PARTITION}) (${metric}{${GROUP_TOPICS}})`;

// Enough to see where it hurts; a topic may have thousands.
const ROWS = 100;
// The partitions with the largest values at the end of the time range, over all of it.
const largest = (count, expr, by) => `${expr}\nand on (${by})\ntopk(${count}, ${expr.replaceAll("}", "} @ end()")})`;

const NEEDS_PARTITIONS = "No partition is known; it needs `granularity: partition`";

export const group = dashboard({
  uid: "lagwatch-group",
  title: "lagwatch / Group",
  description: "One consumer group: how far it is behind, why, and what happens next.",
  variables: [
    JOB,
    CLUSTER,
    oneOf("consumergroup", "Group", `kafka_consumergroup_status{${OURS}}`),
    listed("topic", "Topic", `kafka_consumergroup_uncommitted_partitions{${GROUP}}`),
  ],
  annotations: [
    {
      name: "Rebalances",
      colour: PINK,
      expr: `max by (consumergroup) (kafka_consumergroup_last_rebalance_timestamp_seconds{${GROUP}}) * 1000`,
      text: "Partitions of {{consumergroup}} were dealt out anew",
    },
    {
      name: "Commits",
      colour: SKY,
      expr: `max by (topic) (kafka_consumergroup_last_commit_timestamp_seconds{${GROUP_TOPICS}}) * 1000`,
      text: "Offsets of {{topic}} were committed",
      onlyOn: "Records in and out",
    },
  ],
  sections: [
    {
      title: "Now",
      panels: [
        stat({
          title: "Status",
          description: "The status of the group's worst partition, in one word.",
          unit: "none",
          empty: "Not seen",
          mappings: [STATUS_MAPPING],
          queries: [instant("status", groupStatus(GROUP, "consumergroup"))],
        }),
        stat({
          title: "Lag",
          description: "Records that wait, on the chosen topics.",
          unit: "short",
          empty: "Unknown",
          color: fixed(SKY),
          queries: [instant("records", `sum(${lag})`)],
        }),
        stat({
          title: "Waits",
          description: "Age of the first record that the group has not consumed.",
          unit: "s",
          empty: "Unknown",
          color: fixed(SKY),
          queries: [instant("seconds", oldest("consumergroup"))],
        }),
        stat({
          title: "Drain",
          description: "Time until the group is caught up at today's rates.",
          unit: "s",
          empty: "Cannot be told yet",
          color: fixed(SKY),
          mappings: [NEVER_MAPPING],
          queries: [instant("seconds", `clamp_max(${drain("consumergroup")}, ${NEVER})`)],
        }),
        stat({
          title: "Headroom",
          description: "Time until retention may delete the first record that the group has not read.",
          unit: "s",
          empty: "Nothing to lose",
          thresholds: steps(VERMILLION, [3600, ORANGE], [86400, GREEN]),
          queries: [instant("seconds", nearest("consumergroup"))],
        }),
        stat({
          title: "Members",
          description: "Members of the group.",
          unit: "short",
          empty: "Not told by the cluster",
          color: fixed(SKY),
          queries: [instant("members", `max(kafka_consumergroup_members{${GROUP}})`)],
        }),
      ],
    },
    {
      title: "What happened",
      panels: [
        timeline({
          title: "Status of the group",
          description: "The group's status, and Kafka's own word for its state.",
          unit: "none",
          empty: "The group was not seen",
          mappings: [STATUS_MAPPING, STATE_MAPPING],
          height: 5,
          queries: [
            range("status", groupStatus(GROUP, "consumergroup")),
            range("state", groupState(GROUP, "consumergroup")),
          ],
        }),
        lines({
          title: "Lag",
          description: "Records that wait, by topic.",
          unit: "short",
          empty: "No lag is known",
          stacked: true,
          queries: [range("{{topic}}", `sum by (topic) (${lag})`)],
        }),
        lines({
          title: "Time lag",
          description: "Age of the first record that the group has not consumed, by topic.",
          unit: "s",
          empty: "No time lag is known",
          queries: [range("{{topic}}", oldest("topic"))],
        }),
        lines({
          title: "Records in and out",
          description:
            "Records written to the chosen topics, and offsets committed by the group. Out is negative where offsets go back.",
          unit: "recps",
          empty: "No offsets yet",
          min: undefined,
          overrides: coloured({ in: BLUE, out: ORANGE }),
          style: { fillOpacity: 0 },
          queries: [
            range(
              "in",
              `sum(max by (${PARTITION}) (rate(kafka_topic_partition_current_offset{${LOGS}}[$__rate_interval])))`,
            ),
            range(
              "out",
              `sum(max by (cluster, topic) (deriv(kafka_consumergroup_current_offset_sum{${GROUP_TOPICS}}[$__rate_interval])))`,
            ),
          ],
        }),
        lines({
          title: "Drain and headroom",
          description:
            "Time until the group is caught up, and time until its first unread record may be deleted. Drain is not drawn while it is never.",
          unit: "s",
          empty: "Cannot be told yet",
          overrides: coloured({ drain: SKY, headroom: VERMILLION }),
          style: { fillOpacity: 0 },
          queries: [range("drain", `${drain("consumergroup")} < Inf`), range("headroom", nearest("consumergroup"))],
        }),
        lines({
          title: "Members",
          description: "Members of the group.",
          unit: "short",
          empty: "The cluster does not tell members",
          color: fixed(BLUE),
          width: 8,
          queries: [range("members", `max(kafka_consumergroup_members{${GROUP}})`)],
        }),
        events({
          title: "Rebalances, joins and leaves",
          description: "How often partitions were dealt out anew, and members came and went.",
          unit: "short",
          empty: "The cluster does not tell members",
          width: 8,
          overrides: coloured({ rebalances: PINK, joins: BLUE, leaves: ORANGE }),
          queries: [
            range("rebalances", `max(increase(kafka_consumergroup_rebalances_total{${GROUP}}[$__rate_interval]))`),
            range("joins", `max(increase(kafka_consumergroup_member_joins_total{${GROUP}}[$__rate_interval]))`),
            range("leaves", `max(increase(kafka_consumergroup_member_leaves_total{${GROUP}}[$__rate_interval]))`),
          ],
        }),
        lines({
          title: "Commits",
          description: "Partition offsets committed a second, by topic. In poll mode a lower bound.",
          unit: "cps",
          empty: "No commit is known",
          width: 8,
          queries: [
            range(
              "{{topic}}",
              `max by (topic) (rate(kafka_consumergroup_commits_total{${GROUP_TOPICS}}[$__rate_interval]))`,
            ),
          ],
        }),
        timeline({
          title: "Partitions that are not ok",
          description: "The twenty partitions that were not ok for longest, and how.",
          unit: "none",
          empty: "Every partition was ok",
          mappings: [STATUS_MAPPING],
          height: 7,
          queries: [
            range(
              "{{topic}} {{partition}}",
              `${partitionStatus(GROUP_TOPICS, "topic, partition")}\nand on (topic, partition)\ntopk(20, ` +
                "sum by (topic, partition) (" +
                `count_over_time(kafka_consumergroup_partition_status{${GROUP_TOPICS}}[$__range] @ end())))`,
            ),
          ],
        }),
      ],
    },
    {
      title: "What is lost, blocked or left",
      panels: [
        stat({
          title: "Records lost",
          description: "Records deleted before the group read them, counted until it has passed them.",
          unit: "short",
          empty: "None",
          width: 6,
          color: fixed(VERMILLION),
          queries: [instant("records", `sum(${perPartition("kafka_consumergroup_lost_records")})`)],
        }),
        stat({
          title: "Records blocked",
          description: "Records behind an open transaction, which a read_committed group has to wait for.",
          unit: "short",
          empty: "None",
          width: 6,
          color: fixed(ORANGE),
          queries: [instant("records", `sum(${perPartition("kafka_consumergroup_blocked_records")})`)],
        }),
        stat({
          title: "Partitions without a commit",
          description: "Partitions that are assigned to a member, but on which the group never committed.",
          unit: "short",
          empty: "Unknown",
          width: 6,
          thresholds: steps(GREEN, [1, ORANGE]),
          queries: [
            instant(
              "partitions",
              `sum(max by (cluster, topic) (kafka_consumergroup_uncommitted_partitions{${GROUP_TOPICS}}))`,
            ),
          ],
        }),
        stat({
          title: "Partitions abandoned",
          description: "Partitions with a commit on a topic that no member reads any more.",
          unit: "short",
          empty: "None",
          width: 6,
          color: fixed(ORANGE),
          queries: [
            instant(
              "partitions",
              `sum(max by (cluster, topic) (kafka_consumergroup_abandoned_partitions{${GROUP_TOPICS}}))`,
            ),
          ],
        }),
      ],
    },
    {
      title: "Partitions of $topic",
      repeat: "topic",
      panels: [
        heatmap({
          title: "Lag by partition",
          description: `Records that wait, a row for each of the ${ROWS} partitions with most.`,
          unit: "short",
          empty: NEEDS_PARTITIONS,
          layout: "unknown",
          queries: [
            range(
              "{{partition}}",
              largest(ROWS, `max by (partition) (kafka_consumergroup_lag{${GROUP_TOPICS}})`, "partition"),
            ),
          ],
        }),
        heatmap({
          title: "Time lag by partition",
          description: `Age of the first unconsumed record, a row for each of the ${ROWS} partitions with the oldest.`,
          unit: "s",
          empty: NEEDS_PARTITIONS,
          layout: "unknown",
          queries: [range("{{partition}}", largest(ROWS, seconds("partition"), "partition"))],
        }),
        table({
          title: "Partitions, worst first",
          description: `The ${ROWS} partitions with most records waiting.`,
          empty: NEEDS_PARTITIONS,
          sort: [
            { name: "Status", desc: true },
            { name: "Lag", desc: true },
          ],
          labels: [
            { label: "cluster", name: "Cluster" },
            { label: "topic", name: "Topic" },
            { label: "partition", name: "Partition" },
          ],
          columns: [
            {
              name: "Status",
              unit: "none",
              // A partition that is ok has no series of its own.
              expr: ofLargest(
                `${partitionStatus(GROUP_TOPICS, PARTITION)} or ${perPartition("kafka_consumergroup_lag")} * 0`,
              ),
              more: [{ id: "mappings", value: [STATUS_MAPPING] }, WORD_CELL],
            },
            { name: "Lag", unit: "short", expr: `topk(${ROWS}, ${perPartition("kafka_consumergroup_lag")})` },
            { name: "Waits", unit: "s", expr: ofLargest(seconds(PARTITION)) },
            { name: "Headroom", unit: "s", expr: ofLargest(headroom(PARTITION)) },
            { name: "Lost", unit: "short", expr: ofLargest(perPartition("kafka_consumergroup_lost_records")) },
            { name: "Committed", unit: "none", expr: ofLargest(perPartition("kafka_consumergroup_current_offset")) },
            {
              name: "Log end",
              unit: "none",
              expr: ofLargest(`max by (${PARTITION}) (kafka_topic_partition_current_offset{${LOGS}})`),
            },
          ],
        }),
      ],
    },
  ],
});

function ofLargest(expr) {
  return `(${expr})\nand on (${PARTITION})\ntopk(${ROWS}, ${perPartition("kafka_consumergroup_lag")})`;
}
