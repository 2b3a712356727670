// Counts what the suite wrote: node tally.mjs RESULTS REQUIRED.yaml EXIT_CODE_OF_THE_SUITE
// A required scenario passes when it ran, made at least one check and failed none.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [results, requirements, suiteSaid] = process.argv.slice(2);

// The list under `server:`; the file is plain enough to need no parser of its own.
function requiredScenarios(text) {
  const body = text.split(/^server:\s*$/m)[1].split(/^\S/m)[0];
  return [...body.matchAll(/^\s+-\s+([\w/.-]+)/gm)].map((found) => found[1]);
}

// Folders are named server-SCENARIO-TIME; the last run of a scenario counts.
function checksOf(scenario) {
  const folder = readdirSync(results)
    .filter((name) => name.startsWith(`server-${scenario}-2`))
    .sort()
    .at(-1);
  const file = folder && join(results, folder, "checks.json");
  return file && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
}

let passed = 0;
let failed = 0;
for (const scenario of requiredScenarios(readFileSync(requirements, "utf8"))) {
  const checks = checksOf(scenario);
  const failures = checks.filter((check) => check.status === "FAILURE");
  if (checks.some((check) => check.status === "SUCCESS") && failures.length === 0) {
    passed += 1;
    continue;
  }
  failed += 1;
  console.log(`failed: ${scenario}${checks.length === 0 ? " (did not run)" : ""}`);
  for (const check of failures) console.log(`  ${check.id}: ${check.errorMessage ?? check.description}`);
}
const suiteAgrees = Number(suiteSaid) === 0 || failed > 0;
if (!suiteAgrees) console.log(`the suite itself ended with ${suiteSaid}; see ${join(results, "suite.log")}`);
if (failed > 0) console.log(`details: ${results}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 && suiteAgrees ? 0 : 1);
