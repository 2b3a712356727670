// Every client walks through every server directly and in all ways through the gateway; the
// server must say the same each time.
//   node compare.mjs FOLDER --config URL   prints the servers the gateway must have: those of
//                                          plans.mjs, which work in FOLDER/gateway, and
//                                          server-everything once more, at URL
//   node compare.mjs FOLDER GATEWAY        compares; GATEWAY is the gateway's address
// A client is a file in clients/: `name`; `program`, one of walkers/ that walks as it; `steps`, if it
// does not take all of a plan's; and `modes`, the first of which goes everywhere:
//   mode       what the walker is told
//   modern     it insists on 2026-07-28, and must be refused where that is not spoken
//   merged     it goes to the group of modern servers, too
//   older      it can be a client of older revisions
//   questions  it walks once more as a client that answers questions
//   servers    only these, instead of all
//   reach      how it gets to an address, if not simply by that
// ONLY_CLIENT and ONLY_SERVER, parts of names, choose.
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { run } from "../processes.mjs";
import { difference, partOf } from "./difference.mjs";
import { servers } from "./plans.mjs";
import { serveWeb } from "./web.mjs";

// What the refusal of a server that is still starting says of when to come back.
const RETRY_MS = 5000;
// For all walks of a client through a server, each of which has a deadline of its own.
const WALKS_MS_MAX = 240_000;
// Walks at once: more than CI's two cores, for a walk is mostly waiting.
const LANES = 6;
const READY_MS_MAX = 60_000;
const COLLIDED = "mainstay://everything_http/";
// The servers that speak 2026-07-28: where others are among them, clients are led to the older one.
const GROUP = "modern";
const OLDER = ["2025-06-18", "2025-03-26"];

const here = dirname(fileURLToPath(import.meta.url));
const [folder, gateway, everythingUrl] = process.argv.slice(2);
const { ONLY_CLIENT: onlyClient = "", ONLY_SERVER: onlyServer = "" } = process.env;
const web = gateway === "--config" ? undefined : await serveWeb();
const places = {
  node: process.env.PEERS_NODE,
  python1: process.env.PEERS_PYTHON_1,
  python2: process.env.PEERS_PYTHON_2,
  pythonAgents: process.env.PEERS_PYTHON_AGENTS,
  modules: process.env.PEERS_MODULES,
  fixture: process.env.PEERS_FIXTURE,
  mainstay: process.env.PEERS_MAINSTAY,
  web: web?.url,
  folder,
};
const [direct, through] = ["direct", "gateway"].map((side) => servers(places, join(folder, side)));
const files = readdirSync(join(here, "clients")).filter((name) => name.endsWith(".mjs"));
const clients = await Promise.all(files.map(async (name) => (await import(`./clients/${name}`)).default));

const without = (said, text, instead) => JSON.parse(JSON.stringify(said).replaceAll(text, instead));

// The folder of a plan must not show, for each side works in its own, nor what varies by itself.
function neutral(said, side, server) {
  const text = JSON.stringify(said).replaceAll(join(folder, side), "FOLDER");
  const varies = direct[server].varies ?? [];
  return JSON.parse(varies.reduce((text, [what, instead]) => text.replace(what, instead), text));
}

const sameName = (_list, name) => name;

// Names that the first server keeps, the same server at an address gets with its own name before.
const prefixed = (list, name) => (list === "resources" ? `${COLLIDED}${name}` : `everything_http_${name}`);

function renamedStep(step, renamed) {
  if (step.call) return { ...step, call: renamed("tools", step.call) };
  if (step.cancel) return { ...step, cancel: renamed("tools", step.cancel) };
  if (step.read) return { ...step, read: renamed("resources", step.read) };
  if (step.prompt) return { ...step, prompt: renamed("prompts", step.prompt) };
  return { ...step, complete: renamed("prompts", step.complete) };
}

// At the address of all servers what nobody has is refused by the gateway. What a server offers only
// to clients that can answer questions it may tell of at any moment after they have come, and of the
// other servers' no more is known here: neither is compared.
const isOffered = (server, tool) => !direct[server].conditional?.includes(tool);
const isAnyones = (server, step) => !step.nobody && isOffered(server, step.call);
function forAnyone(server, said) {
  const offered = { ...said };
  for (const list of ["tools", "tools_again"]) {
    if (Array.isArray(said[list])) offered[list] = said[list].filter(({ name }) => isOffered(server, name));
  }
  return offered;
}

// Whether the list was the same the second time takes the place of the second list.
function withoutSecond({ tools_again: again, ...said }) {
  return again === undefined ? said : { ...said, listed_again: isDeepStrictEqual(again, said.tools) };
}

// The ways through the gateway to a server. `merged`: among all the others.
function ways(server) {
  const alone = { way: "its endpoint", url: `${gateway}/mcp/${server}` };
  const merged = { way: "all at once", url: `${gateway}/mcp`, merged: true };
  if (server !== "everything") return [alone, merged];
  return [
    alone,
    merged,
    { way: "its endpoint, by url", url: `${gateway}/mcp/everything_http` },
    { way: "all at once, by url", url: `${gateway}/mcp`, merged: true, renamed: prefixed },
  ];
}

const atUrl = (url) => ({ url });
const words = (...parts) => parts.filter(Boolean).join(", ");

// The walks of one client through one server: each direct one and, compared with it, the others.
function walksOf(client, server) {
  const [own, reached] = [direct[server], through[server]];
  const walks = [];
  const asked = (plan, extra) => {
    if (client.steps) return client.steps(plan);
    return [...plan.steps, ...(extra.interactive ? (plan.interactive ?? []) : [])];
  };
  const add = ({ mode, reach = atUrl }, extra, chosen) => {
    const id = walks.length;
    walks.push({ id, mode, command: own.command, env: own.env, steps: asked(own, extra), ...extra });
    for (const { way, url, merged, renamed = sameName } of chosen) {
      const steps = asked(reached, extra)
        .filter((step) => !merged || isAnyones(server, step))
        .map((step) => renamedStep(step, renamed));
      const name = words(mode, way, extra.revision, extra.interactive && "with questions");
      walks.push({ id: walks.length, name, like: id, merged, renamed, steps, mode, ...reach(url, places), ...extra });
    }
  };
  const [main] = client.modes;
  for (const mode of client.modes.filter(({ servers }) => servers?.includes(server) ?? true)) {
    const chosen = ways(server);
    // A client that insists on a generation the server has not must hear so, and not wait.
    if (mode.modern && !own.modern) {
      const [{ way, url }] = chosen;
      const { reach = atUrl } = mode;
      const name = words(mode.mode, way, "refused");
      walks.push({ id: walks.length, name, refused: true, mode: mode.mode, ...reach(url, places), steps: [] });
      continue;
    }
    const [alone] = chosen;
    const others = { way: "all modern ones", url: `${gateway}/mcp/${GROUP}`, merged: true };
    add(mode, {}, mode === main ? chosen : mode.merged && own.modern ? [alone, others] : [alone]);
    if (mode.older && server === "everything") {
      for (const revision of OLDER) add(mode, { revision }, chosen.slice(0, 2));
    }
    if (mode.questions && own.interactive) add(mode, { interactive: true }, mode === main ? chosen : [alone]);
  }
  return walks;
}

// Gives back [name, what is wrong] for each way; wrong is undefined where nothing is.
async function walk(client, server) {
  const walks = walksOf(client, server);
  const [program, walker, ...flags] = client.program(places);
  const command = [program, join(here, "walkers", walker), ...flags];
  let why = "said nothing";
  const lines = await run(command, { input: JSON.stringify(walks), deadline: WALKS_MS_MAX }).catch((error) => {
    why = error.message;
    return error.output ?? "";
  });
  const heard = lines
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  return walks
    .filter((walk) => walk.name)
    .map((walk) => [`${client.name}, ${server}: ${walk.name}`, compared(walk)]);

  function compared({ id, like, merged, renamed, refused }) {
    const other = heard.find((said) => said.id === id);
    // A client that does not ask first finds out with its first request.
    if (refused) return other?.failed || other?.said.tools === "none" ? undefined : `not refused: ${other ? "it was served" : why}`;
    const one = heard.find((said) => said.id === like);
    if (!one || !other) return `${one ? "through the gateway" : "directly"}: ${why}`;
    if (one.failed) return `directly: ${one.failed}`;
    if (other.failed) return `through the gateway: ${other.failed}`;
    const expected = neutral(one.said, "direct", server);
    const said = neutral(other.said, "gateway", server);
    if (merged) {
      const own = forAnyone(server, expected);
      own.steps = own.steps.filter((_, at) => isAnyones(server, walks[like].steps[at]));
      said.steps = without(said.steps, COLLIDED, "");
      return difference(withoutSecond(own), withoutSecond(partOf(said, own, renamed)));
    }
    return difference(withoutSecond(expected), withoutSecond(said));
  }
}

function config() {
  const text = (value) => JSON.stringify(value);
  const run = `CONFORMANCE_RUN = ${text(folder)}`;
  const started = Object.entries(through).map(([name, { command, env }]) => {
    const pairs = [run, ...Object.entries(env).map(([key, value]) => `${key} = ${text(value)}`)];
    return `[servers.${name}]\ncommand = ${text(command)}\nenv = { ${pairs.join(", ")} }\nrequired = true\n`;
  });
  const modern = Object.keys(through).filter((name) => through[name].modern);
  const byUrl = `[servers.everything_http]\nurl = ${text(everythingUrl)}\nrequired = true\n`;
  return [...started, byUrl, `[endpoints.${GROUP}]\nservers = ${text(modern)}\n`].join("\n");
}

async function check(client, server) {
  const began = Date.now();
  let found = await walk(client, server);
  // On a busy machine a server may start so slowly that calls are refused with a time to come back at.
  if (found.some(([, wrong]) => wrong?.includes("is still starting"))) {
    await pause(RETRY_MS);
    found = await walk(client, server);
  }
  for (const [name, wrong] of found) {
    console.log(wrong === undefined ? `same: ${name}` : `FAILED: ${name}\n  ${wrong}`);
  }
  if (process.env.TIMES) console.log(`${client.name}, ${server}: ${Date.now() - began} ms`);
  return found.map(([, wrong]) => wrong);
}

// Takes the next that may run: a server that keeps what it is told has one client at a time.
async function lane(waiting, busy) {
  const found = [];
  while (waiting.length > 0) {
    const at = waiting.findIndex(({ server }) => !busy.has(server));
    if (at === -1) {
      await Promise.race(busy.values());
      continue;
    }
    const [{ client, server }] = waiting.splice(at, 1);
    const work = check(client, server);
    if (direct[server].keeps) busy.set(server, work);
    found.push(...(await work));
    busy.delete(server);
  }
  return found;
}

async function until(what, holds) {
  for (const end = Date.now() + READY_MS_MAX; Date.now() < end; await pause(100)) {
    if (await holds()) return;
  }
  throw new Error(`${what} after ${READY_MS_MAX / 1000} s`);
}

// Whether a server speaks 2026-07-28 is found out when the first client wants it. That client may be
// told no while a slow server starts, and go on as a legacy one: here the first is nobody.
async function discovers(place) {
  const [revision, method] = ["2026-07-28", "server/discover"];
  const _meta = { "io.modelcontextprotocol/protocolVersion": revision, "io.modelcontextprotocol/clientCapabilities": {} };
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": revision,
    "mcp-method": method,
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { _meta } });
  const answer = await fetch(`${gateway}/mcp/${place}`, { method: "POST", headers, body });
  return answer.ok && "result" in (await answer.json());
}

// What is listed at the address of all servers grows until the last of them has come.
async function allReady(chosen) {
  await until("not all servers are ready", async () => (await fetch(`${gateway}/health/ready`)).ok);
  const wanted = [...chosen.filter((server) => direct[server].modern), GROUP];
  await Promise.all(wanted.map((place) => until(`${place} is not offered`, () => discovers(place))));
}

async function all() {
  const asked = Object.keys(direct).filter((server) => server.includes(onlyServer));
  const asking = clients.filter(({ name }) => name.includes(onlyClient));
  await allReady(asked);
  const pairs = asked.flatMap((server) => asking.map((client) => ({ client, server })));
  const waiting = pairs.filter(({ client, server }) => walksOf(client, server).length > 0);
  // What can't be shared comes first, for it takes longest.
  waiting.sort((one, other) => Boolean(direct[other.server].keeps) - Boolean(direct[one.server].keeps));
  const busy = new Map();
  const found = (await Promise.all(Array.from({ length: LANES }, () => lane(waiting, busy)))).flat();
  const failed = found.filter((wrong) => wrong !== undefined).length;
  console.log(`${found.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (gateway === "--config") console.log(config());
else process.exit(await all());
