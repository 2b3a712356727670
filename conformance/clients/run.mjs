// Clients in common use list their servers as connected from what `mainstay export` wrote:
//   node run.mjs FOLDER STATE      a daemon runs with this state folder
// Each client has an empty home folder of its own, and connects in both ways: to the address, and by starting
// `mainstay connect`. PEERS_MAINSTAY is the program, CLIENTS_MODULES where the clients are.
// ONLY_CLIENT, part of a name, chooses.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { run } from "../processes.mjs";
import { clients } from "./known.mjs";

// Far more than the slowest needs on a busy machine.
const LIST_MS_MAX = 60_000;
const EXPORT_MS_MAX = 10_000;
// A client is busy for seconds before it connects: as many at once as CI has cores.
const LANES = 2;

const [folder, state] = process.argv.slice(2);
const { PEERS_MAINSTAY: mainstay, PEERS_NODE: node, CLIENTS_MODULES: modules } = process.env;
const { ONLY_CLIENT: only = "" } = process.env;

const ways = [
  { way: "at the address", flags: [] },
  { way: "through `mainstay connect`", flags: ["--stdio"] },
];

// A list without colours.
const plain = (text) => text.replace(/\u001b\[[0-9;]*m/g, "");

async function tried({ id, command, env = {}, input, until, connected }, { way, flags }) {
  const home = join(folder, `${id} ${flags.length > 0 ? "stdio" : "address"}`);
  mkdirSync(home, { recursive: true });
  // Nothing of this machine's user: another home folder, and no settings.
  const clean = { PATH: process.env.PATH, HOME: home, NO_PROXY: "127.0.0.1", ...env };
  const options = { env: clean, isWhole: true, cwd: home };
  const wrote = await run([mainstay, "export", id, "--write", ...flags, "--state", state], {
    ...options,
    deadline: EXPORT_MS_MAX,
  });
  const said = plain(await run(command, { ...options, input, until, merged: true, deadline: LIST_MS_MAX }));
  if (!connected(said)) throw new Error(`${id} ${way} is not connected:\n${wrote}\n${said}`);
}

let passed = 0;
let failed = 0;
async function lane(waiting) {
  for (let one = waiting.shift(); one; one = waiting.shift()) {
    const began = Date.now();
    const wrong = await tried(one.client, one.way).then(
      () => undefined,
      (error) => `${error.message}\n${error.output ?? ""}`,
    );
    const name = `${one.client.id} ${one.way.way}`;
    if (process.env.TIMES) console.log(`${name}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
    if (wrong === undefined) {
      passed += 1;
      continue;
    }
    failed += 1;
    console.log(`failed: ${name}`);
    for (const line of wrong.split("\n")) console.log(`  ${line}`);
  }
}

const chosen = clients({ node, modules }).filter(({ id }) => id.includes(only));
for (const { id, command } of chosen) {
  const program = command.find((word) => word.startsWith(modules));
  if (existsSync(program)) continue;
  console.log(`failed: ${id} is not installed`);
  console.log(`  ${program} is missing; conformance/setup.sh installs it on Linux on x86-64`);
  console.log("  elsewhere, run the other parts: conformance/gateway.sh suite scenarios peers minutes api");
  console.log("0 passed, 1 failed");
  process.exit(1);
}
const waiting = chosen.flatMap((client) => ways.map((way) => ({ client, way })));
await Promise.all(Array.from({ length: LANES }, () => lane(waiting)));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
