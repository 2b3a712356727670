// Every client walks through every server directly and in all ways through the gateway; the
// server must say the same each time.
//   node compare.mjs FOLDER --config URL   prints the servers the gateway must have: those of
//                                          plans.mjs, which work in FOLDER/gateway, and
//                                          server-everything once more, at URL
//   node compare.mjs FOLDER GATEWAY        compares; GATEWAY is the gateway's address
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { difference, partOf } from "./difference.mjs";
import { servers } from "./plans.mjs";
import { run } from "../processes.mjs";

const WALK_MS_MAX = 90_000;
const INSPECTION_MS_MAX = 30_000;
const COLLIDED = "mainstay://everything_http/";
const OLDER = ["2025-06-18", "2025-03-26"];

const here = dirname(fileURLToPath(import.meta.url));
const { PEERS_NODE: node, PEERS_MODULES: modules, PEERS_FIXTURE: fixture } = process.env;
const [folder, gateway, everythingUrl] = process.argv.slice(2);
const [direct, through] = ["direct", "gateway"].map((side) => servers({ node, modules, fixture }, join(folder, side)));

const walkers = {
  "python 1.30": [process.env.PEERS_PYTHON_1, join(here, "walk.py")],
  "python 2.3": [process.env.PEERS_PYTHON_2, join(here, "walk.py")],
  "typescript 1.32": [node, join(here, "walk.mjs")],
};

const without = (said, text, instead) => JSON.parse(JSON.stringify(said).replaceAll(text, instead));

// The folder of a plan must not show: each side works in its own.
const neutral = (said, side) => without(said, join(folder, side), "FOLDER");

const sameName = (_list, name) => name;

// Names that the first server keeps, the same server at an address gets with its own name before.
const prefixed = (list, name) => (list === "resources" ? `${COLLIDED}${name}` : `everything_http_${name}`);

function renamedStep(step, renamed) {
  if (step.call) return { ...step, call: renamed("tools", step.call) };
  if (step.read) return { ...step, read: renamed("resources", step.read) };
  if (step.prompt) return { ...step, prompt: renamed("prompts", step.prompt) };
  return { ...step, complete: renamed("prompts", step.complete) };
}

// At the address of all servers there is one list for all clients: what a server offers only to
// clients that can answer questions is not in it, and what nobody has is refused by the gateway.
const isOffered = (server, tool) => !direct[server].conditional?.includes(tool);
const isAnyones = (server, step) => !step.nobody && isOffered(server, step.call);
const forAnyone = (server, said) =>
  said.tools ? { ...said, tools: said.tools.filter(({ name }) => isOffered(server, name)) } : said;

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

// The walks of one client through one server: each direct one and, compared with it, the others.
function walksOf(server, interactive) {
  const walks = [];
  const add = (extra, chosen) => {
    const id = walks.length;
    const steps = (plan) => [...plan.steps, ...(extra.interactive ? plan.interactive : [])];
    const { command, env } = direct[server];
    walks.push({ id, command, env, steps: steps(direct[server]), ...extra });
    for (const { way, url, merged, renamed = sameName } of chosen) {
      const asked = steps(through[server])
        .filter((step) => !merged || isAnyones(server, step))
        .map((step) => renamedStep(step, renamed));
      const name = extra.revision ? `${way}, ${extra.revision}` : way;
      walks.push({ id: walks.length, name, like: id, url, merged, renamed, steps: asked, ...extra });
    }
  };
  add(interactive ? { interactive } : {}, ways(server));
  if (server === "everything" && !interactive) {
    for (const revision of OLDER) add({ revision }, ways(server).slice(0, 2));
  }
  return walks;
}

// Gives back [name, what is wrong] for each way; wrong is undefined where nothing is.
async function walk(client, server, interactive = false) {
  const walks = walksOf(server, interactive);
  const asked = run(walkers[client], { input: JSON.stringify(walks), deadline: WALK_MS_MAX });
  let why = "said nothing";
  const lines = await asked.catch((error) => {
    why = error.message;
    return error.output ?? "";
  });
  const heard = lines.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  return walks
    .filter((walk) => walk.name)
    .map((walk) => [`${client}${interactive ? " with questions" : ""}, ${server}: ${walk.name}`, compared(walk)]);

  function compared({ id, like, merged, renamed }) {
    const [one, other] = [like, id].map((id) => heard.find((said) => said.id === id));
    if (!one || !other) return `${one ? "through the gateway" : "directly"}: ${why}`;
    if (one.failed || other.failed) return one.failed ?? other.failed;
    const expected = neutral(one.said, "direct");
    const said = neutral(other.said, "gateway");
    if (merged) {
      const own = forAnyone(server, expected);
      own.steps = own.steps.filter((_, at) => isAnyones(server, walks[like].steps[at]));
      said.steps = without(said.steps, COLLIDED, "");
      return difference(own, partOf(said, own, renamed));
    }
    return difference(expected, said);
  }
}

// The inspector's command line, as a user would call it.
async function inspect(server) {
  const about = join(modules, "@modelcontextprotocol/inspector/package.json");
  const { default: inspector } = await import(about, { with: { type: "json" } });
  const program = join(dirname(about), inspector.bin["mcp-inspector"]);
  const env = { MCP_CATALOG_PATH: join(folder, `catalog-${server}.json`) };
  const ask = async (target, flags) => {
    const command = [node, program, "--cli", ...target, "--format", "json", "-q", ...flags];
    return JSON.parse(await run(command, { env, deadline: INSPECTION_MS_MAX }));
  };
  const started = (plan) => [
    ...Object.entries(plan.env).flatMap(([name, value]) => ["-e", `${name}=${value}`]),
    ...plan.command,
  ];
  const found = [];
  for (const flags of [() => ["--method", "tools/list"], (plan) => plan.inspected]) {
    const expected = await ask(started(direct[server]), flags(direct[server])).catch((error) => error);
    for (const { way, url, merged, renamed } of ways(server)) {
      if (renamed) continue;
      const target = [url, "--transport", "http", "--protocol-era", "legacy"];
      const said = await ask(target, flags(through[server])).catch((error) => error);
      const name = `inspector ${flags(through[server])[1]}, ${server}: ${way}`;
      const broken = [expected, said].find((answer) => answer instanceof Error);
      if (broken) {
        found.push([name, broken.message]);
        continue;
      }
      const [one, other] = [neutral(expected, "direct"), neutral(said, "gateway")];
      const own = forAnyone(server, one.result);
      found.push([name, merged ? difference(own, partOf(other.result, own, sameName)) : difference(one, other)]);
    }
  }
  return found;
}

function config() {
  const text = (value) => JSON.stringify(value);
  const run = `CONFORMANCE_RUN = ${text(folder)}`;
  const started = Object.entries(through).map(([name, { command, env }]) => {
    const pairs = [run, ...Object.entries(env).map(([key, value]) => `${key} = ${text(value)}`)];
    return `[servers.${name}]\ncommand = ${text(command)}\nenv = { ${pairs.join(", ")} }\n`;
  });
  return [...started, `[servers.everything_http]\nurl = ${text(everythingUrl)}\n`].join("\n");
}

// Servers keep what they are told, so a server's walks come one after the other.
async function lane(checks) {
  const found = [];
  for (const check of checks) {
    for (const [name, wrong] of await check()) {
      console.log(wrong === undefined ? `same: ${name}` : `FAILED: ${name}\n  ${wrong}`);
      found.push(wrong);
    }
  }
  return found;
}

async function all() {
  const lanes = Object.keys(direct).map((server) =>
    lane([...Object.keys(walkers).map((client) => () => walk(client, server)), () => inspect(server)]),
  );
  const questions = ["everything", "fixture"].map((server) => () => walk("typescript 1.32", server, true));
  lanes.push(lane(questions));
  const found = (await Promise.all(lanes)).flat();
  const failed = found.filter((wrong) => wrong !== undefined).length;
  console.log(`${found.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (gateway === "--config") console.log(config());
else process.exit(await all());
