// The kinds of panels, each with what they all have in common. A panel's size is in units of Grafana's grid, 24 wide.

import { BY_VALUE, GREY, ORANGE, SHADES, steps } from "./colours.mjs";

// The variable through which every query finds its data source. grafana.com's imports, the Helm chart and the operator
// know a placeholder of this name.
export const DATASOURCE = { type: "prometheus", uid: "${DS_PROMETHEUS}" };

// A query over the time range; `legend` is its series' name.
export const range = (legend, expr) => ({
  expr,
  legendFormat: legend,
  range: true,
  instant: false,
  format: "time_series",
});

// A query of the newest value.
export const instant = (legend, expr) => ({
  expr,
  legendFormat: legend,
  range: false,
  instant: true,
  format: "time_series",
});

// The newest values as rows of a table.
const rows = (expr) => ({ ...instant("", expr), format: "table" });

// The buckets of a histogram over the time range.
export const buckets = (expr) => ({ ...range("{{le}}", expr), format: "heatmap" });

const refId = (index) => String.fromCharCode("A".charCodeAt(0) + index);

const panel = (type, { title, description, width, height, unit, empty, queries, ...more }) => ({
  type,
  title,
  description,
  datasource: DATASOURCE,
  gridPos: { w: width, h: height },
  fieldConfig: {
    defaults: {
      unit,
      noValue: empty,
      color: more.color ?? BY_VALUE,
      thresholds: more.thresholds ?? steps(GREY),
      mappings: more.mappings ?? [],
      ...(more.decimals === undefined ? {} : { decimals: more.decimals }),
      ...(more.min === undefined ? {} : { min: more.min }),
      ...(more.max === undefined ? {} : { max: more.max }),
      ...(more.links === undefined ? {} : { links: more.links }),
      custom: more.custom ?? {},
    },
    overrides: more.overrides ?? [],
  },
  options: more.options,
  ...(more.maxDataPoints === undefined ? {} : { maxDataPoints: more.maxDataPoints }),
  ...(more.transformations === undefined ? {} : { transformations: more.transformations }),
  targets: queries.map((query, index) => ({
    refId: refId(index),
    datasource: DATASOURCE,
    editorMode: "code",
    ...query,
  })),
});

// One figure, the newest.
export const stat = (settings) =>
  panel("stat", {
    width: 4,
    height: 4,
    ...settings,
    options: {
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
      orientation: "auto",
      textMode: settings.text ?? "value",
      colorMode: "value",
      graphMode: "none",
      justifyMode: "auto",
    },
  });

// Figures of one kind beside each other.
export const bars = (settings) =>
  panel("bargauge", {
    width: 12,
    height: 8,
    ...settings,
    options: {
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
      orientation: "horizontal",
      displayMode: "basic",
      valueMode: "text",
      showUnfilled: true,
      minVizWidth: 8,
      minVizHeight: 16,
      namePlacement: "left",
    },
  });

// Lines over time. `style` may hold any of Grafana's settings of a line.
export const lines = (settings) =>
  panel("timeseries", {
    width: 12,
    height: 8,
    min: 0,
    color: SHADES,
    ...settings,
    custom: {
      drawStyle: "line",
      lineInterpolation: "linear",
      lineWidth: 2,
      fillOpacity: 10,
      showPoints: "never",
      spanNulls: false,
      axisPlacement: "auto",
      stacking: { mode: settings.stacked ? "normal" : "none", group: "A" },
      ...settings.style,
    },
    options: {
      legend: { showLegend: true, displayMode: "list", placement: "bottom", calcs: [] },
      tooltip: { mode: "multi", sort: "desc" },
    },
  });

// Counts of events in each step of the time range, as bars.
export const events = (settings) =>
  lines({ stacked: true, ...settings, style: { drawStyle: "bars", fillOpacity: 80, lineWidth: 0 } });

// Words over time, a row for each series.
export const timeline = (settings) =>
  panel("state-timeline", {
    width: 24,
    height: 6,
    ...settings,
    custom: { lineWidth: 0, fillOpacity: 80 },
    options: {
      mergeValues: true,
      showValue: "auto",
      alignValue: "left",
      rowHeight: 0.8,
      legend: { showLegend: false, displayMode: "list", placement: "bottom", calcs: [] },
      tooltip: { mode: "single", sort: "none" },
    },
  });

// Colours over time: a row for each series, or for each bucket of a histogram.
export const heatmap = (settings) =>
  panel("heatmap", {
    width: 12,
    height: 9,
    ...settings,
    maxDataPoints: 240,
    custom: { hideFrom: { legend: false, tooltip: false, viz: false } },
    options: {
      calculate: false,
      cellGap: 1,
      cellValues: { unit: settings.unit },
      color: {
        mode: "scheme",
        scheme: "Cividis",
        fill: ORANGE,
        scale: "exponential",
        exponent: 0.5,
        steps: 64,
        reverse: false,
        min: 0,
      },
      exemplars: { color: GREY },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: settings.layout ?? "auto" },
      showValue: "never",
      tooltip: { mode: "single", yHistogram: false, showColorScale: true },
      yAxis: { axisPlacement: "left", unit: settings.rowUnit ?? "none", reverse: false },
    },
  });

// Rows, sorted by the first columns named in `sort`, from the highest. `labels` are the columns that tell rows apart,
// and `columns` what is known of each: the query, its unit, and in `more` what else its cells need. A hidden column's query
// gives labels alone.
export const table = ({ labels, columns, sort, ...settings }) =>
  panel("table", {
    width: 24,
    height: 9,
    unit: "none",
    ...settings,
    queries: columns.map(({ expr }) => rows(expr)),
    custom: { align: "auto", cellOptions: { type: "auto" }, inspect: false, filterable: true },
    overrides: [
      // The text for an empty table would stand in every empty cell, too.
      { matcher: { id: "byRegexp", options: "/.*/" }, properties: [{ id: "noValue", value: "–" }] },
      ...labels.filter(({ more }) => more).map(({ name, more }) => override(name, more)),
      ...columns.map(({ name, unit, more = [] }) => override(name, [{ id: "unit", value: unit }, ...more])),
    ],
    options: {
      showHeader: true,
      cellHeight: "sm",
      frameIndex: 0,
      sortBy: sort.map(({ name, desc }) => ({ displayName: name, desc })),
    },
    transformations: [
      { id: "merge", options: {} },
      {
        id: "organize",
        options: {
          excludeByName: Object.fromEntries([["Time", true], ...values(columns, ({ hidden }) => hidden && true)]),
          indexByName: Object.fromEntries(
            [...labels.map(({ label }) => label), ...values(columns, () => true).map(([value]) => value)].map(
              (name, index) => [name, index],
            ),
          ),
          renameByName: Object.fromEntries([
            ...labels.map(({ label, name }) => [label, name]),
            ...values(columns, ({ name, hidden }) => !hidden && name),
          ]),
        },
      },
    ],
  });

// Pairs of each column's name before it is renamed and what `of` tells of the column, if anything. A column is called Value
// where its query is the only one that has found something: then it is taken for the main one.
const values = (columns, of) => {
  const main = columns.find(({ hidden }) => hidden) ?? columns[0];
  const named = [...columns.map((column, index) => [`Value #${refId(index)}`, column]), ["Value", main]];
  return named.map(([value, column]) => [value, of(column)]).filter(([, told]) => told);
};

const override = (name, properties) => ({ matcher: { id: "byName", options: name }, properties });

// A cell whose background has the colour of its word.
export const WORD_CELL = { id: "custom.cellOptions", value: { type: "color-background", mode: "basic" } };
