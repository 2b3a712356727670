// Every client walks through every server twice, directly and through the gateway; both times
// the server must say the same.
//   node compare.mjs FOLDER [GATEWAY]      without GATEWAY: directly both times, to try the plans
// GATEWAY is an address; its endpoints are /mcp/SERVER for the servers of plans.mjs in
// FOLDER/gateway. With --config it prints their configuration instead.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { servers } from "./plans.mjs";

const WALK_MS_MAX = 60_000;
const here = dirname(fileURLToPath(import.meta.url));
const { PEERS_NODE: node, PEERS_MODULES: modules } = process.env;
const [folder, gateway] = process.argv.slice(2);

const walkers = {
  "python 1.30": [process.env.PEERS_PYTHON_1, join(here, "walk.py")],
  "python 2.3": [process.env.PEERS_PYTHON_2, join(here, "walk.py")],
  "typescript 1.32": [node, join(here, "walk.mjs")],
};

function run([program, ...args], input) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    const patience = setTimeout(() => child.kill("SIGKILL"), WALK_MS_MAX);
    let output = "";
    let complaints = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (complaints += data));
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(patience);
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${code}:\n${complaints.slice(-2000)}`));
    });
    child.stdin.end(input);
  });
}

const walk = async (command, plan) => JSON.parse(await run(command, JSON.stringify(plan)));

// The first place where two answers differ.
function difference(one, other, path = "") {
  if (isDeepStrictEqual(one, other)) return undefined;
  const both = [one, other].every((value) => value !== null && typeof value === "object");
  if (both) {
    for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) {
      const found = difference(one[key], other[key], `${path}/${key}`);
      if (found) return found;
    }
  }
  const short = (value) => (JSON.stringify(value) ?? "nothing").slice(0, 200);
  return `${path || "/"}: ${short(one)} directly, ${short(other)} otherwise`;
}

// The folder of a plan must not show: each side works in its own.
const neutral = (said, side) => JSON.parse(JSON.stringify(said).replaceAll(join(folder, side), "FOLDER"));

async function walks(name, command, server, extra) {
  const direct = servers(node, modules, join(folder, "direct"))[server];
  const through = servers(node, modules, join(folder, "gateway"))[server];
  const target = (plan) => ({ command: plan.command, env: plan.env });
  const steps = (plan) => [...plan.steps, ...(extra.interactive ? (plan.interactive ?? []) : [])];
  const first = await walk(command, { ...target(direct), steps: steps(direct), ...extra });
  const way = gateway ? { url: `${gateway}/mcp/${server}` } : target(through);
  const second = await walk(command, { ...way, steps: steps(through), ...extra });
  return difference(neutral(first, "direct"), neutral(second, "gateway"));
}

// The inspector's command line, as a user would call it.
async function inspects(server) {
  const inspector = join(modules, "@modelcontextprotocol/inspector/package.json");
  const { default: about } = await import(inspector, { with: { type: "json" } });
  const program = join(dirname(inspector), about.bin["mcp-inspector"]);
  const { command, env } = servers(node, modules, join(folder, "gateway"))[server];
  const pairs = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const direct = [...pairs, ...command];
  const through = [`${gateway}/mcp/${server}`, "--transport", "http", "--protocol-era", "legacy"];
  process.env.MCP_CATALOG_PATH = join(folder, "catalog.json");
  const list = async (target) => {
    const flags = ["--format", "json", "-q", "--method", "tools/list"];
    return JSON.parse(await run([node, program, "--cli", ...target, ...flags], ""));
  };
  return difference(await list(direct), await list(gateway ? through : direct));
}

function config() {
  const text = (value) => JSON.stringify(value);
  return Object.entries(servers(node, modules, join(folder, "gateway")))
    .map(([name, { command, env }]) => {
      const pairs = Object.entries(env).map(([key, value]) => `${key} = ${text(value)}`);
      return `[servers.${name}]\ncommand = ${text(command)}\nenv = { ${pairs.join(", ")} }\n`;
    })
    .join("\n");
}

async function all() {
  const names = Object.keys(servers(node, modules, join(folder, "direct")));
  const checks = [];
  for (const server of names) {
    for (const [name, command] of Object.entries(walkers)) {
      checks.push([`${name}, ${server}`, () => walks(name, command, server, {})]);
    }
    checks.push([`inspector, ${server}`, () => inspects(server)]);
  }
  const interactive = () => walks("", walkers["typescript 1.32"], "everything", { interactive: true });
  checks.push(["typescript 1.32 with questions, everything", interactive]);
  let failed = 0;
  for (const [name, check] of checks) {
    const wrong = await check().catch((error) => error.message);
    console.log(wrong === undefined ? `same: ${name}` : `FAILED: ${name}\n  ${wrong}`);
    failed += wrong === undefined ? 0 : 1;
  }
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (gateway === "--config") console.log(config());
else process.exit(await all());
