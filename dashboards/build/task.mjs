// Task consumer: what it does with its records, and whether its commits hold.

import { BLUE, coloured, fixed, GREEN, GREY, ORANGE, PINK, SKY, steps, VERMILLION, YELLOW } from "./colours.mjs";
import { anyOf, CLUSTER, dashboard, JOB } from "./dashboard.mjs";
import { buckets, events, heatmap, instant, lines, range, stat } from "./panels.mjs";

// What the consumer counts knows no cluster: it is of the process.
const PROCESS = 'job=~"$job",instance=~"$instance"';
const OURS = `${PROCESS},topic=~"$topic"`;
const GROUPS = 'job=~"$job",cluster=~"$cluster",topic=~"$topic"';

const rate = (metric, by) => `sum by (${by}) (rate(${metric}{${OURS}}[$__rate_interval]))`;
const increase = (metric, by) => `sum by (${by}) (increase(${metric}{${OURS}}[$__rate_interval]))`;
const inRange = (metric) => `sum(increase(${metric}{${OURS}}[$__range]))`;
const quantile = (share, metric) => `histogram_quantile(${share}, ${rate(`${metric}_bucket`, "le")})`;

const quantiles = (settings, metric) =>
  lines({
    unit: "s",
    overrides: coloured({ median: SKY, "95 %": BLUE, "99 %": ORANGE }),
    style: { fillOpacity: 0 },
    queries: [
      range("median", quantile(0.5, metric)),
      range("95 %", quantile(0.95, metric)),
      range("99 %", quantile(0.99, metric)),
    ],
    ...settings,
  });

export const task = dashboard({
  uid: "lagwatch-task",
  title: "lagwatch / Task consumer",
  description: "The task consumer: records done, retried and given up, its commits and its rebalances.",
  variables: [
    JOB,
    CLUSTER,
    anyOf("instance", "Instance", 'lagwatch_task_assigned_partitions{job=~"$job"}'),
    anyOf("topic", "Topic", `lagwatch_task_assigned_partitions{${PROCESS}}`),
  ],
  sections: [
    {
      title: "Now",
      panels: [
        stat({
          title: "Done a second",
          description: "Records processed, found done already, or given up, a second.",
          unit: "recps",
          decimals: 1,
          empty: "No task consumer is scraped",
          color: fixed(SKY),
          queries: [instant("records", `sum(${rate("lagwatch_task_messages_total", "topic")})`)],
        }),
        stat({
          title: "Assigned partitions",
          description: "Partitions that the consumers have at the moment.",
          unit: "short",
          empty: "No task consumer is scraped",
          thresholds: steps(VERMILLION, [1, GREEN]),
          queries: [instant("partitions", `sum(lagwatch_task_assigned_partitions{${OURS}})`)],
        }),
        stat({
          title: "Dead letters",
          description: "Records given up and sent to the dead-letter topic in the time range.",
          unit: "short",
          decimals: 0,
          empty: "None",
          thresholds: steps(GREEN, [0.5, VERMILLION]),
          queries: [instant("records", inRange("lagwatch_task_dead_letters_total"))],
        }),
        stat({
          title: "Retries",
          description: "Attempts after a record's first in the time range.",
          unit: "short",
          decimals: 0,
          empty: "None",
          thresholds: steps(GREEN, [0.5, ORANGE]),
          queries: [instant("attempts", inRange("lagwatch_task_retries_total"))],
        }),
        stat({
          title: "Duplicates",
          description: "Redelivered records in the time range, which the audit log kept from being done twice.",
          unit: "short",
          decimals: 0,
          empty: "None",
          color: fixed(SKY),
          queries: [instant("records", inRange("lagwatch_task_duplicates_total"))],
        }),
        stat({
          title: "Failed commits",
          description: "Commits that Kafka refused in the time range. A later one makes them good.",
          unit: "short",
          decimals: 0,
          empty: "None",
          thresholds: steps(GREEN, [0.5, ORANGE]),
          queries: [
            instant(
              "commits",
              `sum(increase(lagwatch_task_commits_total{${OURS},result="error"}[$__range]))` +
                ` or sum(lagwatch_task_assigned_partitions{${OURS}}) * 0`,
            ),
          ],
        }),
      ],
    },
    {
      title: "Work",
      panels: [
        lines({
          title: "Records by outcome",
          description:
            "Records finished a second: processed, found done already (duplicate), or given up (dead_letter).",
          unit: "recps",
          empty: "No record was finished",
          stacked: true,
          color: fixed(GREY),
          overrides: coloured({ processed: GREEN, duplicate: SKY, dead_letter: VERMILLION }),
          queries: [range("{{outcome}}", rate("lagwatch_task_messages_total", "outcome"))],
        }),
        lines({
          title: "Records waiting",
          description: "Lag of each group on the consumer's topics.",
          unit: "short",
          empty: "No lagwatch that watches these topics is scraped",
          queries: [
            range(
              "{{consumergroup}}",
              `topk(20, sum by (consumergroup) (max by (cluster, consumergroup, topic) (kafka_consumergroup_lag_sum{${GROUPS}})))`,
            ),
          ],
        }),
        quantiles(
          {
            title: "Time to process a record",
            description: "How long one attempt took.",
            empty: "No record was processed",
          },
          "lagwatch_task_processing_seconds",
        ),
        heatmap({
          title: "Times to process a record",
          description: "How many attempts a second took how long.",
          unit: "cps",
          rowUnit: "s",
          empty: "No record was processed",
          height: 8,
          queries: [buckets(rate("lagwatch_task_processing_seconds_bucket", "le"))],
        }),
        events({
          title: "Retries, duplicates, dead letters",
          description: "Attempts after the first, redelivered records that were skipped, and records given up.",
          unit: "short",
          empty: "There were none",
          overrides: coloured({ retries: ORANGE, duplicates: SKY, "dead letters": VERMILLION }),
          queries: [
            range("retries", `sum(${increase("lagwatch_task_retries_total", "topic")})`),
            range("duplicates", `sum(${increase("lagwatch_task_duplicates_total", "topic")})`),
            range("dead letters", `sum(${increase("lagwatch_task_dead_letters_total", "topic")})`),
          ],
        }),
        events({
          title: "Errors of the client",
          description: "Errors of the Kafka client, by Kafka's name.",
          unit: "short",
          empty: "There were none",
          color: { mode: "shades", fixedColor: VERMILLION },
          queries: [
            range("{{code}}", `sum by (code) (increase(lagwatch_task_errors_total{${PROCESS}}[$__rate_interval]))`),
          ],
        }),
      ],
    },
    {
      title: "Commits and rebalances",
      panels: [
        lines({
          title: "Commits",
          description: "Offset commits a second by mode and result.",
          unit: "cps",
          empty: "There were none",
          color: fixed(GREY),
          overrides: coloured({
            "sync ok": BLUE,
            "async ok": SKY,
            "auto ok": YELLOW,
            "sync error": VERMILLION,
            "async error": ORANGE,
            "auto error": PINK,
          }),
          queries: [range("{{mode}} {{result}}", rate("lagwatch_task_commits_total", "mode, result"))],
        }),
        quantiles(
          {
            title: "Time to commit",
            description: "From sending a commit to its answer; auto-commits are not timed.",
            empty: "No commit was timed",
          },
          "lagwatch_task_commit_duration_seconds",
        ),
        events({
          title: "Rebalances",
          description: "Partitions assigned, revoked in order, or lost without a chance to commit.",
          unit: "short",
          empty: "There were none",
          overrides: coloured({ assigned: GREEN, revoked: ORANGE, lost: VERMILLION }),
          queries: [range("{{event}}", increase("lagwatch_task_rebalances_total", "event"))],
        }),
        lines({
          title: "Assigned partitions",
          description: "Partitions that each process has.",
          unit: "short",
          empty: "No task consumer is scraped",
          stacked: true,
          queries: [range("{{instance}}", `sum by (instance) (lagwatch_task_assigned_partitions{${OURS}})`)],
        }),
      ],
    },
  ],
});
