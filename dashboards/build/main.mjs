// Writes the dashboards. With --check it writes nothing, and fails where what is committed differs.

import { readFileSync, writeFileSync } from "node:fs";

import { fleet } from "./fleet.mjs";
import { group } from "./group.mjs";
import { self } from "./self.mjs";
import { task } from "./task.mjs";

const checks = process.argv.includes("--check");
for (const dashboard of [fleet, group, task, self]) {
  const file = new URL(`../${dashboard.uid}.json`, import.meta.url);
  const text = `${JSON.stringify(dashboard, null, 2)}\n`;
  if (!checks) {
    writeFileSync(file, text);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`dashboards/${dashboard.uid}.json differs from what \`node dashboards/build/main.mjs\` writes`);
    process.exitCode = 1;
  }
}
