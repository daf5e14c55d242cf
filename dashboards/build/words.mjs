// Words that metrics have as a label, as numbers that a panel turns into words again: a table can sort them by gravity, and
// a timeline shows them in one row.

import * as colours from "./colours.mjs";

// Every status, the gravest last; the number of each is its place.
export const STATUSES = {
  ok: colours.GREEN,
  unknown: colours.GREY,
  lagging: colours.YELLOW,
  rewound: colours.SKY,
  empty: colours.BLUE,
  stalled: colours.ORANGE,
  stopped: colours.BROWN,
  ahead: colours.PINK,
  losing: colours.VERMILLION,
};

// Kafka's states of a group. Their numbers begin where no status is.
const STATES = {
  Unknown: colours.GREY,
  PreparingRebalance: colours.ORANGE,
  CompletingRebalance: colours.YELLOW,
  Stable: colours.GREEN,
  Dead: colours.VERMILLION,
  Empty: colours.BLUE,
  Assigning: colours.PINK,
  Reconciling: colours.SKY,
  NotReady: colours.BROWN,
};
const FIRST_STATE = 100;

const mapping = (words, first) => ({
  type: "value",
  options: Object.fromEntries(
    Object.entries(words).map(([text, color], index) => [String(first + index), { text, color, index }]),
  ),
});

export const STATUS_MAPPING = mapping(STATUSES, 0);
export const STATE_MAPPING = mapping(STATES, FIRST_STATE);

// A number that stands for a time without end: what `clamp_max` makes of +Inf.
export const NEVER = 1_000_000_000;
export const NEVER_MAPPING = {
  type: "value",
  options: { [NEVER]: { text: "never", color: colours.VERMILLION, index: 0 } },
};

// The number of the gravest word among the series of a metric that has one series a word, by the given labels.
const numbered = (words, first, metric, label, filter, by) => {
  const terms = Object.keys(words).map((word, index) => `${metric}{${filter},${label}="${word}"} * ${first + index}`);
  return `max by (${by}) (\n  ${terms.join("\n  or ")}\n)`;
};

export const groupStatus = (filter, by) => numbered(STATUSES, 0, "kafka_consumergroup_status", "status", filter, by);
export const partitionStatus = (filter, by) =>
  numbered(STATUSES, 0, "kafka_consumergroup_partition_status", "status", filter, by);
export const groupState = (filter, by) =>
  numbered(STATES, FIRST_STATE, "kafka_consumergroup_state", "state", filter, by);
