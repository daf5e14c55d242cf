// Fleet: which groups need me, worst first.

import { BLUE, coloured, fixed, GREEN, GREY, ORANGE, SKY, steps, VERMILLION } from "./colours.mjs";
import { CLUSTER, dashboard, GROUP_LINK, JOB } from "./dashboard.mjs";
import { bars, instant, lines, range, stat, table, WORD_CELL } from "./panels.mjs";
import { groupStatus, NEVER, NEVER_MAPPING, STATUS_MAPPING, STATUSES } from "./words.mjs";

const OURS = 'job=~"$job",cluster=~"$cluster"';
const GROUPS = "cluster, consumergroup";
const GROUP_TOPICS = `${GROUPS}, topic`;

// Points of what is computed from every partition of every group at each of them.
const COARSE = 120;

// Replicas that watch the same groups have the same series: each counts once.
const statuses = (more = "") => `max by (${GROUPS}, status) (kafka_consumergroup_status{${OURS}${more}})`;
const lag = `max by (${GROUP_TOPICS}) (kafka_consumergroup_lag_sum{${OURS}})`;
const seconds = (by) => `max by (${by}) (kafka_consumergroup_lag_seconds_max{${OURS}})`;
const headroom = (by) => `min by (${by}) (kafka_consumergroup_retention_headroom_seconds_min{${OURS}})`;

// The gravest hundred groups that are not ok: no table gets longer, and no query of one costs more, on a larger fleet.
const WORST = `topk(100, ${groupStatus(OURS, GROUPS)} > 0)`;
const ofWorst = (expr) => named(`${expr}\nand on (${GROUPS})\n${WORST}`);

// Links name a row's cluster; where it has no name they name all of them.
const named = (expr) => `label_replace(\n${expr},\n"cluster", "$$__all", "cluster", "")`;

const CLUSTER_COLUMN = {
  label: "cluster",
  name: "Cluster",
  more: [{ id: "mappings", value: [{ type: "value", options: { $__all: { text: "–", index: 0 } } }] }],
};
const GROUP_COLUMN = { label: "consumergroup", name: "Group", more: [{ id: "links", value: [GROUP_LINK] }] };
const TOPIC_COLUMN = { label: "topic", name: "Topic" };

export const fleet = dashboard({
  uid: "lagwatch-fleet",
  title: "lagwatch / Fleet",
  description: "Every consumer group of every cluster: which ones need somebody, worst first.",
  variables: [JOB, CLUSTER],
  sections: [
    {
      title: "Now",
      panels: [
        stat({
          title: "Groups that need you",
          description: "Groups whose status is anything but ok.",
          unit: "short",
          empty: "No group is seen",
          thresholds: steps(GREEN, [1, VERMILLION]),
          queries: [instant("groups", `count(${statuses(',status!="ok"')}) or count(${statuses()}) * 0`)],
        }),
        stat({
          title: "Records waiting",
          description: "Lag of all groups together. A record that waits for two groups counts twice.",
          unit: "short",
          empty: "No lag is known",
          color: fixed(SKY),
          queries: [instant("records", `sum(${lag})`)],
        }),
        stat({
          title: "Longest wait",
          description: "Age of the oldest record that some group has not consumed.",
          unit: "s",
          empty: "No time lag is known",
          color: fixed(SKY),
          queries: [instant("seconds", `max(${seconds("cluster")})`)],
        }),
        stat({
          title: "Nearest loss",
          description: "Time until retention may delete the first record that some group has not read.",
          unit: "s",
          empty: "Nothing unread may be deleted",
          thresholds: steps(VERMILLION, [3600, ORANGE], [86400, GREEN]),
          queries: [instant("seconds", `min(${headroom("cluster")})`)],
        }),
        stat({
          title: "Records lost",
          description: "Records deleted before a group read them, counted until the group has passed them.",
          unit: "short",
          empty: "None",
          color: fixed(VERMILLION),
          queries: [
            instant("records", `sum(max by (${GROUP_TOPICS}, partition) (kafka_consumergroup_lost_records{${OURS}}))`),
          ],
        }),
        stat({
          title: "Clusters read",
          description: "Whether the newest poll could read each cluster. What is not read is shown by no other panel.",
          unit: "none",
          empty: "No lagwatch is scraped",
          thresholds: steps(VERMILLION, [1, GREEN]),
          mappings: [{ type: "value", options: { 0: { text: "not all", index: 0 }, 1: { text: "all", index: 1 } } }],
          queries: [instant("read", `min(lagwatch_up{${OURS}})`)],
        }),
      ],
    },
    {
      title: "Which groups need me",
      panels: [
        table({
          title: "Groups that need you, worst first",
          description:
            "The gravest hundred groups that are not ok. Click on a group to see why. Drain: when it will be caught up at " +
            "today's rates. Headroom: when its first unread record may be deleted.",
          empty: "Every group is ok",
          height: 11,
          sort: [
            { name: "Status", desc: true },
            { name: "Waits", desc: true },
          ],
          labels: [CLUSTER_COLUMN, GROUP_COLUMN],
          columns: [
            {
              name: "Status",
              unit: "none",
              expr: named(WORST),
              more: [{ id: "mappings", value: [STATUS_MAPPING] }, WORD_CELL],
            },
            { name: "Lag", unit: "short", expr: ofWorst(`sum by (${GROUPS}) (${lag})`) },
            { name: "Waits", unit: "s", expr: ofWorst(seconds(GROUPS)) },
            {
              name: "Drain",
              unit: "s",
              expr: ofWorst(`clamp_max(max by (${GROUPS}) (kafka_consumergroup_drain_seconds{${OURS}}), ${NEVER})`),
              more: [{ id: "mappings", value: [NEVER_MAPPING] }],
            },
            { name: "Headroom", unit: "s", expr: ofWorst(headroom(GROUPS)) },
            {
              name: "Lost",
              unit: "short",
              expr: ofWorst(
                `sum by (${GROUPS}) (max by (${GROUP_TOPICS}, partition) (kafka_consumergroup_lost_records{${OURS}}))`,
              ),
            },
            {
              name: "Members",
              unit: "short",
              expr: ofWorst(`max by (${GROUPS}) (kafka_consumergroup_members{${OURS}})`),
            },
            {
              name: "Since commit",
              unit: "s",
              expr: ofWorst(`time() - max by (${GROUPS}) (kafka_consumergroup_last_commit_timestamp_seconds{${OURS}})`),
            },
          ],
        }),
        bars({
          title: "Groups by status",
          description: "How many groups have each status.",
          unit: "short",
          empty: "No group is seen",
          color: fixed(GREY),
          overrides: coloured(STATUSES),
          height: 9,
          queries: [instant("{{status}}", `count by (status) (${statuses()})`)],
        }),
        lines({
          title: "Groups that are not ok",
          description: "How many groups had each status but ok.",
          unit: "short",
          empty: "Every group was ok",
          stacked: true,
          color: fixed(GREY),
          overrides: coloured(STATUSES),
          height: 9,
          queries: [range("{{status}}", `count by (status) (${statuses(',status!="ok"')})`)],
        }),
      ],
    },
    {
      title: "How far behind",
      panels: [
        table({
          title: "Longest waits",
          description: "The twenty groups and topics whose first unconsumed record is oldest, whatever their status.",
          empty: "No time lag is known; it needs `granularity: topic` or finer",
          width: 12,
          sort: [{ name: "Waits", desc: true }],
          labels: [CLUSTER_COLUMN, GROUP_COLUMN, TOPIC_COLUMN],
          columns: [{ name: "Waits", unit: "s", expr: named(`topk(20, ${seconds(GROUP_TOPICS)})`) }],
        }),
        table({
          title: "Most records",
          description: "The twenty groups and topics with the largest lag, whatever their status.",
          empty: "No lag is known",
          width: 12,
          sort: [{ name: "Lag", desc: true }],
          labels: [CLUSTER_COLUMN, GROUP_COLUMN, TOPIC_COLUMN],
          columns: [{ name: "Lag", unit: "short", expr: named(`topk(20, ${lag})`) }],
        }),
        table({
          title: "Nearest to losing records",
          description: "The twenty groups and topics whose first unread record retention may delete soonest.",
          empty: "Nothing unread may be deleted",
          width: 12,
          sort: [{ name: "Headroom", desc: false }],
          labels: [CLUSTER_COLUMN, GROUP_COLUMN, TOPIC_COLUMN],
          columns: [{ name: "Headroom", unit: "s", expr: named(`bottomk(20, ${headroom(GROUP_TOPICS)})`) }],
        }),
        lines({
          title: "Records in and out",
          description:
            "Records written to all topics, and offsets committed by all groups. Several groups on a topic commit each record once each.",
          unit: "recps",
          empty: "No offsets yet",
          maxDataPoints: COARSE,
          height: 9,
          overrides: coloured({ in: BLUE, out: ORANGE }),
          style: { fillOpacity: 0 },
          queries: [
            range(
              "in",
              `sum(max by (cluster, topic, partition) (rate(kafka_topic_partition_current_offset{${OURS}}[$__rate_interval])))`,
            ),
            range(
              "out",
              `clamp_min(sum(max by (${GROUP_TOPICS}) (deriv(kafka_consumergroup_current_offset_sum{${OURS}}[$__rate_interval]))), 0)`,
            ),
          ],
        }),
        lines({
          title: "Records waiting",
          description: "Lag of all groups of each cluster together.",
          unit: "short",
          empty: "No lag is known",
          stacked: true,
          queries: [range("{{cluster}}", `sum by (cluster) (${lag})`)],
        }),
        lines({
          title: "Longest wait",
          description: "Age of the oldest record of each cluster that some group has not consumed.",
          maxDataPoints: COARSE,
          unit: "s",
          empty: "No time lag is known; it needs `granularity: topic` or finer",
          queries: [range("{{cluster}}", seconds("cluster"))],
        }),
      ],
    },
  ],
});
