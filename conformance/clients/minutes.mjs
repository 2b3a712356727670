// The first minutes of a new user, as the README has them, in an empty home folder: a client's servers are
// imported, the daemon is started, the client is given Mainstay instead of them, and uses them.
//   node minutes.mjs FOLDER
// Twice: with `mainstay import --write` and with `mainstay init --from`. Nothing else is there: PATH has the
// program, and `sh` and `node`, which the client's servers need. PEERS_MAINSTAY is the program.
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { sdk } from "../peers/walkers/typescript-sdk.mjs";
import { run } from "../processes.mjs";

// From the first command to the answer.
const MINUTE_MS = 60_000;
const STEP_MS_MAX = 40_000;

const [folder] = process.argv.slice(2);
const { PEERS_MAINSTAY: mainstay, PEERS_NODE: node, PEERS_MODULES: modules } = process.env;
const beginnings = [["import", "claude-code", "--write"], ["init", "--from", "claude-code"]];

const script = (name) => join(modules, "@modelcontextprotocol", `server-${name}`, "dist/index.js");

// The client's file: three servers, one of them of a project only, and a setting of its own.
function clientFile(home) {
  const files = { type: "stdio", command: "node", args: [script("filesystem"), join(home, "files")] };
  const memory = { command: "node", args: [script("memory")], env: { MEMORY_FILE_PATH: join(home, "m.json") } };
  const everything = { command: "node", args: [script("everything")], env: { API_KEY: "sk-ant-0123456789abcdef" } };
  const project = { mcpServers: { everything }, hasTrustDialogAccepted: true };
  const own = { theme: "dark", mcpServers: { files, memory }, projects: { [join(home, "project")]: project } };
  return `${JSON.stringify(own, null, 2)}\n`;
}

function emptyHome(home) {
  const programs = join(home, "bin");
  for (const made of [programs, join(home, "files"), join(home, "project")]) mkdirSync(made, { recursive: true });
  for (const [name, at] of [["mainstay", mainstay], ["node", node], ["sh", "/bin/sh"]]) {
    symlinkSync(at, join(programs, name));
  }
  writeFileSync(join(home, "files", "poem.txt"), "line one\n");
  writeFileSync(join(home, ".claude.json"), clientFile(home));
  // Root would have its state in /var/lib, for there is only one.
  const state = process.getuid() === 0 ? { MAINSTAY_STATE: join(home, "state") } : {};
  return { PATH: programs, HOME: home, ...state };
}

function expect(what, found, wanted) {
  if (!isDeepStrictEqual(found, wanted)) {
    throw new Error(`${what}: found ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
  }
}

/** Whether a process runs. One that nobody has waited for yet does not. */
function runs(pid) {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Whether a process that was stopped is gone within a moment. */
async function isGone(pid) {
  for (const end = Date.now() + STEP_MS_MAX; runs(pid); await pause(50)) {
    if (Date.now() > end) return false;
  }
  return true;
}

// What the client does with its file: connects to each server in it, and calls tools.
async function used(url, home) {
  const { newClient, transportTo, callTool } = await sdk("1");
  const client = newClient("legacy", {});
  await client.connect(transportTo({ url }));
  const { tools } = await client.listTools();
  const call = async (name, args) => (await callTool(client, { name, arguments: args })).content[0].text;
  const names = tools.map(({ name }) => name);
  const read = await call("read_text_file", { path: join(home, "files", "poem.txt") });
  const entities = [{ name: "Ada", entityType: "person", observations: ["wrote a poem"] }];
  await call("create_entities", { entities });
  const echoed = await call("echo", { message: "hello" });
  await client.close();
  return { names, read, echoed };
}

async function walk(beginning, home) {
  const env = emptyHome(home);
  const before = readFileSync(join(home, ".claude.json"), "utf8");
  const options = { env, isWhole: true, cwd: home, deadline: STEP_MS_MAX };
  const tell = (...words) => run([join(env.PATH, "mainstay"), ...words], options);
  const began = Date.now();
  await tell(...beginning);
  await tell("check");
  const started = JSON.parse(await tell("up", "--wait", "40s", "--listen", "127.0.0.1:0", "--json"));
  try {
    expect("what up says", [started.started, started.ready], [true, true]);
    const said = await tell("export", "claude-code", "--write", "--replace");
    const file = JSON.parse(readFileSync(join(home, ".claude.json"), "utf8"));
    expect("the client's servers", Object.keys(file.mcpServers), ["mainstay"]);
    expect("the project", file.projects, { [join(home, "project")]: { hasTrustDialogAccepted: true } });
    expect("the client's own setting", file.theme, "dark");
    const backups = readdirSync(home).filter((name) => name.startsWith(".claude.json.bak-"));
    expect("backups", backups.map((name) => readFileSync(join(home, name), "utf8")), [before]);
    if (!said.includes(backups[0])) throw new Error(`the backup is not named: ${said}`);
    const { names, read, echoed } = await used(file.mcpServers.mainstay.url, home);
    expect("a file through the filesystem server", read, "line one\n");
    expect("what everything answered", echoed, "Echo: hello");
    for (const tool of ["read_text_file", "create_entities", "echo"]) {
      if (!names.includes(tool)) throw new Error(`the client does not see ${tool}: ${names}`);
    }
    if (!existsSync(join(home, "m.json"))) throw new Error("the memory server kept nothing");
    const took = Date.now() - began;
    if (took > MINUTE_MS) throw new Error(`it took ${took / 1000} s`);
    const again = await tell("export", "claude-code", "--write", "--replace", "--json");
    expect("a second export", JSON.parse(again).changed, false);
    const servers = JSON.parse(await tell("status", "--json")).servers.map(({ state }) => state);
    expect("the servers", servers, ["ready", "ready", "ready"]);
    await tell("stop");
    expect("whether the daemon is gone", await isGone(started.pid), true);
    return took;
  } finally {
    if (runs(started.pid)) process.kill(started.pid, "SIGKILL");
  }
}

let passed = 0;
let failed = 0;
for (const [index, beginning] of beginnings.entries()) {
  const name = `mainstay ${beginning.join(" ")}`;
  try {
    const took = await walk(beginning, join(folder, String(index)));
    if (process.env.TIMES) console.log(`${name}: ${(took / 1000).toFixed(1)} s`);
    passed += 1;
  } catch (error) {
    failed += 1;
    console.log(`failed: ${name}`);
    for (const line of `${error.message}\n${error.output ?? ""}`.split("\n")) console.log(`  ${line}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
