// lagwatch: whether the exporter itself is well, and what it costs.

import { BLUE, coloured, fixed, GREEN, GREY, ORANGE, PINK, SKY, steps, VERMILLION, YELLOW } from "./colours.mjs";
import { anyOf, CLUSTER, dashboard, JOB } from "./dashboard.mjs";
import { events, instant, lines, range, stat, table, timeline } from "./panels.mjs";

const PROCESS = 'job=~"$job",instance=~"$instance"';
const OURS = `${PROCESS},cluster=~"$cluster"`;

// Other programs have metrics of processes, too.
const BUILD = `lagwatch_build_info{${PROCESS}}`;

const rate = (metric, by, of = OURS) => `sum by (${by}) (rate(${metric}{${of}}[$__rate_interval]))`;
const increase = (metric, by, of = OURS) => `sum by (${by}) (increase(${metric}{${of}}[$__rate_interval]))`;

export const self = dashboard({
  uid: "lagwatch-self",
  title: "lagwatch / lagwatch itself",
  description: "The exporter itself: whether it reads its clusters, how long that takes, and what it costs.",
  variables: [JOB, CLUSTER, anyOf("instance", "Instance", 'lagwatch_build_info{job=~"$job"}')],
  sections: [
    {
      title: "Now",
      panels: [
        stat({
          title: "Clusters read",
          description: "Whether the newest poll could read every cluster.",
          unit: "none",
          empty: "No lagwatch is scraped",
          thresholds: steps(VERMILLION, [1, GREEN]),
          mappings: [{ type: "value", options: { 0: { text: "not all", index: 0 }, 1: { text: "all", index: 1 } } }],
          queries: [instant("read", `min(lagwatch_up{${OURS}})`)],
        }),
        stat({
          title: "Since the last complete poll",
          description: "Age of the newest complete poll of the cluster for which it is oldest.",
          unit: "s",
          empty: "There was none yet",
          color: fixed(SKY),
          queries: [instant("seconds", `time() - min(lagwatch_last_success_timestamp_seconds{${OURS}})`)],
        }),
        stat({
          title: "A poll takes",
          description: "Mean duration of a whole poll cycle.",
          unit: "s",
          empty: "There was none",
          color: fixed(SKY),
          queries: [
            instant(
              "seconds",
              `sum(rate(lagwatch_poll_duration_seconds_sum{${OURS},phase="total"}[$__rate_interval]))` +
                ` / sum(rate(lagwatch_poll_duration_seconds_count{${OURS},phase="total"}[$__rate_interval]))`,
            ),
          ],
        }),
        stat({
          title: "Series",
          description: "Series of kafka_* in a scrape of all that are chosen.",
          unit: "short",
          empty: "No snapshot yet",
          color: fixed(SKY),
          queries: [instant("series", `sum(lagwatch_series{${OURS}})`)],
        }),
        stat({
          title: "Memory",
          description: "Resident memory of all processes that are chosen.",
          unit: "bytes",
          empty: "No lagwatch is scraped",
          color: fixed(SKY),
          queries: [instant("bytes", `sum(process_resident_memory_bytes{${PROCESS}} and on (job, instance) ${BUILD})`)],
        }),
        stat({
          title: "Running for",
          description: "Time since the youngest process started.",
          unit: "s",
          empty: "No lagwatch is scraped",
          color: fixed(SKY),
          queries: [
            instant("seconds", `time() - max(process_start_time_seconds{${PROCESS}} and on (job, instance) ${BUILD})`),
          ],
        }),
      ],
    },
    {
      title: "Collecting",
      panels: [
        timeline({
          title: "Clusters read",
          description: "Whether polls could read the cluster: metadata, every broker's groups and log ends.",
          unit: "none",
          empty: "No lagwatch was scraped",
          height: 5,
          mappings: [
            {
              type: "value",
              options: {
                0: { text: "not read", color: VERMILLION, index: 0 },
                1: { text: "read", color: GREEN, index: 1 },
              },
            },
          ],
          queries: [range("{{instance}} {{cluster}}", `max by (instance, cluster) (lagwatch_up{${OURS}})`)],
        }),
        events({
          title: "Polls by how they ended",
          description:
            "complete; partial and degraded where something could not be read; failed; skipped where the poll before still ran.",
          unit: "short",
          empty: "There were none",
          color: fixed(GREY),
          overrides: coloured({
            complete: GREEN,
            partial: YELLOW,
            degraded: ORANGE,
            failed: VERMILLION,
            skipped: PINK,
          }),
          queries: [range("{{result}}", increase("lagwatch_polls_total", "result"))],
        }),
        lines({
          title: "Time a poll takes, by phase",
          description: "Mean duration of each phase of a poll cycle.",
          unit: "s",
          empty: "There were none",
          stacked: true,
          color: fixed(GREY),
          overrides: coloured({
            metadata: BLUE,
            list_groups: SKY,
            describe_groups: GREEN,
            committed_offsets: ORANGE,
            list_offsets: YELLOW,
          }),
          queries: [
            range(
              "{{phase}}",
              `${rate("lagwatch_poll_duration_seconds_sum", "phase", `${OURS},phase!="total"`)}\n/ ` +
                rate("lagwatch_poll_duration_seconds_count", "phase", `${OURS},phase!="total"`),
            ),
          ],
        }),
        lines({
          title: "Requests to Kafka",
          description: "Requests a second by API.",
          unit: "reqps",
          empty: "There were none",
          stacked: true,
          queries: [range("{{api}}", rate("lagwatch_kafka_requests_total", "api"))],
        }),
        events({
          title: "Errors",
          description:
            "Failed fetches by operation and Kafka's name of the error, and groups that could not be read in full.",
          unit: "short",
          empty: "There were none",
          color: { mode: "shades", fixedColor: VERMILLION },
          queries: [
            range("{{operation}} {{error}}", increase("lagwatch_errors_total", "operation, error")),
            range("groups not read in full", `sum(${increase("lagwatch_group_collection_errors_total", "instance")})`),
          ],
        }),
        lines({
          title: "Series",
          description: "Series of kafka_* rendered, and those left out because of max-series or max-series-bytes.",
          unit: "short",
          empty: "No snapshot yet",
          color: fixed(GREY),
          overrides: coloured({ rendered: BLUE, "left out a second": VERMILLION }),
          queries: [
            range("rendered", `sum(lagwatch_series{${OURS}})`),
            range("left out a second", `sum(${rate("lagwatch_series_dropped_total", "instance")})`),
          ],
        }),
        table({
          title: "Processes",
          description:
            "Every lagwatch that is scraped, its version, how it collects, and which share of a cluster it has.",
          empty: "No lagwatch is scraped",
          width: 12,
          height: 8,
          sort: [{ name: "Instance", desc: false }],
          labels: [
            { label: "instance", name: "Instance" },
            { label: "version", name: "Version" },
            { label: "cluster", name: "Cluster" },
            { label: "mode", name: "Mode" },
          ],
          columns: [
            {
              name: "Groups of its share",
              unit: "short",
              expr: `max by (instance, cluster) (lagwatch_shard_groups{${OURS}})`,
            },
            {
              name: "Partitions of its share",
              unit: "short",
              expr: `max by (instance, cluster) (lagwatch_shard_partitions{${OURS}})`,
            },
            {
              name: "Collects",
              unit: "none",
              expr: `max by (instance, cluster, mode, version) (lagwatch_collect_mode{${OURS}} * on (job, instance) group_left (version) ${BUILD})`,
              hidden: true,
            },
          ],
        }),
      ],
    },
    {
      title: "Following __consumer_offsets",
      panels: [
        lines({
          title: "Partitions followed",
          description:
            "Partitions of __consumer_offsets that are followed (live), and those whose groups are polled instead (behind).",
          unit: "short",
          empty: "Nothing is followed: mode poll",
          width: 8,
          stacked: true,
          color: fixed(GREY),
          overrides: coloured({ live: GREEN, behind: VERMILLION }),
          queries: [range("{{state}}", `sum by (state) (lagwatch_stream_partitions{${OURS}})`)],
        }),
        lines({
          title: "Records followed",
          description: "Records of __consumer_offsets read a second, by what they say.",
          unit: "recps",
          empty: "Nothing is followed: mode poll",
          width: 8,
          stacked: true,
          color: fixed(GREY),
          overrides: coloured({ commit: BLUE, tombstone: SKY, group: GREEN, unknown: ORANGE, malformed: VERMILLION }),
          queries: [range("{{kind}}", rate("lagwatch_stream_records_total", "kind"))],
        }),
        lines({
          title: "Bytes followed",
          description: "Bytes of __consumer_offsets read a second.",
          unit: "Bps",
          empty: "Nothing is followed: mode poll",
          width: 8,
          color: fixed(BLUE),
          queries: [range("bytes", `sum(${rate("lagwatch_stream_bytes_total", "instance")})`)],
        }),
        stat({
          title: "Gaps",
          description:
            "Times in the range that records were gone before they were read. What they said is not counted.",
          unit: "short",
          decimals: 0,
          empty: "Nothing is followed",
          width: 12,
          thresholds: steps(GREEN, [0.5, ORANGE]),
          queries: [instant("gaps", `sum(increase(lagwatch_stream_gaps_total{${OURS}}[$__range]))`)],
        }),
        stat({
          title: "Drift",
          description:
            "Offsets in the range that differed from the coordinator's. Each was repaired; each is a fault of lagwatch: please report it.",
          unit: "short",
          decimals: 0,
          empty: "Nothing is followed",
          width: 12,
          thresholds: steps(GREEN, [0.5, VERMILLION]),
          queries: [instant("offsets", `sum(increase(lagwatch_stream_drift_total{${OURS}}[$__range]))`)],
        }),
      ],
    },
    {
      title: "Serving, and what it costs",
      panels: [
        lines({
          title: "HTTP requests",
          description: "Requests answered a second, by route and status code.",
          unit: "reqps",
          empty: "There were none",
          queries: [range("{{route}} {{code}}", rate("lagwatch_http_requests_total", "route, code", PROCESS))],
        }),
        lines({
          title: "Time to answer",
          description: "99th percentile of the time from a request's head to its answer, by route.",
          unit: "s",
          empty: "There were none",
          queries: [
            range(
              "{{route}}",
              `histogram_quantile(0.99, ${rate("lagwatch_http_request_duration_seconds_bucket", "le, route", PROCESS)})`,
            ),
          ],
        }),
        lines({
          title: "Connections",
          description: "Open HTTP connections, and those that are streams of events.",
          unit: "short",
          empty: "No lagwatch was scraped",
          color: fixed(GREY),
          overrides: coloured({ open: BLUE, "streams of events": ORANGE }),
          queries: [
            range("open", `sum(lagwatch_http_connections{${PROCESS}})`),
            range("streams of events", `sum(lagwatch_http_event_streams{${PROCESS}})`),
          ],
        }),
        events({
          title: "Connections refused or ended",
          description: "Over the limit, TLS handshakes that failed, and event streams ended because of their readers.",
          unit: "short",
          empty: "There were none",
          color: fixed(GREY),
          overrides: coloured({
            "over the limit": VERMILLION,
            "TLS handshake": ORANGE,
            "stream too_slow": YELLOW,
            "stream stalled": PINK,
          }),
          queries: [
            range(
              "over the limit",
              `sum(${increase("lagwatch_http_rejected_connections_total", "instance", PROCESS)})`,
            ),
            range("TLS handshake", `sum(${increase("lagwatch_http_tls_handshake_errors_total", "instance", PROCESS)})`),
            range("stream {{reason}}", increase("lagwatch_http_event_streams_dropped_total", "reason", PROCESS)),
          ],
        }),
        lines({
          title: "Memory",
          description: "Resident memory of each process.",
          unit: "bytes",
          empty: "No lagwatch was scraped",
          width: 8,
          queries: [range("{{instance}}", `process_resident_memory_bytes{${PROCESS}} and on (job, instance) ${BUILD}`)],
        }),
        lines({
          title: "CPU",
          description: "Cores that each process keeps busy.",
          unit: "none",
          decimals: 3,
          empty: "No lagwatch was scraped",
          width: 8,
          queries: [
            range(
              "{{instance}}",
              `rate(process_cpu_seconds_total{${PROCESS}}[$__rate_interval]) and on (job, instance) ${BUILD}`,
            ),
          ],
        }),
        lines({
          title: "File descriptors",
          description: "Share of the file descriptors that each process may open.",
          unit: "percentunit",
          empty: "No lagwatch was scraped",
          width: 8,
          max: 1,
          queries: [
            range(
              "{{instance}}",
              `process_open_fds{${PROCESS}} / process_max_fds{${PROCESS}} and on (job, instance) ${BUILD}`,
            ),
          ],
        }),
      ],
    },
  ],
});
