// Checks the committed dashboards against Grafana's own types, of the oldest version that they are for and of a new one:
// every key exists in both, and every value is one that it may have.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = fileURLToPath(new URL(".", import.meta.url));
const committed = fileURLToPath(new URL("../../dashboards/", import.meta.url));
const PANELS = ["bargauge", "heatmap", "stat", "statetimeline", "table", "timeseries"];

// Returns the module without `.d.ts` in a folder of generated types, which versions name differently.
const generated = (folder) => {
  const file = readdirSync(folder).find((name) => name.endsWith("types.gen.d.ts"));
  return `${folder}/${file.slice(0, -".d.ts".length)}`;
};

const versions = [
  ["grafana-schema-oldest", "dist", "dist/esm/raw/composable"],
  ["grafana-schema-newest", "dist/types", "dist/types/raw/composable"],
].map(([name, index, kinds]) => {
  const root = `${here}node_modules/${name}`;
  const panels = PANELS.map((kind) => [`@panel/${kind}`, [generated(`${root}/${kinds}/${kind}/panelcfg/x`)]]);
  return {
    version: JSON.parse(readFileSync(`${root}/package.json`, "utf8")).version,
    paths: { "@grafana/schema": [`${root}/${index}/index.d.ts`], ...Object.fromEntries(panels) },
  };
});

// Newer versions leave the types of Prometheus' queries out.
const QUERY = generated(`${here}node_modules/grafana-schema-oldest/dist/esm/raw/composable/prometheus/dataquery/x`);

// Returns what is wrong with the sources, which are files' texts by name, as pairs of the name and what is wrong.
const diagnose = (sources, paths) => {
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
    paths: { ...paths, "@query/prometheus": [QUERY] },
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) =>
    name in sources ? ts.createSourceFile(name, sources[name], options.target) : read(name, ...rest);
  const program = ts.createProgram(Object.keys(sources), options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, "\n");
    return file ? [file.fileName, `${file.getLineAndCharacterOfPosition(start).line + 1}: ${text}`] : ["", text];
  });
};

const source = (json) => `import type { Checked } from "./types";\nexport const dashboard: Checked = ${json};\n`;

const dashboards = readdirSync(committed)
  .filter((name) => name.endsWith(".json"))
  .map((name) => {
    // How it is imported is no part of a dashboard.
    const { __inputs, __elements, __requires, ...dashboard } = JSON.parse(readFileSync(`${committed}${name}`, "utf8"));
    return [name, dashboard];
  });
if (dashboards.length === 0) throw new Error("there are no dashboards");

// Dashboards that are wrong in one thing each, so that a check that finds nothing is noticed.
const spoil = (change) => {
  const dashboard = structuredClone(dashboards[0][1]);
  change(
    dashboard,
    dashboard.panels.find(({ type }) => type === "stat"),
  );
  return source(JSON.stringify(dashboard));
};
const wrong = {
  "a key that is none": spoil((dashboard) => (dashboard.refreshes = "1s")),
  "a panel of no kind": spoil((_, panel) => (panel.type = "gauges")),
  "an option that is none": spoil((_, panel) => (panel.options.graph = "none")),
  "a value that is none": spoil((_, panel) => (panel.options.colorMode = "sometimes")),
  "a colour mode that is none": spoil((_, panel) => (panel.fieldConfig.defaults.color.mode = "rainbow")),
  "a query without its expression": spoil((_, panel) => delete panel.targets[0].expr),
  "an override of nothing": spoil((_, panel) =>
    panel.fieldConfig.overrides.push({
      matcher: { id: "byName", options: "a" },
      properties: [{ id: "units", value: "s" }],
    }),
  ),
};

const name = (file) => `${here}${file}.ts`;
const valid = Object.fromEntries(
  dashboards.map(([file, dashboard]) => [name(file), source(JSON.stringify(dashboard, null, 2))]),
);
const spoiled = Object.fromEntries(Object.entries(wrong).map(([what, text]) => [name(what), text]));
for (const { version, paths } of versions) {
  const found = diagnose({ ...valid, ...spoiled }, paths);
  const faults = found
    .filter(([file]) => !(file in spoiled))
    .map(([file, text]) => `${file.slice(here.length)}:${text}`);
  const missed = Object.keys(wrong).filter((what) => !found.some(([file]) => file === name(what)));
  for (const fault of faults) console.error(`@grafana/schema ${version}: ${fault}`);
  for (const what of missed) console.error(`@grafana/schema ${version}: ${what} was not noticed`);
  if (faults.length + missed.length > 0) process.exitCode = 1;
  else console.log(`@grafana/schema ${version}: ${dashboards.length} dashboards are valid`);
}
