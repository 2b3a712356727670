// Puts the gateway between the reference client and a scenario's server:
//   node through.mjs URL
// A daemon of its own, with the URL as its only server and told the revision that the scenario is
// about, until the client is done. PEERS_MAINSTAY is the daemon's program.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const MODERN = "2026-07-28";
const READY_MS_MAX = 15_000;
const POLL_MS = 20;
const STOP_MS_MAX = 5_000;

const { PEERS_MAINSTAY: mainstay, MCP_CONFORMANCE_PROTOCOL_VERSION: revision } = process.env;
const [url] = process.argv.slice(2);
const folder = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "mainstay-scenario."));
const log = join(folder, "log");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const ended = (child) => new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));

// A server that shows what it expects of a client is asked in its own generation from the first
// word, as a client would be told: what finds out which one it speaks is not its scenario.
writeFileSync(
  join(folder, "mainstay.toml"),
  `[servers.scenario]\nurl = ${JSON.stringify(url)}\nrequired = true\n` +
    `revision = "${revision === MODERN ? "modern" : "legacy"}"\n`,
);
const flags = ["up", "--config", join(folder, "mainstay.toml"), "--listen", "127.0.0.1:0", "--state", join(folder, "state")];
const daemon = spawn(mainstay, flags, { stdio: ["ignore", "pipe", openSync(log, "w")] });
const gone = ended(daemon);

// The address the daemon says on its output, once its server is ready.
async function ready() {
  let said = "";
  daemon.stdout.on("data", (data) => (said += data));
  for (const until = Date.now() + READY_MS_MAX; Date.now() < until; await pause(POLL_MS)) {
    const address = said.match(/http:\/\/[^\s/]+:\d+/)?.[0];
    if (!address) continue;
    const health = await fetch(`${address}/health/ready`).catch(() => undefined);
    if (health?.ok) return `${address}/mcp/scenario`;
  }
  throw new Error(`the gateway was not ready after ${READY_MS_MAX / 1000} s`);
}

async function act() {
  const client = join(dirname(fileURLToPath(import.meta.url)), "client.mjs");
  const child = spawn(process.execPath, [client, await ready()], { stdio: ["ignore", "inherit", "inherit"] });
  return ended(child);
}

let code = 1;
try {
  code = await act();
} catch (error) {
  console.error(error.message);
} finally {
  daemon.kill("SIGTERM");
  await Promise.race([gone, pause(STOP_MS_MAX)]);
  daemon.kill("SIGKILL");
  if (code !== 0) console.error(`the gateway's log:\n${readFileSync(log, "utf8").slice(-4000)}`);
  rmSync(folder, { recursive: true, force: true });
}
process.exit(code);
