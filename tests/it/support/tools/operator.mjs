// Validates a JSON array of the Prometheus Operator's objects: no property but those of its types, which TypeScript
// checks, and no value but those that its custom resource definitions allow. Prints how many; fails with every problem.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const objects = JSON.parse(readFileSync(0, "utf8"));
const folder = mkdtempSync(join(import.meta.dirname, "check-"));
const problems = [];
const lines = [];
for (const [index, object] of objects.entries()) {
  const { apiVersion, kind } = object;
  const module = `@kubernetes-models/prometheus-operator/${apiVersion}/${kind}`;
  lines.push(`import type { I${kind} as T${index} } from "${module}";`);
  lines.push(`export const o${index}: T${index} = ${JSON.stringify(object)};`);
  try {
    new (await import(module))[kind](object).validate();
  } catch (error) {
    problems.push(`${kind} ${object.metadata.name}: ${error.message}`);
  }
}
const source = join(folder, "objects.ts");
writeFileSync(source, lines.join("\n"));
const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"];
const compiler = join(import.meta.dirname, "node_modules/typescript/bin/tsc");
const checked = spawnSync(process.execPath, [compiler, ...options, source], { encoding: "utf8" });
if (checked.status !== 0) problems.push(checked.stdout + checked.stderr);
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log(objects.length);
