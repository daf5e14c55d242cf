// A dashboard from its rows of panels: places, numbers, variables and links.

import { SKY } from "./colours.mjs";
import { DATASOURCE } from "./panels.mjs";

const WIDTH = 24;

// Every dashboard, in the order of the links.
const PAGES = [
  { uid: "lagwatch-fleet", title: "Fleet", about: "Which groups need me, worst first" },
  { uid: "lagwatch-group", title: "Group", about: "One consumer group" },
  { uid: "lagwatch-task", title: "Task consumer", about: "The task consumer" },
  { uid: "lagwatch-self", title: "lagwatch", about: "The exporter itself" },
];

// The oldest Grafana that has all that is used here.
const GRAFANA = "10.4.0";

// The data source; queries name it by this variable alone.
const DATASOURCE_VARIABLE = {
  type: "datasource",
  name: "DS_PROMETHEUS",
  label: "Data source",
  query: "prometheus",
  regex: "",
  hide: 0,
  includeAll: false,
  multi: false,
  options: [],
  refresh: 1,
  skipUrlSync: false,
};

// A variable that a label's values fill.
const labelValues = (name, label, series, more) => ({
  type: "query",
  name,
  label,
  datasource: DATASOURCE,
  query: `label_values(${series}, ${name})`,
  regex: "",
  hide: 0,
  options: [],
  refresh: 2,
  skipUrlSync: false,
  sort: 7,
  ...more,
});

const ALL = { selected: true, text: ["All"], value: ["$__all"] };

// One or several values; all of them is everything, also what has no such label.
export const anyOf = (name, label, series) =>
  labelValues(name, label, series, { includeAll: true, multi: true, allValue: ".*", current: ALL });

// One or several values; all of them is those listed.
export const listed = (name, label, series) =>
  labelValues(name, label, series, { includeAll: true, multi: true, current: ALL });

// Exactly one value.
export const oneOf = (name, label, series) => labelValues(name, label, series, { includeAll: false, multi: false });

// The variables that most panels filter by.
export const JOB = anyOf("job", "Job", "lagwatch_build_info");
export const CLUSTER = anyOf("cluster", "Cluster", 'lagwatch_up{job=~"$job"}');

const links = (uid) =>
  PAGES.filter((page) => page.uid !== uid).map((page) => ({
    type: "link",
    title: page.title,
    url: `/d/${page.uid}`,
    tooltip: page.about,
    icon: "dashboard",
    includeVars: true,
    keepTime: true,
    targetBlank: false,
    asDropdown: false,
    tags: [],
  }));

// Rows of panels under each other. The panels of section n have the numbers from 100 n, so that one more panel leaves
// those of other sections alone; what does not fit beside the others begins a new line.
const lay = (sections) => {
  const panels = [];
  let top = 0;
  sections.forEach(({ title, repeat, panels: ofSection }, section) => {
    const first = 100 * (section + 1);
    panels.push({
      id: first,
      type: "row",
      title,
      collapsed: false,
      gridPos: { x: 0, y: top, w: WIDTH, h: 1 },
      panels: [],
      ...(repeat ? { repeat } : {}),
    });
    top += 1;
    let [left, height] = [0, 0];
    ofSection.forEach((panel, index) => {
      const { w, h } = panel.gridPos;
      if (left + w > WIDTH) {
        top += height;
        [left, height] = [0, 0];
      }
      panels.push({ id: first + 1 + index, ...panel, gridPos: { x: left, y: top, w, h } });
      left += w;
      height = Math.max(height, h);
    });
    top += height;
  });
  return panels;
};

const BUILT_IN_ANNOTATIONS = {
  builtIn: 1,
  name: "Annotations & Alerts",
  type: "dashboard",
  datasource: { type: "grafana", uid: "-- Grafana --" },
  enable: true,
  hide: true,
  iconColor: SKY,
};

// Events whose times are a metric's values. `onlyOn` names the one panel that shows them.
const annotation = (panels, { name, colour, expr, text, onlyOn }) => ({
  name,
  datasource: DATASOURCE,
  enable: true,
  iconColor: colour,
  target: { refId: "Anno", expr, interval: "10s", legendFormat: "" },
  titleFormat: name,
  textFormat: text,
  tagKeys: "",
  useValueForTime: true,
  ...(onlyOn ? { filter: { exclude: false, ids: [panels.find(({ title }) => title === onlyOn).id] } } : {}),
});

export const dashboard = ({ uid, title, description, variables, annotations = [], sections }) => {
  const panels = lay(sections);
  const kinds = [...new Set(panels.map(({ type }) => type))].filter((type) => type !== "row").sort();
  return {
    __inputs: [],
    __elements: {},
    __requires: [
      { type: "grafana", id: "grafana", name: "Grafana", version: GRAFANA },
      { type: "datasource", id: "prometheus", name: "Prometheus", version: "1.0.0" },
      ...kinds.map((id) => ({ type: "panel", id, name: id, version: "" })),
    ],
    id: null,
    uid,
    title,
    description,
    tags: ["lagwatch", "kafka"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    liveNow: false,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    timepicker: {},
    timezone: "",
    links: links(uid),
    annotations: { list: [BUILT_IN_ANNOTATIONS, ...annotations.map((each) => annotation(panels, each))] },
    templating: { list: [DATASOURCE_VARIABLE, ...variables] },
    panels,
  };
};

// Where a click on a group leads: its own dashboard, with the job, the row's cluster and the times of this one.
export const GROUP_LINK = {
  title: "Look at this group",
  url:
    "/d/lagwatch-group?${DS_PROMETHEUS:queryparam}&${job:queryparam}&var-cluster=${__data.fields.Cluster:percentencode}" +
    "&var-consumergroup=${__data.fields.Group:percentencode}&${__url_time_range}",
  targetBlank: false,
};
