// The suite's client scenarios: a server of the suite's watches what its client does.
//   node run.mjs REVISION…
// Each runs twice: with the reference client alone, which shows that the client does right, and
// with the gateway between them, which is then the client that is watched. What is about logging
// in (auth/) is left out. PEERS_MAINSTAY is the gateway's program.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../processes.mjs";
import { checksOf, required, wrongOf } from "../suite.mjs";

const SCENARIO_MS_MAX = 45_000;
// As many as CI has cores.
const LANES = 2;

// These measure milliseconds and have the machine to themselves.
const TIMED = ["sse-retry"];
// A retry that comes a little late is a busy machine; one that comes early, or far too late, is
// failed by the suite itself.
const excused = (check) => check.id === "client-sse-retry-timing";

const { PEERS_NODE: node, PEERS_MODULES: modules } = process.env;
const here = dirname(fileURLToPath(import.meta.url));
const suite = join(modules, "@modelcontextprotocol/conformance");
const results = process.env.RESULTS ?? mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "mainstay-scenarios."));

const cases = process.argv.slice(2).flatMap((revision) =>
  required(join(suite, `requirements/${revision}.yaml`), "client")
    .filter((scenario) => !scenario.startsWith("auth/"))
    .flatMap((scenario) => [
      { revision, scenario, way: "directly", program: "client.mjs" },
      { revision, scenario, way: "through the gateway", program: "through.mjs" },
    ]),
);

// What is wrong, line by line; nothing where the scenario holds.
async function tried({ revision, scenario, way, program }) {
  const folder = join(results, `${revision} ${way}`);
  const client = `${node} ${join(here, program)}`;
  const flags = ["--scenario", scenario, "--spec-version", revision, "-o", folder];
  const command = [node, join(suite, "dist/index.js"), "client", "--command", client, ...flags];
  const ended = await run(command, { deadline: SCENARIO_MS_MAX }).catch((error) => error);
  const checks = checksOf(folder, scenario);
  const wrong = wrongOf(checks, (check) => !excused(check));
  const late = checks.some((check) => check.status === "WARNING" && excused(check));
  if (wrong.length === 0 && ended instanceof Error && !late) return ended.message.split("\n");
  return wrong;
}

let passed = 0;
let failed = 0;
async function lane(waiting) {
  for (let one = waiting.shift(); one; one = waiting.shift()) {
    const wrong = await tried(one);
    if (wrong.length === 0) {
      passed += 1;
      continue;
    }
    failed += 1;
    console.log(`failed: ${one.scenario} of ${one.revision} ${one.way}`);
    for (const line of wrong) console.log(`  ${line}`);
  }
}

const timed = cases.filter(({ scenario }) => TIMED.includes(scenario));
const waiting = cases.filter(({ scenario }) => !TIMED.includes(scenario));
await lane(timed);
await Promise.all(Array.from({ length: LANES }, () => lane(waiting)));

if (failed > 0) console.log(`details: ${results}`);
else if (!process.env.RESULTS) rmSync(results, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
